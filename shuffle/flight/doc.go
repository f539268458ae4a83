// Package flight is the exchange across processes: the shuffle.Service of a worker or
// client, which finds for each partition and lane the server that keeps it.
//
//	Writer --+-- own process --> shuffle/local        pointer hand-off
//	         +-- unix socket --> shuffle server       same host
//	         +-- TCP, TLS -----> shuffle server       elsewhere
//
// A pipelined exchange lives where it is read, by partition; a stored one where it was
// written, by lane (shuffle.Placement). So a writer of a pipelined exchange has one
// stream to each process that reads it, whatever the number of partitions there; one of
// a stored exchange has a single stream. A reader of a pipelined partition reads its
// own process; one of a stored partition reads server after server, in the order of
// lanes.
//
// # A push stream
//
// A bare stream (wire.Conn); the first message (wire.Open) names exchange, lane and attempt, the life of
// the server that is meant, and shows the ticket; then come data and control with
// increasing seq. The server answers with
//
//	progress  the last seq that it has taken, so that the writer forgets those messages,
//	          and for each partition how many bytes have been read; the first one is the
//	          answer to Open and says how many bytes may be on their way to a partition
//	done      the manifest that the attempt was committed with
//	error     fenced, lost race, released, out of memory, data loss, refused
//
// A writer keeps what was not taken, within the credits, and sends it again after a
// reset: a broken connection is invisible to the task. What was sent to a partition and
// has not been read is at most the window, or one batch, so alignment cannot deadlock.
// Of a stored exchange all is taken at once. An error comes with a later call.
//
// # A read stream
//
// A bare stream with the partition, and of a stored one the lanes, in the first message; the
// server sends elements once the reader has polled, as far as it has credit, and keeps
// them until the reader tells that it has them. It ends with the totals, which the reader
// compares with what it got: a difference is shuffle.ErrDataLoss. A server that is
// another one by now (shuffle.Server.ID), does not know a stored exchange, or does not
// answer for Options.Patience, has lost it: that is ErrDataLoss too and never an empty
// read.
//
// # Sessions
//
// What a writer or reader has open at a server is a session, which streams carry one
// after the other: after a reset the next one says that it goes on, and both sides
// compare the last seq that arrived. A server keeps a session for its grace.
//
// Goroutines: one for each session, which listens, and another one while there is something
// to send. Service.Close waits for them; those of a writer or reader that was closed end by
// themselves once the server knows, or after a second. A stream has a connection of its
// own, which ends with it.
//
// Locks: a push's or pull's, then its session's; a session calls them without its own.
package flight
