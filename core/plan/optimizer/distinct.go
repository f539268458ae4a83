package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/plan"
)

// distinct turns distinct aggregates over one list of arguments into two
// group-bys: the lower one makes the values distinct in parallel, the upper one
// counts them. Others beside them are computed in two steps where that is exact.
// For MIN and MAX distinct means nothing.
func distinct(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		agg, ok := n.(*plan.Aggregate)
		if !ok {
			return n
		}
		agg = dropMeaningless(agg)
		if two, ok := twoSteps(agg); ok && plan.Bounded(agg) {
			return two
		}
		return agg
	})
}

func dropMeaningless(agg *plan.Aggregate) *plan.Aggregate {
	c := *agg
	c.Calls = slices.Clone(agg.Calls)
	for i, call := range c.Calls {
		switch call.Function {
		case "MIN", "MAX", "BOOL_AND", "BOOL_OR", "ANY_VALUE":
			c.Calls[i].Distinct = false
		}
	}
	return &c
}

// combiner is the aggregate that combines results of a function.
func combiner(function string) (string, bool) {
	switch function {
	case "COUNT":
		return "SUM0", true
	case "SUM", "MIN", "MAX", "BOOL_AND", "BOOL_OR", "SUM0":
		return function, true
	}
	return "", false
}

func twoSteps(agg *plan.Aggregate) (plan.Node, bool) {
	var args []int
	found := false
	for _, c := range agg.Calls {
		_, combines := combiner(c.Function)
		switch {
		case c.Distinct && c.Filter >= 0, c.Distinct && found && !slices.Equal(args, c.Args), !c.Distinct && !combines:
			return nil, false
		case c.Distinct:
			args, found = c.Args, true
		}
	}
	if !found {
		return nil, false
	}
	lower := &plan.Aggregate{Place: agg.Place, Input: agg.Input, Keys: slices.Clone(agg.Keys)}
	at := make([]int, len(args)) // where the arguments stand in lower's output
	for i, a := range args {
		if at[i] = slices.Index(lower.Keys, a); at[i] < 0 {
			at[i] = len(lower.Keys)
			lower.Keys = append(lower.Keys, a)
		}
	}
	upper := &plan.Aggregate{Place: agg.Place, Input: lower, Keys: span(len(agg.Keys))}
	for _, c := range agg.Calls {
		moved := c
		moved.Distinct, moved.Filter = false, -1
		if moved.Args = at; !c.Distinct {
			moved.Function, _ = combiner(c.Function)
			moved.Args = []int{len(lower.Keys) + len(lower.Calls)}
			lower.Calls = append(lower.Calls, c)
		}
		upper.Calls = append(upper.Calls, moved)
	}
	return upper, true
}
