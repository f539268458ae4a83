package lookupjoin

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/residual"
	"github.com/tidemill/tidemill/core/stream"
)

// Waits between two tries of a question.
const (
	firstWait = 100 * time.Millisecond
	maxWait   = 5 * time.Second
)

// Deps is what a join needs beside its spec.
type Deps struct {
	Looker    connector.Looker
	Source    connector.SourceSpec // of the spec's table
	Retries   int                  // of a question that failed for a while
	Functions *function.Catalog
	// Expr are the options of the residual's program; the allocator is the task's. Its
	// clock is the cache's.
	Expr expr.Options
}

// Join is the operator of a jobgraph.LookupJoin.
type Join struct {
	outer       bool
	left, right []int // keys
	in          datatype.Schema
	table       datatype.Schema
	output      *arrow.Schema
	residual    *residual.Condition
	cacheRows   int64
	cacheMillis int64
	deps        Deps

	ctx    *operator.Context
	check  *expr.Program
	lookup connector.Lookup
	cache  *cache // nil: none
	own    []int32
	rows   []int32
}

// New returns the operator that spec describes, for rows of in.
func New(spec *jobgraph.LookupJoin, in datatype.Schema, deps Deps) (operator.Operator, error) {
	j := &Join{in: in, table: deps.Source.Columns, cacheRows: spec.CacheRows, cacheMillis: spec.CacheMillis, deps: deps}
	switch spec.Type {
	case jobgraph.JoinType_JOIN_INNER:
	case jobgraph.JoinType_JOIN_LEFT:
		j.outer = true
	default:
		return nil, fmt.Errorf("lookup join: type %v", spec.Type)
	}
	if len(spec.LeftKeys) != len(spec.RightKeys) || len(spec.LeftKeys) == 0 {
		return nil, fmt.Errorf("lookup join: %d left and %d right keys", len(spec.LeftKeys), len(spec.RightKeys))
	}
	for i := range spec.LeftKeys {
		l, r := int(spec.LeftKeys[i]), int(spec.RightKeys[i])
		if l >= len(in) || r >= len(j.table) {
			return nil, fmt.Errorf("lookup join: key columns %d of %d and %d of %d", l, len(in), r, len(j.table))
		}
		if a, b := in[l].Type, j.table[r].Type; !arrow.TypeEqual(a.Arrow(), b.Arrow()) {
			return nil, failure.Errorf(failure.Internal, "lookup join: key %s of type %s and key %s of type %s", in[l].Name, a, j.table[r].Name, b)
		}
		j.left, j.right = append(j.left, l), append(j.right, r)
	}
	all := append(datatype.Schema(nil), in...)
	for _, f := range j.table {
		f.Type = f.Type.WithNull(f.Type.Nullable || j.outer)
		all = append(all, f)
	}
	j.output = all.Arrow()
	var err error
	if j.residual, err = residual.New(spec.Residual, len(all)); err != nil {
		return nil, fmt.Errorf("lookup join: %w", err)
	}
	return j, nil
}

// Open implements operator.Operator.
func (j *Join) Open(ctx *operator.Context) (err error) {
	j.ctx = ctx
	if j.check, err = j.residual.Compile(j.deps.Functions, j.deps.Expr, ctx.Alloc); err != nil {
		return fmt.Errorf("lookup join: %w", err)
	}
	if j.cacheRows > 0 {
		if j.cache, err = newCache(j, ctx); err != nil {
			return fmt.Errorf("lookup join: %w", err)
		}
	}
	j.lookup, err = j.deps.Looker.Lookup(ctx, j.deps.Source, j.right, connector.LookupEnv{
		Subtask: int(ctx.Attempt.Subtask.Index), Alloc: ctx.Alloc, Account: ctx.Memory, BatchRows: ctx.BatchRows, Now: j.now,
	})
	if err != nil {
		return fmt.Errorf("lookup join: %w", err)
	}
	return nil
}

// now is the time by the clock.
func (j *Join) now() time.Time {
	if j.deps.Expr.Now != nil {
		return j.deps.Expr.Now()
	}
	return time.Now()
}

// Process implements operator.Operator.
func (j *Join) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	keys := make([]arrow.Array, len(j.left))
	for i, k := range j.left {
		keys[i] = b.Column(k)
	}
	asked := compute.NotNull(keys, b.Sel)
	if asked == nil {
		asked = b.Sel
	}
	rows, of, err := j.find(b, keys, asked)
	if err != nil {
		return fmt.Errorf("lookup join: %w", err)
	}
	if rows != nil {
		defer rows.Release()
	}
	j.own, j.rows = j.own[:0], j.rows[:0]
	for i, k := range of {
		at := k
		if asked != nil {
			at = asked[k]
		}
		j.own, j.rows = append(j.own, at), append(j.rows, int32(i))
	}
	if err := j.filter(b, rows); err != nil {
		return fmt.Errorf("lookup join: %w", err)
	}
	if j.outer {
		j.addLonely(b)
	}
	return j.emit(b, rows)
}

