package updateover

import (
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/operator/over"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// stateTable is the operator's table in keyed state.
const stateTable = 1

var bigint = datatype.Of(datatype.BigInt).NotNull()

// Over is the operator of a jobgraph.UpdatingOver.
type Over struct {
	spec     *jobgraph.UpdatingOver
	in       datatype.Schema
	arrow    *arrow.Schema
	keyTypes datatype.Schema // never empty: without partitions, a constant
	sorter   *groups.Sorter

	computed *jobgraph.Over // what core/operator/over computes
	places   []int          // of its calls among all
	carried  carried
	reach    reach

	ctx     *operator.Context
	own     state.Backend // where the job keeps no state
	rows    state.Rows
	mark    []bool // by slot, false between uses
	waiting groups.Waiting
	charged int64 // for bytes of carried accumulators
	fired   stream.Watermark
	late    aside.Late
	finder  groups.Finder
	ages    groups.Ages
}

// New returns the operator that spec describes over input columns of in, with output
// columns out.
func New(spec *jobgraph.UpdatingOver, in, out datatype.Schema) (*Over, error) {
	o := &Over{spec: spec, finder: groups.Finder{Columns: spec.Partition}, ages: groups.Ages{Keep: spec.KeepMillis}, in: in, arrow: out.Arrow(), fired: stream.MinWatermark}
	if len(out) != len(in)+len(spec.Calls) {
		return nil, fmt.Errorf("updating over: %d output columns for %d and %d calls", len(out), len(in), len(spec.Calls))
	}
	for _, p := range spec.Partition {
		if int(p) >= len(in) {
			return nil, fmt.Errorf("updating over: partition column %d of %d", p, len(in))
		}
		o.keyTypes = append(o.keyTypes, in[p])
	}
	if len(spec.Partition) == 0 {
		o.keyTypes = groups.NoKeys()
	}
	var err error
	if o.sorter, err = groups.NewSorter(spec.Order, in); err != nil {
		return nil, fmt.Errorf("updating over: %w", err)
	}
	o.computed = &jobgraph.Over{Partition: spec.Partition, Order: spec.Order}
	if err := o.planCalls(); err != nil {
		return nil, fmt.Errorf("updating over: %w", err)
	}
	if _, err := over.New(o.computed, in); err != nil {
		return nil, fmt.Errorf("updating %w", err)
	}
	return o, nil
}

// planCalls tells calls that are carried on from those that are computed from rows.
func (o *Over) planCalls() error {
	c := o.spec.Closing
	if c != nil && (len(o.spec.Order) == 0 || o.spec.Order[0].Column != c.Column || o.spec.Order[0].Descending || !o.in[c.Column].Type.IsTimestamp() || o.spec.Retracting) {
		return failure.Errorf(failure.Internal, "closing by column %d, which the order does not begin with, or rows are taken back", c.Column)
	}
	var aggregates []*jobgraph.AggregateCall
	for i, call := range o.spec.Calls {
		if c != nil {
			if err := endsHere(call); err != nil {
				return err
			}
			switch {
			case ranks(call.Call.Function):
				o.carried.rankings = append(o.carried.rankings, ranking{place: i, function: call.Call.Function})
				continue
			case carries(call):
				aggregates = append(aggregates, call.Call)
				o.carried.places = append(o.carried.places, i)
				o.carried.peers = append(o.carried.peers, call.Frame.Unit == jobgraph.FrameUnit_FRAME_RANGE)
				continue
			}
			o.reach.add(call.Frame)
		}
		o.computed.Calls, o.places = append(o.computed.Calls, call), append(o.places, i)
	}
	return o.carried.plan(aggregates)
}

// Late is the number of rows that were left out because their time was closed.
func (o *Over) Late() int64 { return o.late.Count() }

// Open implements operator.Operator.
func (o *Over) Open(ctx *operator.Context) error {
	o.ctx = ctx
	backend := ctx.State
	if backend == nil {
		o.own = memstate.New(1, keygroup.Range{Last: 1}, ctx.Alloc, ctx.Memory)
		backend = o.own
	}
	spec := state.TableSpec{ID: stateTable, Name: "rows of partitions", Keys: o.keyTypes, List: o.in}
	if o.spec.KeepMillis > 0 {
		spec.Values = append(spec.Values, groups.Touched())
	}
	o.carried.first = len(spec.Values)
	spec.Values = append(spec.Values, o.carried.columns()...)
	table, err := backend.Table(spec)
	if err == nil {
		o.rows, err = table.Namespace(0)
	}
	if err != nil {
		return fmt.Errorf("updating over: %w", err)
	}
	if o.fired, err = ctx.RestoredWatermark(o.fired); err != nil {
		return fmt.Errorf("updating over: %w", err)
	}
	if c := o.spec.Closing; c != nil {
		if err = o.late.Open(ctx, o.in, int(c.Column)); err == nil {
			err = o.restore()
		}
	}
	if err != nil {
		return fmt.Errorf("updating over: %w", err)
	}
	return nil
}

// Process implements operator.Operator.
func (o *Over) Process(_ int, b *stream.Batch) (err error) {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	added, removed := changelog.Split(b)
	if len(removed) > 0 && !o.spec.Retracting {
		return failure.Errorf(failure.Internal, "updating over: a row is taken back from an input that only inserts")
	}
	if o.spec.Closing != nil {
		err = o.wait(b, added)
	} else {
		err = o.change(b, added, removed)
	}
	if err != nil {
		return fmt.Errorf("updating over: %w", err)
	}
	return nil
}

// resolve gives rows of a batch the slots of their partitions.
func (o *Over) resolve(b *stream.Batch, sel, slots []int32, lookup func([]arrow.Array, []int32, []uint64, []int32) error) error {
	return o.finder.Find(o.ctx.Alloc, b, sel, slots, lookup)
}

// keep adds rows of a batch (nil: all) to their partitions.
func (o *Over) keep(b *stream.Batch, added []int32) (slots, rows []int32, err error) {
	n := len(added)
	if added == nil {
		n = b.PhysicalRows()
	}
	if n == 0 {
		return nil, nil, nil
	}
	slots, rows = make([]int32, n), make([]int32, n)
	if err := o.resolve(b, added, slots, o.rows.Resolve); err != nil {
		return nil, nil, err
	}
	o.ages.Touch(o.rows, slots)
	return slots, rows, o.rows.Lists().Add(slots, b.Record.Columns(), added, rows)
}

// distinct returns each of some slots once.
func (o *Over) distinct(lists ...[]int32) []int32 {
	if n := o.rows.Len(); len(o.mark) < n {
		o.mark = append(o.mark, make([]bool, n+n/4-len(o.mark))...)
	}
	var out []int32
	for _, slots := range lists {
		for _, x := range slots {
			if !o.mark[x] {
				o.mark[x] = true
				out = append(out, x)
			}
		}
	}
	for _, x := range out {
		o.mark[x] = false
	}
	return out
}

// Tick implements operator.Ticker: partitions that nothing has come for, and in which
// nothing waits, are forgotten.
func (o *Over) Tick(now time.Time) error {
	old, err := o.ages.Old(now, o.rows)
	if err != nil {
		return fmt.Errorf("updating over: %w", err)
	}
	o.remove(slices.DeleteFunc(old, o.waits))
	return nil
}

// remove forgets partitions.
func (o *Over) remove(slots []int32) {
	o.uncharge(o.carried.held(o.rows.Values(), slots))
	o.rows.Remove(slots)
}

// EndInput implements operator.Operator.
func (o *Over) EndInput(int) error { return nil }

// Snapshot implements operator.Snapshotter: besides keyed state there is the watermark
// up to which rows are told.
func (o *Over) Snapshot(stream.Barrier) ([]byte, error) {
	return operator.SaveWatermark(o.fired), nil
}

// Completed implements operator.Snapshotter.
func (o *Over) Completed(id.Checkpoint) error { return nil }

// Close implements operator.Operator.
func (o *Over) Close() error {
	if o.ctx == nil {
		return nil
	}
	o.uncharge(o.charged)
	if o.own != nil {
		return o.own.Close()
	}
	return nil
}

// charge charges bytes that carried accumulators hold outside the table.
func (o *Over) charge(n int64) error {
	if n <= 0 {
		o.uncharge(-n)
		return nil
	}
	if err := o.ctx.Memory.Grow(n); err != nil {
		return err
	}
	o.charged += n
	return nil
}

func (o *Over) uncharge(n int64) {
	n = min(n, o.charged)
	o.ctx.Memory.Shrink(n)
	o.charged -= n
}

var (
	_ operator.Operator    = (*Over)(nil)
	_ operator.Snapshotter = (*Over)(nil)
	_ operator.Ticker      = (*Over)(nil)
)
