// Package blobstore keeps raftmeta.Blobs: in a directory of each master, or in memory.
//
//	Put -> own directory, synced ─┐
//	    -> peers, at once         ┴-> a majority has it -> its name
//	Get -> own directory -> peers, in turn -> kept in the own directory, too
//
// # Directory
//
//	NAME          content; NAME is its SHA-256 in hexadecimal
//	new-RANDOM    being written; removed at the start
//
// A file has its name only when it is whole and synced, and the directory is synced before
// Put goes on. It is read through os.Root, so no name leads out of the directory. Content
// is compared with the name on every read; a damaged file counts as missing and is written
// anew from a peer or by the next Put.
//
// # Age
//
// A blob is put before the entry that names it, so Collect spares what was put lately.
// Putting it again makes it young again.
//
// # Goroutines and locks
//
// Put sends to peers from one goroutine each. Those that are not done when a majority is
// go on for a while, up to a number of them; Close waits for all. Store.mu guards only
// whether it is closed.
package blobstore
