// Package expand gives GROUP BY its grouping sets: it emits each row once for every
// set, with null in place of the keys that the set lacks and a grouping id that
// tells such a null from one of the data. An aggregation by all keys and the id
// then computes GROUPING SETS, ROLLUP and CUBE at once.
//
//	a | b | v          ROLLUP (a, b):  1 | 2 | 9 | 0    (a, b)
//	1 | 2 | 9    -->                   1 |   | 9 | 1    (a)
//	                                     |   | 9 | 3    ()
//
// Nothing is copied: the batches of a row share its columns, and the nulls and ids
// are made once for the longest batch and sliced.
package expand
