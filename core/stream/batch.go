package stream

import (
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Batch sizes that producers aim at. A batch may be smaller at any time (a
// source flushes when it is idle) and exceeds MaxRows never.
const (
	TargetRows  = 8192
	MaxRows     = 65536
	TargetBytes = 1 << 20
)

// RowKind says what a row does to the table that the stream describes.
type RowKind uint8

// The row kinds, as in Flink: +I, -U, +U and -D.
const (
	InvalidKind RowKind = iota
	Insert
	UpdateBefore
	UpdateAfter
	Delete
)

// String is Flink's short form.
func (k RowKind) String() string {
	switch k {
	case Insert:
		return "+I"
	case UpdateBefore:
		return "-U"
	case UpdateAfter:
		return "+U"
	case Delete:
		return "-D"
	default:
		return "??"
	}
}

// Retracts reports whether the row takes an earlier one back.
func (k RowKind) Retracts() bool { return k == UpdateBefore || k == Delete }

// Account is what a batch's bytes are charged to; core/memory implements it.
// Both methods may be called from any goroutine.
type Account interface {
	// Grow charges n bytes or returns an error and charges nothing.
	Grow(n int64) error
	// Shrink gives n charged bytes back.
	Shrink(n int64)
}

// Batch is a run of rows with one owner.
type Batch struct {
	// Record holds the columns. It is immutable and reference-counted by Arrow.
	Record arrow.RecordBatch
	// Sel lists the physical rows that count, ascending; nil means all of them.
	Sel []int32
	// Kinds has a kind for each physical row; nil means Insert.
	Kinds []RowKind

	charge *charge
}

// charge is shared by all owners of the same columns.
type charge struct {
	refs    atomic.Int64
	account Account
	bytes   int64
}

// NewBatch takes over the caller's reference on record.
func NewBatch(record arrow.RecordBatch) *Batch { return &Batch{Record: record} }

// Len is the number of rows that count.
func (b *Batch) Len() int {
	if b.Sel != nil {
		return len(b.Sel)
	}
	return int(b.Record.NumRows())
}

// PhysicalRows is the number of rows of the columns.
func (b *Batch) PhysicalRows() int { return int(b.Record.NumRows()) }

// Column returns column i, borrowed: it is valid for as long as b is owned.
func (b *Batch) Column(i int) arrow.Array { return b.Record.Column(i) }

// Kind is the kind of physical row i.
func (b *Batch) Kind(i int) RowKind {
	if b.Kinds == nil {
		return Insert
	}
	return b.Kinds[i]
}

// WithRecord returns a batch of other columns with the same number of physical
// rows and b's overlays and charge; b is consumed. It takes over the caller's
// reference on record.
func (b *Batch) WithRecord(record arrow.RecordBatch) *Batch {
	b.Record.Release()
	b.Record = record
	return b
}

// Share returns a second owner of the same rows.
func (b *Batch) Share() *Batch {
	if _, ok := b.Record.(Encoded); !ok {
		for _, c := range b.Record.Columns() {
			settle(c)
		}
	}
	b.Record.Retain()
	if b.charge != nil {
		b.charge.refs.Add(1)
	}
	c := *b
	return &c
}

// settle makes what Arrow makes at the first question without a lock: the values
// of dictionaries and the counts of nulls. Owners of shared rows ask at once.
func settle(c arrow.Array) {
	c.NullN()
	switch c := c.(type) {
	case *array.Dictionary:
		settle(c.Dictionary())
	case *array.Struct:
		for i := range c.NumField() {
			settle(c.Field(i))
		}
	case array.ListLike:
		settle(c.ListValues())
	}
}

// Charge charges the bytes that b pins to account. A batch is charged once, by
// whoever makes it; it fails, charging nothing, when the account is exhausted.
func (b *Batch) Charge(account Account, bytes int64) error {
	if b.charge != nil {
		panic("stream: batch charged twice")
	}
	if err := account.Grow(bytes); err != nil {
		return err
	}
	b.charge = &charge{account: account, bytes: bytes}
	b.charge.refs.Store(1)
	return nil
}

// Charged is the number of bytes charged for b.
func (b *Batch) Charged() int64 {
	if b.charge == nil {
		return 0
	}
	return b.charge.bytes
}

// Transfer moves the charge to another account, all or nothing. Only the sole
// owner may call it: the charge of a shared batch stays where it was made.
func (b *Batch) Transfer(to Account) error {
	c := b.charge
	if c == nil || c.account == to || c.refs.Load() > 1 {
		return nil
	}
	if err := to.Grow(c.bytes); err != nil {
		return err
	}
	c.account.Shrink(c.bytes)
	c.account = to
	return nil
}

// Release ends the caller's ownership; the last owner's ends the charge.
func (b *Batch) Release() {
	b.Record.Release()
	b.Record = nil
	if c := b.charge; c != nil {
		b.charge = nil
		if c.refs.Add(-1) == 0 {
			c.account.Shrink(c.bytes)
		}
	}
}
