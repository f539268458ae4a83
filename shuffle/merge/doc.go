// Package merge reads the lanes of an exchange in their common order: the
// consumer's side of the distribution shuffle.Merge.
//
// Such an exchange has a partition for each lane instead of one for each
// consumer: a service merges the lanes of a partition as they come, and would
// lose their order. One consumer opens all partitions and reads them through
// Open, which looks to it like any other reader.
//
//	lane 0 -> partition 0 --+
//	lane 1 -> partition 1 --+-- loser tree --> rows in order
//	lane 2 -> partition 2 --+
//
// It serves bounded, insert-only edges. Poll waits for the lane whose row must
// come next: nothing else could be read meanwhile.
package merge
