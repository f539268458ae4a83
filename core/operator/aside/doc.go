// Package aside is of rows that leave the main way of a job: records that are no rows of their
// table, which a source leaves out instead of failing, and rows that come when their time is
// over.
//
//	Source --rows--> Window, join, ... --> Sink
//	   |                \--side 1: late rows--> RejectLimit --> Calc --> Sink of the late rows
//	   \--side 1: rejected records--> RejectLimit --> Calc --> Sink of the rejects table
//
// What goes aside goes through an ordinary exchange into an ordinary sink of the same job:
// barriers follow it as they follow rows, so that each record is written as often as the sink
// writes its rows, exactly once or at least once.
//
// Rejects belongs to a source or a watermark assigner. It collects records while a batch is
// being read or looked at, and emits them before the batch: a barrier never comes between a
// record's being read and its being emitted. Where the job has nobody who writes them, as a
// query has not, they are counted and left out.
//
// Late belongs to one input of an operator that leaves late rows out. It counts them, and emits
// those of a batch together, before the batch is let go.
//
// RejectLimit counts them by table over the whole life of the job, restarts included, and
// fails when there are more than the table allows.
package aside
