package session

import (
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
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

// The value columns before the accumulators, in milliseconds.
const (
	startColumn = iota
	lastColumn
	accumulators
)

// Aggregate is the operator of a jobgraph.WindowAggregate over session windows.
type Aggregate struct {
	gap        int64 // milliseconds
	time       int
	timeType   datatype.Type
	in         datatype.Schema
	keys       []int
	keyTypes   datatype.Schema // never empty: without keys, a constant
	acc        *aggregate.Accumulators
	properties []jobgraph.WindowProperty
	output     datatype.Schema
	arrow      *arrow.Schema

	ctx     *operator.Context
	own     state.Backend // where the job keeps no state
	rows    state.Rows
	index   index
	charged int64 // for bytes of accumulators outside the table
	fired   stream.Watermark
	late    aside.Late

	work work
}

// New returns the operator that spec describes over input columns of in, with
// output columns out.
func New(spec *jobgraph.WindowAggregate, in, out datatype.Schema) (*Aggregate, error) {
	a := &Aggregate{in: in, time: int(spec.TimeColumn), properties: spec.Properties, output: out, arrow: out.Arrow(), fired: stream.MinWatermark}
	w := spec.Window
	switch {
	case spec.Phase != jobgraph.Phase_PHASE_SINGLE:
		return nil, fmt.Errorf("session: phase %v", spec.Phase)
	case w == nil || w.Kind != jobgraph.WindowKind_WINDOW_SESSION || w.SizeMillis < 1:
		return nil, fmt.Errorf("session: window %v", w)
	case a.time >= len(in) || !in[a.time].Type.IsTimestamp():
		return nil, fmt.Errorf("session: time column %d of %s", a.time, in)
	case len(out) != len(spec.Keys)+len(spec.Calls)+len(spec.Properties):
		return nil, fmt.Errorf("session: %d output columns, want %d", len(out), len(spec.Keys)+len(spec.Calls)+len(spec.Properties))
	}
	a.gap, a.timeType = w.SizeMillis, in[a.time].Type
	for _, c := range spec.Calls {
		if !aggregate.Splittable(c) {
			what := c.Function
			if c.Distinct {
				what += " DISTINCT"
			}
			return nil, failure.Errorf(failure.InvalidSQL, "%s over session windows is not supported", what)
		}
	}
	for _, k := range spec.Keys {
		if int(k) >= len(in) {
			return nil, fmt.Errorf("session: key column %d of %d", k, len(in))
		}
		a.keys, a.keyTypes = append(a.keys, int(k)), append(a.keyTypes, in[k])
	}
	if len(a.keys) == 0 {
		a.keyTypes = datatype.Schema{{Name: "all", Type: bigint}}
	}
	var err error
	if a.acc, err = aggregate.NewAccumulators(spec.Calls); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return a, nil
}

// bigint is the type of what the operator counts itself.
var bigint = datatype.Of(datatype.BigInt).NotNull()

// Late is the number of rows that were left out because they came too late.
func (a *Aggregate) Late() int64 { return a.late.Count() }

// Open implements operator.Operator.
func (a *Aggregate) Open(ctx *operator.Context) error {
	a.ctx = ctx
	if err := a.late.Open(ctx, a.in, a.time); err != nil {
		return err
	}
	backend := ctx.State
	if backend == nil {
		a.own = memstate.New(1, keygroup.Range{Last: 1}, ctx.Alloc, ctx.Memory)
		backend = a.own
	}
	keys := append(a.keyTypes[:len(a.keyTypes):len(a.keyTypes)], datatype.Field{Name: "begun", Type: bigint})
	values := append(datatype.Schema{{Name: "start", Type: bigint}, {Name: "last", Type: bigint}}, a.acc.Columns()...)
	table, err := backend.Table(state.TableSpec{ID: stateTable, Name: "sessions", Keys: keys, Values: values, Routed: len(a.keyTypes)})
	if err == nil {
		a.rows, err = table.Namespace(0)
	}
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if a.fired, err = ctx.RestoredWatermark(a.fired); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if a.index.keys, err = hashtable.New(a.keyTypes, nil, ctx.Memory); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	a.index.keys.Removable()
	a.index.account, a.index.width = ctx.Memory, max(a.gap/8, 1)
	if err := a.restore(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}

// restore makes the index of the sessions that state has.
func (a *Aggregate) restore() error {
	held := int64(0)
	err := a.rows.Each(func(v state.View, from, to int) error {
		keys, err := v.Keys(from, to)
		if err != nil {
			return err
		}
		defer compute.ReleaseAll(keys)
		keys = keys[:len(keys)-1]
		slots := make([]int32, to-from)
		if err := a.index.resolve(keys, nil, compute.HashColumns(keys, nil, nil), slots); err != nil {
			return err
		}
		if err := a.index.grow(to); err != nil {
			return err
		}
		start, last := v.Values()[startColumn].Int64, v.Values()[lastColumn].Int64
		for i, k := range slots {
			x := int32(from + i)
			a.index.add(x, k, start)
			a.index.expire(x, a.end(last[x]))
		}
		for _, c := range v.Values()[accumulators:] {
			if c.Bytes == nil {
				continue
			}
			for _, b := range c.Bytes[from:to] {
				held += int64(len(b))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.charge(held)
}

// end is when a session ends whose last row is of a time.
func (a *Aggregate) end(last int64) int64 {
	if last > math.MaxInt64-a.gap {
		return math.MaxInt64
	}
	return last + a.gap
}

// passed reports whether a session that ends at end is over.
func passed(end int64, w stream.Watermark) bool { return end-1 <= int64(w) }

// charge charges bytes that accumulators hold outside the table.
func (a *Aggregate) charge(n int64) error {
	if n <= 0 {
		return nil
	}
	if err := a.ctx.Memory.Grow(n); err != nil {
		return err
	}
	a.charged += n
	return nil
}

// uncharge gives back what accumulators held that are gone.
func (a *Aggregate) uncharge(n int64) {
	n = min(n, a.charged)
	a.ctx.Memory.Shrink(n)
	a.charged -= n
}

// Snapshot implements operator.Snapshotter.
func (a *Aggregate) Snapshot(stream.Barrier) ([]byte, error) {
	return operator.SaveWatermark(a.fired), nil
}

// Completed implements operator.Snapshotter.
func (a *Aggregate) Completed(id.Checkpoint) error { return nil }

// EndInput implements operator.Operator: the final watermark has ended what there
// was; without one, sessions stay open.
func (a *Aggregate) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (a *Aggregate) Close() error {
	if a.ctx == nil {
		return nil
	}
	a.uncharge(a.charged)
	a.index.release()
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
