package aggregate

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// When a partial phase judges itself: after so many rows, whether groups are
// more than this share of them; and the size at which it flushes in any case.
const (
	judgeRows    = 1 << 16
	keepReducing = 0.75
	flushBytes   = 64 << 20
)

// stateTable is the operator's table in keyed state; those of DISTINCT follow.
const stateTable = 1

// seen is the DISTINCT of one call with its table.
type seen struct {
	*Distinct
	rows  state.Rows
	table *hashtable.Table // rows, where they are not in keyed state
}

// Aggregate is the operator of a jobgraph.Aggregate.
type Aggregate struct {
	phase    jobgraph.Phase
	keys     []int
	keyTypes datatype.Schema // never empty: without keys, a constant
	global   bool
	acc      *Accumulators
	in       datatype.Schema
	distinct []seen // by call; what it is nil of needs none

	ctx     *operator.Context
	output  *arrow.Schema
	rows    state.Rows
	table   *hashtable.Table // rows, where they are not in keyed state
	charged int64            // for bytes outside the table
	seen    int64            // rows since the last judgement
	passing bool             // a partial that has stopped grouping

	hashes []uint64
	slots  []int32
}

// New returns the operator that spec describes over input columns of in.
func New(spec *jobgraph.Aggregate, in datatype.Schema) (operator.Operator, error) {
	if spec.Phase < jobgraph.Phase_PHASE_SINGLE || spec.Phase > jobgraph.Phase_PHASE_FINAL {
		return nil, fmt.Errorf("aggregate: phase %v", spec.Phase)
	}
	acc, err := NewAccumulators(spec.Calls)
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	a := &Aggregate{phase: spec.Phase, global: len(spec.Keys) == 0, acc: acc, in: in}
	for i, k := range spec.Keys {
		at := int(k)
		if spec.Phase == jobgraph.Phase_PHASE_FINAL {
			at = i
		}
		if at >= len(in) {
			return nil, fmt.Errorf("aggregate: key column %d of %d", at, len(in))
		}
		a.keys = append(a.keys, at)
		a.keyTypes = append(a.keyTypes, in[at])
	}
	if a.global {
		a.keyTypes = datatype.Schema{{Name: "all", Type: datatype.Of(datatype.BigInt).NotNull()}}
	}
	for i, c := range spec.Calls {
		if spec.Phase != jobgraph.Phase_PHASE_SINGLE && !Splittable(c) {
			return nil, fmt.Errorf("aggregate: %s cannot run in phases", c.Function)
		}
		if _, err := acc.Distinct(i, a.keyTypes, in, false); err != nil {
			return nil, fmt.Errorf("aggregate: %w", err)
		}
	}
	a.output, err = a.outputSchema(spec)
	return a, err
}

// outputSchema is the keys, then results or accumulators.
func (a *Aggregate) outputSchema(spec *jobgraph.Aggregate) (*arrow.Schema, error) {
	var out datatype.Schema
	if !a.global {
		out = append(out, a.keyTypes...)
	}
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		return append(out, a.acc.Columns()...).Arrow(), nil
	}
	for _, c := range spec.Calls {
		t, err := datatype.Parse(c.Type)
		if err != nil {
			return nil, fmt.Errorf("aggregate: %w", err)
		}
		out = append(out, datatype.Field{Name: c.Name, Type: t})
	}
	return out.Arrow(), nil
}

// Open implements operator.Operator.
func (a *Aggregate) Open(ctx *operator.Context) (err error) {
	a.ctx = ctx
	if a.rows, a.table, err = a.openRows(stateTable, a.keyTypes, a.acc.Columns()); err != nil {
		return err
	}
	a.distinct = make([]seen, a.acc.Calls())
	for i := range a.distinct {
		d := &a.distinct[i]
		if d.Distinct, err = a.acc.Distinct(i, a.keyTypes, a.in, a.ctx.State != nil); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		if d.Distinct == nil {
			continue
		}
		if d.rows, d.table, err = a.openRows(stateTable+1+uint16(i), d.Columns(), nil); err != nil {
			return err
		}
	}
	if a.global && a.phase != jobgraph.Phase_PHASE_PARTIAL {
		return a.resolveAll(1)
	}
	return nil
}

