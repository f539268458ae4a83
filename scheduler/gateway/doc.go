// Package gateway runs SQL sessions on a master: a statement goes to the planner,
// the job that comes out to the dispatcher, and the job's result exchange is read
// like by any other consumer.
//
//	Session.Execute --> planner --> rows | nothing         at once
//	                           \--> graph --> dispatcher --> Result
//	Result.Next <-- result exchange <-- the job's last vertex
//
// A query lives as long as its Result: closing it, or the end of the context that
// it was executed with, cancels the job. So does the end of the context for an
// insert, but closing the Result of an insert only stops waiting for it.
//
// The gateway opens the result exchange and drops it, since rows are still read
// when the job is over. The table of a CREATE TABLE AS whose job does not finish is
// taken out of the catalog again, by whoever sees that first: the reader of the result,
// or a goroutine that waits for the job and that Gateway.Wait waits for.
package gateway
