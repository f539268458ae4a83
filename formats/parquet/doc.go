// Package parquet reads and writes Apache Parquet as Arrow batches.
//
// # Reading
//
//	footer -> columns, row groups -> pruned by statistics
//	row group -> the wanted column chunks, few large reads (prefetch.go)
//	chunk -> pages (page.go), decompressed into one scratch buffer (codec.go)
//	page -> levels as validity bits, values or dictionary indexes (hybrid.go)
//	values -> the batch's layout (convert.go, bytes.go), nulls spread
//
// A batch is cut from the pages of all columns at once: neither row groups nor
// pages are materialised, and no value is touched on its own. Dictionaries are
// converted once per chunk. A dictionary of strings becomes one Arrow array
// that all batches of the chunk share; numbers are looked up at once.
//
// Format constants, metadata structures for writing, codecs and bit packing
// come from parquet-go. Its reading path is not used: it trusts sizes in headers
// (and panics, or allocates what they claim), cannot tell an absent null count
// from zero, and materialises levels and pages that we stream.
//
// # Skipping
//
// Row groups are skipped by bounds in the footer, then by bloom filters (= and IN,
// bloomread.go). Of the others the page index tells ranges of rows that cannot match
// (rowranges.go); all columns pass over these, nested ones, too.
//
// # Filters
//
// Filters drop rows while they are read (filter.go): their columns are decoded first,
// for some batches' rows at once; of the others only the rows that are left (pick.go).
// Pages in which none is left are not decompressed, and of dictionary indexes and
// plain values only the wanted ones are decoded. A filter that drops few rows of a row
// group's first ones rests until the next group.
//
// # Types
//
//	BOOLEAN                       BOOLEAN
//	INT32, INT64 by logical type  TINYINT to BIGINT, DATE, TIME, TIMESTAMP, DECIMAL
//	unsigned 8, 16, 32, 64 bits   SMALLINT, INT, BIGINT, DECIMAL(20, 0)
//	INT96                         TIMESTAMP(6), or TIMESTAMP(9) where wanted
//	FLOAT, DOUBLE, FLOAT16        FLOAT, DOUBLE, FLOAT
//	BYTE_ARRAY                    STRING (STRING, ENUM, JSON), DECIMAL, else BYTES
//	FIXED_LEN_BYTE_ARRAY          DECIMAL, CHAR(36) (UUID), else BINARY(n)
//
// A timestamp that is an instant (isAdjustedToUTC) is TIMESTAMP_LTZ. LIST, MAP and
// groups are ARRAY, MAP and ROW, in the shapes of old writers, too (tree.go).
//
// # Nested columns
//
// A leaf of a nested column is read by slots: one for each value, null ones
// included, that the innermost list around it has. What it is asked for the
// levels tell, which are read ahead of the values (levels.go); they also make the
// offsets and nulls of the lists, maps and rows above (nested.go).
//
// # Writing
//
//	batch -> each column's rows in steps (shred.go): levels of the slots, and the
//	  stretch of the leaf's array whose values are present
//	stretch -> numbers of a dictionary, or PLAIN bytes (fixedwriter.go, ...)
//	32 Ki slots or 512 KiB -> a page, compressed (chunkwriter.go)
//	row group full -> dictionary and pages of each leaf, then bloom filters
//	Close -> page index (pageindex.go), footer
//
// A page ends where a row ends. Each page of indexes has the width that its
// dictionary needed then. What a writer holds between two calls is on its
// allocator, and so in the ledger; what it needs within a call only, too, and is
// given back (scratch.go).
//
// # Errors
//
// A problem in a file is a failure.BadData that names file, row group, column
// and the byte where the page begins. Every offset and count is checked against
// the bytes at hand before use; what a codec still panics about is recovered in
// Read.
package parquet
