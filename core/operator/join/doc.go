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
// pair, in blocks. What is read back is charged before it is kept; batches that only
// pass are not.
package join
