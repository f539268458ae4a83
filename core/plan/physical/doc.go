// Package physical turns an optimised logical plan into a job graph.
//
// It walks the plan from the leaves up. A fragment is an open vertex: operators
// are appended to its chain for as long as they need no other distribution.
// Where they do, an exchange closes the vertex and opens the next.
//
//	Scan, Filter, Project          chained
//	Aggregate                      partial ── hash(keys) ──> final
//	                               without keys: partial ── singleton ──> final
//	Join                           both sides hash(keys); or, when the built side
//	                               is small, or less to send everywhere than both
//	                               are to exchange, probe forward, build broadcast
//	Sort                           sort ── merge ──> (singleton)
//	TopN, Limit                    each subtask ── singleton ──> once more
//	WindowAggregate                partial ── hash(keys) ──> final, by slices
//	Sink                           chained
//	query                          result exchange: singleton, or merge if ordered
//
// What an unbounded input cannot have yet, because its result would be taken
// back row by row, is refused by name and place with advice.
//
// The same plan always gives the same graph: uids of vertices are hashes of what a vertex
// does and of what it reads, numbered where equal ones occur. Those of operators with state
// are hashes of what the state means (lineage.go), by which other plans find it.
package physical
