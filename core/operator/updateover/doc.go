// Package updateover computes window functions over an input that need not end: the
// operator of a jobgraph.UpdatingOver. Values come from core/operator/over, which is
// given sorted rows; this package decides which, and tells what became of them.
//
// Without closing the rows of each partition are kept. A batch that touches a partition
// has it computed as it was and as it is, and what differs is told: rows that went,
// rows that came, rows whose values changed.
//
// With closing rows wait until the watermark has passed their time; then they are told
// once, in that order, and never change, because frames end at the current row:
//
//	partition   ~~~~~~~~~~~|--------|==========|. . . .
//	             forgotten   reached  due        waiting
//	                                  ^ last     ^ watermark
//
// What is told is kept only as far as frames of rows to come reach back: so many rows,
// so much time. Rankings, and aggregates over frames that begin with the partition, need
// no rows: their numbers and accumulators are carried on in the partition's values. Only
// frames from the beginning of value functions keep everything. Late rows, whose time is
// closed, are left out and counted.
//
// Partitions with rows that wait lie in buckets of time, so that a watermark finds them
// without a look at the others; the buckets are made anew at a restore.
package updateover
