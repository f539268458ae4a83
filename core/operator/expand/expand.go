package expand

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

// Expand is the operator of a jobgraph.Expand.
type Expand struct {
	sets   []groupingSet
	output *arrow.Schema
	types  datatype.Schema // of the output
	ctx    *operator.Context

	rows  int                 // how long the constants are
	nulls map[int]arrow.Array // by column, of those that some set lacks
}

// groupingSet is what makes a row one of a set.
type groupingSet struct {
	absent []int // columns that are null
	id     int64
	ids    arrow.Array // id in each row
}

// New returns the operator that spec describes, from columns of in to those of
// out.
func New(spec *jobgraph.Expand, in, out datatype.Schema) (operator.Operator, error) {
	if len(out) != len(in)+1 {
		return nil, fmt.Errorf("expand: %d columns from %d", len(out), len(in))
	}
	e := &Expand{output: out.Arrow(), types: out, nulls: map[int]arrow.Array{}}
	ids := spec.IDs()
	for i, s := range spec.Sets {
		set := groupingSet{id: ids[i]}
		for k, column := range spec.Keys {
			if slices.Contains(s.Keys, uint32(k)) {
				continue
			}
			if int(column) >= len(in) {
				return nil, fmt.Errorf("expand: key column %d of %d", column, len(in))
			}
			if !out[column].Type.Nullable {
				return nil, fmt.Errorf("expand: key %s cannot be null", out[column].Name)
			}
			set.absent = append(set.absent, int(column))
		}
		e.sets = append(e.sets, set)
	}
	return e, nil
}

// Open implements operator.Operator.
func (e *Expand) Open(ctx *operator.Context) error {
	e.ctx = ctx
	return nil
}

// Process implements operator.Operator.
func (e *Expand) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	if err := e.prepare(b.PhysicalRows()); err != nil {
		return fmt.Errorf("expand: %w", err)
	}
	for i := range e.sets {
		if err := e.ctx.Output.Emit(e.batch(b, &e.sets[i])); err != nil {
			return err
		}
	}
	return nil
}

// batch is the rows of b as those of a set.
func (e *Expand) batch(b *stream.Batch, set *groupingSet) *stream.Batch {
	n := b.PhysicalRows()
	columns := make([]arrow.Array, 0, len(e.types))
	columns = append(columns, b.Record.Columns()...)
	var made []arrow.Array
	defer func() { compute.ReleaseAll(made) }()
	first := func(a arrow.Array) arrow.Array {
		s := array.NewSlice(a, 0, int64(n))
		made = append(made, s)
		return s
	}
	for _, c := range set.absent {
		columns[c] = first(e.nulls[c])
	}
	columns = append(columns, first(set.ids))
	out := b.Share().WithRecord(operator.NewBatch(e.output, columns, n).Record)
	out.Sel = slices.Clone(b.Sel) // its owner may narrow it in place
	return out
}

// prepare makes nulls and ids for n rows.
func (e *Expand) prepare(n int) error {
	if n <= e.rows {
		return nil
	}
	e.release()
	for i := range e.sets {
		set := &e.sets[i]
		for _, c := range set.absent {
			if e.nulls[c] == nil {
				e.nulls[c] = compute.Nulls(e.ctx.Alloc, e.output.Field(c).Type, n)
			}
		}
		ids, err := compute.Constant(e.ctx.Alloc, e.types[len(e.types)-1].Type, set.id, n)
		if err != nil {
			return err
		}
		set.ids = ids
	}
	e.rows = n
	return nil
}

func (e *Expand) release() {
	e.rows = 0
	for c, a := range e.nulls {
		a.Release()
		delete(e.nulls, c)
	}
	for i := range e.sets {
		if ids := e.sets[i].ids; ids != nil {
			ids.Release()
			e.sets[i].ids = nil
		}
	}
}

// Watermark implements operator.Operator.
func (e *Expand) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (e *Expand) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (e *Expand) Close() error {
	e.release()
	return nil
}

var _ operator.Operator = (*Expand)(nil)
