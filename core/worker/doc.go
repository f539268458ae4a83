// Package worker runs tasks in slots, and the coordinator tasks of jobs without
// one.
//
//	master --> Deploy, StandBy, Cancel, Trigger, Notify, Drop --> Worker --> tasks
//	master <-- Register, Heartbeat, Report, Acknowledge <-- outbox <-+
//
// A Worker lends its tasks what they share: the shuffle service, connectors, the
// ledger below which each opens its account, the file system of checkpoints. What
// tasks report goes through one outbox, in order, and is tried again while the
// master cannot be reached; so no task waits for a master.
//
// Who may speak: a message under a lower term than one seen of the job is refused;
// a higher term ends what the job runs here, for its master begins anew.
//
// StandBy restores keyed state for tasks that are to come, in at most half of the memory that is
// free; they find it when they are deployed, and the master says when it is not wanted any more.
//
// A job's end drops everything: Drop with end_job cancels its tasks, waits for
// them, ends its coordinator task and forgets its exchanges, except results that
// a client reads, whose reader drops them.
//
// Goroutines: one a task; the outbox; the heartbeat. Close waits for all. Locks:
// Worker.mu guards jobs and is a leaf; nothing is called under it.
package worker
