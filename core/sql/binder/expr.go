package binder

import (
	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// exprBinder binds the expressions of one clause.
type exprBinder struct {
	*Binder
	scope  *scope
	clause string // for messages: "WHERE"
	// group collects aggregate calls; nil where none may stand.
	group    *grouping
	insideOf string // the aggregate whose arguments are being bound
	// aliases are the select list's; with aliasFirst they hide columns.
	aliases    map[string]expr.Expr
	aliasFirst bool
	// enclosing are the columns of the query around, which come before the scope's
	// own: those count from offset.
	enclosing *scope
	offset    int
	// scalars are the columns that hold the values of scalar subqueries.
	scalars map[*ast.Subquery]int
	// marks are the results of tests of queries, over the scope's columns.
	marks map[ast.Expr]expr.Expr
	// overs collects window functions; nil where none may stand. named are the
	// windows of the WINDOW clause.
	overs *windows
	named []*ast.NamedWindow
	// above are the subqueries that are evaluated for each group.
	above *aboveGroups
	// grouped is the window in GROUP BY; nil where there is none.
	grouped *groupWindow
	// match is the MATCH_RECOGNIZE in whose DEFINE or MEASURES this is; nil: in none.
	match *matchScope
}

func (x *exprBinder) bind(n ast.Expr) (expr.Expr, error) {
	switch n := n.(type) {
	case *ast.ColumnRef:
		if x.match != nil {
			return x.match.column(x, n)
		}
		return x.reference(n)
	case *ast.StringLit:
		return stringLiteral(n.Value), nil
	case *ast.NumberLit:
		return x.number(n, n.Text)
	case *ast.BinaryLit:
		return x.binary(n)
	case *ast.BoolLit:
		return boolLiteral(n.Value), nil
	case *ast.UnknownLit:
		return &expr.Literal{T: datatype.Of(datatype.Boolean)}, nil
	case *ast.NullLit:
		return &expr.Literal{T: datatype.Of(datatype.Null)}, nil
	case *ast.TimeLit:
		return x.timeLiteral(n)
	case *ast.IntervalLit:
		return x.interval(n)
	case *ast.UnitArg:
		return stringLiteral(n.Unit.String()), nil
	case *ast.Unary:
		return x.unary(n)
	case *ast.Binary:
		return x.infix(n)
	case *ast.Call:
		return x.call(n)
	case *ast.Cast:
		return x.cast(n)
	case *ast.Case:
		return x.caseWhen(n)
	default:
		return x.bindTest(n)
	}
}

// bindTest binds conditions and constructors.
func (x *exprBinder) bindTest(n ast.Expr) (expr.Expr, error) {
	switch n := n.(type) {
	case *ast.Between:
		return x.between(n)
	case *ast.In:
		return x.in(n)
	case *ast.Quantified:
		return x.quantified(n)
	case *ast.Like:
		return x.like(n)
	case *ast.Is:
		return x.is(n)
	case *ast.Subquery:
		return x.scalar(n)
	case *ast.Exists:
		return x.marked(n, "EXISTS")
	case *ast.Array:
		if n.Query != nil {
			return nil, x.unsupported(n, "ARRAY(query) is")
		}
		return x.apply("ARRAY", n, n.Elems)
	case *ast.Map:
		if n.Query != nil {
			return nil, x.unsupported(n, "MAP(query) is")
		}
		return x.apply("MAP", n, n.Entries)
	case *ast.Multiset:
		return nil, x.unsupported(n, "MULTISET is")
	case *ast.Row:
		return x.apply("ROW", n, n.Elems)
	case *ast.Index:
		return x.apply("[]", n, []ast.Expr{n.X, n.Index})
	case *ast.Field:
		of, err := x.bind(n.X)
		if err != nil {
			return nil, err
		}
		return x.field(of, n.Name)
	case *ast.Star:
		return nil, x.errorf(sqlerr.MisplacedCall, n, "* may stand only in a select list and in COUNT(*)")
	case *ast.NamedArg:
		return nil, x.unsupported(n, "a named argument is")
	}
	return nil, x.unsupported(n, "this expression is")
}

func (x *exprBinder) unary(n *ast.Unary) (expr.Expr, error) {
	if lit, ok := n.X.(*ast.NumberLit); ok && n.Op == ast.OpNeg {
		return x.number(n, "-"+lit.Text)
	}
	name := map[ast.UnaryOp]string{ast.OpNot: "NOT", ast.OpNeg: "-", ast.OpPlus: "+"}[n.Op]
	return x.apply(name, n, []ast.Expr{n.X})
}

func (x *exprBinder) infix(n *ast.Binary) (expr.Expr, error) {
	if n.Op == ast.OpOverlaps {
		return x.overlaps(n)
	}
	l, err := x.bind(n.L)
	if err != nil {
		return nil, err
	}
	r, err := x.bind(n.R)
	if err != nil {
		return nil, err
	}
	return x.resolve(n.Op.String(), n, l, r)
}

// apply binds the arguments and resolves the function.
func (x *exprBinder) apply(name string, n ast.Node, args []ast.Expr) (expr.Expr, error) {
	bound, err := x.bindAll(args)
	if err != nil {
		return nil, err
	}
	return x.resolve(name, n, bound...)
}

func (x *exprBinder) bindAll(args []ast.Expr) ([]expr.Expr, error) {
	bound := make([]expr.Expr, len(args))
	for i, a := range args {
		var err error
		if bound[i], err = x.bind(a); err != nil {
			return nil, err
		}
	}
	return bound, nil
}

// resolve types a scalar call and casts its arguments as it wants them.
func (b *Binder) resolve(name string, n ast.Node, args ...expr.Expr) (expr.Expr, error) {
	r, err := b.Functions.ResolveScalar(name, arguments(args))
	if err != nil {
		return nil, b.mismatch(name, n, args, err)
	}
	return &expr.Call{Function: r.Name, Args: castAll(args, r.Args), T: r.Return}, nil
}

func arguments(args []expr.Expr) []function.Arg {
	out := make([]function.Arg, len(args))
	for i, a := range args {
		out[i].Type = a.Type()
		if lit, ok := a.(*expr.Literal); ok {
			out[i].Literal, out[i].IsLiteral = lit.Value, true
		}
	}
	return out
}

func castAll(args []expr.Expr, types []datatype.Type) []expr.Expr {
	out := make([]expr.Expr, len(args))
	for i, a := range args {
		out[i] = a
		if i < len(types) {
			out[i] = castTo(a, types[i])
		}
	}
	return out
}

// castTo returns e as a value of type t, whose nullability does not matter.
func castTo(e expr.Expr, t datatype.Type) expr.Expr {
	from := e.Type()
	if from.Same(t) {
		return e
	}
	t.Nullable = from.Nullable || from.Kind == datatype.Null
	if lit, ok := e.(*expr.Literal); ok && (lit.Value == nil || sameForm(lit, t)) {
		return &expr.Literal{Value: lit.Value, T: t}
	}
	return &expr.Call{Function: "CAST", Args: []expr.Expr{e}, T: t}
}

func (x *exprBinder) cast(n *ast.Cast) (expr.Expr, error) {
	e, err := x.bind(n.X)
	if err != nil {
		return nil, err
	}
	to, err := catalog.TypeOf(n.Type)
	if err != nil {
		return nil, err
	}
	name := "CAST"
	if n.Try {
		name = "TRY_CAST"
	}
	r, err := x.Functions.ResolveScalar(name, append(arguments([]expr.Expr{e}), function.Arg{Type: to}))
	if err != nil {
		return nil, x.errorf(sqlerr.BadCast, n, "cannot cast %s to %s", e.Type().WithNull(true), to.WithNull(true))
	}
	if e.Type().Same(r.Return) && !n.Try {
		return e, nil
	}
	return &expr.Call{Function: r.Name, Args: []expr.Expr{e}, T: r.Return}, nil
}

func (x *exprBinder) caseWhen(n *ast.Case) (expr.Expr, error) {
	var operand expr.Expr
	var err error
	if n.Operand != nil {
		if operand, err = x.bind(n.Operand); err != nil {
			return nil, err
		}
	}
	var args []expr.Expr
	for _, w := range n.Whens {
		cond, err := x.when(operand, w)
		if err != nil {
			return nil, err
		}
		then, err := x.bind(w.Then)
		if err != nil {
			return nil, err
		}
		args = append(args, cond, then)
	}
	var last expr.Expr = &expr.Literal{T: datatype.Of(datatype.Null)}
	if n.Else != nil {
		if last, err = x.bind(n.Else); err != nil {
			return nil, err
		}
	}
	return x.resolve("CASE", n, append(args, last)...)
}

func (x *exprBinder) when(operand expr.Expr, w *ast.When) (expr.Expr, error) {
	var any expr.Expr
	for _, c := range w.Conds {
		cond, err := x.bind(c)
		if err != nil {
			return nil, err
		}
		if operand != nil {
			if cond, err = x.resolve("=", c, operand, cond); err != nil {
				return nil, err
			}
		} else if cond, err = x.condition(c, cond, "WHEN"); err != nil {
			return nil, err
		}
		if any == nil {
			any = cond
		} else if any, err = x.resolve("OR", w, any, cond); err != nil {
			return nil, err
		}
	}
	return any, nil
}

// condition checks that e is BOOLEAN.
func (b *Binder) condition(n ast.Node, e expr.Expr, clause string) (expr.Expr, error) {
	switch e.Type().Kind {
	case datatype.Boolean:
		return e, nil
	case datatype.Null:
		return castTo(e, datatype.Of(datatype.Boolean)), nil
	}
	return nil, b.errorf(sqlerr.TypeMismatch, n, "%s wants a BOOLEAN, this is %s", clause, e.Type().WithNull(true))
}

func (x *exprBinder) between(n *ast.Between) (expr.Expr, error) {
	args, err := x.bindAll([]ast.Expr{n.X, n.Lo, n.Hi})
	if err != nil {
		return nil, err
	}
	e, err := x.within(n, args[0], args[1], args[2])
	if err == nil && n.Symmetric {
		var swapped expr.Expr
		if swapped, err = x.within(n, args[0], args[2], args[1]); err == nil {
			e, err = x.resolve("OR", n, e, swapped)
		}
	}
	if err != nil {
		return nil, err
	}
	return x.negate(n, e, n.Not)
}

func (x *exprBinder) within(n ast.Node, e, lo, hi expr.Expr) (expr.Expr, error) {
	low, err := x.resolve(">=", n, e, lo)
	if err != nil {
		return nil, err
	}
	high, err := x.resolve("<=", n, e, hi)
	if err != nil {
		return nil, err
	}
	return x.resolve("AND", n, low, high)
}

func (x *exprBinder) negate(n ast.Node, e expr.Expr, not bool) (expr.Expr, error) {
	if !not {
		return e, nil
	}
	return x.resolve("NOT", n, e)
}

func (x *exprBinder) in(n *ast.In) (expr.Expr, error) {
	if n.Query != nil {
		return x.marked(n, "IN (query)")
	}
	args, err := x.bindAll(append([]ast.Expr{n.X}, n.List...))
	if err != nil {
		return nil, err
	}
	name := "IN"
	if len(args) == 2 {
		name = "="
	}
	e, err := x.resolve(name, n, args...)
	if err != nil {
		return nil, err
	}
	return x.negate(n, e, n.Not)
}

// quantified is a chain of comparisons joined by OR for ANY, by AND for ALL.
func (x *exprBinder) quantified(n *ast.Quantified) (expr.Expr, error) {
	if n.Query != nil {
		return x.marked(n, "a comparison with a query")
	}
	of, err := x.bind(n.X)
	if err != nil {
		return nil, err
	}
	join := "OR"
	if n.All {
		join = "AND"
	}
	var all expr.Expr
	for _, item := range n.List {
		e, err := x.bind(item)
		if err != nil {
			return nil, err
		}
		if e, err = x.resolve(n.Op.String(), n, of, e); err != nil {
			return nil, err
		}
		if all == nil {
			all = e
		} else if all, err = x.resolve(join, n, all, e); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (x *exprBinder) like(n *ast.Like) (expr.Expr, error) {
	args := []ast.Expr{n.X, n.Pattern}
	if n.Escape != nil {
		args = append(args, n.Escape)
	}
	name := "LIKE"
	if n.Similar {
		name = "SIMILAR TO"
	}
	e, err := x.apply(name, n, args)
	if err != nil {
		return nil, err
	}
	return x.negate(n, e, n.Not)
}

func (x *exprBinder) is(n *ast.Is) (expr.Expr, error) {
	switch n.Test {
	case ast.IsJSONValue, ast.IsJSONObject, ast.IsJSONArray, ast.IsJSONScalar:
		e, err := x.apply("IS "+n.Test.String(), n, []ast.Expr{n.X})
		if err != nil {
			return nil, err
		}
		return x.negate(n, e, n.Not)
	}
	name := map[ast.IsTest]string{ast.IsNull: "NULL", ast.IsTrue: "TRUE", ast.IsFalse: "FALSE", ast.IsUnknown: "NULL"}[n.Test]
	if name == "" {
		return nil, x.unsupported(n, "IS "+n.Test.String()+" is")
	}
	e, err := x.bind(n.X)
	if err != nil {
		return nil, err
	}
	if n.Test != ast.IsNull {
		if e, err = x.condition(n.X, e, "IS "+n.Test.String()); err != nil {
			return nil, err
		}
	}
	if n.Not {
		name = "NOT " + name
	}
	return x.resolve("IS "+name, n, e)
}

// field is access to a field of a ROW by name.
func (x *exprBinder) field(of expr.Expr, name *ast.Ident) (expr.Expr, error) {
	t := of.Type()
	if t.Kind != datatype.Row {
		return nil, x.errorf(sqlerr.TypeMismatch, name, "%s is not a ROW and has no field %s", t.WithNull(true), name.Name)
	}
	for i, f := range t.Fields {
		if f.Name == name.Name {
			return x.resolve(".", name, of, intLiteral(int64(i)))
		}
	}
	return nil, x.errorf(sqlerr.UnknownColumn, name, "the row has no field %s", name.Name).DidYouMean(name.Name, datatype.Schema(t.Fields).Names())
}

// marked is the result of a test of a query.
func (x *exprBinder) marked(n ast.Expr, what string) (expr.Expr, error) {
	if e, ok, err := x.above.query(x, n); ok {
		return e, err
	}
	e, ok := x.marks[n]
	if !ok {
		return nil, x.unsupported(n, what+" in "+x.clause+" is")
	}
	return plan.Renumber(e, func(i int) int { return i + x.offset }), nil
}

func (x *exprBinder) scalar(n *ast.Subquery) (expr.Expr, error) {
	if e, ok, err := x.above.query(x, n); ok {
		return e, err
	}
	i, ok := x.scalars[n]
	if !ok {
		return nil, x.unsupported(n, "a subquery in "+x.clause+" is")
	}
	c := &expr.Column{Index: i + x.offset, Name: "subquery", T: x.scope.columns[i].typ}
	x.places[c] = n
	return c, nil
}
