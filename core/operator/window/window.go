package window

import (
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// stateTable is the operator's table in keyed state.
const stateTable = 1

// flushRows is how many keys of all slices a partial phase holds at most.
const flushRows = 1 << 18

// seen is the DISTINCT of one call with its table, which has the slices as
// namespaces too.
type seen struct {
	*aggregate.Distinct
	table state.Table
}

// Aggregate is the operator of a jobgraph.WindowAggregate.
type Aggregate struct {
	phase      jobgraph.Phase
	slicing    slicing
	time       int // event-time column; of a final phase, that of the slice's end
	timeType   datatype.Type
	in         datatype.Schema
	keys       []int
	keyTypes   datatype.Schema // never empty: without keys, a constant
	global     bool
	acc        *aggregate.Accumulators
	distinct   []seen // by call; what it is nil of needs none
	properties []jobgraph.WindowProperty
	output     datatype.Schema
	arrow      *arrow.Schema

	ctx     *operator.Context
	table   state.Table
	own     state.Backend // where the job keeps no state
	fired   stream.Watermark
	charged map[int64]int64 // by slice, for bytes outside the table
	late    aside.Late

	route  router
	ints   []int64
	hashes []uint64
}

// New returns the operator that spec describes over input columns of in, with
// output columns out.
func New(spec *jobgraph.WindowAggregate, in, out datatype.Schema) (operator.Operator, error) {
	a := &Aggregate{
		phase: spec.Phase, in: in, time: int(spec.TimeColumn), properties: spec.Properties, output: out, arrow: out.Arrow(),
		global: len(spec.Keys) == 0, fired: stream.MinWatermark, charged: map[int64]int64{},
	}
	if spec.Phase < jobgraph.Phase_PHASE_SINGLE || spec.Phase > jobgraph.Phase_PHASE_FINAL {
		return nil, fmt.Errorf("window: phase %v", spec.Phase)
	}
	var err error
	if a.slicing, err = newSlicing(spec.Window); err != nil {
		return nil, err
	}
	for _, c := range spec.Calls {
		if aggregate.Splittable(c) {
			continue
		}
		if spec.Phase != jobgraph.Phase_PHASE_SINGLE {
			return nil, fmt.Errorf("window: %s cannot run in phases", c.Function)
		}
		if a.slicing.kind != jobgraph.WindowKind_WINDOW_TUMBLE {
			return nil, failure.Errorf(failure.InvalidSQL, "%s DISTINCT over windows that overlap is not supported", c.Function)
		}
	}
	if a.acc, err = aggregate.NewAccumulators(spec.Calls); err != nil {
		return nil, fmt.Errorf("window: %w", err)
	}
	final := spec.Phase == jobgraph.Phase_PHASE_FINAL
	if final {
		a.time = len(spec.Keys)
	}
	for i, k := range spec.Keys {
		at := int(k)
		if final {
			at = i
		}
		if at >= len(in) {
			return nil, fmt.Errorf("window: key column %d of %d", at, len(in))
		}
		a.keys, a.keyTypes = append(a.keys, at), append(a.keyTypes, in[at])
	}
	if a.global {
		a.keyTypes = datatype.Schema{{Name: "all", Type: datatype.Of(datatype.BigInt).NotNull()}}
	}
	if a.time >= len(in) || !final && !in[a.time].Type.IsTimestamp() {
		return nil, fmt.Errorf("window: time column %d of %s", a.time, in)
	}
	a.timeType = in[a.time].Type
	a.distinct = make([]seen, len(spec.Calls))
	for i := range a.distinct {
		if a.distinct[i].Distinct, err = a.acc.Distinct(i, a.keyTypes, in, true); err != nil {
			return nil, fmt.Errorf("window: %w", err)
		}
	}
	return a, a.checkOutput(spec)
}

// checkOutput compares the number of output columns with what the phase emits.
func (a *Aggregate) checkOutput(spec *jobgraph.WindowAggregate) error {
	want := len(a.keys) + len(spec.Calls) + len(a.properties)
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		want = len(a.keys) + 1 + len(a.acc.Columns())
	}
	if len(a.output) != want {
		return fmt.Errorf("window: %d output columns, want %d", len(a.output), want)
	}
	return nil
}

