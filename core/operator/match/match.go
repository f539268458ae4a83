package match

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	// stateTable is the operator's table in keyed state.
	stateTable = 1
	// firedPartitions is how many partitions are worked off at a time.
	firedPartitions = 1 << 12
)

// Deps is what the operator needs beside its spec.
type Deps struct {
	Functions *function.Catalog
	// Expr are the options of its programs; the allocator is the task's.
	Expr expr.Options
}

// Match is the operator of a jobgraph.MatchRecognize.
type Match struct {
	spec     *jobgraph.MatchRecognize
	deps     Deps
	in       datatype.Schema
	arrow    *arrow.Schema
	time     int
	layout   layout
	vars     []variable
	measures []reference
	nfa      *automaton
	walk     *walk
	// memoryless says that what a partial match may become depends on its node and start
	// alone.
	memoryless bool
	reads      []int // columns of due rows that are read
	print      uint64

	keyTypes datatype.Schema // never empty: without partitions, a constant
	finder   groups.Finder
	ages     groups.Ages
	sorter   *groups.Sorter

	ctx      *operator.Context
	own      state.Backend // where the job keeps no state
	rows     state.Rows
	programs []*expr.Program // by variable
	partials *partials
	parts    []*partition // by slot; nil: no row was taken
	waiting  groups.Waiting
	pending  map[int32]bool // slots with complete matches that are not told
	dirty    []int32
	mark     []int32 // by row of the lists, -1 between uses
	told     []int32 // partial matches to be told
	charged  int64
	fired    stream.Watermark
	late     aside.Late
	work     work
}

// partition is what is known of the rows taken so far.
type partition struct {
	taken int64   // how many rows
	live  []int32 // partial matches: by start, then the preferred ones first
	done  []int32 // complete ones that wait for earlier starts, by start
	kept  []int32 // rows of the list that were taken and may still be named
	dirty bool
	saved int64 // bytes in keyed state
}

// New returns the operator that spec describes over input columns of in, with output
// columns out.
func New(spec *jobgraph.MatchRecognize, in, out datatype.Schema, deps Deps) (*Match, error) {
	m := &Match{spec: spec, deps: deps, in: in, arrow: out.Arrow(), fired: stream.MinWatermark}
	m.finder, m.ages = groups.Finder{Columns: spec.Partition}, groups.Ages{Keep: spec.KeepMillis, Column: 1}
	if err := m.check(out); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	var err error
	if m.sorter, err = groups.NewSorter(spec.Order, in); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	if m.nfa, err = compile(spec.Pattern, len(spec.Variables)); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	p := planner{in: in, vars: make([]variable, len(spec.Variables))}
	if m.measures, err = p.plan(spec); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	m.layout, m.vars, m.memoryless = p.layout, p.vars, true
	for _, v := range m.vars {
		m.memoryless = m.memoryless && v.rest == nil
		m.reads = append(m.reads, v.reads...)
		if v.mask >= 0 {
			m.reads = append(m.reads, v.mask)
		}
	}
	for _, s := range m.layout.sums {
		for _, c := range s.call.Args {
			m.reads = append(m.reads, int(c))
		}
	}
	slices.Sort(m.reads)
	m.reads = slices.Compact(m.reads)
	m.walk = newWalk(m.nfa, len(m.vars))
	m.print, err = fingerprint(spec)
	return m, err
}

