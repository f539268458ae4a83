// Package storage keeps checkpoints as files on any file system.
//
//	<dir>/<job>/chk-<n>/<name>.state    keyed state of one operator of one subtask
//	<dir>/<job>/chk-<n>/MANIFEST        what the checkpoint is made of
//
// A state file begins with a header and holds chunks, one for each batch that
// the snapshot emitted; a handle names one chunk:
//
//	"TMST" | version u32 | checkpoint u64        16 bytes
//	Arrow IPC stream: schema, one record batch   chunk 0
//	Arrow IPC stream ...                         chunk 1
//
// A chunk describes itself: the schema's metadata has the table's id, name and
// number of keys, each field's metadata its SQL type. Its checksum is in the
// handle.
//
// Files become visible whole (fs.Writer.Commit). A manifest names its state
// files relative to itself, so that a directory can be moved; what Load returns
// has whole paths. Whatever is damaged is checkpoint.ErrCorrupt under the name
// of the file.
package storage
