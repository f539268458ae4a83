// Package over computes window functions: the operator of a jobgraph.Over.
//
// The input comes sorted by the partition columns, then by the order; a Sort
// before it spills what memory does not hold. The operator keeps as few rows as
// its calls allow, and computes a section of them at a time, column by column:
//
//	             dropped      kept                      to come
//	partition  ~~~~~~~~~~~~|------------|=========|-----|. . . . .
//	             carried    still seen   to emit   not ready
//
//	rankings                    from the bounds of partitions and peers
//	LAG, LEAD, FIRST_VALUE, ... as row numbers, which a gather turns into values
//	aggregates                  over the bounds of each row's frame
//
// Frames are pairs of row numbers, found in one pass, because both ends only
// advance within a partition. A row is ready when its frame's end is known, and
// dropped when no frame to come begins at or before it; of frames that begin with
// the partition, what was dropped is carried on: accumulators, a first value.
//
// Sums, counts and averages from the partition's first row on are running totals.
// Other aggregates over frames are trees of accumulators over the rows, each level
// half as long as the one below: a frame is the merge of at most two nodes a
// level, for every function that can merge, and no frame costs more than the
// logarithm of its length. A frame that is always the whole partition needs no tree.
//
// Calls whose frames end with the partition (and NTILE, PERCENT_RANK, CUME_DIST)
// keep it whole. Where memory does not allow that, its rows go to a file, with
// notes about each batch: accumulators over it, its last value. At the end of the
// partition the file is read as if it were input, with foresight: how many rows
// there are, and what the notes say of those still to come. Calls that cannot be
// foreseen or carried (NTH_VALUE, IGNORE NULLS, LAG and LEAD by a distance that is
// no constant) keep their rows in memory, and fail by name where that is short.
//
// What is kept is charged to the operator's account.
package over
