// Package storage keeps checkpoints as files on any file system.
//
//	<dir>/<job>/chk-<n>/MANIFEST           what the checkpoint is made of
//	<dir>/<job>/state/<n>-<name>.state     keyed state of one operator of one subtask
//	<dir>/<job>/state/<n>-<name>.inflight  what was in flight to one input of a subtask, in blocks
//
// A snapshot holds what has changed (core/state), so a manifest names files of earlier
// checkpoints, too. Sweep removes those that no kept one names.
//
// A state file begins with a header and holds chunks, one for each batch that
// the snapshot emitted; a handle names one chunk:
//
//	"TMST" | version u32 | checkpoint u64        16 bytes
//	Arrow IPC stream: schema, one record batch   chunk 0
//	Arrow IPC stream ...                         chunk 1
//
// Where a job's state is tiered a chunk is a sorted table behind a description of the state's
// table (Handle.described), and a restore may leave it where it is (state.Adopter); what was
// dropped stays an Arrow stream.
//
// A chunk describes itself: the schema's metadata has the table and the kind of the
// rows. Its checksum is in the handle.
//
// A restore reads ahead: one goroutine reads, verifies and stages (state.Stager) the next pieces
// while the task's restores one. Pieces are decoded where they were read; a worker's allocator
// gives their memory to the next ones.
//
// Files become visible whole (fs.Writer.Commit). A manifest names its state
// files relative to itself, so that a directory can be moved; what Load returns
// has whole paths. Whatever is damaged is checkpoint.ErrCorrupt under the name
// of the file.
package storage
