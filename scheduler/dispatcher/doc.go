// Package dispatcher accepts jobs, keeps them in the replicated store, runs a job
// master for each, and knows those that are over.
//
//	Submit: graph --> raftmeta --> job master --> answer with the job's id
//
// A job is in the store before anybody hears its id, so an accepted job is never
// forgotten:
//
//	jobs/<id>            a record: name, state, cause, times, graph chunks
//	jobs/<id>.<n>        chunk n of its graph, from 0
//
// The record is written last and changed when the job is over, then the chunks are
// deleted. Of the jobs that are over a bounded number is kept, the newest.
//
// Every write carries the term of the leadership, so a master that was deposed
// cannot change what its successor owns.
//
// Locks: Dispatcher.mu is a leaf; neither the store nor a job master is called
// under it.
package dispatcher