// Late is the number of rows that were left out because they came too late.
func (a *Aggregate) Late() int64 { return a.late.Count() }

// Open implements operator.Operator.
func (a *Aggregate) Open(ctx *operator.Context) (err error) {
	a.ctx = ctx
	if err := a.late.Open(ctx, a.in, a.time); err != nil {
		return err
	}
	backend := ctx.State
	if backend == nil || a.phase == jobgraph.Phase_PHASE_PARTIAL {
		a.own = memstate.New(1, keygroup.Range{Last: 1}, ctx.Alloc, ctx.Memory)
		backend = a.own
	}
	a.table, err = backend.Table(state.TableSpec{ID: stateTable, Name: "slices", Keys: a.keyTypes, Values: a.acc.Columns(), Evictable: a.evictable()})
	if err != nil {
		return fmt.Errorf("window: %w", err)
	}
	for i := range a.distinct {
		if d := &a.distinct[i]; d.Distinct != nil {
			spec := state.TableSpec{ID: stateTable + 1 + uint16(i), Name: "distinct values", Keys: d.Columns()}
			if d.table, err = backend.Table(spec); err != nil {
				return fmt.Errorf("window: %w", err)
			}
		}
	}
	if a.fired, err = ctx.RestoredWatermark(a.fired); err != nil {
		return fmt.Errorf("window: %w", err)
	}
	for _, end := range a.table.Namespaces() {
		if err := a.chargeHeld(end); err != nil {
			return err
		}
	}
	return nil
}

// evictable reports whether keys may leave memory: where no bytes of them are charged,
// and there is more than one.
func (a *Aggregate) evictable() bool {
	return !a.global && !slices.ContainsFunc(a.acc.Columns(), func(f datatype.Field) bool {
		return hashtable.StorageOf(f.Type) == hashtable.Chars
	})
}

// Watermark implements operator.Operator: it fires windows.
func (a *Aggregate) Watermark(w stream.Watermark) error {
	if w <= a.fired {
		return nil
	}
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		a.fired = w
		return a.flush()
	}
	if err := a.fire(w); err != nil {
		return fmt.Errorf("window: %w", err)
	}
	a.fired = w
	for _, end := range a.table.Namespaces() {
		if passed(a.slicing.lastWindow(end), w) {
			a.drop(end)
		}
	}
	return nil
}

// fire emits the windows that have ended since the last watermark, by their ends.
func (a *Aggregate) fire(w stream.Watermark) error {
	var ends []int64
	for _, slice := range a.table.Namespaces() {
		ends = a.slicing.windows(ends, slice, a.fired, w)
	}
	slices.Sort(ends)
	for _, end := range slices.Compact(ends) {
		if err := a.fireWindow(end); err != nil {
			return err
		}
	}
	return nil
}

func (a *Aggregate) drop(end int64) {
	a.table.Drop(end)
	for _, d := range a.distinct {
		if d.table != nil {
			d.table.Drop(end)
		}
	}
	a.ctx.Memory.Shrink(a.charged[end])
	delete(a.charged, end)
}

// Snapshot implements operator.Snapshotter. A partial phase emits what it has, so
// that nothing of it is needed again.
func (a *Aggregate) Snapshot(stream.Barrier) ([]byte, error) {
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		return nil, a.flush()
	}
	return operator.SaveWatermark(a.fired), nil
}

// Completed implements operator.Snapshotter.
func (a *Aggregate) Completed(id.Checkpoint) error { return nil }

// EndInput implements operator.Operator: the final watermark has fired what there
// was; without one, windows stay open.
func (a *Aggregate) EndInput(int) error {
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		return a.flush()
	}
	return nil
}

// Close implements operator.Operator.
func (a *Aggregate) Close() error {
	if a.ctx == nil {
		return nil
	}
	for end := range a.charged {
		a.ctx.Memory.Shrink(a.charged[end])
	}
	clear(a.charged)
	if a.own != nil {
		return a.own.Close()
	}
	return nil
}

// unit converts milliseconds to a timestamp of type t.
func unit(t datatype.Type) int64 {
	return int64(time.Millisecond / datatype.TimestampUnit(t.Precision).Multiplier())
}

var (
	_ operator.Operator    = (*Aggregate)(nil)
	_ operator.Snapshotter = (*Aggregate)(nil)
)
