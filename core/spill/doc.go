// Package spill keeps batches of operators that do not fit memory in files.
//
//	Directory   one process's, below io.tmp.dir; bounded by io.tmp.limit
//	  Space     one operator's; names it in errors, counts, removes what is left
//	    Writer -> File -> Reader, any number of times
//
// A file holds frames, one a batch: a header, the shape of the columns (rows, nulls
// and length of every buffer, depth first), the buffers as they stand in memory,
// cut to the batch's rows and padded to eight bytes, and a CRC-32C of it all.
// Reading a frame is one read into one allocation, which the columns share: nothing
// is decoded. Files are private to the process that wrote them and are never
// synced.
//
// Columns may come dictionary-encoded where the schema says plain. They stay so
// where their dictionary is not much longer than the batch; others are decoded.
//
// A directory is locked for as long as its process lives. Open removes the
// directories of processes that died.
//
// Concurrency: Directory and Space may be used by any goroutine; a Writer or a
// Reader by one at a time; a File by any number of readers.
package spill
