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
// region's vertices, so a region can use as many slots as its largest parallelism;
// with fewer its subtasks share them. Vertices whose parallelism the topology leaves
// open get it with the region's first slots: by then its inputs are complete. It stays
// for the job's life.
//
// # Failure
//
// A failure that cannot be cured by trying again (failure.Class) fails the job.
// Otherwise the restart strategy is asked for a delay. That a worker could not be reached,
// where attempts were to be deployed, stopped or put away, says nothing of the job: such a
// failure is not counted by its strategy, unless that is none, but by one that every job has
// beside it, with exponential delays and a limit of its own. The failed region
// restarts, and no other: blocking inputs outlive their producers' workers. If
// lanes of such an input are themselves lost, their producer's region runs again, and
// with it the regions that have read part of them. A finished reader stays finished,
// for its output is complete; so are the other outputs of the producer, and their
// readers go on while it runs again: a complete lane takes no second attempt.
//
// Slices: where only forward edges join a region's vertices, subtasks with the same
// index run by themselves. Then those that have finished stay finished, and what is lost
// of their lanes is written by them alone; ResetExchange empties what is written anew as
// a whole. Other regions run again at once, as do sources that have finished before
// their enumerators were lost: nobody knows any more which splits were whose. Readers of
// an edge that is not replayable begin again with it, also those that had finished.
//
// Alone: where edges are replayed (retention checkpoint), an attempt that fails begins again
// with all attempts downstream of it, in their slots, while the rest of its region goes on:
// Rewind, Rewound, Deploy. At most one such restart is under way; whatever else fails
// meanwhile restarts the region as a whole, as does Rewound with a cause.
//
// Rows that a client reads along cannot be taken back: a failure of the region that
// writes them ends the job. In a checkpointed job, RestoreFromCheckpoint precedes the
// new attempts.
//
// # Other parallelism
//
// A streaming job may get another parallelism whenever none of its attempts is at work:
// when it starts, and with RestartDelayElapsed. Rescale stops a job that runs for that. All
// regions of a checkpointed job begin again together, since they begin from one checkpoint.
// A subtask that comes again has attempts with numbers that none of its vertex had.
//
// Messages about attempts that are over or replaced come late as a matter of
// course and are ignored. A move that the tables in states.go do not know is a
// defect and panics with the move.
package execgraph