func (m *Match) check(out datatype.Schema) error {
	spec := m.spec
	switch {
	case len(spec.Order) == 0 || spec.Order[0].Descending || int(spec.Order[0].Column) >= len(m.in):
		return failure.Errorf(failure.Internal, "rows are not in the order of a time")
	case spec.Pattern == nil || spec.After == jobgraph.AfterMatch_AFTER_MATCH_INVALID || spec.MaxPartial < 1:
		return failure.Errorf(failure.Internal, "pattern %v, after a match %v, at most %d partial matches", spec.Pattern, spec.After, spec.MaxPartial)
	case len(out) != len(spec.Partition)+len(spec.Measures):
		return failure.Errorf(failure.Internal, "%d output columns for %d of the partition and %d measures", len(out), len(spec.Partition), len(spec.Measures))
	case int(spec.AfterVariable) >= len(spec.Variables):
		return failure.Errorf(failure.Internal, "skip to variable %d of %d", spec.AfterVariable, len(spec.Variables))
	}
	m.time = int(spec.Order[0].Column)
	if !m.in[m.time].Type.IsTimestamp() {
		return failure.Errorf(failure.Internal, "time column %s is %s", m.in[m.time].Name, m.in[m.time].Type)
	}
	for _, p := range spec.Partition {
		if int(p) >= len(m.in) {
			return failure.Errorf(failure.Internal, "partition column %d of %d", p, len(m.in))
		}
		m.keyTypes = append(m.keyTypes, m.in[p])
	}
	if len(spec.Partition) == 0 {
		m.keyTypes = groups.NoKeys()
	}
	return nil
}

// fingerprint is of what saved partial matches depend on.
func fingerprint(spec *jobgraph.MatchRecognize) (uint64, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(&jobgraph.MatchRecognize{
		Pattern: spec.Pattern, Variables: spec.Variables, Measures: spec.Measures, After: spec.After, AfterVariable: spec.AfterVariable,
	})
	h := fnv.New64a()
	h.Write(text)
	return h.Sum64(), err
}

// Late is the number of rows that were left out because their time had passed.
func (m *Match) Late() int64 { return m.late.Count() }

// Open implements operator.Operator.
func (m *Match) Open(ctx *operator.Context) error {
	m.ctx, m.partials = ctx, newPartials(&m.layout, ctx.Memory)
	m.waiting, m.pending = groups.Waiting{}, map[int32]bool{}
	if err := m.late.Open(ctx, m.in, m.time); err != nil {
		return err
	}
	o := m.deps.Expr
	o.Allocator = ctx.Alloc
	m.programs = make([]*expr.Program, len(m.vars))
	for i, v := range m.vars {
		if v.rest == nil {
			continue
		}
		var err error
		if m.programs[i], err = expr.Compile(v.rest, m.deps.Functions, o); err != nil {
			return fmt.Errorf("match: condition of %s: %w", v.name, err)
		}
	}
	backend := ctx.State
	if backend == nil {
		m.own = memstate.New(1, keygroup.Range{Last: 1}, ctx.Alloc, ctx.Memory)
		backend = m.own
	}
	values := datatype.Schema{{Name: "partial matches", Type: datatype.Of(datatype.Varbinary)}}
	if m.spec.KeepMillis > 0 {
		values = append(values, groups.Touched())
	}
	table, err := backend.Table(state.TableSpec{ID: stateTable, Name: "rows of partitions", Keys: m.keyTypes, List: m.in, Values: values})
	if err == nil {
		m.rows, err = table.Namespace(0)
	}
	if err == nil {
		err = m.restore()
	}
	if err != nil {
		return fmt.Errorf("match: %w", err)
	}
	return nil
}

// Process implements operator.Operator: rows wait until the watermark passes them; late
// ones are left out.
func (m *Match) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	added, removed := changelog.Split(b)
	if len(removed) > 0 {
		return failure.Errorf(failure.Internal, "match: a row is taken back from an input that only inserts")
	}
	c := b.Column(m.time)
	v, _ := compute.Integers(c, added, nil)
	valid := compute.Validity(c, added, nil)
	sel, times := make([]int32, 0, len(v)), make([]int64, 0, len(v))
	for i, t := range v {
		if valid != nil && !valid[i] {
			return failure.Errorf(failure.BadData, "match: time column %s is null in a row", m.in[m.time].Name)
		}
		r := int32(i)
		if added != nil {
			r = added[i]
		}
		at := m.millis(t)
		if passed(at, m.fired) {
			m.late.Add(r)
			continue
		}
		sel, times = append(sel, r), append(times, at)
	}
	if err := m.late.Emit(b, m.fired); err != nil || len(sel) == 0 {
		return err
	}
	slots := make([]int32, len(sel))
	err := m.finder.Find(m.ctx.Alloc, b, sel, slots, m.rows.Resolve)
	if err == nil {
		err = m.rows.Lists().Add(slots, b.Record.Columns(), sel, nil)
	}
	if err != nil {
		return fmt.Errorf("match: %w", err)
	}
	m.ages.Touch(m.rows, slots)
	for i, x := range slots {
		m.waiting.Add(times[i], x)
	}
	return nil
}

