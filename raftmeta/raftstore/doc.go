// Package raftstore is the raftmeta store on hashicorp/raft: one master alone, in memory
// for embedded runs or in a data directory, or several over a network.
//
//	Apply -> check limits -> encode -> raft log -> commit -> machine.apply -> watchers
//	Get   -> leading, settled -> a majority is in no later term -> machine
//
// The machine (machine.go) is the replicated state: a pure function of the log.
// It runs on Raft's FSM goroutine; fsm.go joins the two.
//
// # A cluster
//
// One master is bootstrapped, the others are joined by the leader (cluster.go): a new one
// has no vote until it has caught up. A master whose disk was lost is a new one to Raft,
// under its old name (identity.go), for it has forgotten what it promised. Whoever has the
// longest log of a majority can be elected, also one that the others know as a master
// without a vote (electorate.go).
//
// A read asks a majority for their terms (confirm.go); reads that meet a round under way
// share the next. A leader that is cut off gives up within its lease, and the others elect
// the next one within about two heartbeats of its death, or at once if it closes.
//
// Entries go to a follower one message after the other, each of up to 64 of them: Raft's
// pipeline may stop for ever when one is refused (load_test.go). That costs 64 writers at a
// time on three disks about half of their rate; one writer does not notice.
//
// Connections begin with whom and what they want (network.go). A log that cannot be
// written or read stops its master by name and no other (guard.go).
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
// Raft's own and its transport's, which Close ends; follow, which follows leadership;
// electorate's, which passes on what others ask; one per Apply under way, which waits for
// Raft's answer; one for rounds of reads, and one per master asked in each. Close waits for
// them.
//
// machine.mu guards state and watchers, store.mu leadership, confirmer.mu the next round,
// links.mu connections, guard.mu the first error. confirmer.mu may be held when store.mu
// is taken, guard.mu when machine.mu is; no other two are held together. None is held
// while calling Raft, the network or the disk.
package raftstore
