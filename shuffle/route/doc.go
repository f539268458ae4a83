// Package route is the sending side of an exchange in a task: it decides which
// partition each row goes to and gathers rows into batches worth sending.
//
//	batch -- hash, key group, owner --> partition numbers
//	      -- counting sort, gather  --> one buffer a partition -- full --> Send
//
// Columns of fixed width and characters are gathered by loops of their own; any
// other batch is clustered by core/compute and joined when it is sent.
//
// Forward, singleton and merge pass batches through untouched; rebalance deals
// whole batches in turn; broadcast sends once what the exchange gives to every
// partition. Only hash copies: each row once, straight into its partition's
// buffer.
//
// A buffer is sent when it reaches the target in rows or bytes, when a barrier
// or the end follows, and when the task's timer says that it has waited long
// enough. A watermark waits for that timer while rows are buffered, because it
// must not overtake them; so frequent watermarks do not cut batches small.
//
// Merge keeps each lane's order, so each lane has a partition of its own, which
// the one consumer merges: Partitions says how many an exchange has.
//
// One goroutine, the task's, uses a Router.
package route
