// Package operatortest is the conformance harness of operators.
//
// A Case says how to make an operator, what goes in and what must come out. Run
// repeats it in every way that must make no difference:
//
//	batches of 1 row, of 3, of all
//	with rows between that a selection leaves out
//	characters plain and as dictionaries, at random
//	stopped by Close after every step; with an output that fails at every Emit
//	memory exhausted at every charge
//	snapshot, thrown away and restored after every step (Case.Stateful)
//	the same from a snapshot of everything and what later ones say has changed
//	a budget far below many random rows, against none (Case.Spills)
//	random nulls in the input, against a naive twin (Case.Twin)
//
// Each time the allocator must be empty afterwards, the account at zero, and no
// goroutine left.
//
// Tables are text: a schema, then a row a line with | between values. A line
// "watermark N" advances event time, a line "tick N" processing time, in milliseconds;
// an operator that is restored is told the time again.
//
//	k STRING, v BIGINT
//	a | 1
//	b | NULL
//	watermark 5000
//	-U a | 1
//	+U a | 2
//
// A row may begin with its kind; without one it is an insert. Of a Case.Changelog it
// is compared what the changes leave.
//
// Strings stand as they are, or in quotes where they begin or end with a space
// or say NULL; times as 2024-01-31, 13:45:00.5, 2024-01-31 13:45:00.5.
package operatortest
