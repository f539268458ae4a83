package binder

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// byClock is n with the rows' processing time in a column that PROCTIME() computes, for a
// window over it: the clock is read below the window, and is the only time there.
func (b *Binder) byClock(at ast.Node, n plan.Node, column int) plan.Node {
	if !processingTime(n, column) {
		return n
	}
	n = withoutTime(n)
	return &plan.Watermark{Place: b.at(at), Input: n, Column: column, Expr: plan.Column(n.Schema(), column), Processing: true}
}

// processingTime reports whether a column is PROCTIME().
func processingTime(n plan.Node, column int) bool {
	switch n := n.(type) {
	case *plan.Project:
		switch e := n.Exprs[column].(type) {
		case *expr.Call:
			return e.Function == "PROCTIME"
		case *expr.Column:
			return e.Index >= 0 && processingTime(n.Input, e.Index)
		}
	case *plan.LookupJoin, *plan.TemporalJoin:
		in := n.Inputs()[0]
		return column < len(in.Schema()) && processingTime(in, column)
	case *plan.Join:
		if width := len(n.Left.Schema()); column >= width {
			return processingTime(n.Right, column-width)
		}
		return processingTime(n.Left, column)
	case *plan.Filter, *plan.Watermark:
		return processingTime(n.Inputs()[0], column)
	case *plan.Union:
		return !slices.ContainsFunc(n.All, func(in plan.Node) bool { return !processingTime(in, column) })
	}
	return false
}

// withoutTime drops event time down to the nodes that may wait for it.
func withoutTime(n plan.Node) plan.Node {
	switch n := n.(type) {
	case *plan.Watermark:
		return withoutTime(n.Input)
	case *plan.Project, *plan.Filter, *plan.Union:
		return plan.MapInputs(n, withoutTime)
	}
	return n
}
