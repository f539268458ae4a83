// Package plan is the relational algebra between the SQL binder and the job
// graph.
//
// A plan is a tree of Nodes. Nodes are immutable: a rule that changes one builds
// a new one by WithInputs or a constructor, so trees may share parts. Columns are
// addressed by position in the input's schema; a Join sees the left columns, then
// the right ones. Every node knows its output schema and the place in the
// statement that asked for it.
//
//	ast.Query --binder--> Node --optimizer--> Node --physical--> jobgraph.Graph
//
// Properties that follow from the tree are functions and are never stored:
// Bounded, Changelog, EventTime, Rows. What is stored in a node is what was
// decided.
package plan
