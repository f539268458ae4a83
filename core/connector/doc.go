// Package connector is the contract of sources and sinks.
//
// A source has two halves. The Enumerator runs once a job, in its coordinator
// task: it finds splits (files, row groups, topic partitions, ranges) and hands
// them out as subtasks ask. Readers run in the source's subtasks and turn splits
// into batches. A split is bytes to everyone but its connector.
//
// A sink has two halves as well. Writers run in subtasks, stage what they are
// given where nobody sees it, and name it in committables. The Committer, in the
// coordinator task, publishes committables: all those of a bounded job together
// at its end, those of a checkpoint when it is complete. Committing is
// idempotent: it may be tried again after a crash, with the same committables.
//
//	coordinator task          subtasks
//	Enumerator --- splits --> Reader --> batches
//	Committer <-- committables -- Writer <-- batches
//
// Describe serves the planner: a table's schema where DDL gives none, its
// partitions, its size. It runs where statements are planned.
package connector
