package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/plan"
)

// splitDistinct computes the distinct aggregates of streaming plans in two group-bys: the
// lower one by the values, too, so that the rows of a key are spread over all subtasks, and
// combined where they are first; the upper one counts values. Of several lists of
// arguments each has rows of its own, in which the others' are null, and so have the calls
// that are not distinct. Whether a filter has let a value through, ever, is $SEEN.
//
//	Aggregate by k:                             Aggregate by k: SUM0(n),
//	  COUNT(*) AS n,                       =>     COUNT(a), COUNT(b) FILTER (WHERE seen)
//	  COUNT(DISTINCT a),                        └─ Aggregate by k, a, b:
//	  COUNT(DISTINCT b) FILTER (WHERE f)           COUNT(*) FILTER (WHERE row) AS n, $SEEN(*) FILTER (WHERE f) AS seen
//	                                               └─ Expand (row), (a), (b, f)
func splitDistinct(n plan.Node, o Options) plan.Node {
	if o.Split == SplitNone {
		return n
	}
	some := false
	n = plan.Transform(n, func(n plan.Node) plan.Node {
		agg, ok := n.(*plan.Aggregate)
		if !ok {
			return n
		}
		if agg = dropMeaningless(agg); !splits(agg) || o.LateRows && plan.ClosingKey(agg.Input, agg.Keys) >= 0 {
			return n
		}
		s := newSplit(agg)
		if o.Split == SplitHot && !(hot(agg) && s.saves()) {
			return n
		}
		if two := s.node(); two != nil {
			some = true
			return two
		}
		return n
	})
	if some {
		return merge(n)
	}
	return n
}

// splits reports whether a group-by has distinct calls, and all calls can be computed in
// two steps, the upper of which has rows taken back.
func splits(agg *plan.Aggregate) bool {
	found := false
	updates := plan.ChangelogOf(agg.Input) == plan.Retract
	for _, c := range agg.Calls {
		switch {
		case c.Distinct && !retractable(agg.Input.Schema(), c):
			return false
		case c.Distinct:
			found = true
		case updates && picks(c.Function):
			return false
		default:
			if _, combines := combiner(c.Function); !combines {
				return false
			}
		}
	}
	return found
}

// retractable reports whether a distinct call can take back single values.
func retractable(in datatype.Schema, c plan.Call) bool {
	switch c.Function {
	case "COUNT", "SUM", "SUM0", "AVG", "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP":
	default:
		return false
	}
	return !slices.ContainsFunc(c.Args, func(a int) bool { return nested(in[a].Type) })
}

// picks reports whether a function gives one of its values.
func picks(function string) bool {
	switch function {
	case "MIN", "MAX", "BOOL_AND", "BOOL_OR":
		return true
	}
	return false
}

// split is a group-by that becomes two.
type split struct {
	agg     *plan.Aggregate
	in      datatype.Schema
	lists   [][]int // the different arguments of distinct calls
	project *plan.Project
	keys    []int   // columns of the projection that some sets of rows lack
	sets    [][]int // by list, then, if there are other calls, theirs: positions in keys
}

func newSplit(agg *plan.Aggregate) *split {
	s := &split{agg: agg, in: agg.Input.Schema(), project: &plan.Project{Place: agg.Place, Input: agg.Input}}
	others := 0
	for _, c := range agg.Calls {
		if !c.Distinct {
			others = 1
		} else if s.list(c) < 0 {
			s.lists = append(s.lists, c.Args)
		}
	}
	s.sets = make([][]int, len(s.lists)+others)
	return s
}

// saves reports whether there are fewer sets than distinct calls: each of these has a row
// looked up in a table of its values, and each set once among the groups.
func (s *split) saves() bool {
	distinct := 0
	for _, c := range s.agg.Calls {
		if c.Distinct {
			distinct++
		}
	}
	return distinct > len(s.sets)
}

