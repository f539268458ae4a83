package over

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/rowsort"
)

// column is one call over all rows, section for section.
type column interface {
	// bind begins a section.
	bind(s *section) error
	// ready is how many rows of the section can be computed.
	ready() int
	// values computes rows [from, to), which follow those of the last call.
	values(from, to int) (arrow.Array, error)
	// keep is the first row that rows from next on need.
	keep(next int) int
	// drop says that rows [from, to), the first ones of a partition that are not
	// gone, leave the section while the partition goes on.
	drop(from, to int) error
	// free ends a section.
	free()
	// shed gives up the buffers that sections share.
	shed()
	release()
}

// foreteller is a column that foresees what is to come of a partition.
type foreteller interface {
	// note takes a batch of the partition, in their order.
	note(record arrow.RecordBatch) error
	// foresee ends the notes.
	foresee() error
	// forget is called when the partition is done.
	forget()
}

// need is what a call wants of rows beside its own.
type need struct {
	end    bool // the partition's end
	memory bool // rows that can neither be foreseen nor carried: in memory
}

// arguments is how many columns a ranking or value function takes.
func arguments(function string) (least, most int, ok bool) {
	switch function {
	case "ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST":
		return 0, 0, true
	case "NTILE", "FIRST_VALUE", "LAST_VALUE":
		return 1, 1, true
	case "LAG", "LEAD":
		return 1, 3, true
	case "NTH_VALUE":
		return 2, 2, true
	}
	return 0, 0, false
}

// check refuses what no column can compute.
func check(c *jobgraph.OverCall, order []rowsort.Key) error {
	if least, most, ok := arguments(c.Call.Function); ok {
		if len(c.Call.Args) < least || len(c.Call.Args) > most {
			return fmt.Errorf("%d arguments", len(c.Call.Args))
		}
	} else if _, err := aggregate.NewAccumulators([]*jobgraph.AggregateCall{c.Call}); err != nil {
		return err
	} else if !aggregate.Splittable(c.Call) {
		return fmt.Errorf("the function cannot be computed over frames")
	}
	if c.Frame.GetUnit() == jobgraph.FrameUnit_FRAME_RANGE && len(order) != 1 && (offset(c.Frame.From) || offset(c.Frame.To)) {
		return fmt.Errorf("a range over %d order columns", len(order))
	}
	return nil
}

func offset(b *jobgraph.FrameBound) bool {
	return b.Kind == jobgraph.BoundKind_BOUND_PRECEDING || b.Kind == jobgraph.BoundKind_BOUND_FOLLOWING
}

// newColumn makes the column of a call over needed columns, and says what it
// needs and how many bytes a row of a section.
func newColumn(c *jobgraph.OverCall) (column, need, int64, error) {
	switch c.Call.Function {
	case "ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST":
		r := &ranking{function: c.Call.Function}
		return r, need{end: r.share()}, 0, nil
	case "NTILE":
		return &tiles{call: c}, need{end: true}, 0, nil
	case "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE":
		p := newPick(c)
		return p, p.need(), 16, nil
	}
	t, err := newTree(c)
	if err != nil {
		return nil, need{}, 0, err
	}
	return t, need{end: t.f.toEnd()}, 8 + 2*slotBytes*int64(len(t.acc.Columns())), nil
}

// setContext gives a column what it allocates from.
func setContext(c column, ctx *operator.Context) {
	switch c := c.(type) {
	case *ranking:
		c.mem = ctx.Alloc
	case *tiles:
		c.mem = ctx.Alloc
	case *pick:
		c.mem = ctx.Alloc
	case *tree:
		c.ctx = ctx
	}
}

// ranking is a function of the order alone. PERCENT_RANK and CUME_DIST are
// shares of the partition's size, the others whole numbers.
type ranking struct {
	function string
	mem      memory.Allocator
	s        *section
	rank     int64 // of the last row
	dense    int64
}

func (r *ranking) share() bool { return r.function == "PERCENT_RANK" || r.function == "CUME_DIST" }

func (r *ranking) bind(s *section) error {
	r.s = s
	return nil
}

func (r *ranking) ready() int {
	s := r.s
	switch {
	case !s.open || !r.share():
		return s.rows
	case s.foreseen == nil:
		return s.lastStart()
	case r.function == "CUME_DIST":
		return int(s.peers[s.rows-1])
	}
	return s.rows
}

func (r *ranking) keep(next int) int { return next }

func (r *ranking) values(from, to int) (arrow.Array, error) {
	if r.share() {
		return r.shares(from, to), nil
	}
	out := make([]int64, to-from)
	switch r.function {
	case "ROW_NUMBER":
		for i := range out {
			out[i] = r.s.number(from+i) + 1
		}
	case "RANK":
		for i := range out {
			r.step(from + i)
			out[i] = r.rank
		}
	default:
		for i := range out {
			r.step(from + i)
			out[i] = r.dense
		}
	}
	b := array.NewInt64Builder(r.mem)
	defer b.Release()
	b.AppendValues(out, nil)
	return b.NewArray(), nil
}

// step ranks the row after the last one.
func (r *ranking) step(i int) {
	s := r.s
	switch {
	case int(s.start[i]) == i && !s.carried(i):
		r.rank, r.dense = 1, 1
	case int(s.peers[i]) == i:
		r.rank = s.number(i) + 1
		r.dense++
	}
}

func (r *ranking) shares(from, to int) arrow.Array {
	b := array.NewFloat64Builder(r.mem)
	defer b.Release()
	b.Reserve(to - from)
	for i := from; i < to; i++ {
		r.step(i)
		size := r.s.size(i)
		switch {
		case r.function == "CUME_DIST":
			after := r.s.number(i) + int64(r.s.peersAfter[i]) - int64(i)
			b.UnsafeAppend(float64(after) / float64(size))
		case size == 1:
			b.UnsafeAppend(0)
		default:
			b.UnsafeAppend(float64(r.rank-1) / float64(size-1))
		}
	}
	return b.NewArray()
}

func (r *ranking) drop(int, int) error { return nil }
func (r *ranking) free()               { r.s = nil }
func (r *ranking) shed()               {}
func (r *ranking) release()            {}
