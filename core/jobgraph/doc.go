// Package jobgraph is the serialised job: vertices with chains of operator
// specs, and the exchanges between them.
//
// The physical planner builds a Graph; the dispatcher stores it; the execution
// graph expands its vertices to subtasks; a worker builds live operators from
// its specs. It holds specs, never code, so a master can keep and route jobs
// whose functions and connectors it does not have. The messages are generated
// from jobgraph.proto, which documents every field; Validate states what a
// correct graph is, and nobody downstream checks that again.
package jobgraph
