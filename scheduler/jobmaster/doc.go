// Package jobmaster runs one job: it owns the job's execution graph, feeds it
// what happens and performs what it decides.
//
//	reports, slots, timers, the user --> inbox --> execgraph.Graph --> actions
//	                                                                     |
//	   workers, coordinator task  <-- outbox (one call after the other) -+
//
// Run, in the caller's goroutine, owns the graph and everything else of a
// Master; the outbox, in its own, performs calls in the order in which they were decided,
// but for attempts that are deployed together, which are sent together, and posts what came
// of them. So the graph never waits for a network, and a deploy
// never overtakes the start of the coordinator task that it needs.
//
// A job begins with its coordinator task, where it has sources or sinks; then
// regions are given slots and deployed. It ends in three steps: its attempts are
// over (the graph says how the job ended); what its sinks staged is published, or
// discarded when the job did not finish; everything is dropped on all workers.
// Only then is the outcome known. Results that a client reads outlive the job:
// whoever reads drops them.
//
// Places. A pipelined partition is kept by the process that reads it, a stored lane by
// the shuffle server of the host that writes it; the job master decides both when it
// deploys a region, tells every task, and signs tickets. Inside one process there are no
// places.
//
// Sizes. In a cluster that may grow, regions of batch jobs get their parallelism when
// they are given slots (package adaptive), by the bytes that their inputs hold. Stored
// exchanges by key have more partitions than there will be readers, which read ranges
// of them. Vertices that forward edges join are one class: they have one parallelism and
// one cut, since equal keys of two inputs must meet.
//
// A restart without checkpoints gives the splits of the failed attempts back to
// their enumerators, discards what they staged, and drops the pipelined exchanges
// of the region; one with checkpoints starts the coordinator task again from the
// latest one. The rows of a result that a client reads along cannot be taken back, so
// the region that writes it is not restarted; a stored result is published when it is
// complete.
//
// Restored alone. A task of a streaming job that fails begins again with those downstream of
// it, where what they read is kept since the latest checkpoint (retention checkpoint): the
// checkpoint under way is given up, what these tasks have made ready is void, and their
// workers bring what they read back, after what is being published. The others go on.
//
// Rescaled. A streaming job takes a checkpoint, has the workers where it will probably run
// restore its keyed state in memory, takes another one, stops, and begins again with another
// parallelism: what was restored ahead is taken by the attempts that it fits, and is only ever
// an advantage.
//
// Publication. What a batch job has staged is recorded before any of it is published
// (Options.Decide): from then on the job does not run again, and this job master or the
// next one (Options.Decided) publishes it, with a coordinator task on any worker. What
// attempts had staged whose worker or master died is known to nobody: the end of a job
// that may have such removes it by the names of its files.
//
// So it is with jobs that take checkpoints, unless the latest complete one may have something
// to publish still: who goes on from it does. Manifests without an entry, of which what they
// name would be swept, go before. How such a job ends is recorded (Options.Ends) before its
// checkpoints are forgotten, or another leader would run it again from its beginning.
//
// Workers that do not answer. A call to a worker that nobody answers has it set aside for
// all jobs (package resource), which is recorded as a decision; what it did not take is
// deployed elsewhere after a short delay, and the job's own restarts are left for its own
// failures (package execgraph).
//
// Losses. With a worker go its attempts, and the coordinator task if it was there, which
// is started elsewhere; with a shuffle server its lanes. A task that cannot read stored
// rows is not believed at once: the servers that it read from are asked which lanes they
// have whole, and only what is missing is written again.
//
// Draining. A committed lane at a server that drains is handed over to another one; the
// place changes when that one has committed it. Who reads at the old place keeps it there.
// Another goroutine, the mover, makes these calls, lane after lane.
//
// The inbox holds at most a few messages for each attempt, and the outbox at most
// what one event decided: both are bounded by the size of the job.
package jobmaster
