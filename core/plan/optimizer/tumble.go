package optimizer

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// tumble computes the bounds of tumbling windows row by row. Rows without a time
// belong to no window.
func tumble(n *plan.WindowTVF) plan.Node {
	schema := n.Input.Schema()
	var time expr.Expr = plan.Column(schema, n.Time)
	in := plan.Where(n.Input, known(time))
	bound := plan.WindowBound(time.Type())
	time = inMillis(time)
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

// known are the conditions under which a row is in a window: that it has a time.
func known(time expr.Expr) []expr.Expr {
	if !time.Type().Nullable {
		return nil
	}
	return []expr.Expr{&expr.Call{Function: "IS NOT NULL", Args: []expr.Expr{time}, T: datatype.Of(datatype.Boolean).NotNull()}}
}

// inMillis casts a finer timestamp to the milliseconds that windows count in.
func inMillis(time expr.Expr) expr.Expr {
	t := time.Type()
	if bound := plan.WindowBound(t); t.Precision > bound.Precision {
		return &expr.Call{Function: "CAST", Args: []expr.Expr{time}, T: bound.WithNull(t.Nullable)}
	}
	return time
}

func millis(v int64) expr.Expr {
	return &expr.Literal{Value: v, T: datatype.Of(datatype.BigInt).NotNull()}
}
