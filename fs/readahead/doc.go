// Package readahead is the reading side of files on servers that take long to
// answer: what will be wanted soon is fetched before its turn, several ranges at
// the same time, in memory that all files of a process share and that has a limit.
//
//	ReadAt -> block held or under way? -> fetch into the caller's memory
//	             ^       ^        ^
//	  Prefetch   |       |        | the last 64 KiB (footers, small files), kept
//	  (a format knows)   | two small reads in a row (text formats)
//
// A block is one fetch. It is dropped once it was read to its end; its memory goes
// back to the Pool and from there to other blocks. A file that cannot have memory
// reads when it is asked, which is slower and never wrong.
//
// Blocks are fetched by goroutines that the File owns and waits for in Close.
// File.mu is taken before Pool.mu; neither is held during a fetch.
package readahead
