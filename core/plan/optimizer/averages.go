package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// averages turns AVG into SUM and COUNT where these are asked for as well, or
// shared by several, and so each is computed once; and beside distinct calls, where
// only what can be combined may stand. AVG of a column that is never null counts
// rows.
func averages(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		agg, ok := n.(*plan.Aggregate)
		if !ok {
			return n
		}
		split, results := splitAverages(agg)
		distinct := slices.ContainsFunc(agg.Calls, func(c plan.Call) bool { return c.Distinct })
		if old := passes(agg.Calls); passes(split) > old || passes(split) == old && !distinct {
			return n
		}
		below := &plan.Aggregate{Place: agg.Place, Input: agg.Input, Keys: agg.Keys, Calls: split}
		have := below.Schema()
		out := &plan.Project{Place: agg.Place, Input: below, Names: agg.Schema().Names()}
		for i := range agg.Keys {
			out.Exprs = append(out.Exprs, plan.Column(have, i))
		}
		for i, r := range results {
			var e expr.Expr = plan.Column(have, len(agg.Keys)+r.value)
			if r.count >= 0 {
				e = quotient(e, plan.Column(have, len(agg.Keys)+r.count), agg.Calls[i].Type)
			}
			out.Exprs = append(out.Exprs, e)
		}
		return out
	})
}

// passes is how often the calls go over the rows.
func passes(calls []plan.Call) int {
	n := len(calls)
	for _, c := range calls {
		if c.Function == "AVG" {
			n++
		}
	}
	return n
}

// result is where a call's value stands among others: at value, or value / count.
type result struct{ value, count int }

func splitAverages(agg *plan.Aggregate) (calls []plan.Call, results []result) {
	in := agg.Input.Schema()
	place := func(c plan.Call) int {
		same := func(o plan.Call) bool {
			return o.Function == c.Function && slices.Equal(o.Args, c.Args) && o.Filter == c.Filter && o.Distinct == c.Distinct &&
				o.Type.Equal(c.Type)
		}
		at := slices.IndexFunc(calls, same)
		if at < 0 {
			at = len(calls)
			calls = append(calls, c)
		}
		return at
	}
	for _, c := range agg.Calls {
		arg := datatype.Type{}
		if c.Function == "AVG" {
			arg = in[c.Args[0]].Type
		}
		if c.Distinct || !arg.Is(datatype.Decimal, datatype.Double, datatype.BigInt) {
			results = append(results, result{place(c), -1})
			continue
		}
		sum := plan.Call{Function: "SUM", Args: c.Args, Filter: c.Filter, Type: arg.WithNull(true), Name: c.Name}
		if arg.Kind == datatype.Decimal {
			sum.Type = datatype.DecimalOf(datatype.MaxDecimalPrecision, arg.Scale).WithNull(true)
		}
		count := plan.Call{Function: "COUNT", Filter: c.Filter, Type: datatype.Of(datatype.BigInt).NotNull(), Name: c.Name + "_count"}
		if arg.Nullable {
			count.Args = c.Args
		}
		results = append(results, result{place(sum), place(count)})
	}
	return calls, results
}

// quotient is sum / count as AVG gives it: null where the sum is.
func quotient(sum expr.Expr, count *expr.Column, t datatype.Type) expr.Expr {
	by := datatype.Of(datatype.Double)
	switch t.Kind {
	case datatype.BigInt:
		return &expr.Call{Function: "/", T: t, Args: []expr.Expr{sum, count}}
	case datatype.Decimal:
		by = datatype.DecimalOf(20, 0)
	}
	return &expr.Call{Function: "/", T: t, Args: []expr.Expr{sum, &expr.Call{Function: "CAST", T: by.NotNull(), Args: []expr.Expr{count}}}}
}
