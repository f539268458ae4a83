// Package formats is the contract between Tidemill and the encodings of files:
// Parquet, CSV, JSON lines, Arrow IPC. A Format knows bytes and Arrow batches
// only: no operator, no state, no exchange, no file system. Whoever lists and
// opens files (the filesystem connector, the shell's FROM 'file.parquet') finds
// a Format in a Registry by name or by extension and hands it an Input.
//
// # Reading
//
//	Schema      what columns the file has: footer, or a bounded sample of text
//	Spans       pieces that can be read independently, for parallel readers
//	NewReader   the batches of one span, only the columns that are wanted
//
// Each row of a file belongs to exactly one span, so reading every span reads
// every row once, and the zero Span is the whole file. What First and End count
// is the format's own business: row groups for Parquet, record batches for
// Arrow IPC, bytes for text.
//
// The columns wanted are named with their types. A file column is read as a
// wanted type if it is the same type or if nothing can be lost: a wider
// integer, FLOAT as DOUBLE, DECIMAL with more digits on both sides of the
// point, timestamps of finer precision, CHAR as VARCHAR. All else is an error
// that names file, column and both types. Character columns may arrive as
// dictionary<int32, utf8> (see core/datatype), differing from batch to batch.
//
// A predicate is a hint: what its format can prove not to match is skipped, and
// rows that do not match may still arrive.
//
// # Writing
//
// A Writer takes batches of one schema and writes to an io.Writer, front to
// back. Nothing is complete before Close, which writes the footer but does not
// close the io.Writer: publishing the file stays with who created it.
//
// # Bad files
//
// A file that is truncated, corrupt or not what its schema says gives an error
// of class failure.BadData that names the file and, where known, line, row
// group, column, value and byte position. It never panics, and what a header
// claims is never allocated before the bytes are there to back it. Errors of
// the underlying reads pass through wrapped, with their own class.
//
// A reader that is given ReadOptions.Reject tells the records of a text that are no rows instead,
// and goes on behind them.
//
// # Options
//
// A format's own options come as strings under its name and a point, as in
// Flink's table options: csv.field-delimiter, parquet.compression. Keys of other
// prefixes are not looked at, so a table's options may be passed whole; an
// unknown key under the own prefix is an error of class failure.Usage.
//
// Implementations pass formats/formattest whole.
package formats
