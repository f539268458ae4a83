package updateover

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/state"
)

// The first values of a partition where something is carried: how many rows were told,
// and how many that are no peers.
const (
	numberColumn = iota
	denseColumn
	accumulators
)

// carried are the calls whose values follow from those of the row before.
type carried struct {
	rankings []ranking
	acc      *aggregate.Accumulators
	places   []int  // of its calls among all
	peers    []bool // by call: peers have the same value
	first    int    // value column of a partition
}

// ranking is a call that numbers rows.
type ranking struct {
	place    int
	function string
}

// ranks says that a function numbers rows by those before.
func ranks(function string) bool {
	return function == "ROW_NUMBER" || function == "RANK" || function == "DENSE_RANK"
}

// carries says that a call is an aggregate over all rows so far.
func carries(c *jobgraph.OverCall) bool {
	switch c.Call.Function {
	case "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE":
		return false
	}
	return c.Frame.From.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING && c.Frame.To.Kind == jobgraph.BoundKind_BOUND_CURRENT_ROW &&
		aggregate.Splittable(c.Call)
}

func (c *carried) plan(calls []*jobgraph.AggregateCall) (err error) {
	c.acc, err = aggregate.NewAccumulators(calls)
	return err
}

func (c *carried) any() bool { return len(c.rankings)+len(c.places) > 0 }

// columns are the values of a partition.
func (c *carried) columns() datatype.Schema {
	if !c.any() {
		return nil
	}
	return append(datatype.Schema{{Name: "number", Type: bigint}, {Name: "dense", Type: bigint}}, c.acc.Columns()...)
}

// held is how many bytes accumulators of partitions hold outside the table.
func (c *carried) held(values []*state.Column, slots []int32) (n int64) {
	for _, v := range values[c.first:] {
		if v.Bytes == nil {
			continue
		}
		for _, x := range slots {
			n += int64(len(v.Bytes[x]))
		}
	}
	return n
}

// carry computes the calls that are carried on, of rows that are due.
func (o *Over) carry(d *due, slots []int32, sorted arrow.RecordBatch, out []arrow.Array) error {
	c := &o.carried
	if !c.any() {
		return nil
	}
	peers, err := o.sorter.Peers(sorted)
	if err != nil {
		return err
	}
	touched := make([]int32, 0, len(slots))
	for i, g := range d.groups {
		if i == 0 || d.groups[i-1] != g {
			touched = append(touched, slots[g])
		}
	}
	o.rows.Touch(touched)
	first := d.peers(peers)
	o.number(d, slots, first, out)
	return o.accumulate(d, slots, touched, first, out)
}

// peers flags the rows that are no peers of the one before.
func (d *due) peers(peers []compute.Comparer) []bool {
	first := make([]bool, len(d.rows))
	for i := range first {
		first[i] = i == 0 || d.groups[i] != d.groups[i-1] || rowsort.Compare(peers, int(d.sorted[i-1]), int(d.sorted[i])) != 0
	}
	return first
}

// number computes the rankings.
func (o *Over) number(d *due, slots []int32, first []bool, out []arrow.Array) {
	values := o.rows.Values()[o.carried.first:]
	n := len(d.rows)
	numbers, ranks, denses := make([]int64, n), make([]int64, n), make([]int64, n)
	var number, rank, dense int64
	for i, g := range d.groups {
		slot := slots[g]
		if i == 0 || d.groups[i-1] != g {
			number, dense = values[numberColumn].Int64[slot], values[denseColumn].Int64[slot]
		}
		number++
		if first[i] {
			rank = number
			dense++
		}
		numbers[i], ranks[i], denses[i] = number, rank, dense
		for column, v := range [...]int64{numberColumn: number, denseColumn: dense} {
			values[column].Int64[slot], values[column].Valid[slot] = v, true
		}
	}
	for _, r := range o.carried.rankings {
		b := array.NewInt64Builder(o.ctx.Alloc)
		b.AppendValues(map[string][]int64{"ROW_NUMBER": numbers, "RANK": ranks, "DENSE_RANK": denses}[r.function], nil)
		out[len(o.in)+r.place] = b.NewArray()
		b.Release()
	}
}

// accumulate computes the aggregates: each row has accumulators of its own, which are
// those of the row before and what it adds. Rows of all partitions go at a time.
func (o *Over) accumulate(d *due, slots, touched []int32, first []bool, out []arrow.Array) error {
	c := &o.carried
	if len(c.places) == 0 {
		return nil
	}
	kept := o.rows.Values()[c.first+accumulators:]
	own := make([]*state.Column, len(kept))
	for i, k := range kept {
		own[i] = hashtable.NullColumn(k.Type, len(d.rows))
	}
	var active []int32 // a row of each partition that has another one
	for i, g := range d.groups {
		if i == 0 || d.groups[i-1] != g {
			active = append(active, int32(i))
			for j := range kept {
				copyValue(own[j], i, kept[j], int(slots[g]))
			}
		}
	}
	for len(active) > 0 {
		if err := c.acc.Add(own, d.columns, active, active); err != nil {
			return err
		}
		n := 0
		for _, at := range active {
			next := at + 1
			if int(next) == len(d.rows) || d.groups[next] != d.groups[at] {
				continue
			}
			for j := range own {
				copyValue(own[j], int(next), own[j], int(at))
			}
			active[n] = next
			n++
		}
		active = active[:n]
	}
	c.acc.Grown() // what is kept of it is charged below
	before := c.held(o.rows.Values(), touched)
	for i, g := range d.groups {
		if i+1 < len(d.groups) && d.groups[i+1] == g {
			continue
		}
		for j := range kept {
			copyValue(kept[j], int(slots[g]), own[j], i)
		}
	}
	if err := o.charge(c.held(o.rows.Values(), touched) - before); err != nil {
		return err
	}
	return o.carriedResults(own, first, out)
}

// carriedResults finishes the accumulators of rows; where frames are ranges, those of
// the last peer.
func (o *Over) carriedResults(own []*state.Column, first []bool, out []arrow.Array) error {
	c := &o.carried
	results, err := c.acc.Results(o.ctx.Alloc, own, 0, len(first))
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(results)
	last := make([]int32, len(first))
	for i := len(first) - 1; i >= 0; i-- {
		if last[i] = int32(i); i+1 < len(first) && !first[i+1] {
			last[i] = last[i+1]
		}
	}
	for i, place := range c.places {
		rows := last
		if !c.peers[i] {
			rows = nil
		}
		if out[len(o.in)+place], err = compute.Take(o.ctx.Alloc, results[i], rows); err != nil {
			return fmt.Errorf("values of %s: %w", o.spec.Calls[place].Call.Function, err)
		}
	}
	return nil
}

// copyValue copies a value. Texts are shared, and may grow apart.
func copyValue(to *state.Column, i int, from *state.Column, j int) {
	to.Valid[i] = from.Valid[j]
	switch {
	case to.Int64 != nil:
		to.Int64[i] = from.Int64[j]
	case to.Float64 != nil:
		to.Float64[i] = from.Float64[j]
	case to.Dec128 != nil:
		to.Dec128[i] = from.Dec128[j]
	default:
		to.Bytes[i] = slices.Clip(from.Bytes[j])
	}
}
