// Package pebblestate keeps keyed state that is larger than memory: the hash tables of
// core/state/memstate with a Pebble (an embedded ordered store) on local disk behind.
//
//	backend, backend, ...       hash tables: keys asked for lately, written or not
//	   |        |
//	   v        v               records of keys that have left memory (memstate.Store)
//	  Home: one Pebble for all backends of a worker, each with a prefix of its own;
//	        its block cache, files and compactions are shared and limited
//
// Memory comes first: operators work on the tables, and what they write goes to the Pebble
// only when it leaves memory, many keys at a time. It keeps no log: nothing in it outlives
// the process, for checkpoints are pieces of state (core/state) on another file system.
//
// What was written last lies in a ring on local disk, too (recent), where one short read finds
// it: most keys that are asked for again have left not long ago.
//
//	look-up -> recent   index in memory, ring in a file; bounded, never needed
//	        -> Pebble   everything
//
// # Tables elsewhere
//
// With Options.Remote the Pebble's tables are objects on another file system, and local disk
// has its manifest and the blocks that were written or read lately:
//
//	Pebble -> objects -> blocks   one file of slots in Dir, bounded, never needed
//	                  -> fs       RemoteDir/<life>/<table>, removed with the Pebble
//
// What a process that was killed has left is swept by core/checkpoint/storage.
//
// A restore makes stretches of a checkpoint's files tables, too (table.go): they are read where
// they are, never written or removed, and named in checkpoints as long as they are read.
//
// # When the disk fails
//
// A Pebble whose writes fail stops the program or tries again for ever. Here the file
// system below it (guard) takes note of the first error, tells Pebble that all went well,
// and writes nothing more: the store is lost then, every later use of it is an error that
// names the directory, jobs fail and restart, and backends that are opened afterwards get a
// new Pebble in a new directory.
//
// # Locks
//
// Home.mu guards which Pebble is current and how many use each; it is held while one is
// opened and closed. guard.mu guards the sizes of files, recent.mu the ring and its index,
// objects.mu which tables there are, blocks.mu which blocks are in which slots; a disk's limit
// is asked under it and under recent.mu. None of these four is held while another is asked
// for.
package pebblestate
