// Package local is the shuffle service inside one process: batches pass by
// pointer.
//
// Retention none is a pipe: the writer merges its lane into the partition, under
// the partition's lock, so that whatever the reader polls is ready to use.
//
//	writer lane 0 --+                     +-- out: rows, watermarks, barriers
//	writer lane 1 --+-- alignment, time --+        |
//	                    |                          reader
//	                    held: per lane, behind its barrier
//
// Retention job is a store of shuffle/partition: memory, then local disk. A
// reader gets the lanes one after the other, each once an attempt has won it;
// of event time it sees only where all lanes ended. Barriers are refused there.
//
// Retention checkpoint is a pipe that keeps what its reader was given since the barrier of
// the latest complete checkpoint, up to a limit, and can be brought back there: then it is
// merged again for the next reader, but for lanes that are written again.
//
// Credit: a partition holds at most its budget, and beyond it for each lane the
// guarantee or one batch, whichever is more; before its reader takes anything, less of
// what this process writes. A pipe whose reader is closed takes
// and forgets everything, so that producers can end.
//
// A new attempt of a pipe's lane takes back what the last one sent, as long as
// none of it was read or has moved time or a barrier; then it is refused. A job
// lane can be written by any number of attempts.
//
// Placement: of an exchange that is placed at several servers (shuffle.Placement) a
// service keeps the partitions, or the stored lanes, that are placed at Options.Self.
// What is sent everywhere goes to all partitions here. A shuffle server writes and
// reads on behalf of others with Watched and EncodedReader, so that batches in wire
// form stay so until a task of this process polls them.
//
// Locks: service, then exchange, then pipe; no two pipes' at once. Nothing is
// awaited under a lock.
package local
