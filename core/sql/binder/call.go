package binder

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

func (x *exprBinder) call(n *ast.Call) (expr.Expr, error) {
	name := strings.ToUpper(n.Func.String())
	kind, ok := x.Functions.Exists(name)
	if x.match != nil {
		if e, ok, err := x.match.call(x, n, name); ok {
			return e, err
		}
	}
	if e, ok, err := x.windowCall(n, name); ok {
		return e, err
	}
	if windowFunction(name) {
		return nil, x.errorf(sqlerr.MisplacedCall, n, "%s stands in FROM, as TABLE(%s(...))", name, name)
	}
	if name == "GROUPING" || name == "GROUPING_ID" {
		return x.groupingBits(n, name)
	}
	if !ok {
		return nil, x.unknownFunction(n)
	}
	if n.Over != nil {
		return x.over(n, kind, name)
	}
	if n.Filter == nil && n.Quantifier == ast.QuantNone {
		if e, ok, err := x.jsonCall(n, name); ok {
			return e, err
		}
	}
	if err := x.refuseClauses(n, kind, name); err != nil {
		return nil, err
	}
	if kind == function.Aggregate {
		return x.aggregate(n, name)
	}
	if n.Quantifier != ast.QuantNone {
		return nil, x.errorf(sqlerr.WrongArguments, n, "%s takes %s, only aggregates do", name, n.Quantifier)
	}
	if name == "TRIM" && len(n.Args) == 3 {
		return x.trim(n)
	}
	return x.apply(name, n, n.Args)
}

func windowFunction(name string) bool {
	return slices.Contains([]string{"TUMBLE", "HOP", "CUMULATE", "SESSION"}, name)
}

// refuseClauses names what follows a call and has no plan yet.
func (x *exprBinder) refuseClauses(n *ast.Call, kind function.Kind, name string) error {
	switch {
	case kind == function.Window:
		return x.errorf(sqlerr.MisplacedCall, n, "%s needs an OVER clause", name)
	case n.JSON != nil && !jsonAggregate(name):
		return x.unsupported(n.JSON, "this clause of "+name+" is")
	case len(n.WithinGroup) > 0:
		return x.unsupported(n, "WITHIN GROUP is")
	case len(n.OrderBy) > 0:
		return x.unsupported(n.OrderBy[0], "ORDER BY inside of "+name+" is")
	case n.Nulls != ast.NullsDefault:
		return x.unsupported(n, n.Nulls.String()+" is")
	case n.Filter != nil && kind != function.Aggregate:
		return x.errorf(sqlerr.BadClause, n.Filter, "FILTER goes with aggregates only, %s is none", name)
	}
	return nil
}

// legacyWindow names the functions of group windows.
func legacyWindow(name string) bool {
	for _, w := range []string{"TUMBLE", "HOP", "SESSION"} {
		if strings.HasPrefix(name, w+"_") {
			return true
		}
	}
	return false
}

func (x *exprBinder) unknownFunction(n *ast.Call) error {
	name := n.Func.String()
	if legacyWindow(strings.ToUpper(name)) {
		return x.errorf(sqlerr.MisplacedCall, n, "%s tells of a window in GROUP BY, and there is none", name).
			Suggest("use FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time), INTERVAL '1' MINUTE)) and GROUP BY window_start, window_end")
	}
	// Among equally near names the common ones come first.
	known := slices.Concat([]string{"COUNT", "SUM", "AVG", "MIN", "MAX"}, x.Functions.Names(function.Scalar), x.Functions.Names(function.Aggregate), x.Functions.Names(function.Window))
	return x.errorf(sqlerr.UnknownFunction, n.Func, "unknown function %s", name).DidYouMean(name, known)
}

// trim is TRIM(side what FROM x): the functions take x first.
func (x *exprBinder) trim(n *ast.Call) (expr.Expr, error) {
	name := "BTRIM"
	if side, ok := n.Args[0].(*ast.TrimArg); ok {
		switch side.Side {
		case ast.TrimLeading:
			name = "LTRIM"
		case ast.TrimTrailing:
			name = "RTRIM"
		}
	}
	return x.apply(name, n, []ast.Expr{n.Args[2], n.Args[1]})
}

