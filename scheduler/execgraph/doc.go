// Package execgraph decides how the tasks of one job run: when a region starts,
// what is restarted after a failure, when the job is over. It is a pure state
// machine without clock, goroutine, I/O or random source. The job master owns a
// Graph, feeds it one Event at a time together with the time since the job
// began, and performs the Actions that come back, in their order.
//
//	vertex     a chain of operators, with a parallelism
//	subtask    one parallel instance of a vertex
//	attempt    one execution of a subtask; a restart makes the next one
//	region     vertices that run together: those that pipelined edges join
//
// # Life of a region
//
//	WAITING --inputs finished--> REQUESTED --SlotsGranted--> RUNNING --all finished--> FINISHED
//	   ^                             |                          |                         |
//	   |                             +-------- failure ---------+                         |
//	   |                                       v                                          |
//	   +-- RestartDelayElapsed -- DELAYED <- STOPPING      (attempts being cancelled)     |
//	   +--------------------- its partitions are lost and needed -------------------------+
//
// A region starts when all regions that feed it through blocking edges (those
// with retention job) are finished. A slot holds one subtask of each of the
// region's vertices, so a region needs as many slots as its largest parallelism.
//
// # Failure
//
// A failure that cannot be cured by trying again (failure.Class) fails the job.
// Otherwise the restart strategy is asked for a delay. The failed region
// restarts, and no other: blocking inputs outlive their producers' workers. If
// such an input is itself lost, its producer's region runs again, and with it
// the regions that have read part of it. A finished reader stays finished, for
// its output is complete; so are the other outputs of the producer, and their
// readers go on while it runs again: a complete exchange takes no second lane.
// ResetExchange empties the incomplete ones before the new attempts fill them.
// In a checkpointed job, RestoreFromCheckpoint precedes the new attempts.
//
// Messages about attempts that are over or replaced come late as a matter of
// course and are ignored. A move that the tables in states.go do not know is a
// defect and panics with the move.
package execgraph
