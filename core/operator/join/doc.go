// Package join is the hash join of two bounded inputs.
//
// The right input is built first: its batches are kept; at its end its keys are
// resolved to slots, its rows concatenated and, where they are not so already,
// sorted by slot (counting sort), so that the rows of a key lie in one run.
//
//	probe batch --find--> slots --runs--> (probe row, build row) pairs --Take--> output
//
// Slots are found in a hash table or, for a single integer key whose values lie
// close together, in a bitmap with ranks. Columns are gathered only for pairs, late
// and in batches; where most probe rows have their one match, they pass under a
// selection instead. The residual condition selects among the pairs; LEFT, FULL,
// SEMI and ANTI note which probe rows, RIGHT, FULL, RIGHT SEMI and RIGHT ANTI which
// build rows, had a pair that passed. Null keys match nothing.
//
// Subtasks in one process that are all given the same build side (broadcast) share
// what is made of it. Each keeps the batches that it is given, which are the same
// ones in memory. Who has them all first builds, is charged for it and tells the keys
// to scans, while the others wait; whoever reads still lets go of what it has. What is
// built is immutable, is read through views that have scratch of their own, and goes
// with the last join that is closed. Where building fails the next one tries; one
// whose memory is short before another has built goes on in files by itself, as below.
// Kinds that note which build rows had a pair share nothing.
//
// Where the build side does not fit memory, both sides are divided by the hash of
// their keys into files (grace):
//
//	build --\                 /-- pair 0: fits: built in memory, probed
//	         hash, 16 ways --+--- pair 1: does not: divided again, 16 ways
//	probe --/                 \-- pair 2: one key: built in blocks, the probe side
//	                              read once for each
//
// When the build side has ended, as many pairs as fit are built at once, and probe
// rows of theirs are joined as they come; resident.go tells more. Between blocks a
// bit for each probe row says whether it had a pair. A join without keys is one
// pair, in blocks. What is read back is charged before it is kept; the
// buffers of files and the batches that only pass are where there is room.
//
// Builds has a lock, which is a leaf; what is built happens before its channel is
// closed.
package join
