// Package rowsort puts rows of Arrow records in order.
//
// Permutation sorts the rows of one record. The first key becomes a 64-bit
// prefix that orders as the key does, as far as 64 bits tell; the prefixes are
// sorted byte by byte (least significant first, bytes that all rows share
// skipped), which is stable and compares nothing. Runs of equal prefixes are then
// ordered by comparing the columns: what is left of the first key where the
// prefix is not all of it, then the other keys. Rows that are equal keep their
// order.
//
//	rows --prefix, radix--> runs of equal prefix --comparers--> permutation
//
// Merger merges sorted inputs with a loser tree: one comparison a level and row.
package rowsort
