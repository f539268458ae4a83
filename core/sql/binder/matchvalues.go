package binder

import (
	"reflect"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// firstReference is the column of the first reference to rows of the match, behind all
// columns of the table.
const firstReference = 1 << 24

// matchScope is what names and calls mean in DEFINE and MEASURES.
type matchScope struct {
	*matching
	refs     *[]plan.MatchReference
	defining int // the variable whose condition is bound; -1: MEASURES
	// of is the variable of a call's argument, whose columns are those of its row; nil
	// outside of calls.
	of *argument
}

// argument is what FIRST, LAST or an aggregate is over.
type argument struct {
	call     string
	variable int // -1: any
	known    bool
}

func (m *matching) expressions(clause string, refs *[]plan.MatchReference) *exprBinder {
	s := &matchScope{matching: m, refs: refs, defining: -1}
	return &exprBinder{Binder: m.Binder, scope: m.scope, clause: clause, match: s}
}

// column binds `variable.column`, or a column of any variable.
func (s *matchScope) column(x *exprBinder, n *ast.ColumnRef) (expr.Expr, error) {
	variable, parts := -1, n.Parts
	if len(parts) > 1 {
		if variable = s.variable(parts[0].Name); variable >= 0 {
			parts = parts[1:]
		}
	}
	plain := *x
	plain.match = nil
	e, err := plain.reference(&ast.ColumnRef{Span: n.Span, Parts: parts})
	if err != nil {
		return nil, err
	}
	if s.of != nil {
		return e, s.of.is(x, n, variable)
	}
	return s.refer(plan.MatchReference{Variable: variable}, e), nil
}

// is notes that a call is over a variable: over one alone.
func (a *argument) is(x *exprBinder, n ast.Node, variable int) error {
	if a.known && a.variable != variable {
		return x.errorf(sqlerr.BadClause, n, "%s is over rows of one variable, all its columns are written with the same one", a.call)
	}
	a.known, a.variable = true, variable
	return nil
}

// refer is the value e of a row of the match: the row itself where that is the one whose
// condition is bound.
func (s *matchScope) refer(r plan.MatchReference, e expr.Expr) expr.Expr {
	if s.defining >= 0 && !r.First && r.Offset == 0 && (r.Variable < 0 || r.Variable == s.defining) {
		return e
	}
	r.Column, r.Type = addColumn(s.below, e), e.Type().WithNull(true)
	r.Name = s.below.Names[r.Column]
	return s.add(r)
}

// add returns the column of an equal reference, adding it if it is new.
func (s *matchScope) add(r plan.MatchReference) expr.Expr {
	i := slices.IndexFunc(*s.refs, func(o plan.MatchReference) bool { return reflect.DeepEqual(o, r) })
	if i < 0 {
		i = len(*s.refs)
		*s.refs = append(*s.refs, r)
	}
	return &expr.Column{Index: firstReference + i, Name: r.Name, T: r.Type}
}

// call binds the functions over rows of a match.
func (s *matchScope) call(x *exprBinder, n *ast.Call, name string) (e expr.Expr, ok bool, err error) {
	kind, _ := x.Functions.Exists(name)
	switch name {
	case "FIRST", "LAST", "MATCH_ROWTIME", "MATCH_PROCTIME":
	case "PREV", "NEXT":
		return nil, true, x.unsupported(n, name+" is").Suggest("LAST(A.x, 1) is the row before the last one of A")
	case "CLASSIFIER", "MATCH_NUMBER":
		return nil, true, x.unsupported(n, name+" is")
	default:
		if kind != function.Aggregate {
			return nil, false, nil
		}
	}
	if s.of != nil {
		return nil, true, x.errorf(sqlerr.MisplacedCall, n, "%s inside of %s", name, s.of.call)
	}
	if n.Over != nil {
		return nil, true, x.errorf(sqlerr.MisplacedCall, n, "a window function cannot stand in %s", x.clause)
	}
	switch name {
	case "FIRST", "LAST":
		e, err = s.ends(x, n, name)
	case "MATCH_ROWTIME":
		e, err = s.rowtime(x, n)
	case "MATCH_PROCTIME":
		if s.defining >= 0 || len(n.Args) > 0 {
			err = x.errorf(sqlerr.MisplacedCall, n, "MATCH_PROCTIME() stands in MEASURES")
		} else {
			e, err = x.resolve("PROCTIME", n)
		}
	default:
		e, err = s.aggregate(x, n, name)
	}
	return e, true, err
}

// inside is x for the arguments of a call.
func (s *matchScope) inside(x *exprBinder, name string) (*exprBinder, *argument) {
	inner, scope := *x, *s
	scope.of = &argument{call: name, variable: -1}
	inner.match = &scope
	return &inner, scope.of
}

// ends binds FIRST and LAST.
func (s *matchScope) ends(x *exprBinder, n *ast.Call, name string) (expr.Expr, error) {
	if len(n.Args) != 1 && len(n.Args) != 2 {
		return nil, x.errorf(sqlerr.WrongArguments, n, "%s takes a value and how many rows on", name)
	}
	inner, of := s.inside(x, name)
	e, err := inner.bind(n.Args[0])
	if err != nil {
		return nil, err
	}
	r := plan.MatchReference{Variable: of.variable, First: name == "FIRST"}
	if len(n.Args) == 2 {
		offset, err := x.bind(n.Args[1])
		if err != nil {
			return nil, err
		}
		lit, ok := offset.(*expr.Literal)
		rows, number := int64(0), false
		if ok {
			rows, number = lit.Value.(int64)
		}
		if !number || !lit.T.IsInteger() || rows < 0 || rows >= maxPatternRows {
			return nil, x.errorf(sqlerr.WrongArguments, n.Args[1], "how many rows on is a number from 0 to %d", maxPatternRows-1)
		}
		r.Offset = int(rows)
	}
	return s.refer(r, e), nil
}

func (s *matchScope) rowtime(x *exprBinder, n *ast.Call) (expr.Expr, error) {
	switch {
	case s.proctime:
		return nil, x.errorf(sqlerr.NoEventTime, n, "MATCH_ROWTIME() is of event time, and the rows come in the order of the clock").Suggest("write MATCH_PROCTIME()")
	case len(n.Args) > 0:
		return nil, x.unsupported(n, "MATCH_ROWTIME with an argument is").Suggest("write MATCH_ROWTIME()")
	case s.defining >= 0:
		return nil, x.errorf(sqlerr.MisplacedCall, n, "MATCH_ROWTIME() stands in MEASURES")
	}
	return s.add(s.rowTime()), nil
}

// aggregate binds an aggregate over all rows of a variable so far.
func (s *matchScope) aggregate(x *exprBinder, n *ast.Call, name string) (expr.Expr, error) {
	switch {
	case n.Quantifier == ast.QuantDistinct:
		return nil, x.unsupported(n, "DISTINCT in MATCH_RECOGNIZE is")
	case n.Filter != nil:
		return nil, x.unsupported(n.Filter, "FILTER in MATCH_RECOGNIZE is")
	case n.JSON != nil || strings.HasPrefix(name, "JSON_") || name == "SINGLE_VALUE" || name == "APPROX_COUNT_DISTINCT":
		return nil, x.unsupported(n, name+" in MATCH_RECOGNIZE is")
	}
	if err := x.refuseClauses(n, function.Aggregate, name); err != nil {
		return nil, err
	}
	inner, of := s.inside(x, name)
	var args []expr.Expr
	if !(name == "COUNT" && len(n.Args) == 1 && isStar(n.Args[0])) {
		var err error
		if args, err = inner.bindAll(n.Args); err != nil {
			return nil, err
		}
		if len(args) == 0 {
			return nil, x.errorf(sqlerr.WrongArguments, n, "%s wants an argument", name)
		}
	}
	r, err := x.Functions.ResolveAggregate(name, arguments(args), false)
	if err != nil {
		return nil, x.errorf(sqlerr.WrongArguments, n, "%v", err)
	}
	for _, a := range args {
		if a.Type().Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row) {
			return nil, x.unsupported(n, name+" of "+a.Type().WithNull(true).String()+" in MATCH_RECOGNIZE is")
		}
	}
	call := plan.Call{Function: r.Name, Filter: -1, Type: r.Return, Name: r.Name}
	for _, a := range castAll(args, r.Args) {
		call.Args = append(call.Args, addColumn(s.below, a))
	}
	return s.add(plan.MatchReference{Variable: of.variable, Call: call, Name: r.Name, Type: r.Return}), nil
}
