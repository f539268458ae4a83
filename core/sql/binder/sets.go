package binder

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// groupingID is the column of the virtual row that tells grouping sets apart;
// GROUPING and GROUPING_ID are the columns after it, one for each call.
const groupingID = 1 << 23

// maxGroupingSets bounds what CUBE and lists of sets multiply to.
const maxGroupingSets = 4096

// groupingCall is GROUPING(...) or GROUPING_ID(...).
type groupingCall struct {
	args []expr.Expr
	at   ast.Node
}

// groupingBits registers GROUPING and GROUPING_ID, which are known only with the
// keys.
func (x *exprBinder) groupingBits(n *ast.Call, name string) (expr.Expr, error) {
	if x.group == nil || x.insideOf != "" {
		return nil, x.errorf(sqlerr.MisplacedCall, n, "%s cannot stand in %s", name, x.place())
	}
	if len(n.Args) == 0 || len(n.Args) > jobgraph.MaxGroupingKeys {
		return nil, x.errorf(sqlerr.WrongArguments, n, "%s wants the keys of GROUP BY that it is about, at most %d", name, jobgraph.MaxGroupingKeys)
	}
	inner := *x
	inner.group, inner.overs, inner.insideOf = nil, nil, name
	args, err := inner.bindAll(n.Args)
	if err != nil {
		return nil, err
	}
	x.group.bits = append(x.group.bits, groupingCall{args: args, at: n})
	return &expr.Column{Index: groupingID + len(x.group.bits), Name: name, T: datatype.Of(datatype.BigInt).NotNull()}, nil
}

// bitsOf computes a groupingCall from the grouping id, column id of the
// aggregate's output.
func (s *selection) bitsOf(c groupingCall, out datatype.Schema) (expr.Expr, error) {
	sum := castTo(intLiteral(0), datatype.Of(datatype.BigInt).NotNull())
	keys := s.group.written
	for _, a := range c.args {
		key := slices.IndexFunc(s.group.keys[:keys], func(k expr.Expr) bool { return expr.Equal(k, a) })
		if key < 0 {
			return nil, s.errorf(sqlerr.NotAggregated, c.at, "GROUPING wants keys of GROUP BY")
		}
		var err error
		if sum, err = s.resolve("*", c.at, sum, intLiteral(2)); err != nil {
			return nil, err
		}
		if s.group.sets == nil {
			continue
		}
		var bit expr.Expr = plan.Column(out, keys)
		if bit, err = s.resolve("/", c.at, bit, castTo(intLiteral(1<<(keys-1-key)), bit.Type())); err != nil {
			return nil, err
		}
		if bit, err = s.resolve("%", c.at, bit, castTo(intLiteral(2), datatype.Of(datatype.BigInt).NotNull())); err != nil {
			return nil, err
		}
		if sum, err = s.resolve("+", c.at, sum, bit); err != nil {
			return nil, err
		}
	}
	return castTo(sum, datatype.Of(datatype.BigInt)), nil
}

// groupSets returns the sets of positions of keys that the items of GROUP BY
// make: their product.
func (s *selection) groupSets(x *exprBinder, items []ast.Expr) ([][]int, error) {
	all := [][]int{nil}
	for _, n := range items {
		sets, err := s.setsOf(x, n)
		if err != nil {
			return nil, err
		}
		if len(all)*len(sets) > maxGroupingSets {
			return nil, s.errorf(sqlerr.BadClause, n, "more than %d grouping sets", maxGroupingSets)
		}
		var product [][]int
		for _, a := range all {
			for _, b := range sets {
				product = append(product, mergedSet(a, b))
			}
		}
		all = product
	}
	return all, nil
}

// differentSets is sets without repetitions: GROUP BY DISTINCT.
func differentSets(sets [][]int) [][]int {
	var out [][]int
	for _, set := range sets {
		if !slices.ContainsFunc(out, func(have []int) bool { return slices.Equal(have, set) }) {
			out = append(out, set)
		}
	}
	return out
}

