package temporaljoin

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/residual"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// Deps is what a join needs beside its spec.
type Deps struct {
	Functions *function.Catalog
	// Expr are the options of the residual's program; the allocator is the task's.
	Expr expr.Options
}

// Join is the operator of a jobgraph.TemporalJoin.
type Join struct {
	outer    bool
	left     *side
	versions *side
	output   *arrow.Schema
	residual *residual.Condition
	deps     Deps

	ctx   *operator.Context
	check *expr.Program
	own   *memstate.Backend // where the task has no state for it
	fired stream.Watermark

	rows  []int32 // left rows that are due
	found []int32 // their versions; -1: none
}

// New returns the operator that spec describes, for these inputs.
func New(spec *jobgraph.TemporalJoin, left, right datatype.Schema, deps Deps) (_ operator.Operator, err error) {
	j := &Join{deps: deps, fired: stream.MinWatermark}
	switch spec.Type {
	case jobgraph.JoinType_JOIN_INNER:
	case jobgraph.JoinType_JOIN_LEFT:
		j.outer = true
	default:
		return nil, fmt.Errorf("temporal join: type %v", spec.Type)
	}
	if len(spec.LeftKeys) != len(spec.RightKeys) {
		return nil, fmt.Errorf("temporal join: %d left and %d right keys", len(spec.LeftKeys), len(spec.RightKeys))
	}
	if j.left, err = newSide("left", left, spec.LeftKeys, spec.LeftTime); err != nil {
		return nil, err
	}
	if j.versions, err = newSide("right", right, spec.RightKeys, spec.RightTime); err != nil {
		return nil, err
	}
	for i, f := range j.left.keySchema {
		if g := j.versions.keySchema[i]; !arrow.TypeEqual(f.Type.Arrow(), g.Type.Arrow()) {
			return nil, failure.Errorf(failure.Internal, "temporal join: key %s of type %s and key %s of type %s", f.Name, f.Type, g.Name, g.Type)
		}
	}
	unit := min(j.left.unit, j.versions.unit)
	j.left.factor, j.versions.factor = int64(j.left.unit/unit), int64(j.versions.unit/unit)
	j.versions.list = append(j.versions.list, datatype.Field{Name: "gone", Type: number()})
	all := append(datatype.Schema(nil), left...)
	for _, f := range right {
		f.Type = f.Type.WithNull(f.Type.Nullable || j.outer)
		all = append(all, f)
	}
	j.output = all.Arrow()
	if j.residual, err = residual.New(spec.Residual, len(all)); err != nil {
		return nil, fmt.Errorf("temporal join: %w", err)
	}
	return j, nil
}

func number() datatype.Type { return datatype.Of(datatype.BigInt).NotNull() }

// Open implements operator.Operator.
func (j *Join) Open(ctx *operator.Context) (err error) {
	j.ctx = ctx
	if j.check, err = j.residual.Compile(j.deps.Functions, j.deps.Expr, ctx.Alloc); err != nil {
		return fmt.Errorf("temporal join: %w", err)
	}
	backend := ctx.State
	if backend == nil {
		j.own = memstate.New(1, keygroup.Range{Last: 1}, ctx.Alloc, ctx.Memory)
		backend = j.own
	}
	for id, s := range []*side{j.left, j.versions} {
		if err := s.open(ctx, backend, uint16(1+id)); err != nil {
			return fmt.Errorf("temporal join: %w", err)
		}
	}
	return nil
}

// Process implements operator.Operator.
func (j *Join) Process(input int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	var err error
	if input == 0 {
		err = j.add(b)
	} else {
		err = j.addVersions(b)
	}
	if err != nil {
		return fmt.Errorf("temporal join: %w", err)
	}
	return nil
}

// add keeps left rows.
func (j *Join) add(b *stream.Batch) error {
	if b.Kinds != nil {
		for i := range b.Len() {
			r := i
			if b.Sel != nil {
				r = int(b.Sel[i])
			}
			if b.Kinds[r].Retracts() {
				return failure.Errorf(failure.Internal, "the left input takes rows back")
			}
		}
	}
	some, never := j.left.placed(b)
	if j.outer && len(never) > 0 {
		if err := j.tellNever(b, never); err != nil {
			return err
		}
	}
	return j.left.keep(b.Record.Columns(), b, some)
}

// addVersions keeps versions, and from when on there is none. What an update was before
// says nothing.
func (j *Join) addVersions(b *stream.Batch) error {
	some, _ := j.versions.placed(b)
	gone := make([]int64, b.PhysicalRows())
	if b.Kinds != nil {
		kept := make([]int32, 0, b.Len())
		for i := range rowsOf(b, some) {
			r := int32(i)
			if some != nil {
				r = some[i]
			}
			switch b.Kinds[r] {
			case stream.UpdateBefore:
				continue
			case stream.Delete:
				gone[r] = 1
			}
			kept = append(kept, r)
		}
		some = kept
	}
	mark, err := marks(j.ctx.Alloc, gone)
	if err != nil {
		return err
	}
	defer mark.Release()
	return j.versions.keep(append(b.Record.Columns()[:len(b.Record.Columns()):len(b.Record.Columns())], mark), b, some)
}

// tellNever tells rows that have no key or no time.
func (j *Join) tellNever(b *stream.Batch, rows []int32) error {
	for from := 0; from < len(rows); from += j.ctx.BatchRows {
		piece := rows[from:min(from+j.ctx.BatchRows, len(rows))]
		columns := make([]arrow.Array, j.output.NumFields())
		for i := range columns {
			if i >= len(j.left.schema) {
				columns[i] = compute.Nulls(j.ctx.Alloc, j.output.Field(i).Type, len(piece))
				continue
			}
			var err error
			if columns[i], err = compute.Take(j.ctx.Alloc, b.Column(i), piece); err != nil {
				compute.ReleaseAll(columns)
				return err
			}
		}
		out := operator.NewBatch(j.output, columns, len(piece))
		compute.ReleaseAll(columns)
		if err := j.ctx.Output.Emit(out); err != nil {
			return err
		}
	}
	return nil
}

// Watermark implements operator.Operator: it joins the rows whose time has passed, and
// forgets versions that none can ask for any more.
func (j *Join) Watermark(w stream.Watermark) error {
	if w <= j.fired {
		return nil
	}
	if err := j.fire(w); err != nil {
		return fmt.Errorf("temporal join: %w", err)
	}
	j.versions.expire(w)
	j.fired = w
	return nil
}

// EndInput implements operator.Operator.
func (j *Join) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (j *Join) Close() error {
	if j.own == nil {
		return nil
	}
	err := j.own.Close()
	j.own = nil
	return err
}

// rowsOf is how many rows of a batch sel means.
func rowsOf(b *stream.Batch, sel []int32) int {
	if sel == nil {
		return b.PhysicalRows()
	}
	return len(sel)
}

// unitOf is the length of 1 in a time's physical form.
func unitOf(t datatype.Type) time.Duration { return datatype.TimestampUnit(t.Precision).Multiplier() }

var _ operator.Operator = (*Join)(nil)
