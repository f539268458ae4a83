// Package service is a shuffle server: it keeps partitions for other processes and
// serves them by Arrow Flight.
//
//	push              --> lane of the store        ack, credit -->
//	read              <-- partition of the store   <-- credit, position
//	DoGet             <-- a stored partition, as plain record batches, for any client
//	DoAction              drop, stats
//	GetFlightInfo         the partitions of a stored exchange, with tickets
//
// Pushes and reads of our own processes come as bare streams (wire.Conn, ADR 0011), on the
// same port: Listener looks at the first bytes of each connection, keeps those that begin
// with wire.Preface, and leaves others to gRPC. The same messages in a DoExchange do the
// same. What follows the preface has to show who it is and what it wants in time.
//
// The store is shuffle/local with shuffle/partition below: the same pipes, alignment,
// tiers and packs as inside a process. Batches pass through it in their wire form
// (wire.Record) and are never decoded.
//
// A worker's process is a server for the pipelined partitions that its tasks read; a
// shuffle daemon for stored lanes. They differ only in what they are asked to keep.
//
// Who may: every stream and action shows a ticket (core/security) of the right job,
// exchange and term. Terms: opening under a higher one drops what was there.
//
// A job's exchanges go when its master says so, or when the masters do not know the job
// any more (a heartbeat tells). What a dead process left on disk is removed at the next
// start in the same directory: its index was in memory, so nobody can read it.
//
// Limits: streams, exchanges, bytes in memory and on disk, size of a message; of a first
// message, before its ticket was looked at, 1 MiB. Beyond them callers are refused by name. A
// full disk has the attempt that writes wait while sealed data can go to the remote tier;
// otherwise it fails that attempt, and nothing else.
package service