func mergedSet(sets ...[]int) []int {
	all := slices.Concat(sets...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *selection) setsOf(x *exprBinder, n ast.Expr) ([][]int, error) {
	switch n := n.(type) {
	case *ast.GroupingSet:
		return s.nestedSets(x, n)
	case *ast.Row:
		if n.Explicit {
			break
		}
		return s.groupSets(x, n.Elems)
	}
	key, err := s.groupKey(x, n)
	return [][]int{{key}}, err
}

func (s *selection) nestedSets(x *exprBinder, n *ast.GroupingSet) ([][]int, error) {
	s.group.several = true
	var items [][][]int
	for _, item := range n.Items {
		if _, ok := item.(*ast.GroupingSet); ok && n.Kind != ast.GroupingSets {
			return nil, s.errorf(sqlerr.BadClause, item, "grouping sets stand inside of GROUPING SETS only, not of %s", n.Kind)
		}
		sets, err := s.setsOf(x, item)
		if err != nil {
			return nil, err
		}
		items = append(items, sets)
	}
	if n.Kind == ast.GroupingSets {
		return slices.Concat(items...), nil
	}
	if n.Kind == ast.Cube && 1<<min(len(items), 30) > maxGroupingSets {
		return nil, s.errorf(sqlerr.BadClause, n, "more than %d grouping sets", maxGroupingSets)
	}
	var out [][]int
	if n.Kind == ast.Rollup {
		for count := len(items); count >= 0; count-- {
			var set []int
			for _, sets := range items[:count] {
				set = mergedSet(set, sets[0])
			}
			out = append(out, set)
		}
		return out, nil
	}
	for mask := 1<<len(items) - 1; mask >= 0; mask-- {
		var set []int
		for i, sets := range items {
			if mask>>(len(items)-1-i)&1 == 1 {
				set = mergedSet(set, sets[0])
			}
		}
		out = append(out, set)
	}
	return out, nil
}

// grandTotals adds the row of each empty grouping set where there are no rows: what
// the calls are over none.
//
//	rows      full join with the ids of the empty sets and the calls over no rows;
//	          an id that has no row has these
func (s *selection) grandTotals(agg *plan.Aggregate) error {
	expand := agg.Input.(*plan.Expand)
	nothing := &plan.Aggregate{Place: agg.Place, Input: &plan.Values{Place: agg.Place, Columns: expand.Schema()}, Calls: agg.Calls}
	if len(nothing.Calls) == 0 { // nothing has no columns
		nothing.Calls = []plan.Call{{Function: "COUNT", Filter: -1, Type: datatype.Of(datatype.BigInt).NotNull(), Name: "rows"}}
	}
	union := &plan.Union{Place: agg.Place}
	spec := &jobgraph.Expand{Keys: make([]uint32, len(expand.Keys))}
	for _, set := range expand.Sets {
		s := &jobgraph.ExpandSet{}
		for _, k := range set {
			s.Keys = append(s.Keys, uint32(k))
		}
		spec.Sets = append(spec.Sets, s)
	}
	for i, id := range spec.IDs() {
		if len(expand.Sets[i]) == 0 {
			p := plan.Identity(nothing)
			p.Exprs, p.Names = append(p.Exprs, bigint(id)), append(p.Names, plan.GroupingID)
			union.All = append(union.All, p)
		}
	}
	if len(union.All) == 0 {
		return nil
	}
	totals := union.All[0]
	if len(union.All) > 1 {
		totals = union
	}
	join := &plan.Join{Place: agg.Place, Left: agg, Right: totals, Kind: plan.Full}
	schema, width := join.Schema(), len(agg.Schema())
	id, total := plan.Column(schema, s.group.written), plan.Column(schema, len(schema)-1)
	var err error
	if join.Residual, err = s.resolve("=", s.syntax, id, total); err != nil {
		return err
	}
	out := plan.Identity(join)
	out.Exprs, out.Names = out.Exprs[:width], out.Names[:width]
	if out.Exprs[s.group.written], err = s.orElse(s.syntax, id, id, total); err != nil {
		return err
	}
	for i := range agg.Calls {
		at := len(agg.Keys) + i
		if out.Exprs[at], err = s.orElse(s.syntax, id, out.Exprs[at], plan.Column(schema, width+i)); err != nil {
			return err
		}
	}
	s.node = out
	return nil
}

// expandSets puts the rows of all grouping sets below the aggregate, whose keys
// in computes, and makes the grouping id its key after the written ones. What the
// calls use is computed beside the keys, which sets make NULL.
func (s *selection) expandSets(agg *plan.Aggregate, in, args *plan.Project) error {
	g := s.group
	if g.written > jobgraph.MaxGroupingKeys {
		return s.errorf(sqlerr.BadClause, s.syntax.GroupBy, "more than %d keys of grouping sets", jobgraph.MaxGroupingKeys)
	}
	shift := len(in.Exprs)
	in.Exprs, in.Names = append(in.Exprs, args.Exprs...), append(in.Names, args.Names...)
	for i := range agg.Calls {
		c := &agg.Calls[i]
		for j := range c.Args {
			c.Args[j] += shift
		}
		if c.Filter >= 0 {
			c.Filter += shift
		}
	}
	written := make([]int, g.written)
	for i := range written {
		written[i] = i
	}
	agg.Input = &plan.Expand{Place: s.groupPlace(), Input: in, Keys: written, Sets: g.sets}
	id := &expr.Column{Index: groupingID, Name: plan.GroupingID, T: datatype.Of(datatype.BigInt).NotNull()}
	agg.Keys = slices.Insert(agg.Keys, g.written, len(in.Exprs))
	g.keys, g.names = slices.Insert(g.keys, g.written, expr.Expr(id)), slices.Insert(g.names, g.written, id.Name)
	return nil
}
