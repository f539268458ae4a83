// Package temporaljoin joins each row with the version that a table had of its key at the
// row's time: JOIN t FOR SYSTEM_TIME AS OF an event time.
//
// Input 1 tells versions: an insert or update is the version of its key from its time on,
// a delete says that from its time on there is none; of those of one time the last one to
// come counts. Input 0 is rows, inserts only. Both are kept in keyed state, in lists by
// key, until the watermark of both inputs says that what they need is there:
//
//	key -> left rows:  t=5   t=9 | t=12                    joined and forgotten up to the watermark
//	key -> versions:   t=1   t=8 |  t=11                   t=1 is forgotten, t=8 may still be asked for
//	               --------------+------------> event time
//	                          watermark 10
//
// A row of time t gets the version with the largest time that is not after t; a left join
// emits it with nulls if there is none, or the residual is not true. Rows without a key or
// a time find nothing and need not wait. So state is bounded by the rows and versions
// ahead of the watermark, and one version a key.
//
// A row that comes late is joined at the next watermark, with what is left: the version
// that was the last one at the watermark before, if that is not after the row. A version
// that comes late counts if it is newer than that one. It is what Flink does, too.
//
// Waiting keys are found by buckets of time (core/operator/groups), which are made anew of
// restored state; there is no other state. In bounded jobs the task keeps none for the
// operator, which then has a backend of its own.
package temporaljoin
