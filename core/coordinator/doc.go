// Package coordinator runs the coordinator tasks of jobs: the enumerators of
// their sources and the committers of their sinks, in a worker, without a slot.
// So connector code runs where the job's code runs and never in a master.
//
//	source's subtask -- NextSplit --> Enumerator     one a source vertex
//	job master ------- Snapshot, Reset --> "
//	job master ------- Commit, Abort ---> Committer  one a sink operator
//
// A Host is the coordinator tasks of one worker; it serves core/rpc's
// CoordinatorClient. Starting a job's task again replaces the one that runs:
// that is how a job restarts, with the positions of its checkpoint.
//
// Splits. What an attempt was given is remembered until it is reset: then the
// enumerator takes all of it back, since an attempt without a checkpoint starts
// from nothing, and the attempt gets no more. Attempts of a former run are
// refused by number.
//
// Concurrency: an enumerator or committer is used under its own turn, a lock that
// gives up with the caller's context. A request that waits inside an enumerator
// for something to come holds the turn; whoever else needs it interrupts the
// request, which then queues again. Locks: Host.mu is a leaf, and never held
// while a turn is taken.
package coordinator
