// Package raftmeta is the contract of the masters' replicated store: the one
// truth about job graphs, checkpoint pointers, slots, leases, catalogs and run
// keys. It keeps buckets of bytes that it does not interpret.
//
// # History
//
// Every transaction that changes something gets the next Revision, and an entry
// carries the revision that wrote it. So a revision is a version of the store,
// a place from which to watch, and the expected value of a compare-and-set:
//
//	Put(..., Absent)     only if the key does not exist
//	Put(..., revision)   only if nobody wrote the key since
//	Put(..., Any)        in any case
//
// # Fencing
//
// A master acts while it leads, and one that has lost the lead may not know it
// yet. So it takes the Term of its leadership with Leadership, and attaches it
// to its transactions; the store refuses those of another term with ErrFenced.
// Whoever else must be fenced (a job master, a coordinator task) owns a key: it
// takes over by writing it, and adds a Check of that write's revision to each
// transaction. No clock takes part in either.
//
// # Reading
//
// Get and List are linearizable: they see every transaction that was
// acknowledged before the call, or fail with ErrNotLeader. A Watcher delivers
// all later changes in order. One that is too slow for its buffer, or starts at
// a revision too old to be remembered, gets a Resync event instead of the lost
// ones, and lists again: nothing is lost silently.
//
// # Limits
//
// Values hold up to 64 KiB, for every byte goes through the log of every
// master. Larger things belong into blobs, whose names are kept here.
package raftmeta
