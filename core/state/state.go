package state

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
)

// TableSpec declares a table. ID and the columns' names and types identify it in
// snapshots: a restore matches by ID and refuses other columns.
type TableSpec struct {
	ID     uint16
	Name   string
	Keys   datatype.Schema
	Values datatype.Schema
}

// Backend is the keyed state of one operator in one subtask. Only its task's
// goroutine uses it.
type Backend interface {
	// Table opens a declared table, with what was restored for it. Opening an ID
	// twice, or with columns other than the restored ones, is an error.
	Table(spec TableSpec) (Table, error)
	// Restore takes rows of an earlier snapshot; rows of key groups that the
	// backend does not own are left out. It must precede Table. The batch stays
	// the caller's.
	Restore(spec TableSpec, rows arrow.RecordBatch) error
	// Snapshot freezes the content of all tables. It must be brief: the task
	// stands still meanwhile.
	Snapshot() (Snapshot, error)
	// Close frees everything; snapshots taken before stay valid.
	Close() error
}

// Table is one table of a backend.
type Table interface {
	// Namespace returns the rows of a namespace, making it if need be.
	Namespace(ns int64) (Rows, error)
	// Namespaces lists those that exist, ascending.
	Namespaces() []int64
	// Drop forgets a namespace and everything that Namespace returned for it.
	Drop(ns int64)
}

// Rows are the rows of one namespace.
type Rows interface {
	// Resolve finds the slot of each key, adding keys that are new with every
	// value zero and null. hashes are those of compute.HashColumns over the key
	// columns, for the selected rows (or all, where sel is nil), in their order;
	// slots gets one slot each. Columns taken before are invalid afterwards. It
	// fails, with nothing half added, when memory is exhausted.
	Resolve(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error
	// Len is the number of keys, and one more than the largest slot.
	Len() int
	// Values gives the value columns by slot; the caller may write to them. They
	// are valid until the next Resolve.
	Values() []*Column
	// Keys returns the key columns of slots [from, to) as new Arrow arrays, which
	// the caller releases.
	Keys(from, to int) ([]arrow.Array, error)
}

// Column holds one value per slot in the slice that fits its type; the others
// are nil.
//
//	Int64    integers, dates, times, timestamps, intervals, decimals <= 18 digits, booleans (0, 1)
//	Float64  FLOAT, DOUBLE
//	Dec128   wider decimals
//	Bytes    CHAR, VARCHAR, BINARY, VARBINARY; an element is replaced, never written into
type Column struct {
	Type    datatype.Type
	Int64   []int64
	Float64 []float64
	Dec128  []decimal128.Num
	Bytes   [][]byte
	Valid   []bool // false: null
}

// Snapshot is frozen content. Write and Release may run on another goroutine
// than the task's, one after the other.
type Snapshot interface {
	// Write hands every row to emit, as batches of the columns
	// (namespace BIGINT, keys..., values...), table by table and clustered by key
	// group; groups says which groups a batch may hold. The batch is valid during
	// the call only.
	Write(ctx context.Context, emit func(t TableSpec, groups keygroup.Range, rows arrow.RecordBatch) error) error
	// Release frees what was frozen.
	Release()
}
