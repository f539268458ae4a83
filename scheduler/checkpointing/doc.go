// Package checkpointing decides when a job takes checkpoints and when one is
// complete, and keeps the complete ones.
//
//	         interval                all acknowledged        positions
//	IDLE ------------> COLLECTING ---------------> POSITIONS ---------> STORING
//	 ^                     | decline, timeout, restart                     | manifest written,
//	 +------ aborted ------+                                               | entry in raftmeta
//	 +----------------------- published <-------- PUBLISHING <-------------+ = complete
//
// Coordinator is the pure part: events in, actions out; the job master owns it and
// performs the actions. At most one checkpoint is under way, publishing included,
// so that what is published is always that of the latest one.
//
// When collecting takes longer than the aligned timeout, attempts that have not
// acknowledged are told to overtake what is in flight, where vertices can.
//
// A subtask that finishes counts as having acknowledged; what it made ready to
// publish belongs to the checkpoint under way, or else to the next one. So does
// what was acknowledged for a checkpoint that is then given up. A job that ends
// takes a final checkpoint of nothing but finished subtasks.
//
// Where some subtasks begin again while others go on (Replaced), what the former have made
// ready is void; what the latter have stays for the next checkpoint.
//
// Positions of enumerators are taken after all sources have acknowledged: a split
// that a source was given after its part is then counted as not handed out, so
// nothing need wait while a checkpoint is taken.
//
// Store is the doing part. The manifest is a file, written whole; the entry in
// raftmeta is the commit point. Find looks for the newest complete checkpoint in a
// directory that a process left behind which nobody can ask any more: there, a
// manifest whose checksum holds and whose files are all present is complete, since
// it is written last. A damaged one is named and the one before it taken; what the
// damaged one had published is then published again, for nobody can tell it from
// what was never published.
package checkpointing