// openRows returns a table of keyed state, or one of the operator's own where
// the job keeps none, and for a partial, whose keys are not those of the subtask.
func (a *Aggregate) openRows(id uint16, keys, values datatype.Schema) (state.Rows, *hashtable.Table, error) {
	if a.ctx.State == nil || a.phase == jobgraph.Phase_PHASE_PARTIAL {
		table, err := hashtable.New(keys, values, a.ctx.Memory)
		if err != nil {
			return nil, nil, fmt.Errorf("aggregate: %w", err)
		}
		return hashtable.Rows{Table: table, Mem: a.ctx.Alloc}, table, nil
	}
	table, err := a.ctx.State.Table(state.TableSpec{ID: id, Name: "groups", Keys: keys, Values: values})
	if err != nil {
		return nil, nil, fmt.Errorf("aggregate: %w", err)
	}
	rows, err := table.Namespace(0)
	return rows, nil, err
}

// Process implements operator.Operator.
func (a *Aggregate) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	n := b.Len()
	if n == 0 {
		return nil
	}
	if a.passing {
		return a.pass(b)
	}
	keys := a.keyColumns(b)
	if err := a.resolve(keys, b.Sel, n); err != nil {
		return err
	}
	if err := a.accumulate(a.rows.Values(), keys, b); err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	grown := a.acc.Grown()
	if err := a.ctx.Memory.Grow(max(grown, 0)); err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	a.charged += max(grown, 0)
	a.seen += int64(n)
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		return a.judge()
	}
	return nil
}

func (a *Aggregate) keyColumns(b *stream.Batch) []arrow.Array {
	keys := make([]arrow.Array, len(a.keys))
	for i, k := range a.keys {
		keys[i] = b.Column(k)
	}
	return keys
}

// resolve sets slots for the rows of a batch. A partial that runs out of memory
// makes room by emitting what it has.
func (a *Aggregate) resolve(keys []arrow.Array, sel []int32, n int) error {
	if a.global {
		return a.resolveAll(n)
	}
	if cap(a.slots) < n {
		a.slots = make([]int32, n)
	}
	a.slots = a.slots[:n]
	if cap(a.hashes) < n {
		a.hashes = make([]uint64, n)
	}
	a.hashes = a.hashes[:n]
	if a.table == nil || a.table.NeedsHashes(keys, n) {
		a.hashes = compute.HashColumns(keys, sel, a.hashes)
	}
	err := a.rows.Resolve(keys, sel, a.hashes, a.slots)
	if err != nil && a.phase == jobgraph.Phase_PHASE_PARTIAL && a.rows.Len() > 0 {
		if err := a.flush(); err != nil {
			return err
		}
		err = a.rows.Resolve(keys, sel, a.hashes, a.slots)
	}
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	return nil
}

// resolveAll puts n rows into the one group that there is without keys.
func (a *Aggregate) resolveAll(n int) error {
	if a.rows.Len() == 0 {
		key, err := compute.Constant(a.ctx.Alloc, a.keyTypes[0].Type, int64(0), 1)
		if err != nil {
			return err
		}
		defer key.Release()
		keys := []arrow.Array{key}
		if err := a.rows.Resolve(keys, nil, compute.HashColumns(keys, nil, nil), make([]int32, 1)); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
	}
	if cap(a.slots) < n {
		a.slots = make([]int32, n)
	}
	a.slots = a.slots[:n]
	clear(a.slots)
	return nil
}

// accumulate adds or merges the rows of a batch.
func (a *Aggregate) accumulate(values []*state.Column, keys []arrow.Array, b *stream.Batch) error {
	in := b.Record.Columns()
	if a.phase == jobgraph.Phase_PHASE_FINAL {
		return a.acc.Merge(values, in[len(a.keys):], b.Sel, a.slots)
	}
	for i, d := range a.distinct {
		sel, slots := b.Sel, a.slots
		if d.Distinct != nil {
			var err error
			if sel, slots, err = d.Firsts(a.ctx.Alloc, d.rows, keys, in, sel, slots); err != nil {
				return err
			}
		}
		if err := a.acc.AddCall(i, values, in, sel, slots); err != nil {
			return err
		}
	}
	return nil
}

