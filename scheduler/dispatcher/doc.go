// Package dispatcher accepts jobs, keeps them in the replicated store, runs a job
// master for each, and knows those that are over.
//
//	Accept: graph --> store --> queue --> job master --> end --> store --> history
//	Recover:          store --> queue, or history
//
// A job is in the store before anybody hears its id, so an accepted job is never
// forgotten. Its id is given by the caller or follows from the name of the client's
// call, so that a call that is repeated finds the job of the first one:
//
//	jobs/<id>   a record: name, times, whether it has begun; its graph until it is over,
//	            then how it ended. What is large is a blob, named in the record.
//
// # Leaderships
//
// A dispatcher acts for one leadership. Suspend leaves its jobs as they are, and the
// next leader's Recover takes them: they wait until workers have come back (Begin), then
// run again under the new term, which ends what is left of their attempts. Every write
// carries the term, so a deposed master changes nothing.
//
// Output is published once: a batch job's record says what is published before any of
// it is (Decided), and from then on a leader finishes the publication instead of running
// the job. A job whose result is read while it is made is not run again by another
// leader, since a client may have read some of it: it fails as transient.
//
// # Limits
//
// A few jobs are stored at a time, some more wait for that, and the clients of others are
// told to come again (rpc.ErrBusy), which they do by themselves: a burst of large jobs does
// not fill the memory. So many jobs may run (Running), the others wait in the order in which they came; so
// many may run or wait (Jobs); of those that are over the newest are kept (History).
//
// An embedded dispatcher stores nothing: its jobs end with the process.
//
// # Queries
//
// A job whose result goes to a client lives as long as that client asks for news of it
// (Poll): one that is gone without a word, because it was killed or cut off, leaves nothing
// that runs and holds slots. A new leader gives clients the same time to come.
//
// Locks: job.writing orders the writes of a record and is taken before Dispatcher.mu,
// which is a leaf; neither the store nor a job master is called under it.
package dispatcher
