package window

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// Table is the operator of a jobgraph.WindowTable: it gives each row the windows that its
// time falls in, a row for each, of the row's kind. A row without a time has none. It
// keeps nothing.
type Table struct {
	slicing  slicing
	time     int
	timeType datatype.Type
	bounds   datatype.Schema // of the three columns it adds
	arrow    *arrow.Schema

	ctx  *operator.Context
	ints []int64
	rows []int32
	ends []int64
}

// NewTable returns the operator that spec describes, with output columns out.
func NewTable(spec *jobgraph.WindowTable, in, out datatype.Schema) (*Table, error) {
	s, err := newSlicing(spec.Window)
	if err != nil {
		return nil, err
	}
	if int(spec.TimeColumn) >= len(in) || !in[spec.TimeColumn].Type.IsTimestamp() {
		return nil, fmt.Errorf("window: time column %d of %s", spec.TimeColumn, in)
	}
	if len(out) != len(in)+3 {
		return nil, fmt.Errorf("window: %d output columns for %d and three of the window", len(out), len(in))
	}
	return &Table{slicing: s, time: int(spec.TimeColumn), timeType: in[spec.TimeColumn].Type, bounds: out[len(in):], arrow: out.Arrow()}, nil
}

// Open implements operator.Operator.
func (t *Table) Open(ctx *operator.Context) error {
	t.ctx = ctx
	return nil
}

// Process implements operator.Operator.
func (t *Table) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	times := b.Column(t.time)
	valid := compute.Validity(times, b.Sel, nil)
	var v []int64
	v, t.ints = compute.Integers(times, b.Sel, t.ints)
	t.rows, t.ends = t.rows[:0], t.ends[:0]
	for i, at := range v {
		if valid != nil && !valid[i] {
			continue
		}
		row := int32(i)
		if b.Sel != nil {
			row = b.Sel[i]
		}
		slice := t.slicing.sliceEnd(compute.Millis(t.timeType, at))
		last := t.slicing.lastWindow(slice)
		for end := t.slicing.firstWindow(slice); end <= last; end += t.slicing.every {
			t.rows, t.ends = append(t.rows, row), append(t.ends, end)
			if len(t.rows) == t.ctx.BatchRows {
				if err := t.emit(b); err != nil {
					return err
				}
			}
		}
	}
	return t.emit(b)
}

// emit emits the rows that have been found so far, with their windows.
func (t *Table) emit(b *stream.Batch) error {
	if len(t.rows) == 0 {
		return nil
	}
	columns := make([]arrow.Array, 0, t.arrow.NumFields())
	defer func() { compute.ReleaseAll(columns) }()
	for i, c := range b.Record.Columns() {
		taken, err := compute.Take(t.ctx.Alloc, c, t.rows)
		if err != nil {
			return fmt.Errorf("window: column %s: %w", b.Record.ColumnName(i), err)
		}
		columns = append(columns, taken)
	}
	for i := range t.bounds {
		columns = append(columns, t.bound(i))
	}
	out := operator.NewBatch(t.arrow, columns, len(t.rows))
	if b.Kinds != nil {
		out.Kinds = make([]stream.RowKind, len(t.rows))
		for i, r := range t.rows {
			out.Kinds[i] = b.Kinds[r]
		}
	}
	t.rows, t.ends = t.rows[:0], t.ends[:0]
	return t.ctx.Output.Emit(out)
}

// bound is the start (0), the end (1) or the time (2) of the windows found.
func (t *Table) bound(which int) arrow.Array {
	of := t.bounds[which].Type
	b := array.NewTimestampBuilder(t.ctx.Alloc, of.Arrow().(*arrow.TimestampType))
	defer b.Release()
	b.Reserve(len(t.ends))
	per := unit(of)
	for _, end := range t.ends {
		switch which {
		case 0:
			end = t.slicing.start(end)
		case 2:
			end--
		}
		b.UnsafeAppend(arrow.Timestamp(end * per))
	}
	return b.NewArray()
}

// Watermark implements operator.Operator.
func (*Table) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (*Table) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (*Table) Close() error { return nil }

var _ operator.Operator = (*Table)(nil)