// node is the upper group-by; nil: there are more columns than an Expand takes.
func (s *split) node() plan.Node {
	lower := &plan.Aggregate{Place: s.agg.Place}
	for _, k := range s.agg.Keys {
		lower.Keys = append(lower.Keys, s.pass(k))
	}
	values := make([][]int, len(s.lists)) // where the lists are in the lower one's output
	for i, list := range s.lists {
		for _, column := range list {
			values[i] = append(values[i], len(lower.Keys))
			lower.Keys = append(lower.Keys, s.copy(plan.Column(s.in, column), s.in[column].Name, i))
		}
	}
	upper := s.calls(lower, values)
	if len(s.keys) > jobgraph.MaxGroupingKeys {
		return nil
	}
	if lower.Input = s.project; len(s.sets) > 1 {
		lower.Input = &plan.Expand{Place: s.agg.Place, Input: s.project, Keys: s.keys, Sets: s.sets}
	}
	out := &plan.Aggregate{Place: s.agg.Place, Input: lower, Keys: span(len(s.agg.Keys)), Calls: upper}
	if plan.ChangelogOf(lower) == plan.Retract { // and what they are of never shrinks: see splits
		for i, c := range out.Calls {
			out.Calls[i].Growing = picks(c.Function)
		}
	}
	return out
}

// list is the place of a distinct call's arguments among the lists; -1: there they are not.
func (s *split) list(c plan.Call) int {
	return slices.IndexFunc(s.lists, func(list []int) bool { return slices.Equal(list, c.Args) })
}

// pass is a column of the input that all rows have.
func (s *split) pass(column int) int { return s.add(plan.Column(s.in, column), s.in[column].Name) }

func (s *split) add(e expr.Expr, name string) int {
	s.project.Exprs, s.project.Names = append(s.project.Exprs, e), append(s.project.Names, name)
	return len(s.project.Exprs) - 1
}

// copy is a column that only the rows of some sets have.
func (s *split) copy(e expr.Expr, name string, sets ...int) int {
	for _, set := range sets {
		s.sets[set] = append(s.sets[set], len(s.keys))
	}
	s.keys = append(s.keys, s.add(e, name))
	return s.keys[len(s.keys)-1]
}

// calls gives the lower group-by its calls and returns those of the upper one. Filters are
// asked below; above, rows of other sets have nulls and zeros, which count for nothing.
func (s *split) calls(lower *plan.Aggregate, values [][]int) []plan.Call {
	seen, rows := map[int]int{}, map[int]int{} // by filter
	args := map[int]int{}
	var upper []plan.Call
	for _, c := range s.agg.Calls {
		moved := c
		if c.Distinct {
			moved.Distinct, moved.Args = false, values[s.list(c)]
			if c.Filter >= 0 {
				moved.Filter = s.seen(lower, seen, c.Filter)
			}
			upper = append(upper, moved)
			continue
		}
		moved.Function, _ = combiner(c.Function)
		moved.Args, moved.Filter = []int{len(lower.Keys) + len(lower.Calls)}, -1
		upper = append(upper, moved)
		below := c
		below.Args = make([]int, len(c.Args))
		for i, a := range c.Args {
			if _, known := args[a]; !known {
				args[a] = s.pass(a)
			}
			below.Args[i] = args[a]
		}
		below.Filter = s.rows(rows, c.Filter)
		lower.Calls = append(lower.Calls, below)
	}
	return upper
}

// rows is the filter of the calls that are not distinct, which lets through rows of their
// own set.
func (s *split) rows(known map[int]int, filter int) int {
	if at, ok := known[filter]; ok {
		return at
	}
	var e expr.Expr = &expr.Literal{Value: true, T: datatype.Of(datatype.Boolean).NotNull()}
	name := "row"
	if filter >= 0 {
		e, name = plan.Column(s.in, filter), s.in[filter].Name
	}
	known[filter] = s.copy(e, name, len(s.lists))
	return known[filter]
}

// seen is the column of the lower group-by that says whether a filter let a value through.
func (s *split) seen(lower *plan.Aggregate, known map[int]int, filter int) int {
	if at, ok := known[filter]; ok {
		return at
	}
	var sets []int
	for _, c := range s.agg.Calls {
		if at := s.list(c); c.Distinct && c.Filter == filter && !slices.Contains(sets, at) {
			sets = append(sets, at)
		}
	}
	known[filter] = len(lower.Keys) + len(lower.Calls)
	name := s.in[filter].Name
	lower.Calls = append(lower.Calls, plan.Call{
		Function: aggregate.Seen, Filter: s.copy(plan.Column(s.in, filter), name, sets...), Type: datatype.Of(datatype.Boolean).NotNull(), Name: name,
	})
	return known[filter]
}
