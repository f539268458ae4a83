package endpoint

import (
	"fmt"

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
			out = append(out, &keyed{id: k.Id, name: columns[k.Column].Name, set: f.Set})
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

// keyed is a filter by the keys that a join has found, once it has.
type keyed struct {
	id   uint32
	name string
	set  *keyfilter.Set
	keys *keyfilter.Keys // nil: not known yet
	off  bool            // they never will be
	rows []int32
	ints []int64
}

// Columns implements predicate.RowFilter.
func (k *keyed) Columns() []string { return []string{k.name} }

// Ready implements predicate.RowFilter.
func (k *keyed) Ready() bool {
	if k.keys == nil && !k.off {
		var settled bool
		k.keys, settled = k.set.Get(k.id)
		k.off = settled && k.keys == nil
	}
	return k.keys != nil
}

// Excludes implements predicate.RowFilter.
func (k *keyed) Excludes(lookup func(string) (predicate.Summary, bool)) bool {
	s, ok := lookup(k.name)
	if !ok {
		return false
	}
	low, lowOK := s.Min.(int64)
	high, highOK := s.Max.(int64)
	return lowOK && highOK && !k.keys.Between(low, high)
}

// Keep implements predicate.RowFilter.
func (k *keyed) Keep(columns []arrow.Array, n int) ([]int32, error) {
	if k.rows == nil {
		k.rows = make([]int32, 0, n)
	}
	k.rows, k.ints = k.keys.Keep(columns[0], k.rows[:0], k.ints)
	if len(k.rows) == n {
		return nil, nil
	}
	return k.rows, nil
}

var (
	_ predicate.RowFilter = (*condition)(nil)
	_ predicate.RowFilter = (*keyed)(nil)
)
