// Package over computes window functions: the operator of a jobgraph.Over.
//
// The input comes sorted by the partition columns, then by the order. The
// operator keeps rows until their partition is complete, and then computes all
// complete partitions at once, column by column:
//
//	rankings                    from the bounds of partitions and peers
//	LAG, LEAD, FIRST_VALUE, ... as row numbers, which a gather turns into values
//	aggregates                  over the bounds of each row's frame
//
// Frames are pairs of row numbers, found in one pass, because both ends only
// advance within a partition. An aggregate over frames is a tree of accumulators
// over the rows, each level half as long as the one below: a frame is the merge
// of at most two nodes a level, for every function that can merge, and no frame
// costs more than the logarithm of its length. A frame that is always the whole
// partition needs no tree.
//
// What is kept is charged to the task's ledger.
package over