// millis is a value of the time column in milliseconds.
func (m *Match) millis(t int64) int64 { return compute.Millis(m.in[m.time].Type, t) }

// passed says that rows of a time are taken once w has been reached.
func passed(millis int64, w stream.Watermark) bool {
	return w > stream.MinWatermark && millis <= int64(w)
}

// Watermark implements operator.Operator: it takes the rows that w has passed.
func (m *Match) Watermark(w stream.Watermark) error {
	if w <= m.fired {
		return nil
	}
	due := m.waiting.Due(w)
	if w == stream.MaxWatermark { // also those that wait for rows which do not come
		due = due[:0]
		for x := range int32(m.rows.Len()) {
			due = append(due, x)
		}
	}
	for some := range slices.Chunk(m.inUse(due), firedPartitions) {
		if err := m.fire(some, w); err != nil {
			return fmt.Errorf("match: %w", err)
		}
	}
	m.fired = w
	return nil
}

// inUse leaves out slots that no partition has: some wait although they are forgotten.
func (m *Match) inUse(slots []int32) []int32 {
	first, _ := m.rows.Lists().Chains()
	return slices.DeleteFunc(slots, func(x int32) bool {
		return first[x] < 0 && (int(x) >= len(m.parts) || m.parts[x] == nil)
	})
}

// Tick implements operator.Ticker: partial matches end of partitions that nothing has come
// for and in which no row waits, so that complete ones wait for them no longer.
func (m *Match) Tick(now time.Time) error {
	old, err := m.ages.Old(now, m.rows)
	if err != nil {
		return fmt.Errorf("match: %w", err)
	}
	for some := range slices.Chunk(slices.DeleteFunc(old, m.waits), firedPartitions) {
		parts := make([]*partition, len(some))
		for i, x := range some {
			parts[i] = m.partition(x)
		}
		if err := m.pass(parts, some, stream.MaxWatermark); err != nil {
			return fmt.Errorf("match: %w", err)
		}
	}
	return nil
}

// waits reports whether rows of a partition wait for the watermark.
func (m *Match) waits(slot int32) bool {
	lists := m.rows.Lists()
	first, next := lists.Chains()
	times := lists.Fixed()[m.time].Int64
	for r := first[slot]; r >= 0; r = next[r] {
		if !passed(m.millis(times[r]), m.fired) {
			return true
		}
	}
	return false
}

// Delayed implements operator.Delayer: matches that are complete but not told have a time,
// and what follows must not pass it.
func (m *Match) Delayed() stream.Watermark {
	held := stream.MaxWatermark
	for x := range m.pending {
		for _, id := range m.parts[x].done {
			held = min(held, stream.Watermark(m.partials.until[id]-1))
		}
	}
	return held
}

// EndInput implements operator.Operator.
func (m *Match) EndInput(int) error { return nil }

// Snapshot implements operator.Snapshotter: partial matches are brought to keyed state,
// and besides there is the watermark up to which rows are taken.
func (m *Match) Snapshot(stream.Barrier) ([]byte, error) {
	if err := m.save(); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	out := binary.AppendVarint([]byte{version}, int64(m.fired))
	return binary.BigEndian.AppendUint64(out, m.print), nil
}

// Completed implements operator.Snapshotter.
func (m *Match) Completed(id.Checkpoint) error { return nil }

// Close implements operator.Operator.
func (m *Match) Close() error {
	if m.ctx == nil {
		return nil
	}
	m.partials.close()
	m.uncharge(m.charged)
	if m.own != nil {
		return m.own.Close()
	}
	return nil
}

var (
	_ operator.Operator    = (*Match)(nil)
	_ operator.Snapshotter = (*Match)(nil)
	_ operator.Delayer     = (*Match)(nil)
	_ operator.Ticker      = (*Match)(nil)
)
