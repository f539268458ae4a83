// Package formattest is the conformance suite of formats.Format: every
// implementation passes it whole. A format says which types it holds; the
// suite writes and reads them with nulls, few and many distinct values and
// dictionaries, in small and large batches and in spans; it asks for columns
// that are missing or of another type, cuts and corrupts the file at every
// byte, lets reads and writes fail, and counts the memory that is left.
package formattest
