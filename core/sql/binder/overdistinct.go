package binder

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// distinctOver makes a call with DISTINCT one that looks only at the first row of
// each value: in a frame that begins with the partition, these are all values.
//
//	SUM(DISTINCT x) OVER (PARTITION BY p ORDER BY o)
//	SUM(x) FILTER (WHERE n = 1) OVER (PARTITION BY p ORDER BY o)
//	n      ROW_NUMBER() OVER (PARTITION BY p, x ORDER BY o)
//
// Rows that are equal in the order come in any order, so ROWS must not end among them.
func (x *exprBinder) distinctOver(n *ast.Call, call *overCall) error {
	if call.frame.From.Kind != ast.BoundUnboundedPreceding || !call.frame.Range && call.frame.To.Kind != ast.BoundUnboundedFollowing {
		return x.unsupported(n, "DISTINCT over a frame other than RANGE from UNBOUNDED PRECEDING is")
	}
	row, err := x.rowNumber()
	if err != nil {
		return err
	}
	number := overCall{order: call.order, frame: row.Frame}
	number.at, number.function, number.typ = n, row.Function, row.Type
	number.partition = append(append([]expr.Expr(nil), call.partition...), call.args...)
	if call.filter != nil {
		number.partition = append(number.partition, call.filter)
	}
	first, err := x.resolve("=", n, x.overs.virtual(number), bigint(1))
	if err != nil {
		return err
	}
	call.filter = plan.AllOf(append(plan.Conjuncts(call.filter), first))
	return nil
}
