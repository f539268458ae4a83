package optimizer

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// tumble computes the bounds of tumbling windows row by row. Rows without a time
// belong to no window.
func tumble(n *plan.WindowTVF) plan.Node {
	in := n.Input
	schema := in.Schema()
	var time expr.Expr = plan.Column(schema, n.Time)
	if time.Type().Nullable {
		in = &plan.Filter{Place: n.Place, Input: in, Cond: &expr.Call{
			Function: "IS NOT NULL", Args: []expr.Expr{time}, T: datatype.Of(datatype.Boolean).NotNull(),
		}}
	}
	bound := plan.WindowBound()
	if time.Type().Precision > bound.Precision {
		time = &expr.Call{Function: "CAST", Args: []expr.Expr{time}, T: bound}
	}
	at := func(function string) expr.Expr {
		return &expr.Call{Function: function, Args: []expr.Expr{time, millis(n.Window.SizeMillis), millis(n.Window.OffsetMillis)}, T: bound}
	}
	end := at("$TUMBLE_END")
	last := &expr.Call{Function: "-", Args: []expr.Expr{end, &expr.Literal{Value: int64(1), T: datatype.Of(datatype.IntervalSecond).NotNull()}}, T: bound}
	out := plan.Identity(in)
	out.Place = n.Place
	out.Exprs = append(out.Exprs, at("$TUMBLE_START"), end, last)
	for p := plan.WindowStart; p <= plan.WindowTime; p++ {
		out.Names = append(out.Names, p.String())
	}
	return out
}

func millis(v int64) expr.Expr {
	return &expr.Literal{Value: v, T: datatype.Of(datatype.BigInt).NotNull()}
}
