package binder

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// overlaps binds (a, b) OVERLAPS (c, d): whether two spans of time have a moment
// in common, their ends included. A span is from one time to another, in any
// order, or a time and how long it lasts.
func (x *exprBinder) overlaps(n *ast.Binary) (expr.Expr, error) {
	from, to, err := x.span(n, n.L)
	if err != nil {
		return nil, err
	}
	otherFrom, otherTo, err := x.span(n, n.R)
	if err != nil {
		return nil, err
	}
	first, err := x.resolve(">=", n, to, otherFrom)
	if err != nil {
		return nil, err
	}
	second, err := x.resolve(">=", n, otherTo, from)
	if err != nil {
		return nil, err
	}
	return x.resolve("AND", n, first, second)
}

// span binds one side of OVERLAPS, its earlier end first.
func (x *exprBinder) span(n *ast.Binary, side ast.Expr) (from, to expr.Expr, err error) {
	row, ok := side.(*ast.Row)
	if !ok || len(row.Elems) != 2 {
		return nil, nil, x.errorf(sqlerr.TypeMismatch, side, "a side of OVERLAPS is two times, or a time and an interval, in parentheses")
	}
	ends, err := x.bindAll(row.Elems)
	if err != nil {
		return nil, nil, err
	}
	if ends[1].Type().IsInterval() {
		if ends[1], err = x.resolve("+", n, ends[0], ends[1]); err != nil {
			return nil, nil, err
		}
	}
	for i, e := range ends {
		if !e.Type().IsTemporal() {
			return nil, nil, x.errorf(sqlerr.TypeMismatch, row.Elems[i], "OVERLAPS takes times, not %s", e.Type().WithNull(true))
		}
	}
	if from, err = x.resolve("LEAST", n, ends...); err != nil {
		return nil, nil, err
	}
	to, err = x.resolve("GREATEST", n, ends...)
	return from, to, err
}
