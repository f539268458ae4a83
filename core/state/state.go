package state

import (
	"context"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/stream"
)

// TableSpec declares a table. ID and the columns' types identify it in snapshots: a restore
// matches by ID and refuses other columns. What they mean, and are called, may have changed
// only as the job's owner allows (checkpoint.Fit).
type TableSpec struct {
	ID     uint16
	Name   string
	Keys   datatype.Schema
	Values datatype.Schema // one of each for a key
	List   datatype.Schema // columns of the rows in each key's list; none: no lists
	// Routed is how many key columns, the first ones, decide the key group: those by which
	// rows are sent to their subtask. 0: all.
	Routed int
	// Evictable says that the operator keeps no slot, row or view of the table where its
	// task may call Evictor.Evict: keys that have not been asked for lately may leave
	// memory then. All others stay.
	Evictable bool
	// Named says that columns are known by their names, and whether they may be null matters:
	// restored ones that differ in that are refused, too.
	Named bool
}

// Fits reports whether what was restored of table t, as its snapshots describe it, can be
// taken for s.
func (s TableSpec) Fits(t TableSpec) bool {
	same := func(a, b datatype.Schema) bool {
		if s.Named {
			return a.Equal(b)
		}
		return slices.EqualFunc(a, b, func(x, y datatype.Field) bool { return x.Type.Same(y.Type) })
	}
	return same(s.Keys, t.Keys) && same(s.Values, t.Values) && same(s.List, t.List)
}

// Backend is the keyed state of one operator in one subtask. Only its task's
// goroutine uses it.
type Backend interface {
	// Table opens a declared table, with what was restored for it. Opening an ID
	// twice, or with columns other than the restored ones, is an error.
	Table(spec TableSpec) (Table, error)
	// Restore takes a piece of an earlier snapshot; rows of key groups that the
	// backend does not own are left out, and so are those that stale, by group, says
	// a later snapshot holds whole (nil: none). It must precede Table. The piece's
	// batch stays the caller's.
	Restore(p Piece, stale []bool) error
	// Snapshot freezes what is to be written of all tables. It must be brief: the
	// task stands still meanwhile. What takes longer is left to Snapshot.Copy; one that is
	// not copied to its end is, by the next call and by Close.
	Snapshot(scope Scope) (Snapshot, error)
	// Close frees everything; snapshots taken before stay valid.
	Close() error
}

// Evictor is a backend whose evictable tables may be larger than memory. Only its task's
// goroutine calls it.
type Evictor interface {
	// Crowded reports whether memory is at its limit, so that Evict is due. It costs
	// next to nothing: tasks ask between elements.
	Crowded() bool
	// Evict moves keys out of memory. Slots, rows of lists and views of evictable tables
	// that were taken before are invalid afterwards.
	Evict() error
}

// Scope is how much a snapshot holds.
type Scope uint8

// The scopes.
const (
	InvalidScope Scope = iota
	// Changes is what has changed since the last snapshot, and a share of the rest,
	// whole. The pieces of all snapshots since the backend was made are needed, less
	// those that are covered.
	Changes
	// Everything is all there is: nothing before is needed. It comes first, and
	// where an earlier snapshot was lost.
	Everything
)