// find returns the table's rows of the keys of a batch's rows, and of each the place of
// its key among these.
func (j *Join) find(b *stream.Batch, columns []arrow.Array, asked []int32) (arrow.RecordBatch, []int32, error) {
	n := b.PhysicalRows()
	if asked != nil {
		n = len(asked)
	}
	if n == 0 {
		return nil, nil, nil
	}
	keys := make([]arrow.Array, len(columns))
	defer compute.ReleaseAll(keys)
	for i, c := range columns {
		taken, err := compute.Take(j.ctx.Alloc, c, asked)
		if err != nil {
			return nil, nil, err
		}
		keys[i], err = compute.Decode(j.ctx.Alloc, taken)
		taken.Release()
		if err != nil {
			return nil, nil, err
		}
	}
	if j.cache != nil {
		return j.cache.find(keys, n)
	}
	return j.ask(keys, n)
}

// ask asks the table, again where that failed for a while.
func (j *Join) ask(keys []arrow.Array, n int) (arrow.RecordBatch, []int32, error) {
	wait := firstWait
	for try := 0; ; try++ {
		rows, of, err := j.lookup.Find(j.ctx, keys, n)
		if err == nil || try == j.deps.Retries || !failure.Of(err).Retryable() {
			return rows, of, err
		}
		j.ctx.Log.Warn("a lookup failed and is tried again", "table", j.deps.Source.Table.Name, "error", err, "wait", wait)
		if err := pause(j.ctx, wait); err != nil {
			return nil, nil, err
		}
		wait = min(2*wait, maxWait)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// filter leaves the pairs that pass the residual.
func (j *Join) filter(b *stream.Batch, rows arrow.RecordBatch) error {
	if j.check == nil {
		return nil
	}
	kept := 0
	for from := 0; from < len(j.own); from += j.ctx.BatchRows {
		to := min(from+j.ctx.BatchRows, len(j.own))
		columns, err := j.gather(b, rows, from, to, j.residual.Reads)
		if err != nil {
			return err
		}
		sel, err := j.check.SelectColumns(columns, to-from)
		compute.ReleaseAll(columns)
		if err != nil {
			return err
		}
		if sel == nil {
			copy(j.own[kept:], j.own[from:to])
			kept += copy(j.rows[kept:], j.rows[from:to])
			continue
		}
		for _, k := range sel { // ascending: what is read is not yet overwritten
			j.own[kept], j.rows[kept] = j.own[from+int(k)], j.rows[from+int(k)]
			kept++
		}
	}
	j.own, j.rows = j.own[:kept], j.rows[:kept]
	return nil
}

// addLonely puts the rows that found nothing among the pairs.
func (j *Join) addLonely(b *stream.Batch) {
	own, rows := make([]int32, 0, b.Len()), make([]int32, 0, b.Len())
	next := 0
	for i := range b.Len() {
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		if next == len(j.own) || j.own[next] != r {
			own, rows = append(own, r), append(rows, -1)
		}
		for ; next < len(j.own) && j.own[next] == r; next++ {
			own, rows = append(own, r), append(rows, j.rows[next])
		}
	}
	j.own, j.rows = own, rows
}

// gather returns the wanted columns (nil: all) of pairs from to to.
func (j *Join) gather(b *stream.Batch, rows arrow.RecordBatch, from, to int, wanted []bool) (out []arrow.Array, err error) {
	out = make([]arrow.Array, j.output.NumFields())
	for i := range out {
		if wanted != nil && !wanted[i] {
			continue
		}
		switch right := i - len(j.in); {
		case right < 0:
			out[i], err = compute.Take(j.ctx.Alloc, b.Column(i), j.own[from:to])
		case rows == nil:
			out[i] = compute.Nulls(j.ctx.Alloc, j.output.Field(i).Type, to-from)
		default:
			out[i], err = compute.TakeOrNull(j.ctx.Alloc, rows.Column(right), j.rows[from:to])
		}
		if err != nil {
			compute.ReleaseAll(out)
			return nil, err
		}
	}
	return out, nil
}

func (j *Join) emit(b *stream.Batch, rows arrow.RecordBatch) error {
	for from := 0; from < len(j.own); from += j.ctx.BatchRows {
		to := min(from+j.ctx.BatchRows, len(j.own))
		columns, err := j.gather(b, rows, from, to, nil)
		if err != nil {
			return fmt.Errorf("lookup join: %w", err)
		}
		out := operator.NewBatch(j.output, columns, to-from)
		compute.ReleaseAll(columns)
		if b.Kinds != nil {
			out.Kinds = make([]stream.RowKind, to-from)
			for i, r := range j.own[from:to] {
				out.Kinds[i] = b.Kinds[r]
			}
		}
		if err := j.ctx.Output.Emit(out); err != nil {
			return err
		}
	}
	return nil
}

// Watermark implements operator.Operator.
func (j *Join) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (j *Join) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (j *Join) Close() error {
	j.cache.release()
	j.cache = nil
	if j.lookup == nil {
		return nil
	}
	err := j.lookup.Close()
	j.lookup = nil
	if err != nil {
		return fmt.Errorf("lookup join: %w", err)
	}
	return nil
}

var _ operator.Operator = (*Join)(nil)
