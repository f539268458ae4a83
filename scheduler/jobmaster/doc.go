// Package jobmaster runs one job: it owns the job's execution graph, feeds it
// what happens and performs what it decides.
//
//	reports, slots, timers, the user --> inbox --> execgraph.Graph --> actions
//	                                                                     |
//	   workers, coordinator task  <-- outbox (one call after the other) -+
//
// Two goroutines: Run, the caller's, owns the graph and everything else of a
// Master; the outbox performs calls in the order in which they were decided and
// posts what came of them. So the graph never waits for a network, and a deploy
// never overtakes the start of the coordinator task that it needs.
//
// A job begins with its coordinator task, where it has sources or sinks; then
// regions are given slots and deployed. It ends in three steps: its attempts are
// over (the graph says how the job ended); what its sinks staged is published, or
// discarded when the job did not finish; everything is dropped on all workers.
// Only then is the outcome known. Results that a client reads outlive the job:
// whoever reads drops them.
//
// A restart without checkpoints gives the splits of the failed attempts back to
// their enumerators, discards what they staged, and drops the pipelined exchanges
// of the region; one with checkpoints starts the coordinator task again from the
// latest one. A job whose result was promised to a client is not restarted, for
// rows that were read cannot be taken back.
//
// The inbox holds at most a few messages for each attempt, and the outbox at most
// what one event decided: both are bounded by the size of the job.
package jobmaster
