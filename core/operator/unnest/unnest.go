package unnest

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// none is the element of a row whose collection has none.
const none = -1

// Unnest is the operator of a jobgraph.Unnest.
type Unnest struct {
	column     int
	keep       []int
	fields     []int
	rows       bool // an element's fields are columns: a row's, or a map entry's
	ordinality bool
	outer      bool
	output     *arrow.Schema
	ctx        *operator.Context

	next    pending
	widths  []int64
	charged int64
}

// pending is the rows of the next batch.
type pending struct {
	from     []int32 // input rows
	elements []int32 // in the child array
	position []int32 // in the collection, from 1
	masked   []int32 // elements, or none where the element is null
	holes    bool    // some element is none
	bytes    int64   // of the columns that are repeated
}

// New returns the operator that spec describes, from columns of in to those of
// out.
func New(spec *jobgraph.Unnest, in, out datatype.Schema) (operator.Operator, error) {
	u := &Unnest{column: int(spec.Column), ordinality: spec.Ordinality, outer: spec.Outer, output: out.Arrow()}
	if u.column >= len(in) {
		return nil, fmt.Errorf("unnest: column %d of %d", u.column, len(in))
	}
	of, limit := in[u.column].Type, 1
	switch {
	case of.Kind == datatype.Map:
		u.rows, limit = true, 2
	case of.Kind != datatype.Array:
		return nil, fmt.Errorf("unnest: column %s is no collection but %s", in[u.column].Name, of)
	case of.Elem.Kind == datatype.Row:
		u.rows, limit = true, len(of.Elem.Fields)
	}
	for _, c := range spec.Keep {
		if int(c) >= len(in) {
			return nil, fmt.Errorf("unnest: kept column %d of %d", c, len(in))
		}
		u.keep = append(u.keep, int(c))
	}
	for _, f := range spec.Fields {
		if int(f) >= limit {
			return nil, fmt.Errorf("unnest: field %d of %d", f, limit)
		}
		u.fields = append(u.fields, int(f))
	}
	want := len(u.keep) + len(u.fields)
	if u.ordinality {
		want++
	}
	if len(out) != want {
		return nil, fmt.Errorf("unnest: %d columns for %d", len(out), want)
	}
	return u, nil
}

// Open implements operator.Operator.
func (u *Unnest) Open(ctx *operator.Context) error {
	u.ctx = ctx
	n := ctx.BatchRows
	if err := u.charge(4 * 4 * int64(n)); err != nil {
		return err
	}
	u.next.from, u.next.elements = make([]int32, 0, n), make([]int32, 0, n)
	u.next.position, u.next.masked = make([]int32, 0, n), make([]int32, 0, n)
	return nil
}

func (u *Unnest) charge(bytes int64) error {
	if err := u.ctx.Memory.Grow(bytes); err != nil {
		return fmt.Errorf("unnest: %w", err)
	}
	u.charged += bytes
	return nil
}

// Process implements operator.Operator.
func (u *Unnest) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	if err := u.measure(b); err != nil {
		return err
	}
	column := b.Column(u.column)
	of := u.elementsOf(column)
	defer of.release()
	data := column.Data()
	offsets := arrow.GetData[int32](data.Buffers()[1].Bytes())[data.Offset():]
	nulls := column.NullN() > 0
	for i := range b.Len() {
		r := i
		if b.Sel != nil {
			r = int(b.Sel[i])
		}
		first, end := offsets[r], offsets[r+1]
		if nulls && column.IsNull(r) {
			end = first
		}
		if err := u.expand(b, of, i, int32(r), first, end); err != nil {
			return err
		}
	}
	return u.flush(b, of)
}

// expand adds the elements from first to end of row r, the i-th that counts, and
// emits the batches that they fill.
func (u *Unnest) expand(b *stream.Batch, of *elements, i int, r, first, end int32) error {
	p := &u.next
	width := int64(0)
	if len(u.widths) > 0 {
		width = u.widths[i]
	}
	if first == end && u.outer {
		if err := u.makeRoom(b, of, width); err != nil {
			return err
		}
		p.from, p.elements, p.position = append(p.from, r), append(p.elements, none), append(p.position, 0)
		p.holes, p.bytes = true, p.bytes+width
	}
	for e := first; e < end; {
		if err := u.makeRoom(b, of, width); err != nil {
			return err
		}
		n := min(int64(end-e), int64(u.ctx.BatchRows-len(p.from)))
		if width > 0 {
			n = min(n, max(1, (stream.TargetBytes-p.bytes)/width))
		}
		for range n {
			p.from, p.elements, p.position = append(p.from, r), append(p.elements, e), append(p.position, e-first+1)
			e++
		}
		p.bytes += n * width
	}
	return nil
}

