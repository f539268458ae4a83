package aggregate

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// When a partial phase judges itself: after so many rows, whether groups, as often
// as they were flushed, are more than this share of them, or of the runs of equal
// neighbours; sooner where nearly no two rows are of one group. Few groups cost so
// little that nothing needs to be judged. And the size at which it flushes in any
// case, or a part of its fair share, for it gains little by more.
const (
	judgeRows    = 1 << 16
	keepReducing = 0.75
	soonRows     = 1 << 12
	reducesNone  = 0.99
	fewGroups    = 1 << 12
	flushBytes   = 8 << 20
	flushShare   = 4
)

// Aggregate is the operator of a jobgraph.Aggregate.
type Aggregate struct {
	phase    jobgraph.Phase
	keys     []int
	keyTypes datatype.Schema // never empty: without keys, a constant
	global   bool
	acc      *Accumulators
	in       datatype.Schema
	distinct []*Distinct // by call; nil where it needs none

	ctx     *operator.Context
	output  *arrow.Schema
	groups  *groups
	spills  bool          // groups may leave memory
	share   *memory.Share // of the memory; nil where there is nothing to share
	spilled *spilled      // nil until groups had to leave memory
	seen    int64         // rows since the last judgement
	runs    int64         // of neighbours of one group among them
	made    int64         // groups of them that were flushed
	passing bool          // a partial that has stopped looking groups up

	hashes []uint64
	slots  []int32
	heads  []int32
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
	a.spills = !a.inState() && a.phase != jobgraph.Phase_PHASE_PARTIAL && ctx.Spill != nil
	if (a.spills || a.phase == jobgraph.Phase_PHASE_PARTIAL && !a.global) && ctx.Contend != nil {
		a.share = ctx.Contend()
	}
	a.distinct = make([]*Distinct, a.acc.Calls())
	for i := range a.distinct {
		if a.distinct[i], err = a.acc.Distinct(i, a.keyTypes, a.in, a.inState()); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
	}
	if a.groups, err = a.newGroups(); err != nil {
		return err
	}
	if a.global && a.phase != jobgraph.Phase_PHASE_PARTIAL {
		return a.resolveAll(1)
	}
	return nil
}

// Process implements operator.Operator.
func (a *Aggregate) Process(_ int, b *stream.Batch) error {
	n := b.Len()
	defer b.Release()
	if n == 0 {
		return nil
	}
	if a.passing {
		return a.pass(b)
	}
	keys := a.keyColumns(b.Record.Columns())
	if err := a.resolve(keys, b.Sel, n); err != nil {
		return err
	}
	if err := a.accumulate(keys, b.Record.Columns(), b.Sel); err != nil {
		return err
	}
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		a.seen += int64(n)
		a.runs += countRuns(a.slots)
		return a.judge()
	}
	return a.keepRoom()
}

