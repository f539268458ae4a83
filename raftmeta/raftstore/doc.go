// Package raftstore is the raftmeta store on hashicorp/raft: today one node,
// in memory for embedded runs or in a data directory.
//
//	Apply -> check limits -> encode -> raft log -> commit -> machine.apply -> watchers
//	Get   -> verify leader, term  -> machine
//
// The machine (machine.go) is the replicated state: a pure function of the log.
// It runs on Raft's FSM goroutine; fsm.go joins the two.
//
// # Command in the log
//
//	version(1) term(8 LE) ops(uvarint) { kind(1) bucket key value expect(uvarint) } crc32c(4 LE)
//
// bucket, key and value are a uvarint length and bytes. A command that cannot
// be read was damaged at rest or written by a newer program. Going on without
// it would let this master differ from the others, so it stops: every later
// call fails with ErrCorrupt, which names the log index.
//
// # Snapshot
//
//	"TMRM" version(1) revision(8 LE) entries(uvarint) { bucket key value revision(uvarint) } crc32c(4 LE)
//
// # Start
//
// A single node need not wait for a heartbeat that nobody sends. Raft checks its
// timer again when a shorter heartbeat timeout is loaded into its configuration,
// so New loads one and is elected at once: under a millisecond in memory.
//
// # Goroutines and locks
//
// Raft's own, which Close waits for; lead, which follows leadership; one per
// Apply under way, which waits for Raft's answer. machine.mu guards state and
// watchers, store.mu leadership; no code holds both. Neither is held while
// calling Raft.
package raftstore
