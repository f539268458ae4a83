package optimizer

import (
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// sessionRows gives rows their SESSION windows where they are not grouped by just them,
// which windows has made one operator of: each session collects its rows, and tells them
// when it has ended.
//
//	Window SESSION by k       Project v, k, window_start, window_end, window_time
//	└─ Scan v, k, ts      =>  └─ Unnest rows
//	                             └─ WindowAggregate by k: ARRAY_AGG(row)
//	                                └─ Project k, (v, k, ts) AS row, ts
//
// It comes after columns that nobody reads are gone. In streaming mode windows that are
// not over event time are left, to be refused.
func sessionRows(n plan.Node, streaming bool) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		if tvf, ok := n.(*plan.WindowTVF); ok && tvf.Window.Kind == plan.Session && (!streaming || plan.InTime(tvf)) {
			return collected(tvf)
		}
		return n
	})
}

func collected(tvf *plan.WindowTVF) plan.Node {
	schema := tvf.Input.Schema()
	time := plan.Column(schema, tvf.Time)
	// The bytes of a row are kept as any other text is.
	row := &expr.Call{Function: "ROW", Args: plan.Columns(schema), T: datatype.RowOf(schema...).NotNull()}
	in := &plan.Project{Place: tvf.Place, Input: plan.Where(tvf.Input, known(time)), Exprs: []expr.Expr{inMillis(time), bytesOf(row)}, Names: []string{"time", "row"}}
	window := &plan.WindowAggregate{
		Place: tvf.Place, Input: in, Window: tvf.Window, Time: 0,
		Calls:      []plan.Call{{Function: "ARRAY_AGG", Args: []int{1}, Filter: -1, Type: datatype.ArrayOf(bytesOf(row).Type()), Name: "rows"}},
		Properties: []plan.Property{plan.WindowStart, plan.WindowEnd, plan.WindowTime}, Names: []string{"window_start", "window_end", "window_time"},
	}
	for i, p := range tvf.Partition {
		window.Keys = append(window.Keys, len(in.Exprs))
		in.Exprs, in.Names = append(in.Exprs, p), append(in.Names, "key"+strconv.Itoa(i))
	}
	rows := len(window.Keys)
	apart := &plan.Unnest{Place: tvf.Place, Input: window, Column: rows, Keep: []int{rows + 1, rows + 2, rows + 3}, Fields: []int{0}, Names: []string{"row"}}
	whole := &plan.Project{Place: tvf.Place, Input: apart, Exprs: plan.Columns(apart.Schema()), Names: apart.Schema().Names()}
	whole.Exprs[3] = &expr.Call{Function: "$VALUE", Args: []expr.Expr{whole.Exprs[3]}, T: row.T}
	out := &plan.Project{Place: tvf.Place, Input: whole, Names: tvf.Schema().Names()}
	for i, f := range schema {
		at := &expr.Literal{Value: int64(i), T: datatype.Of(datatype.BigInt).NotNull()}
		out.Exprs = append(out.Exprs, &expr.Call{Function: ".", Args: []expr.Expr{plan.Column(whole.Schema(), 3), at}, T: f.Type})
	}
	for i := range window.Properties {
		out.Exprs = append(out.Exprs, plan.Column(whole.Schema(), i))
	}
	return out
}
