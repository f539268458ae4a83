package join

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/residual"
	"github.com/tidemill/tidemill/core/stream"
)

// The inputs.
const (
	probeInput = 0
	buildInput = 1
)

// Deps is what a join needs beside its spec.
type Deps struct {
	Functions *function.Catalog
	// Expr are the options of the residual's program; the allocator is the task's.
	Expr expr.Options
	// Filters takes what the spec wants to be known of the keys; may be nil.
	Filters *keyfilter.Set
	// Builds is where subtasks share what they build; nil: nowhere. It is set only
	// where each of them is given the whole build side.
	Builds *Builds
}

// Join is the operator of a jobgraph.Join.
type Join struct {
	kind        jobgraph.JoinType
	leftKeys    []int
	rightKeys   []int
	left, right datatype.Schema
	pairs       *arrow.Schema // left, then right columns
	equal       []int         // by right column: the left one that is equal in each pair, or -1
	residual    *residual.Condition
	filters     []*jobgraph.KeyFilter
	deps        Deps

	ctx   *operator.Context
	check *expr.Program
	build build
	probe probe
	built bool // the build side has ended
	share *memory.Share
	grace *grace // nil while the build side fits memory

	shared   *shared // nil: builds for itself
	borrowed bool    // what another one has built

	concat func(arrowmemory.Allocator, []arrow.RecordBatch) (arrow.RecordBatch, error) // compute's, but in tests
}

// New returns the operator that spec describes, for these inputs.
func New(spec *jobgraph.Join, left, right datatype.Schema, deps Deps) (operator.Operator, error) {
	if spec.Type < jobgraph.JoinType_JOIN_INNER || spec.Type > jobgraph.JoinType_JOIN_RIGHT_ANTI {
		return nil, fmt.Errorf("join: type %v", spec.Type)
	}
	if len(spec.LeftKeys) != len(spec.RightKeys) {
		return nil, fmt.Errorf("join: %d left and %d right keys", len(spec.LeftKeys), len(spec.RightKeys))
	}
	j := &Join{kind: spec.Type, left: left, right: right, filters: spec.Filters, deps: deps, concat: compute.ConcatRecords}
	for i := range spec.LeftKeys {
		l, r := int(spec.LeftKeys[i]), int(spec.RightKeys[i])
		if l >= len(left) || r >= len(right) {
			return nil, fmt.Errorf("join: key columns %d of %d and %d of %d", l, len(left), r, len(right))
		}
		if !Comparable(left[l].Type, right[r].Type) {
			return nil, failure.Errorf(failure.Internal, "join: key %s of type %s and key %s of type %s", left[l].Name, left[l].Type, right[r].Name, right[r].Type)
		}
		j.leftKeys, j.rightKeys = append(j.leftKeys, l), append(j.rightKeys, r)
	}
	var all datatype.Schema
	for _, f := range left {
		f.Type = f.Type.WithNull(f.Type.Nullable || j.keepsBuild())
		all = append(all, f)
	}
	for _, f := range right {
		f.Type = f.Type.WithNull(f.Type.Nullable || j.fillsProbe())
		all = append(all, f)
	}
	j.pairs = all.Arrow()
	j.equal = j.equalColumns()
	var err error
	if j.residual, err = residual.New(spec.Residual, len(all)); err != nil {
		return nil, err
	}
	return j, nil
}

// Comparable reports whether keys of both types are laid out alike, so that equal ones
// hash and compare equal.
func Comparable(a, b datatype.Type) bool {
	if hashtable.StorageOf(a) == hashtable.Chars {
		return hashtable.StorageOf(b) == hashtable.Chars
	}
	return arrow.TypeEqual(a.Arrow(), b.Arrow()) || a.Kind == datatype.Decimal && b.Kind == datatype.Decimal &&
		a.Scale == b.Scale && hashtable.StorageOf(a) == hashtable.StorageOf(b)
}

// equalColumns finds the keys of the right side that are the same bits as those of
// the left side in every pair, and no pair is without a left row or a right one.
func (j *Join) equalColumns() []int {
	out := make([]int, len(j.right))
	for i := range out {
		out[i] = -1
	}
	if j.fillsProbe() {
		return out
	}
	for i, r := range j.rightKeys {
		l := j.leftKeys[i]
		if hashtable.StorageOf(j.right[r].Type) != hashtable.Real && arrow.TypeEqual(j.left[l].Type.Arrow(), j.right[r].Type.Arrow()) {
			out[r] = l
		}
	}
	return out
}

// keepsBuild reports whether build rows without a match are emitted.
func (j *Join) keepsBuild() bool {
	return j.kind == jobgraph.JoinType_JOIN_RIGHT || j.kind == jobgraph.JoinType_JOIN_FULL
}

// fillsProbe reports whether probe rows without a match are emitted with nulls.
func (j *Join) fillsProbe() bool {
	return j.kind == jobgraph.JoinType_JOIN_LEFT || j.kind == jobgraph.JoinType_JOIN_FULL
}

// onlyProbe reports whether the output is probe rows alone.
func (j *Join) onlyProbe() bool {
	return j.kind == jobgraph.JoinType_JOIN_SEMI || j.kind == jobgraph.JoinType_JOIN_ANTI
}

// onlyBuild reports whether the output is build rows alone.
func (j *Join) onlyBuild() bool {
	return j.kind == jobgraph.JoinType_JOIN_RIGHT_SEMI || j.kind == jobgraph.JoinType_JOIN_RIGHT_ANTI
}

