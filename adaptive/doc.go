// Package adaptive decides how a running job uses the cluster: pure functions from a
// snapshot of inputs and resources to a decision with its reason.
//
//	Region    how many subtasks each vertex of a region gets, when it is about to start
//	Ranges    which partitions each subtask reads: contiguous, about equal in bytes
//	Streaming how many subtasks each vertex of a streaming job gets, at each start
//	Growth    when a streaming job is stopped to use slots that have become free
//
// The job master asks before it requests slots for a region: by then the inputs of the
// region are complete and their sizes known. A job runs with the slots that there are
// rather than wait for those that it wished for; a worker that joins counts for the
// next region.
//
// Every decision says its inputs, its rule and its effect in words (Decision); the job
// master keeps them for EXPLAIN ANALYZE, REST and the command line.
package adaptive
