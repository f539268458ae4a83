package updatejoin

import (
	"fmt"
	"math"
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
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/operator/residual"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// The inputs.
const (
	leftInput  = 0
	rightInput = 1
)

// Deps is what a join needs beside its spec.
type Deps struct {
	Functions *function.Catalog
	// Expr are the options of the residual's program; the allocator is the task's. Its
	// clock stamps rows that are kept for a time.
	Expr expr.Options
}

// Join is the operator of a jobgraph.UpdatingJoin.
type Join struct {
	kind      jobgraph.JoinType
	sides     [2]*side
	output    *arrow.Schema
	residual  *residual.Condition
	atClosing bool
	deps      Deps

	ctx       *operator.Context
	check     *expr.Program
	own       *memstate.Backend // where the task has no state for it
	watermark stream.Watermark
	pairs     pairs
}

// New returns the operator that spec describes, for these inputs.
func New(spec *jobgraph.UpdatingJoin, left, right datatype.Schema, deps Deps) (operator.Operator, error) {
	if spec.Type < jobgraph.JoinType_JOIN_INNER || spec.Type > jobgraph.JoinType_JOIN_ANTI {
		return nil, fmt.Errorf("join: type %v", spec.Type)
	}
	j := &Join{kind: spec.Type, atClosing: spec.AtClosing, deps: deps, watermark: stream.MinWatermark}
	first, second := uint16(1), uint16(2)
	if spec.Crossed {
		first, second = second, first
	}
	j.sides[leftInput] = &side{
		name: "left", input: leftInput, table: first, schema: left, retracting: spec.LeftRetracting,
		keep: spec.LeftKeepMillis, preserved: fillsRight(spec.Type),
		counted: spec.Type != jobgraph.JoinType_JOIN_INNER && spec.Type != jobgraph.JoinType_JOIN_RIGHT,
	}
	j.sides[rightInput] = &side{
		name: "right", input: rightInput, table: second, schema: right, retracting: spec.RightRetracting, offset: len(left),
		keep: spec.RightKeepMillis, preserved: fillsLeft(spec.Type), counted: fillsLeft(spec.Type),
	}
	if err := j.keys(spec.LeftKeys, spec.RightKeys); err != nil {
		return nil, err
	}
	for i, c := range []*jobgraph.Closing{spec.LeftClosing, spec.RightClosing} {
		if err := j.sides[i].close(c); err != nil {
			return nil, err
		}
		if c == nil && j.atClosing && j.tellsLonely(j.sides[i]) {
			return nil, fmt.Errorf("join: rows of the %s side are told when they close, but do not", j.sides[i].name)
		}
		if err := j.sides[i].hide(); err != nil {
			return nil, err
		}
	}
	j.output = j.schema()
	var err error
	if j.residual, err = residual.New(spec.Residual, len(left)+len(right)); err != nil {
		return nil, err
	}
	return j, nil
}

// fillsRight reports whether left rows without a partner are told, with nulls.
func fillsRight(k jobgraph.JoinType) bool {
	return k == jobgraph.JoinType_JOIN_LEFT || k == jobgraph.JoinType_JOIN_FULL
}

// fillsLeft reports whether right rows without a partner are told, with nulls.
func fillsLeft(k jobgraph.JoinType) bool {
	return k == jobgraph.JoinType_JOIN_RIGHT || k == jobgraph.JoinType_JOIN_FULL
}

// onlyLeft reports whether the output is left rows alone.
func (j *Join) onlyLeft() bool {
	return j.kind == jobgraph.JoinType_JOIN_SEMI || j.kind == jobgraph.JoinType_JOIN_ANTI
}

// schema is the output's.
func (j *Join) schema() *arrow.Schema {
	var all datatype.Schema
	for i, s := range j.sides {
		if i == rightInput && j.onlyLeft() {
			break
		}
		for _, f := range s.schema {
			f.Type = f.Type.WithNull(f.Type.Nullable || j.sides[1-i].preserved)
			all = append(all, f)
		}
	}
	return all.Arrow()
}

// Late is the number of rows that came when rows of their time had been forgotten, or
// took back what was not there.
func (j *Join) Late() int64 {
	return j.sides[leftInput].late.Count() + j.sides[rightInput].late.Count()
}

// Open implements operator.Operator.
func (j *Join) Open(ctx *operator.Context) (err error) {
	j.ctx = ctx
	if j.check, err = j.residual.Compile(j.deps.Functions, j.deps.Expr, ctx.Alloc); err != nil {
		return err
	}
	j.pairs = pairs{join: j}
	backend := ctx.State
	if backend == nil {
		j.own = memstate.New(1, keygroup.Range{Last: 1}, ctx.Alloc, ctx.Memory)
		backend = j.own
	}
	for _, s := range j.sides {
		if err := s.open(ctx, backend); err != nil {
			return fmt.Errorf("join: %w", err)
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
	s := j.sides[input]
	sel, lonely := s.matchable(b, b.Sel)
	if err := j.tellLonely(s, b, lonely); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if b.Sel = sel; b.Len() == 0 {
		return nil
	}
	added, removed := changelog.Split(b)
	if len(removed) > 0 && !s.retracting {
		return failure.Errorf(failure.Internal, "join: the %s input takes rows back", s.name)
	}
	if err := j.apply(s, b, added, removed); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if err := s.late.Emit(b, j.watermark); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return s.removeEmpty()
}

// apply takes rows back, then adds the others. What the batch both adds and takes back
// never was.
func (j *Join) apply(s *side, b *stream.Batch, added, removed []int32) error {
	if len(removed) > 0 {
		unknown, err := j.remove(s, b, removed)
		if err != nil {
			return err
		}
		if len(unknown) > 0 {
			if added, unknown, err = cancel(b, added, unknown); err != nil {
				return err
			}
			s.late.AddAll(unknown)
		}
	}
	return j.add(s, b, added)
}

// Watermark implements operator.Operator: it forgets rows whose time has closed.
func (j *Join) Watermark(w stream.Watermark) error {
	j.watermark = max(j.watermark, w)
	for _, s := range j.sides {
		if s.closings == nil {
			continue
		}
		if err := j.forget(s, s.closings.take(int64(w))); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	return nil
}

// Tick implements operator.Ticker: it forgets rows that have been kept long enough.
func (j *Join) Tick(now time.Time) error {
	for _, s := range j.sides {
		if s.ages == nil {
			continue
		}
		if err := j.forget(s, s.ages.take(now.UnixMilli())); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	return nil
}

// forget lets go of rows of lists; those that are to be told now are told before.
func (j *Join) forget(s *side, rows []int32) error {
	if len(rows) == 0 {
		return nil
	}
	if j.atClosing && j.tellsLonely(s) {
		partners := s.column(s.partners)
		var lonely []int32
		for _, r := range rows {
			if partners[r] == 0 {
				lonely = append(lonely, r)
			}
		}
		if err := j.tellKept(stream.Insert, s, lonely); err != nil {
			return err
		}
	}
	s.drop(rows)
	return s.removeEmpty()
}

// tellsLonely reports whether rows of s are told by themselves while they have no
// partner.
func (j *Join) tellsLonely(s *side) bool { return s.counted && j.kind != jobgraph.JoinType_JOIN_SEMI }

// stores reports whether added rows of s are of use later.
func (j *Join) stores(s *side) bool {
	return !j.sides[1-s.input].ended || s.retracting || j.atClosing && j.tellsLonely(s)
}

// EndInput implements operator.Operator.
func (j *Join) EndInput(input int) error {
	j.sides[input].ended = true
	return nil
}

// Close implements operator.Operator.
func (j *Join) Close() error {
	for _, s := range j.sides {
		s.release()
	}
	if j.own == nil {
		return nil
	}
	err := j.own.Close()
	j.own = nil
	return err
}

// now is the time by the clock that rows are stamped with.
func (j *Join) now() int64 {
	if j.deps.Expr.Now != nil {
		return j.deps.Expr.Now().UnixMilli()
	}
	return time.Now().UnixMilli()
}

// add joins rows with what the other side keeps, and keeps them.
func (j *Join) add(s *side, b *stream.Batch, sel []int32) error {
	if rowsOf(b, sel) == 0 {
		return nil
	}
	d := delta{batch: b, side: s, other: j.sides[1-s.input], kind: stream.Insert}
	due := s.due(b, sel)
	if s.closing != nil {
		var late []int32
		if sel, late, due = s.split(b, sel, due, int64(j.watermark)); len(late) > 0 {
			s.late.AddAll(late)
			if d.sel = late; !s.retracting {
				if err := j.meet(&d); err != nil {
					return err
				}
			}
		}
	}
	if d.sel = sel; rowsOf(b, sel) == 0 {
		return nil
	}
	d.kept = j.stores(s)
	if err := j.meet(&d); err != nil || !d.kept {
		return err
	}
	return s.store(&d, due, j.now)
}

// meet joins added rows with what the other side keeps.
func (j *Join) meet(d *delta) error {
	if err := j.find(d); err != nil {
		return err
	}
	s := d.side
	if s.counted {
		s.counts = zeroed(s.counts, len(d.slots))
		d.counts = s.counts
	}
	if err := j.pairs.walk(d); err != nil || !s.counted {
		return err
	}
	if j.kind == jobgraph.JoinType_JOIN_SEMI {
		return j.tellRows(stream.Insert, d, d.choose(func(n int32) bool { return n > 0 }))
	}
	if j.atClosing && d.kept {
		return nil
	}
	return j.tellRows(stream.Insert, d, d.choose(func(n int32) bool { return n == 0 }))
}

// remove takes rows back. It returns those that are not there.
func (j *Join) remove(s *side, b *stream.Batch, sel []int32) (unknown []int32, err error) {
	if len(sel) == 0 {
		return nil, nil
	}
	d := delta{batch: b, side: s, other: j.sides[1-s.input], kind: stream.Delete}
	if s.closing != nil {
		var late []int32
		sel, late, _ = s.split(b, sel, s.due(b, sel), int64(j.watermark))
		s.late.AddAll(late)
	}
	if len(sel) == 0 {
		return nil, nil
	}
	d.sel = sel
	rows, unknown, err := s.lookUp(&d)
	if err != nil || len(d.sel) == 0 {
		return unknown, err
	}
	if err := j.part(&d, rows); err != nil {
		return nil, err
	}
	s.drop(rows)
	return unknown, nil
}

// part takes back what was told of rows, which are these of the side's lists.
func (j *Join) part(d *delta, rows []int32) error {
	s := d.side
	if s.counted {
		partners := s.column(s.partners)
		s.counts = zeroed(s.counts, len(rows))
		for i, r := range rows {
			s.counts[i] = int32(min(partners[r], math.MaxInt32))
		}
		told := d.with(s.counts)
		if j.kind == jobgraph.JoinType_JOIN_SEMI {
			return j.tellRows(stream.Delete, d, told.choose(func(n int32) bool { return n > 0 }))
		}
		if !j.atClosing {
			if err := j.tellRows(stream.Delete, d, told.choose(func(n int32) bool { return n == 0 })); err != nil {
				return err
			}
		}
		if j.kind == jobgraph.JoinType_JOIN_ANTI {
			return nil
		}
	}
	if err := j.find(d); err != nil {
		return err
	}
	return j.pairs.walk(d)
}

// find looks the rows' keys up in the other side.
func (j *Join) find(d *delta) error {
	s := d.side
	keys, err := s.keysOf(j.ctx.Alloc, d.batch)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(keys)
	s.hashes = compute.HashColumns(keys, d.sel, s.hashes)
	s.found = sized(s.found, len(s.hashes))
	d.slots = s.found
	return d.other.rows.Find(keys, d.sel, s.hashes, d.slots)
}

var (
	_ operator.Operator = (*Join)(nil)
	_ operator.Ticker   = (*Join)(nil)
)
