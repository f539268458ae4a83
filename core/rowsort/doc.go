// Package rowsort puts rows of Arrow records in order.
//
// Permutation sorts the rows of one record. The keys become a 64-bit prefix that
// orders as they do, as far as 64 bits tell: each key in as few bits as its values
// span, one behind the other, until one does not fit or is more than a number. The
// prefixes are dealt out by their highest byte until parts fit the cache, and these
// sorted byte by byte (least significant first, bytes that all rows share skipped),
// which is stable and compares nothing. Runs of equal prefixes are then ordered by
// comparing the columns of the keys that the prefix does not decide. Rows that are
// equal keep their order.
//
//	rows --prefix, radix--> runs of equal prefix --comparers--> permutation
//
// Merger merges sorted inputs with a loser tree: one comparison a level and row, of
// prefixes of each key (heads) as far as they decide.
package rowsort
