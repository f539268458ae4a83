// Package join is the hash join of two bounded inputs.
//
// The right input is built first: its batches are kept; at its end its keys are
// resolved to slots, its rows concatenated and sorted by slot (counting sort), so
// that the rows of a key lie in one run. Where every key has one row,
// slot and row are the same number and nothing is sorted.
//
//	probe batch --hash, Find--> slots --runs--> (probe row, build row) pairs --Take--> output
//
// Columns are gathered only for pairs, late and in batches. The residual condition
// selects among the pairs; LEFT, FULL, SEMI and ANTI note which probe rows, RIGHT
// and FULL which build rows, had a pair that passed. Null keys match nothing.
package join