// Open implements operator.Operator.
func (j *Join) Open(ctx *operator.Context) (err error) {
	j.ctx = ctx
	if j.check, err = j.residual.Compile(j.deps.Functions, j.deps.Expr, ctx.Alloc); err != nil {
		return err
	}
	j.probe = probe{join: j}
	if ctx.Contend != nil {
		j.share = ctx.Contend()
	}
	if j.deps.Builds != nil && !j.keepsBuild() && !j.onlyBuild() { // they note what had a pair
		j.shared = j.deps.Builds.enter(ctx.Attempt)
	}
	return j.build.open(j)
}

// Wants implements operator.InputSelector: the build side first.
func (j *Join) Wants() int {
	if !j.built {
		return buildInput
	}
	return -1
}

// Done implements operator.Finisher: nothing can match an empty build side.
func (j *Join) Done() bool {
	if !j.built || j.build.rows > 0 || j.grace != nil {
		return false
	}
	return j.needsBuild()
}

// needsBuild reports whether every row of the output has one of the build side.
func (j *Join) needsBuild() bool {
	return j.kind == jobgraph.JoinType_JOIN_INNER || j.kind == jobgraph.JoinType_JOIN_SEMI || j.kind == jobgraph.JoinType_JOIN_RIGHT || j.onlyBuild()
}

// Process implements operator.Operator.
func (j *Join) Process(input int, b *stream.Batch) error {
	if b.Len() == 0 {
		b.Release()
		return nil
	}
	if input == probeInput && !j.built {
		b.Release()
		return failure.Errorf(failure.Internal, "join: a row to probe before the build side has ended")
	}
	switch {
	case input == buildInput && j.borrow():
		b.Release()
		return nil
	case j.grace != nil && input == probeInput:
		return j.grace.take(b)
	case j.grace != nil:
		return j.grace.write(&j.grace.sides[input], input, 0, b)
	case input == probeInput:
		return j.probe.batch(b)
	}
	err := j.build.add(b)
	if exhausted(err) || err == nil && j.share.Over() {
		return j.spill()
	}
	return err
}

// Spill implements operator.Spiller. A build side that is whole in memory stays: it
// is read for every row from here on.
func (j *Join) Spill() error {
	if j.built && j.grace != nil && j.grace.resident != 0 {
		return j.grace.evict()
	}
	if j.built || j.grace != nil || len(j.build.kept) == 0 {
		return nil
	}
	return j.spill()
}

// Watermark implements operator.Operator.
func (j *Join) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (j *Join) EndInput(input int) error {
	if input == buildInput {
		j.built = true
		return j.endBuild()
	}
	if j.grace != nil {
		return j.grace.run()
	}
	return j.probe.rest()
}

// endBuild makes what is probed of the build side, in memory or, where that does not
// fit, in files.
func (j *Join) endBuild() error {
	if j.borrow() {
		return nil
	}
	if j.grace != nil {
		j.publish()
		return j.grace.settle()
	}
	err := j.buildOnce()
	if exhausted(err) {
		if err = j.spill(); err == nil {
			err = j.grace.settle()
		}
	}
	return err
}

// buildOnce builds the build side in memory, or waits for one who shares it to.
func (j *Join) buildOnce() error {
	if j.shared == nil {
		j.publish()
		return j.build.finish()
	}
	turn, err := j.shared.await(j.ctx)
	if err != nil {
		return fmt.Errorf("join: wait for the build side: %w", err)
	}
	if !turn {
		j.borrow()
		return nil
	}
	whole := false
	defer func() {
		if !whole {
			j.shared.pass()
		}
	}()
	j.publish()
	if err := j.build.finish(); err != nil {
		return err
	}
	j.shared.lend(&j.build)
	whole, j.borrowed = true, true
	return nil
}

// borrow takes what another one who shares the build side has made of it, if that
// is there, in place of what this one has read so far. It reports whether it has.
func (j *Join) borrow() bool {
	if j.borrowed || j.shared == nil || !j.shared.ready() {
		return j.borrowed
	}
	if j.grace != nil {
		j.grace.close()
		j.grace = nil
	}
	j.build.release()
	j.build = build{join: j, index: j.shared.build.index.view()}
	j.borrowed = true
	return true
}

// publish hands the keys of the build side to the scans that ask for them. Of one
// that did not fit memory they are not known.
func (j *Join) publish() {
	for _, f := range j.filters {
		part, parts := int(j.ctx.Attempt.Subtask.Index), j.ctx.Parallelism
		if f.Whole {
			part, parts = 0, 1
		}
		j.deps.Filters.Put(f.Id, part, parts, j.keysOf(f.Columns))
	}
}

// keysOf are the build side's keys in these columns; nil where they are not known, or
// memory is short.
func (j *Join) keysOf(columns []uint32) *keyfilter.Keys {
	most := keyfilter.Bound(j.build.rows)
	if j.grace != nil || j.ctx.Memory.Grow(most) != nil {
		return nil
	}
	defer j.ctx.Memory.Shrink(most)
	batches := make([][]arrow.Array, len(j.build.kept))
	for i, b := range j.build.kept {
		for _, c := range columns {
			batches[i] = append(batches[i], b.Column(int(c)))
		}
	}
	return keyfilter.Of(batches, len(columns) == 1 && hashtable.StorageOf(j.right[columns[0]].Type) == hashtable.Integer)
}

// Close implements operator.Operator.
func (j *Join) Close() error {
	if j.grace != nil {
		j.grace.close()
	}
	j.build.release()
	if j.shared != nil {
		j.shared.leave()
		j.shared = nil
	}
	j.share.Leave()
	return nil
}

var (
	_ operator.Operator      = (*Join)(nil)
	_ operator.InputSelector = (*Join)(nil)
	_ operator.Finisher      = (*Join)(nil)
	_ operator.Spiller       = (*Join)(nil)
)
