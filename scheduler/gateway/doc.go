// Package gateway runs SQL sessions: a statement goes to the planner, the job that comes
// out to a cluster, and the job's result exchange is read like by any other consumer. It
// works in the process of the user, whether the cluster is there, too (core/minicluster)
// or elsewhere: it knows rpc.ClusterClient and shuffle.Service alone.
//
//	Session.Execute --> planner --> rows | nothing      at once
//	                           \--> graph --> cluster --> Result
//	Result.Next <-- result exchange <-- the job's last vertex
//
// Execute returns as soon as the job is accepted. The first Next waits until the result
// can be read: its place is known when the last vertex has its slots. A goroutine
// follows each job until it is over (a long poll of its state).
//
// A query lives as long as its Result: closing it, or the end of the context that
// it was executed with, cancels the job. So does the end of the context for an
// insert, but closing the Result of an insert only stops waiting for it.
//
// The gateway opens the result exchange and drops it, since rows are still read
// when the job is over. The table of a CREATE TABLE AS whose job does not finish is
// taken out of the catalog again, by whoever sees that first: the reader of the result,
// or a goroutine that waits for the job and that Gateway.Close waits for.
package gateway
