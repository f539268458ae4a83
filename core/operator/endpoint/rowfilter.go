package endpoint

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/predicate"
)

// RowFilters are what a source's reader is given to drop rows by.
type RowFilters struct {
	Conditions []*exprpb.Expr // never fail on a row
	Keys       []*jobgraph.KeyFilter
	Set        *keyfilter.Set // where Keys are found; nil: none ever will be
	Functions  *function.Catalog
	// Expr are the options of the conditions' programs; the allocator is the task's.
	Expr expr.Options
}

// open makes the filters for one subtask.
func (f *RowFilters) open(ctx *operator.Context, columns datatype.Schema) ([]predicate.RowFilter, error) {
	var out []predicate.RowFilter
	for _, p := range f.Conditions {
		c, err := f.condition(ctx, p, columns)
		if err != nil {
			return nil, fmt.Errorf("row filter: %w", err)
		}
		out = append(out, c)
	}
	for _, k := range f.Keys {
		if f.Set != nil {
			out = append(out, f.keyed(k, columns))
		}
	}
	return out, nil
}

// condition is a filter by an expression.
type condition struct {
	at      []int // the columns that it reads
	names   []string
	program *expr.Program
	columns []arrow.Array // all of the source's; only those at at are set
}

func (f *RowFilters) condition(ctx *operator.Context, p *exprpb.Expr, columns datatype.Schema) (*condition, error) {
	e, err := expr.FromProto(p)
	if err != nil {
		return nil, err
	}
	o := f.Expr
	o.Allocator = ctx.Alloc
	c := &condition{at: expr.Columns(e), columns: make([]arrow.Array, len(columns))}
	for _, i := range c.at {
		c.names = append(c.names, columns[i].Name)
	}
	c.program, err = expr.Compile(e, f.Functions, o)
	return c, err
}

// Columns implements predicate.RowFilter.
func (c *condition) Columns() []string { return c.names }

// Ready implements predicate.RowFilter.
func (c *condition) Ready() bool { return true }

// Excludes implements predicate.RowFilter: what bounds tell of the condition, the
// source's predicate tells.
func (c *condition) Excludes(func(string) (predicate.Summary, bool)) bool { return false }

// Keep implements predicate.RowFilter.
func (c *condition) Keep(columns []arrow.Array, n int) ([]int32, error) {
	for i, at := range c.at {
		c.columns[at] = columns[i]
	}
	defer clear(c.columns)
	return c.program.SelectColumns(c.columns, n)
}

const (
	// A bloom filter that keeps more than worthPercent of judgedRows rows rests for
	// restedRows, each time for twice as many as the time before, up to maxRested:
	// what it costs to ask it is less than what the rows cost that it drops, but not
	// by much. Of a bitmap readers see themselves whether it is worth asking.
	judgedRows   = 1 << 16
	worthPercent = 75
	restedRows   = 8 * judgedRows
	maxRested    = 1 << 26
)

// keyed is a filter by the keys that a join has found, once it has.
type keyed struct {
	id    uint32
	names []string
	set   *keyfilter.Set
	keys  *keyfilter.Keys // nil: not known yet
	off   bool            // they never will be
	probe *keyfilter.Probe
	done  operator.FilterCounts

	asked, kept int // since it was judged last
	rest, pause int // for how many rows more, and in all, it rests
}

func (f *RowFilters) keyed(k *jobgraph.KeyFilter, columns datatype.Schema) *keyed {
	out := &keyed{id: k.Id, set: f.Set, done: operator.FilterCounts{ID: k.Id}}
	for _, c := range k.Columns {
		out.names = append(out.names, columns[c].Name)
	}
	return out
}

// Columns implements predicate.RowFilter.
func (k *keyed) Columns() []string { return k.names }

// Ready implements predicate.RowFilter.
func (k *keyed) Ready() bool {
	if k.keys == nil && !k.off {
		var settled bool
		if k.keys, settled = k.set.Get(k.id); k.keys != nil {
			k.probe = keyfilter.NewProbe(k.keys)
		}
		k.off = settled && k.keys == nil
	}
	return k.keys != nil
}

// Excludes implements predicate.RowFilter.
func (k *keyed) Excludes(lookup func(string) (predicate.Summary, bool)) bool {
	out := k.excludes(lookup)
	if out {
		k.done.Excluded++
	}
	return out
}

func (k *keyed) excludes(lookup func(string) (predicate.Summary, bool)) bool {
	if !k.keys.Between(math.MinInt64, math.MaxInt64) {
		return true // there are no keys
	}
	if len(k.names) > 1 {
		return false
	}
	s, ok := lookup(k.names[0])
	if !ok {
		return false
	}
	switch low := s.Min.(type) {
	case int64:
		high, ok := s.Max.(int64)
		return ok && (!k.keys.Between(low, high) || low == high && !k.keys.Has(low))
	case string:
		return low == s.Max && !k.keys.Has(low)
	}
	return false
}

// Keep implements predicate.RowFilter.
func (k *keyed) Keep(columns []arrow.Array, n int) ([]int32, error) {
	if k.rest > 0 {
		k.rest -= n
		return nil, nil
	}
	rows := k.probe.Keep(columns)
	k.done.Asked += uint64(n)
	k.done.Dropped += uint64(n - len(rows))
	if !k.keys.Exact() {
		k.judge(n, len(rows))
	}
	if len(rows) == n {
		return nil, nil
	}
	return rows, nil
}

// judge notes that so many rows of n were kept, and has the filter rest where it
// drops too few.
func (k *keyed) judge(n, kept int) {
	k.asked, k.kept = k.asked+n, k.kept+kept
	switch {
	case k.asked < judgedRows:
		return
	case k.kept*100 <= k.asked*worthPercent:
		k.pause = 0
	default:
		k.pause = min(max(2*k.pause, restedRows), maxRested)
		k.rest = k.pause
	}
	k.asked, k.kept = 0, 0
}

var (
	_ predicate.RowFilter = (*condition)(nil)
	_ predicate.RowFilter = (*keyed)(nil)
)