// makeRoom emits the pending rows if one more is too much.
func (u *Unnest) makeRoom(b *stream.Batch, of *elements, width int64) error {
	p := &u.next
	if len(p.from) < u.ctx.BatchRows && p.bytes+width <= stream.TargetBytes {
		return nil
	}
	return u.flush(b, of)
}

// flush emits the pending rows.
func (u *Unnest) flush(b *stream.Batch, of *elements) error {
	p := &u.next
	if len(p.from) == 0 {
		return nil
	}
	out, err := u.batch(b, of)
	p.from, p.elements, p.position = p.from[:0], p.elements[:0], p.position[:0]
	p.holes, p.bytes = false, 0
	if err != nil {
		return fmt.Errorf("unnest: %w", err)
	}
	return u.ctx.Output.Emit(out)
}

// batch makes a batch of the pending rows.
func (u *Unnest) batch(b *stream.Batch, of *elements) (*stream.Batch, error) {
	p := &u.next
	columns := make([]arrow.Array, 0, u.output.NumFields())
	defer func() { compute.ReleaseAll(columns) }()
	for _, c := range u.keep {
		a, err := compute.Take(u.ctx.Alloc, b.Column(c), p.from)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", b.Record.ColumnName(c), err)
		}
		columns = append(columns, a)
	}
	for _, c := range of.columns {
		a, err := u.take(c, of.nulls)
		if err != nil {
			return nil, fmt.Errorf("elements: %w", err)
		}
		columns = append(columns, a)
	}
	if u.ordinality {
		columns = append(columns, u.positions())
	}
	out := operator.NewBatch(u.output, columns, len(p.from))
	if b.Kinds != nil {
		out.Kinds = make([]stream.RowKind, len(p.from))
		for i, r := range p.from {
			out.Kinds[i] = b.Kinds[r]
		}
	}
	return out, nil
}

// take returns the pending elements of c: a slice where they are adjacent.
func (u *Unnest) take(c, nulls arrow.Array) (arrow.Array, error) {
	p := &u.next
	n := len(p.elements)
	if nulls == nil && !p.holes {
		if first := p.elements[0]; int(p.elements[n-1]-first) == n-1 { // they ascend
			return compute.Slice(c, int(first), int(first)+n), nil
		}
		return compute.Take(u.ctx.Alloc, c, p.elements)
	}
	rows := p.elements
	if nulls != nil {
		rows = p.masked[:n]
		for i, e := range p.elements {
			if rows[i] = e; e >= 0 && nulls.IsNull(int(e)) {
				rows[i] = none
			}
		}
	}
	return compute.TakeOrNull(u.ctx.Alloc, c, rows)
}

func (u *Unnest) positions() arrow.Array {
	p := &u.next
	builder := array.NewInt32Builder(u.ctx.Alloc)
	defer builder.Release()
	if !p.holes {
		builder.AppendValues(p.position, nil)
		return builder.NewArray()
	}
	builder.Reserve(len(p.position))
	for i, at := range p.position {
		if p.elements[i] == none {
			builder.UnsafeAppendBoolToBitmap(false)
			continue
		}
		builder.UnsafeAppend(at)
	}
	return builder.NewArray()
}

// Watermark implements operator.Operator.
func (u *Unnest) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (u *Unnest) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (u *Unnest) Close() error {
	if u.charged > 0 {
		u.ctx.Memory.Shrink(u.charged)
	}
	u.charged, u.widths, u.next = 0, nil, pending{}
	return nil
}

// elements are the child arrays of a collection column that are emitted.
type elements struct {
	columns []arrow.Array
	nulls   arrow.Array // whose nulls are nulls of all columns; nil: none has
	owned   []arrow.Array
}

func (u *Unnest) elementsOf(column arrow.Array) *elements {
	child := array.MakeFromData(column.Data().Children()[0])
	of := &elements{owned: []arrow.Array{child}}
	rows, ok := child.(*array.Struct)
	if !u.rows || !ok {
		of.columns = slices.Repeat([]arrow.Array{child}, len(u.fields))
		return of
	}
	if rows.NullN() > 0 {
		of.nulls = rows
	}
	for _, f := range u.fields {
		of.columns = append(of.columns, rows.Field(f))
	}
	return of
}

func (e *elements) release() { compute.ReleaseAll(e.owned) }

var _ operator.Operator = (*Unnest)(nil)
