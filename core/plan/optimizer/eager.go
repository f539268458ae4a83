package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

const (
	// eagerReduces is how many rows, at least, must become one for a side of a join to
	// be grouped before: grouping costs about what probing does.
	eagerReduces = 100
	// eagerRows is up to how many rows a side is left alone.
	eagerRows = 100_000
	// eagerKept is the share of a side's rows that, at least, find partners: where the
	// join drops most of them it comes first.
	eagerKept = 0.5
)

// eager groups a side of a join before the join where all calls are about that side and
// its rows fall into few groups: by what the join and the group-by above need of it.
// The group-by above combines the results; a row of them finds the partners that each
// of its rows would have found, so sums and counts come out the same.
func eager(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		agg, ok := n.(*plan.Aggregate)
		if !ok || !combines(agg) || !plan.Bounded(agg) {
			return n
		}
		e := eagerly{agg: agg}
		join, ok := e.through(agg.Input)
		if !ok || len(join.LeftKeys) == 0 {
			return n
		}
		for _, left := range []bool{true, false} {
			if below, ok := e.grouped(join, left); ok {
				return below
			}
		}
		return n
	})
}

// combines reports whether results of all calls can be combined.
func combines(agg *plan.Aggregate) bool {
	return !slices.ContainsFunc(agg.Calls, func(c plan.Call) bool {
		_, ok := combiner(c.Function)
		return !ok || c.Distinct
	})
}

// eagerly is a group-by above a join, with its input's columns over those of the join.
type eagerly struct {
	agg   *plan.Aggregate
	exprs []expr.Expr
}

// through looks for the join below projections that give the same every time.
func (e *eagerly) through(n plan.Node) (*plan.Join, bool) {
	e.exprs = plan.Identity(n).Exprs
	for {
		switch in := n.(type) {
		case *plan.Join:
			return in, true
		case *plan.Project:
			if !slices.ContainsFunc(in.Exprs, func(x expr.Expr) bool { return !deterministic(x) }) {
				for i, x := range e.exprs {
					e.exprs[i] = plan.Substitute(x, in.Exprs)
				}
				n = in.Input
				continue
			}
		}
		return nil, false
	}
}

// eagerSide is a side of the join with what is needed of it.
type eagerSide struct {
	input   plan.Node
	keys    []int
	first   int   // its first column in the join's output
	columns []int // what the groups are by, of input
}

func (s *eagerSide) owns(column int) bool {
	return column >= s.first && column < s.first+len(s.input.Schema())
}

// need adds the columns of the side that an expression uses.
func (s *eagerSide) need(x expr.Expr) {
	plan.EachColumn(x, func(c *expr.Column) {
		if s.owns(c.Index) && !slices.Contains(s.columns, c.Index-s.first) {
			s.columns = append(s.columns, c.Index-s.first)
		}
	})
}

// grouped is the plan with one side grouped first, if that is right and pays.
func (e *eagerly) grouped(join *plan.Join, left bool) (plan.Node, bool) {
	s := eagerSide{input: join.Right, keys: join.RightKeys, first: len(join.Left.Schema())}
	kept := join.Kind == plan.Inner || join.Kind == plan.Right
	if left {
		s = eagerSide{input: join.Left, keys: join.LeftKeys}
		kept = join.Kind == plan.Inner || join.Kind == plan.Left || join.Kind == plan.Semi || join.Kind == plan.Anti
	}
	if !kept || join.BuildLeft || plan.Rows(s.input) < eagerRows {
		return nil, false
	}
	for _, c := range e.agg.Calls {
		args := slices.Clone(c.Args)
		if c.Filter >= 0 {
			args = append(args, c.Filter)
		}
		for _, arg := range args {
			if !plan.OnlyColumns(e.exprs[arg], s.owns) {
				return nil, false
			}
		}
	}
	s.columns = slices.Compact(slices.Sorted(slices.Values(s.keys)))
	for _, k := range e.agg.Keys {
		s.need(e.exprs[k])
	}
	if join.Residual != nil {
		s.need(join.Residual)
	}
	partial := e.partial(&s)
	if !pays(join, &s, partial) {
		return nil, false
	}
	return e.above(join, &s, partial, left), true
}

// pays reports whether few groups are left of many rows for sure.
func pays(join *plan.Join, s *eagerSide, partial *plan.Aggregate) bool {
	rows := plan.Rows(s.input)
	for _, c := range s.columns {
		if plan.ColumnStatistics(s.input, c).Distinct == 0 {
			return false
		}
	}
	return plan.Rows(partial)*eagerReduces <= rows && plan.Rows(join) >= rows*eagerKept
}

// partial groups the side by the columns that are needed above.
func (e *eagerly) partial(s *eagerSide) *plan.Aggregate {
	in := s.input.Schema()
	project := &plan.Project{Place: e.agg.Place, Input: s.input}
	for _, c := range s.columns {
		project.Exprs, project.Names = append(project.Exprs, plan.Column(in, c)), append(project.Names, in[c].Name)
	}
	names := e.agg.Input.Schema().Names()
	argument := func(i int) int {
		x := plan.Renumber(e.exprs[i], func(c int) int { return c - s.first })
		for at, have := range project.Exprs {
			if expr.Equal(have, x) {
				return at
			}
		}
		project.Exprs, project.Names = append(project.Exprs, x), append(project.Names, names[i])
		return len(project.Exprs) - 1
	}
	partial := &plan.Aggregate{Place: e.agg.Place, Input: project, Keys: span(len(s.columns))}
	for _, c := range e.agg.Calls {
		moved := c
		moved.Args = make([]int, len(c.Args))
		for i, arg := range c.Args {
			moved.Args[i] = argument(arg)
		}
		if c.Filter >= 0 {
			moved.Filter = argument(c.Filter)
		}
		partial.Calls = append(partial.Calls, moved)
	}
	return partial
}

// above joins the groups and combines their results.
func (e *eagerly) above(old *plan.Join, s *eagerSide, partial *plan.Aggregate, left bool) plan.Node {
	place := func(c int) int { return slices.Index(s.columns, c) }
	before, after := len(s.input.Schema()), len(partial.Schema())
	join := *old
	keys := make([]int, len(s.keys))
	for i, k := range s.keys {
		keys[i] = place(k)
	}
	if left {
		join.Left, join.LeftKeys = partial, keys
	} else {
		join.Right, join.RightKeys = partial, keys
	}
	move := func(c int) int { // from the old join's output to the new one's
		switch {
		case s.owns(c):
			return s.first + place(c-s.first)
		case left:
			return c - before + after
		}
		return c
	}
	if old.Residual != nil {
		join.Residual = plan.Renumber(old.Residual, move)
	}
	have, names := join.Schema(), e.agg.Input.Schema().Names()
	project := &plan.Project{Place: e.agg.Place, Input: &join}
	for _, k := range e.agg.Keys {
		project.Exprs, project.Names = append(project.Exprs, plan.Renumber(e.exprs[k], move)), append(project.Names, names[k])
	}
	out := &plan.Aggregate{Place: e.agg.Place, Input: project, Keys: span(len(e.agg.Keys))}
	for i, c := range e.agg.Calls {
		at := s.first + len(s.columns) + i
		project.Exprs, project.Names = append(project.Exprs, plan.Column(have, at)), append(project.Names, c.Name)
		combined := plan.Call{Args: []int{len(project.Exprs) - 1}, Filter: -1, Type: c.Type, Name: c.Name}
		combined.Function, _ = combiner(c.Function)
		out.Calls = append(out.Calls, combined)
	}
	return out
}
