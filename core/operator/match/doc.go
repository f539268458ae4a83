// Package match finds runs of rows that a pattern describes: the operator of a
// jobgraph.MatchRecognize. What a match is, and which of several wins, is Apache Flink's
// (docs/adr/0020).
//
// Rows of each partition wait in a list of keyed state until the watermark has passed
// them, and are taken in their order. A pattern is compiled once to nodes of an NFA; a
// partial match is a node to go on from, with what its conditions and the measures read
// of the rows so far:
//
//	partial   node | start | registers: rows of the list | accumulators
//	               |       |   FIRST(A), LAST(A), LAST(A, 1), ...
//
// so a row that no register names any more is forgotten, and nothing is kept for each row
// of a match. Every row begins a partial match. Each step takes one row of every partition
// that has some due (a wave), so that the conditions of all partial matches of all
// partitions are evaluated as columns: those without references once for all due rows,
// the others once for each wave and variable.
//
//	waves    partition a  | r1 | r4 | r7 |
//	         partition b  | r2 | r5 |
//	         partition c  | r3 | r6 | r8 | r9 |
//
// A partial match tries a row as each variable that may come next; in its copy the row
// counts as that variable's already, which is what a condition sees. A greedy quantifier
// takes the row if it can; only otherwise the pattern goes on behind it. The first partial
// match of a start that completes ends the others of that start, and waits until no earlier
// start is left. Then it is told, and AFTER MATCH says which starts it forgets.
//
// Partial matches live outside of keyed state, by slot of their partition, and are written
// to a value of it at each snapshot: rows are named by their place in the list.
//
// Where state has a time to live, partial matches also end when nothing has come for their
// partition for as long in processing time; rows that wait for the watermark do not.
package match