// mismatch explains arguments that a function does not take.
func (b *Binder) mismatch(name string, n ast.Node, args []expr.Expr, err error) error {
	types := make([]string, len(args))
	for i, a := range args {
		types[i] = a.Type().WithNull(true).String()
	}
	if _, ok := n.(*ast.Case); ok { // conditions are not values
		var values []string
		for i, t := range types {
			if i%2 == 1 || i == len(types)-1 {
				values = append(values, t)
			}
		}
		types = values
	}
	list := strings.Join(types, " and ")
	switch n := n.(type) {
	case *ast.Call:
		return b.errorf(sqlerr.WrongArguments, n, "%v", err)
	case *ast.Binary:
		e := b.errorf(sqlerr.TypeMismatch, n, "cannot apply %s to %s", name, list)
		if name == "+" && len(args) == 2 && (args[0].Type().IsString() || args[1].Type().IsString()) {
			return e.Suggest("strings are joined by ||")
		}
		return e
	case *ast.Case:
		return b.errorf(sqlerr.TypeMismatch, n, "the values of CASE have no common type: %s", list)
	case *ast.In, *ast.Between:
		return b.errorf(sqlerr.TypeMismatch, n, "cannot compare %s", list)
	}
	return b.errorf(sqlerr.TypeMismatch, n, "cannot apply %s to %s", name, list)
}

// grouping collects what a grouped query computes over the columns of FROM. The
// virtual row of its clauses has those columns, then one for each call.
type grouping struct {
	width int
	keys  []expr.Expr
	names []string // of the keys
	calls []aggregateCall
	// sets are the grouping sets as positions of the written keys; nil: one of all.
	sets    [][]int
	several bool // sets were written
	written int  // keys in GROUP BY
	bits    []groupingCall
}

type aggregateCall struct {
	function string
	args     []expr.Expr
	filter   expr.Expr // nil: none
	distinct bool
	typ      datatype.Type
	at       ast.Node
}

// aggregate registers the call and returns its column of the virtual row.
func (x *exprBinder) aggregate(n *ast.Call, name string) (expr.Expr, error) {
	if x.insideOf != "" {
		return nil, x.errorf(sqlerr.MisplacedCall, n, "aggregate %s inside of aggregate %s", name, x.insideOf)
	}
	if x.group == nil {
		e := x.errorf(sqlerr.MisplacedCall, n, "aggregate %s cannot stand in %s", name, x.clause)
		if x.clause == "WHERE" {
			return nil, e.Suggest("conditions on aggregates belong into HAVING")
		}
		return nil, e
	}
	inner := *x
	inner.group, inner.overs, inner.insideOf = nil, nil, name
	call := aggregateCall{at: n, distinct: n.Quantifier == ast.QuantDistinct}
	var err error
	switch {
	case jsonAggregate(name):
		piece, err := inner.jsonPiece(n, name)
		if err != nil {
			return nil, err
		}
		call.args = []expr.Expr{piece}
	case !(name == "COUNT" && len(n.Args) == 1 && isStar(n.Args[0])):
		if call.args, err = inner.bindAll(n.Args); err != nil {
			return nil, err
		}
	}
	if name == "COUNT" && len(n.Args) == 0 {
		return nil, x.errorf(sqlerr.WrongArguments, n, "COUNT wants an argument").Suggest("write COUNT(*) to count rows")
	}
	if n.Filter != nil {
		if call.filter, err = inner.bind(n.Filter); err != nil {
			return nil, err
		}
		if call.filter, err = x.condition(n.Filter, call.filter, "FILTER"); err != nil {
			return nil, err
		}
	}
	r, err := x.Functions.ResolveAggregate(name, arguments(call.args), call.distinct)
	if err != nil {
		return nil, x.errorf(sqlerr.WrongArguments, n, "%v", err)
	}
	call.function, call.typ, call.args = r.Name, r.Return, castAll(call.args, r.Args)
	return x.group.virtual(call), nil
}

func isStar(e ast.Expr) bool {
	star, ok := e.(*ast.Star)
	return ok && star.Table == nil
}

// virtual returns the column of an equal call, adding the call if it is new.
func (g *grouping) virtual(call aggregateCall) expr.Expr {
	i := slices.IndexFunc(g.calls, call.same)
	if i < 0 {
		i = len(g.calls)
		g.calls = append(g.calls, call)
	}
	return &expr.Column{Index: g.width + i, Name: call.function, T: call.typ}
}

func (c aggregateCall) same(o aggregateCall) bool {
	if c.function != o.function || c.distinct != o.distinct || len(c.args) != len(o.args) || (c.filter == nil) != (o.filter == nil) {
		return false
	}
	if c.filter != nil && !expr.Equal(c.filter, o.filter) {
		return false
	}
	for i := range c.args {
		if !expr.Equal(c.args[i], o.args[i]) {
			return false
		}
	}
	return true
}
