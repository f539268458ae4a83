// Package planner is the front door of planning: a statement in, and out comes a
// job graph, rows, or a changed session.
//
//	ast.Statement --binder--> plan.Node --optimizer--> plan.Node --physical--> Graph
//
// It carries out what needs no job: DDL on the catalog, SET and USE on the
// session, SHOW and DESCRIBE as rows. Queries and inserts become one job graph
// each; a statement set becomes one with several sinks. The caller submits
// graphs; nothing runs here, but connectors are asked to describe their tables.
package planner
