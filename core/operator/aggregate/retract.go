package aggregate

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
)

// retractor is an accumulator that can take rows back. Its columns may hold what is
// less than nothing: what a partial phase has to say of rows of others.
type retractor interface {
	accumulator
	// retract takes back rows of the arguments, as add takes them.
	retract(acc []*state.Column, args []arrow.Array, sel, slots []int32) error
}

// NewRetracting is NewAccumulators for inputs that take rows back: calls that can be
// taken back keep what that needs, the others are as ever. See Retractable.
func NewRetracting(calls []*jobgraph.AggregateCall) (*Accumulators, error) {
	return planCalls(calls, newRetracting)
}

// Retractable reports whether NewRetracting gives a call an accumulator that takes rows
// back, repeated values being kept away where it is DISTINCT.
func Retractable(c *jobgraph.AggregateCall) bool {
	acc, err := newRetracting(c)
	if err != nil {
		return false
	}
	_, ok := acc.(retractor)
	return ok
}

// RetractingTypes is AccumulatorTypes of what NewRetracting makes.
func RetractingTypes(c *jobgraph.AggregateCall) ([]datatype.Type, error) {
	acc, err := newRetracting(c)
	if err != nil {
		return nil, err
	}
	return acc.types(), nil
}

// newRetracting makes the accumulator of a call, one that takes rows back if there is
// any.
func newRetracting(c *jobgraph.AggregateCall) (accumulator, error) {
	acc, err := newAccumulator(c)
	if err != nil {
		return nil, err
	}
	if c.Growing {
		return lasting{acc}, nil
	}
	switch acc := acc.(type) {
	case *sum:
		if hashtable.StorageOf(acc.typ) == hashtable.Real {
			return &exactSum{out: acc.typ, zero: acc.zero}, nil
		}
		return &balance{sum: acc.adder, typ: acc.typ.WithNull(false), out: acc.typ, zero: acc.zero}, nil
	case *average:
		if hashtable.StorageOf(acc.typ) == hashtable.Real {
			return &exactSum{out: acc.out, average: true}, nil
		}
	case *moments:
		return &exactMoments{moments: acc}, nil
	}
	return acc, nil
}

// Retractable reports whether RetractArgs can be called for the i-th call.
func (a *Accumulators) Retractable(i int) bool {
	_, ok := a.calls[i].accumulator.(retractor)
	return ok
}

// Wanted returns the arguments of the i-th call and the rows of sel (nil: all), with
// their slots, that its filter lets through and that it does not skip for a null. They
// are valid until the next call of Wanted, AddCall or RetractCall for it.
func (a *Accumulators) Wanted(i int, in []arrow.Array, sel, slots []int32) (args []arrow.Array, rows, of []int32) {
	c := &a.calls[i]
	args = make([]arrow.Array, len(c.args))
	for j, arg := range c.args {
		args[j] = in[arg]
	}
	rows, of = c.wanted(in, args, sel, slots)
	return args, rows, of
}

// AddArgs adds rows of arguments that Wanted has let through.
func (a *Accumulators) AddArgs(i int, values []*state.Column, args []arrow.Array, sel, slots []int32) error {
	return a.addArgs(i, values, args, sel, slots)
}

// RetractCall is AddCall's opposite.
func (a *Accumulators) RetractCall(i int, values []*state.Column, in []arrow.Array, sel, slots []int32) error {
	args, sel, slots := a.Wanted(i, in, sel, slots)
	return a.RetractArgs(i, values, args, sel, slots)
}

// RetractArgs is AddArgs' opposite.
func (a *Accumulators) RetractArgs(i int, values []*state.Column, args []arrow.Array, sel, slots []int32) error {
	if len(slots) == 0 {
		return nil
	}
	c := &a.calls[i]
	r, ok := c.accumulator.(retractor)
	if !ok {
		return fmt.Errorf("%s cannot take rows back", c.name)
	}
	if err := r.retract(values[c.first:c.first+c.count], args, sel, slots); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// CallValues are the columns of the i-th call among those of all.
func (a *Accumulators) CallValues(i int, values []*state.Column) []*state.Column {
	c := &a.calls[i]
	return values[c.first : c.first+c.count]
}

func (*count) retract(acc []*state.Column, _ []arrow.Array, _, slots []int32) error {
	n := acc[0].Int64
	for _, s := range slots {
		n[s]--
	}
	return nil
}

// subtract is add's opposite.
func (a *adder) subtract(to *state.Column, in arrow.Array, sel, slots []int32) {
	touch(to.Valid, slots)
	switch {
	case to.Int64 != nil:
		for i, x := range a.integers(in, sel) {
			to.Int64[slots[i]] -= x
		}
	case in.DataType().ID() == arrow.DECIMAL128:
		v, next := compute.Wides(in, sel, a.wides)
		a.wides = next
		for i, s := range slots {
			to.Dec128[s] = to.Dec128[s].Sub(v[i])
		}
	default:
		for i, x := range a.integers(in, sel) {
			to.Dec128[slots[i]] = addWide(to.Dec128[slots[i]], -x)
		}
	}
}

// balance is SUM and SUM0 of integers and decimals from rows that may be taken back:
// beside the sum it keeps of how many values that is, for the sum of none is null.
type balance struct {
	sum    adder
	counts count
	typ    datatype.Type // of the sum kept
	out    datatype.Type
	zero   bool
}

func (b *balance) types() []datatype.Type { return []datatype.Type{b.typ, countType} }

func (b *balance) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	b.sum.add(acc[0], args[0], sel, slots)
	return b.counts.add(acc[1:], nil, nil, slots)
}

func (b *balance) retract(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	b.sum.subtract(acc[0], args[0], sel, slots)
	return b.counts.retract(acc[1:], nil, nil, slots)
}

func (b *balance) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	b.sum.add(acc[0], in[0], sel, slots)
	return b.counts.merge(acc[1:], in[1:], sel, slots)
}

func (b *balance) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(b.out, to-from)
	for i := range out.Valid {
		s := from + i
		if out.Valid[i] = b.zero || acc[1].Int64[s] > 0; !out.Valid[i] {
			continue
		}
		if out.Int64 != nil {
			out.Int64[i] = acc[0].Int64[s]
			continue
		}
		out.Dec128[i] = acc[0].Dec128[s]
		out.Valid[i] = out.Dec128[i].FitsInPrecision(datatype.MaxDecimalPrecision)
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}

// lasting is the accumulator of a call whose values grow: what is taken back has come
// again in what replaces it.
type lasting struct{ accumulator }

func (lasting) retract([]*state.Column, []arrow.Array, []int32, []int32) error { return nil }

func (l lasting) grown() int64 {
	if k, ok := l.accumulator.(keeper); ok {
		return k.grown()
	}
	return 0
}

func (a *average) retract(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	a.sum.subtract(acc[0], args[0], sel, slots)
	return a.counts.retract(acc[1:], nil, nil, slots)
}

var (
	_ retractor = (*count)(nil)
	_ retractor = (*balance)(nil)
	_ retractor = (*average)(nil)
	_ retractor = (*exactSum)(nil)
	_ retractor = (*exactMoments)(nil)
	_ retractor = (*seen)(nil)
	_ retractor = lasting{}
	_ keeper    = lasting{}
)
