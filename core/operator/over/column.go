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

// column is one call over all rows of some partitions.
type column interface {
	// values computes rows [from, to), which follow those of the last call.
	values(from, to int) (arrow.Array, error)
	release()
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

func newColumn(c *jobgraph.OverCall, p *partitions, ctx *operator.Context) (column, error) {
	switch c.Call.Function {
	case "ROW_NUMBER", "RANK", "DENSE_RANK":
		return &ranking{p: p, function: c.Call.Function, mem: ctx.Alloc}, nil
	case "NTILE":
		return newTiles(c, p, ctx.Alloc)
	case "PERCENT_RANK", "CUME_DIST":
		return &share{p: p, percent: c.Call.Function == "PERCENT_RANK", mem: ctx.Alloc}, nil
	case "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE":
		return newPick(c, p, ctx.Alloc)
	}
	return newTree(c, p, ctx)
}

// ranking is ROW_NUMBER, RANK or DENSE_RANK.
type ranking struct {
	p        *partitions
	function string
	mem      memory.Allocator
	dense    int64
}

func (r *ranking) values(from, to int) (arrow.Array, error) {
	b := array.NewInt64Builder(r.mem)
	defer b.Release()
	b.Reserve(to - from)
	p := r.p
	for i := from; i < to; i++ {
		switch r.function {
		case "ROW_NUMBER":
			b.UnsafeAppend(int64(i) - int64(p.start[i]) + 1)
		case "RANK":
			b.UnsafeAppend(int64(p.peers[i]-p.start[i]) + 1)
		default:
			switch {
			case int(p.start[i]) == i:
				r.dense = 1
			case int(p.peers[i]) == i:
				r.dense++
			}
			b.UnsafeAppend(r.dense)
		}
	}
	return b.NewArray(), nil
}

func (*ranking) release() {}

// share is PERCENT_RANK or CUME_DIST.
type share struct {
	p       *partitions
	percent bool
	mem     memory.Allocator
}

func (s *share) values(from, to int) (arrow.Array, error) {
	b := array.NewFloat64Builder(s.mem)
	defer b.Release()
	b.Reserve(to - from)
	p := s.p
	for i := from; i < to; i++ {
		size := float64(p.end[i] - p.start[i])
		switch {
		case !s.percent:
			b.UnsafeAppend(float64(p.peersAfter[i]-p.start[i]) / size)
		case size == 1:
			b.UnsafeAppend(0)
		default:
			b.UnsafeAppend(float64(p.peers[i]-p.start[i]) / (size - 1))
		}
	}
	return b.NewArray(), nil
}

func (*share) release() {}
