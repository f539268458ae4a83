// Package memstate keeps keyed state in memory: a hash table, and lists, for each
// namespace of each table, charged to an account.
//
// What is written is noted by slot and row, so that a snapshot copies what has changed
// without looking at the rest. Removed keys and rows are noted only if an earlier snapshot
// has them. A snapshot takes the notes over and copies step by step; whoever changes what
// it still shares, or moves it out of memory, has it copied before (pending).
//
//	space (a namespace)   keys, values: hashtable.Table   changed slots, removed keys
//	                      lists: hashtable.Lists          changed rows, removed rows
//
// A snapshot of changes also takes a share of the key groups whole: about as much
// again as the changes are, and at least so much that the shares go round in 64
// snapshots. With 1 % changed each time a restore reads at most about twice what
// there is, and no snapshot writes more than three times its changes.
//
// # Larger than memory
//
// NewTiered puts a Store behind the tables: an ordered map of keys to records, which hold
// all of a key. Between elements (Evict) keys that a hand going round the slots finds not
// asked for lately go there; Resolve and Find read those back that are not in memory,
// together, and ask a filter first, so that keys which are certainly new cost no read.
//
//	Resolve --> keys, values, lists --miss--> filter --maybe--> store: record
//	               |                                              ^
//	               +------- Evict: what the store has not --------+
//
// The hand goes by hash, in which order the store's keys are: what it writes in a round
// hardly overlaps, so that the store has less to merge.
//
// A record stays in the store while its key is in memory, and does not count then: what
// is in memory is newer. So a key that was only read leaves without being written. Records
// that are part of the next snapshot are named by notes, which lie among the records; a
// snapshot is what is in memory, as above, and what a frozen view of the store says of the
// rest, read aside: the share of the key groups and the records that notes name.
//
// A restore may leave pieces where they lie (Adopt), if the store can refer to them: they are
// sorted as the store is (Sorted), and records of which several pieces tell are put together
// when they are read (Merge). How many keys are away is an estimate then.
package memstate
