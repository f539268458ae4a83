// Package gen makes the eight tables of TPC-H by the rules of the specification's
// own generator, so that the data equals official data of the same scale value by
// value, comments included.
//
// # Randomness
//
// Each random column has a stream of its own: a seed, and a fixed number of draws
// a row, whether a row uses them or not. The state before row n is therefore known
// without making the rows before it (multiplying by a power of the multiplier), and
// that is how tables are made in pieces that know nothing of each other:
//
//	pieces of rows      any goroutine, any order      arrow batches
//	                          |  put in order
//	one Parquet writer a table                        TABLE.parquet
//
// The bytes of the files depend on the scale alone, not on the parallelism.
//
// # Rules that queries rely on
//
// Keys of orders use 8 of every 32 numbers. Customers whose key is a multiple of
// three have no orders. A part has four suppliers, computed from its key, and a line
// item one of these. Prices come from part keys; order totals and states from the
// order's lines, which both tables compute alike. Comments are cut out of one long
// text of a small grammar. Five in ten thousand suppliers each have complaints and
// recommendations written into theirs.
package gen
