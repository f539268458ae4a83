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
// # One cluster
//
// A master counts as the life of its storage, not by its name: one that lost its disk has
// forgotten what it promised and what it acknowledged, so it votes and leads again only when
// the others have taken its earlier life out and itself in, caught up. It must not begin a
// cluster while it belongs to one. So
//
//   - who was told of other masters begins one only when each of them has answered that it
//     is in none;
//   - who was told of nobody begins one, and gives it up, by an error of class Conflict that
//     ends the process, as soon as it hears that others count on an earlier life of it. They
//     go on calling that life, where its log was and, once it counts as lost, at its door:
//     it hears so within seconds of its start, if they reach it at all. What was accepted
//     in between is lost, so masters should be told of each other;
//   - a leader that a majority does not answer gives up within its lease, and reads ask a
//     majority in any case. What it does nevertheless is fenced by its term.
//
// Whether a candidate may be elected is decided by the members that it knows, for it may
// know of a change that those who are asked have not heard of.
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
