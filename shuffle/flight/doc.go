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
// DoExchange; the first message names job, exchange, lane, attempt and shows the ticket,
// then come data and control with increasing seq. The server answers with
//
//	RESUME  the seq from which to go on: 0, or after a reset what it has not got
//	ACK     what it has taken up to seq: the writer forgets those messages
//	CREDIT  bytes that may be sent for a partition beyond what was acknowledged
//	ERROR   fenced, lost race, released, out of memory, data loss, refused
//	DONE    the manifest that the attempt was committed with
//
// A writer keeps what is not acknowledged, within the credits, and sends it again after
// a reset: a broken connection is invisible to the task. Credits are bytes per
// partition; a lane always has a guarantee, so alignment cannot deadlock.
//
// # A read stream
//
// DoExchange with the position in the first message; the server sends elements as the
// reader gives credit, and ends with the totals of the partition, which the reader
// compares with what it got: a difference is shuffle.ErrDataLoss. After a reset it asks
// from its position on. A server that is another one by now (shuffle.Server.ID), or does
// not know the exchange, has lost it: that is ErrDataLoss too and never an empty read.
//
// Goroutines: two for each stream, which Close waits for. One connection to each
// process, shared by all streams, closed when it has been idle.
package flight