func (a *Aggregate) keyColumns(in []arrow.Array) []arrow.Array {
	keys := make([]arrow.Array, len(a.keys))
	for i, k := range a.keys {
		keys[i] = in[k]
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
	if t := a.groups.table; t == nil || t.NeedsHashes(keys, n) {
		a.hashes = compute.HashColumns(keys, sel, a.hashes)
	}
	err := a.groups.rows.Resolve(keys, sel, a.hashes, a.slots)
	if made, failed := a.makeRoom(err); failed != nil {
		return failed
	} else if made {
		err = a.groups.rows.Resolve(keys, sel, a.hashes, a.slots)
	}
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	return nil
}

// makeRoom empties the table where err says that memory is exhausted: a partial
// passes its groups on, others spill them. It reports whether the caller may try
// again.
func (a *Aggregate) makeRoom(err error) (bool, error) {
	if err == nil || a.groups.rows.Len() == 0 || !exhausted(err) {
		return false, nil
	}
	switch {
	case a.phase == jobgraph.Phase_PHASE_PARTIAL:
		return true, a.flush()
	case a.canSpill():
		return true, a.spill()
	}
	return false, nil
}

// resolveAll puts n rows into the one group that there is without keys.
func (a *Aggregate) resolveAll(n int) error {
	if a.groups.rows.Len() == 0 {
		key, err := compute.Constant(a.ctx.Alloc, a.keyTypes[0].Type, int64(0), 1)
		if err != nil {
			return err
		}
		defer key.Release()
		keys := []arrow.Array{key}
		if err := a.groups.rows.Resolve(keys, nil, compute.HashColumns(keys, nil, nil), make([]int32, 1)); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
	}
	if cap(a.slots) < n {
		a.slots = make([]int32, n)
	}
	a.slots = a.slots[:n]
	clear(a.slots)
	a.groups.rows.Touch(a.slots[:min(n, 1)])
	return nil
}

// accumulate adds or merges rows of the input, whose slots are set.
func (a *Aggregate) accumulate(keys, in []arrow.Array, sel []int32) error {
	if a.phase == jobgraph.Phase_PHASE_FINAL {
		if err := a.acc.Merge(a.groups.rows.Values(), in[len(a.keys):], sel, a.slots); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		return a.charge()
	}
	for i, d := range a.distinct {
		if d == nil {
			if err := a.acc.AddCall(i, a.groups.rows.Values(), in, sel, a.slots); err != nil {
				return fmt.Errorf("aggregate: %w", err)
			}
			continue
		}
		if err := a.addDistinct(i, keys, in, sel); err != nil {
			return err
		}
	}
	return a.charge()
}

// addDistinct adds the rows whose value the i-th call has not seen.
func (a *Aggregate) addDistinct(i int, keys, in []arrow.Array, sel []int32) error {
	first := func() ([]int32, []int32, error) {
		return a.distinct[i].Firsts(a.ctx.Alloc, a.groups.distinct[i].rows, keys, in, sel, a.slots)
	}
	if a.share.Over() && a.canSpill() { // the allocator, unlike the table, cannot be refused
		if err := a.spill(); err != nil {
			return err
		}
		if err := a.resolve(keys, sel, len(a.slots)); err != nil {
			return err
		}
	}
	rows, slots, err := first()
	if made, failed := a.makeRoom(err); failed != nil {
		return failed
	} else if made { // calls before have these rows on disk; the rest go on in the new table
		if err = a.resolve(keys, sel, len(a.slots)); err == nil {
			rows, slots, err = first()
		}
	}
	if err == nil {
		err = a.acc.AddCall(i, a.groups.rows.Values(), in, rows, slots)
	}
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	return nil
}

// charge accounts for what values have grown outside the table. What is refused
// goes to disk instead.
func (a *Aggregate) charge() error {
	grown := max(a.acc.Grown(), 0)
	err := a.ctx.Memory.Grow(grown)
	if err == nil {
		a.groups.charged += grown
		return nil
	}
	if made, failed := a.makeRoom(err); made || failed != nil {
		return failed
	}
	return fmt.Errorf("aggregate: %w", err)
}

func countRuns(slots []int32) int64 {
	runs, last := 0, int32(-1)
	for _, s := range slots {
		if s != last {
			runs++
		}
		last = s
	}
	return int64(runs)
}

// judge flushes a partial that is large, and ends looking up where it is in vain.
func (a *Aggregate) judge() error {
	if a.groups.table == nil {
		return nil
	}
	large := a.groups.bytes() >= min(flushBytes, a.share.Fair()/flushShare) || a.share.Over()
	enough := a.seen >= judgeRows
	made := a.made + int64(a.groups.rows.Len())
	switch {
	case enough:
		a.passing = float64(made) > keepReducing*float64(a.seen) ||
			made > fewGroups && float64(made) > keepReducing*float64(a.runs)
	case a.seen >= soonRows:
		a.passing = float64(made) > reducesNone*float64(a.seen)
	}
	if !a.passing && !large {
		return nil
	}
	if a.made = made; enough {
		a.seen, a.runs, a.made = 0, 0, 0
	}
	return a.flush()
}

// pass emits the runs of equal neighbours in b as accumulators.
func (a *Aggregate) pass(b *stream.Batch) error {
	keys, sel := a.keyColumns(b.Record.Columns()), b.Sel
	a.slots, a.heads = compute.Runs(keys, b.Sel, a.slots, a.heads)
	n := len(a.heads)
	if n < b.Len() {
		sel = a.heads
	}
	values := make([]*state.Column, 0, len(a.acc.Columns()))
	for _, f := range a.acc.Columns() {
		values = append(values, hashtable.NullColumn(f.Type, n))
	}
	if err := a.acc.Add(values, b.Record.Columns(), b.Sel, a.slots); err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	a.acc.Grown() // leaves with the batch
	columns := make([]arrow.Array, 0, a.output.NumFields())
	defer func() { compute.ReleaseAll(columns) }()
	for _, k := range keys {
		key, err := compute.Take(a.ctx.Alloc, k, sel)
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

// Spill implements operator.Spiller: a partial passes its groups on.
func (a *Aggregate) Spill() error {
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		if a.groups.rows.Len() == 0 {
			return nil
		}
		return a.flush()
	}
	return a.spill()
}

// flush emits every group and forgets them.
func (a *Aggregate) flush() (err error) {
	a.groups.seal()
	if err := a.emitAll(a.groups); err != nil || a.groups.table == nil {
		return err
	}
	a.groups.release(a.ctx.Memory)
	a.groups, err = a.newGroups()
	return err
}

// emitLast emits the groups of a table that takes no more.
func (a *Aggregate) emitLast() error {
	a.groups.seal()
	a.groups.yield(a.ctx.Memory)
	return a.emitAll(a.groups)
}

func (a *Aggregate) emitAll(g *groups) error {
	for from := 0; from < g.rows.Len(); from += a.ctx.BatchRows {
		if err := a.emitSlots(g, from, min(from+a.ctx.BatchRows, g.rows.Len())); err != nil {
			return err
		}
	}
	return nil
}

func (a *Aggregate) emitSlots(g *groups, from, to int) error {
	var columns []arrow.Array
	defer func() { compute.ReleaseAll(columns) }()
	if !a.global {
		keys, err := g.rows.Keys(from, to)
		if err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		columns = keys
	}
	finish := a.acc.Results
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		finish = a.acc.Partials
	}
	out, err := finish(a.ctx.Alloc, g.rows.Values(), from, to)
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
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		return nil, a.flush()
	}
	return nil, nil
}

// Completed implements operator.Snapshotter.
func (a *Aggregate) Completed(id.Checkpoint) error { return nil }

// EndInput implements operator.Operator: it emits the results.
func (a *Aggregate) EndInput(int) error {
	if a.spilled != nil {
		return a.mergeSpilled()
	}
	return a.emitLast()
}

// Close implements operator.Operator.
func (a *Aggregate) Close() error {
	if a.ctx == nil {
		return nil
	}
	if a.groups != nil {
		a.groups.release(a.ctx.Memory)
	}
	if a.spilled != nil {
		a.uncharge(a.spilled)
	}
	a.share.Leave()
	a.ctx = nil
	return nil
}

var (
	_ operator.Operator    = (*Aggregate)(nil)
	_ operator.Snapshotter = (*Aggregate)(nil)
	_ operator.Spiller     = (*Aggregate)(nil)
)