// judge flushes a partial that is large, and ends grouping where it is in vain.
func (a *Aggregate) judge() error {
	groups := a.rows.Len()
	if a.seen < judgeRows && (a.table == nil || a.table.Bytes()+a.charged < flushBytes) {
		return nil
	}
	a.passing = float64(groups) > keepReducing*float64(a.seen)
	large := a.table != nil && a.table.Bytes()+a.charged >= flushBytes
	if !a.passing && !large {
		return nil
	}
	a.seen = 0
	return a.flush()
}

// pass emits the rows of b as accumulators of one row each.
func (a *Aggregate) pass(b *stream.Batch) error {
	n := b.Len()
	values := make([]*state.Column, 0, len(a.acc.Columns()))
	for _, f := range a.acc.Columns() {
		values = append(values, newResult(f.Type, n))
	}
	if cap(a.slots) < n {
		a.slots = make([]int32, n)
	}
	a.slots = a.slots[:n]
	for i := range a.slots {
		a.slots[i] = int32(i)
	}
	if err := a.accumulate(values, nil, b); err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	a.acc.Grown() // leaves with the batch
	columns := make([]arrow.Array, 0, a.output.NumFields())
	defer func() { compute.ReleaseAll(columns) }()
	for _, k := range a.keyColumns(b) {
		key, err := compute.Take(a.ctx.Alloc, k, b.Sel)
		if err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		columns = append(columns, key)
	}
	partials, err := a.acc.Partials(a.ctx.Alloc, values, 0, n)
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	columns = append(columns, partials...)
	return a.emit(columns, n)
}

// emit passes columns on under the output schema; they stay the caller's.
func (a *Aggregate) emit(columns []arrow.Array, n int) error {
	return a.ctx.Output.Emit(operator.NewBatch(a.output, columns, n))
}

// flush emits every group and forgets them.
func (a *Aggregate) flush() error {
	if err := a.emitAll(); err != nil {
		return err
	}
	a.ctx.Memory.Shrink(a.charged)
	a.charged = 0
	if a.table == nil {
		return nil
	}
	a.table.Release()
	table, err := hashtable.New(a.keyTypes, a.acc.Columns(), a.ctx.Memory)
	if err != nil {
		return err
	}
	a.table, a.rows = table, hashtable.Rows{Table: table, Mem: a.ctx.Alloc}
	return nil
}

func (a *Aggregate) emitAll() error {
	for from := 0; from < a.rows.Len(); from += a.ctx.BatchRows {
		if err := a.emitSlots(from, min(from+a.ctx.BatchRows, a.rows.Len())); err != nil {
			return err
		}
	}
	return nil
}

func (a *Aggregate) emitSlots(from, to int) error {
	var columns []arrow.Array
	defer func() { compute.ReleaseAll(columns) }()
	if !a.global {
		keys, err := a.rows.Keys(from, to)
		if err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		columns = keys
	}
	finish := a.acc.Results
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		finish = a.acc.Partials
	}
	out, err := finish(a.ctx.Alloc, a.rows.Values(), from, to)
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	columns = append(columns, out...)
	return a.emit(columns, to-from)
}

// Watermark implements operator.Operator: groups do not depend on time.
func (a *Aggregate) Watermark(stream.Watermark) error { return nil }

// Snapshot implements operator.Snapshotter: a partial in a job that keeps state
// has nothing of its own, because it emits all at the barrier.
func (a *Aggregate) Snapshot(stream.Barrier) ([]byte, error) {
	if a.phase == jobgraph.Phase_PHASE_PARTIAL && a.table != nil {
		return nil, a.flush()
	}
	return nil, nil
}

// Completed implements operator.Snapshotter.
func (a *Aggregate) Completed(id.Checkpoint) error { return nil }

// EndInput implements operator.Operator: it emits the results.
func (a *Aggregate) EndInput(int) error { return a.emitAll() }

// Close implements operator.Operator.
func (a *Aggregate) Close() error {
	if a.ctx == nil {
		return nil
	}
	a.ctx.Memory.Shrink(a.charged)
	if a.table != nil {
		a.table.Release()
	}
	for _, d := range a.distinct {
		if d.table != nil {
			d.table.Release()
		}
	}
	a.ctx = nil
	return nil
}

var (
	_ operator.Operator    = (*Aggregate)(nil)
	_ operator.Snapshotter = (*Aggregate)(nil)
)
