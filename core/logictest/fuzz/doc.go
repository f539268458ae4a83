// Package fuzz writes random SQL by type, runs it here and in DuckDB, and
// compares.
//
//	seed -> round -> tables (data.go), ways to run (round.go)
//	              -> statements (query.go, expression.go, functions.go)
//	                     |                       |
//	                here: client.Session     DuckDB: one process (duckdb.go)
//	                     |                       |
//	                     +------ compare.go -----+
//	                               | differs
//	                            shrink.go -> a Difference that can be pasted
//
// A statement is a tree (tree.go) that prints in two dialects: where semantics
// differ, a node has one text for here and one for DuckDB that mean the same.
// What cannot be said in both is not generated: overflow, division by zero,
// floats that depend on the order of addition as keys, and LIMIT without a
// total order. Every expression is of a known type and size, so nearly every
// statement has an answer; the report counts those without.
//
// Everything follows from the seed: a statement is named by seed, round and
// number, whatever ran before it.
//
// Integers, decimals, texts and times have to be the same; doubles to 1e-9 of
// their size. An error here is a difference if DuckDB answers, unless it says
// that something is not supported (SQL-4001): those are counted by their text.
package fuzz
