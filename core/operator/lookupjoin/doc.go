// Package lookupjoin joins rows with those that a table has of their keys when they come:
// JOIN t FOR SYSTEM_TIME AS OF a processing time. The table is not read; its connector is
// asked (connector.Looker).
//
//	batch --keys that are not null--> cache --unknown keys--> Lookup.Find
//	  |                                 |                        |
//	  +------ pairs <-------------------+------------------------+
//	            |
//	         residual --> output, in the order of the input
//
// The cache keeps the answers for a number of keys, also that there are none, for a time at
// most. A key that is asked about loses its place last (CLOCK: a mark for each use, a hand
// that takes marks off and keys without one out).
//
// A question that failed for a while is asked again a number of times, after waits that
// double; the task stands still meanwhile. There is nothing to snapshot: after a restart
// rows are joined with what the table has then, as they are when they come late.
//
// Changes keep their kind: the planner takes back only what a table that does not change
// would give again.
package lookupjoin