// String is the scope in a word.
func (s Scope) String() string {
	switch s {
	case Changes:
		return "changes"
	case Everything:
		return "everything"
	default:
		return "invalid"
	}
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
	// value zero and null and an empty list. The keys count as written. hashes are
	// those of compute.HashRouted over the key columns, for the selected rows (or
	// all, where sel is nil), in their order; slots gets one slot each. Columns and
	// chains taken before are invalid afterwards. It fails, with nothing half added,
	// when memory is exhausted.
	Resolve(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error
	// Find is Resolve without adding: unknown keys get -1, known ones do not count as
	// written. Of an evictable table it invalidates what Resolve does, and what Add does,
	// for keys may come back to memory.
	Find(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error
	// Touch says that the values of slots that Find gave are going to be written: a snapshot
	// may have to copy them before.
	Touch(slots []int32)
	// Remove forgets keys, with their lists. A slot comes once and must be in use; it
	// may be another key's after the next Resolve.
	Remove(slots []int32)
	// Len is one more than the largest slot, 0 where there is none. Of an evictable table
	// there may be keys without a slot.
	Len() int
	// View is of the slots that Resolve and Find gave. The caller may write to the values
	// of those that it resolved or touched. Values are valid until the next Resolve or
	// Find.
	View
	// Each hands out all keys in runs of slots of a view, which is valid during the call;
	// do must not call what changes or looks up the namespace. The slots are those of
	// Resolve and Find, unless the table is evictable: then they mean something to the
	// view only, which must not be written to.
	Each(do func(v View, from, to int) error) error
}

// View is keys and values by slot.
type View interface {
	// Values gives the value columns by slot.
	Values() []*Column
	// Keys returns the key columns of slots [from, to), which are in use, as new Arrow
	// arrays, which the caller releases.
	Keys(from, to int) ([]arrow.Array, error)
	// Lists are the keys' lists; nil where the table has none.
	Lists() Lists
}

// Lists are the lists of a namespace's keys.
type Lists interface {
	// Add appends a row to the list of each slot: row sel[i] (i, where sel is nil) of
	// columns, of the types of TableSpec.List, to that of slots[i]. rows, unless nil,
	// gets their numbers. It fails, with nothing added, when memory is exhausted.
	Add(slots []int32, columns []arrow.Array, sel []int32, rows []int32) error
	// Chains lead through the lists: the first row of each slot, and of each row the
	// next one; -1 ends a list. They are valid until the next Add, Resolve or Find.
	Chains() (first, next []int32)
	// Owners gives the slot of each row. They are valid until the next Add.
	Owners() []int32
	// Match gives for each i the oldest row of the list of slots[i] that is equal, null
	// to null, to row sel[i] of columns; of the columns that are nil any value is. A
	// row is given once; -1 where there is none, or slots[i] is negative.
	Match(slots []int32, columns []arrow.Array, sel []int32, rows []int32) error
	// Replace writes the columns of rows, of which none comes twice, anew: each keeps its
	// place in its list. Fixed and Chains stay valid. It fails when memory is exhausted;
	// then the texts of the rows are undefined.
	Replace(rows []int32, columns []arrow.Array, sel []int32) error
	// RemoveRows takes rows out of their lists. A key stays, also with an empty list.
	// Numbers may be other rows' after the next Add.
	RemoveRows(rows []int32)
	// Fixed gives the columns by row, those of texts apart, which are nil; the caller
	// may write to rows that it added or touched. They are valid until the next Add.
	Fixed() []*Column
	// TouchRows says that Fixed is going to be written for these rows.
	TouchRows(rows []int32)
	// Take returns column i of rows, -1 giving a null, as a new Arrow array.
	Take(i int, rows []int32) (arrow.Array, error)
	// Count is the number of rows in all lists that are in memory.
	Count() int
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

// Kind says what the rows of a piece are.
type Kind uint8

// The kinds, in the order in which those of one snapshot apply to a table, and the
// columns of their batches. Every batch begins with the namespace, BIGINT.
const (
	InvalidKind Kind = iota
	DropSpace        // nothing else: what was known of the namespace in Piece.Groups is forgotten
	RemoveKey        // keys...: forgotten, with their lists
	RemoveRow        // keys..., sequence BIGINT: rows of lists
	PutKey           // keys..., values...
	PutRow           // keys..., sequence BIGINT, list...: replaces the row of that sequence, or is the list's last
)

// String is the kind in words.
func (k Kind) String() string {
	switch k {
	case DropSpace:
		return "drop namespace"
	case RemoveKey:
		return "remove key"
	case RemoveRow:
		return "remove row"
	case PutKey:
		return "put key"
	case PutRow:
		return "put row"
	default:
		return "invalid"
	}
}

// Piece is a batch of a snapshot: rows of one kind of one table.
type Piece struct {
	Table  TableSpec
	Kind   Kind
	Groups keygroup.Range // that rows may be of
	Rows   arrow.RecordBatch
}

// Snapshot is frozen content. Once Copy has come to its end, Write and Release may run on
// another goroutine than the task's, one after the other; until then Release may, too, be
// called by the task's.
type Snapshot interface {
	// Copy copies what the backend still shares with the snapshot, about so many rows of it,
	// and reports whether that was all. The task's goroutine calls it between elements, until
	// it is, or fails: then the snapshot is of no use.
	Copy(rows int) (done bool, err error)
	// Whole are the groups of which the snapshot holds everything: pieces of earlier
	// ones about them are stale.
	Whole() keygroup.Range
	// Write hands everything to emit, in the order in which it is restored, clustered
	// by key group. The batch is valid during the call only.
	Write(ctx context.Context, emit func(Piece) error) error
	// Release frees what was frozen.
	Release()
}

// Stager is the ability of a Backend to prepare for what is about to be restored.
type Stager interface {
	// Foresee says how many rows of PutKey pieces come at most, by table. The map is the
	// backend's then.
	Foresee(rows map[uint16]int)
	// Stage does the part of Restore that needs nothing but the piece: it may run on another
	// goroutine than the task's, while that restores earlier pieces. What it returns does
	// the rest, as Restore, and needs the piece's batch until it has returned.
	Stage(p Piece, stale []bool) (restore func() error)
}

// Stage stages a piece for a backend, if that can; else all is done by what it returns.
func Stage(b Backend, p Piece, stale []bool) (restore func() error) {
	if s, ok := b.(Stager); ok {
		return s.Stage(p, stale)
	}
	return func() error { return b.Restore(p, stale) }
}

// Forgetter is the ability of a Backend to go on from what was restored of an earlier
// snapshot: what later ones hold whole is forgotten, then their pieces are restored.
type Forgetter interface {
	// Forget takes everything of some key groups out of what was restored; gone says by
	// group of which. It must precede Table.
	Forget(gone []bool) error
}

// CopyRows is about how many rows of a snapshot a task copies between two elements.
const CopyRows = 1024

// Complete copies all that is left of a snapshot.
func Complete(s Snapshot) error {
	for {
		if done, err := s.Copy(stream.TargetRows); done || err != nil {
			return err
		}
	}
}
