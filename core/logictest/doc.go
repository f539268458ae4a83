// Package logictest runs SQL written in text files and compares what comes out
// with what the files say: the proof of the whole engine, from text to rows.
//
// A file is records with empty lines between. Every file runs in a fresh session
// of a fresh engine, several times under settings that must make no difference
// (Variation); the results must be the same each time.
//
//	# A comment. The first one tells the story of the file.
//
//	settings execution.batch-rows=3        for the whole file
//	streaming                              also run as a stream with checkpoints, and
//	                                       killed, and restored at other parallelisms
//	without batch-1: would take long       not run in this variation, and why
//	include setup.slt                      records of another file, without queries
//
//	file points.csv                        writes ${dir}/points.csv
//	----
//	1,one
//	2,two
//
//	statement ok                           one statement that succeeds
//	CREATE TEMPORARY VIEW v AS SELECT 1 AS a
//
//	statement error SQL-2001 no table      code, then a regular expression
//	SELECT * FROM nowhere
//
//	query IT rowsort                       types, order, and a label
//	SELECT a, b FROM '${dir}/points.csv'
//	----
//	1 | one
//	2 | two
//
// The types are a letter a column: I integer, N decimal, R float, T text, B
// boolean, D date, C time of day, P timestamp, V interval, X binary, L array, map
// or row. Rows are compared in order, or sorted (rowsort), or all values one by
// one sorted (valuesort). Queries of one label must give the same rows. A changelog is
// compared as the table that it leaves. Integers and decimals are compared by
// value, floats to 1e-9 of it. An error's code is an SQL code or a class of
// core/failure with - for its spaces.
//
// In text, a backslash makes \n, \t, \r, \| and \\; \s is a space at either end;
// (empty) is the empty text and NULL is null.
//
// ${dir} is an empty directory of this run, ${data} the directory of the file.
//
// # Killed and restored
//
// Where a variation kills jobs (Variation.Lives), an INSERT and a query end several times
// in the middle: sources stop behind a few batches, and do not end (gate.go); when a
// checkpoint is complete the engine is closed, and a new one goes on from there. A query's
// changes go to a sink that takes what a checkpoint publishes, once (changes.go); what they
// leave must be the rows. So does the variation streaming-fold compare every bounded query
// of every file: its changelog as a stream, folded, is what batch gives.
//
// # The oracle
//
// With a DuckDB binary, one process a file runs every query as well, and its
// rows must be the expected ones. Lines before a record say what differs:
//
//	oracle SELECT a // 2 FROM v            what DuckDB runs instead; may repeat
//	nooracle arrays print differently      not run; the rows were checked by hand
//	nooracle-file DuckDB has no catalogs   for the whole file
//
// Of statements, DuckDB runs CREATE VIEW, and what an oracle line gives. It reads
// the files of the straight run's ${dir} after that run, so it also reads what
// the engine wrote. It runs with NULL smaller than all values and / between
// integers whole, as here.
package logictest
