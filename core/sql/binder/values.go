package binder

import (
	"fmt"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// aligned gives the sides of a set operation their common types.
func (b *Binder) aligned(q *ast.SetOp, sides ...plan.Node) ([]plan.Node, error) {
	width := len(sides[0].Schema())
	for _, s := range sides[1:] {
		if n := len(s.Schema()); n != width {
			return nil, b.errorf(sqlerr.ColumnCount, q.Right, "%s of %d and %d columns", q.Op, width, n)
		}
	}
	types := make([]datatype.Type, width)
	for i := range types {
		var of []datatype.Type
		for _, s := range sides {
			of = append(of, s.Schema()[i].Type)
		}
		t, err := function.CommonType(of...)
		if err != nil {
			return nil, b.errorf(sqlerr.TypeMismatch, q.Right, "column %d of %s: %v", i+1, q.Op, err)
		}
		types[i] = t
	}
	out := make([]plan.Node, len(sides))
	for i, s := range sides {
		out[i] = castColumns(s, types)
	}
	return out, nil
}

// castColumns returns a node with its columns cast to types, and the node itself
// if they have them.
func castColumns(n plan.Node, types []datatype.Type) plan.Node {
	project := plan.Identity(n)
	same := true
	for i, t := range types {
		e := castTo(project.Exprs[i], t)
		same = same && e == project.Exprs[i]
		project.Exprs[i] = e
	}
	if same {
		return n
	}
	return project
}

// bindValues binds VALUES. Rows of literals become constant rows; others a
// projection each, of which the optimizer makes literals where it can.
func (b *Binder) bindValues(q *ast.Values) (plan.Node, error) {
	rows := make([][]expr.Expr, len(q.Rows))
	x := exprBinder{Binder: b, scope: &scope{}, clause: "VALUES"}
	for i, n := range q.Rows {
		elems := []ast.Expr{n}
		if row, ok := n.(*ast.Row); ok {
			elems = row.Elems
		}
		var err error
		if rows[i], err = x.bindAll(elems); err != nil {
			return nil, err
		}
		if len(rows[i]) != len(rows[0]) {
			return nil, b.errorf(sqlerr.ColumnCount, n, "this row has %d columns, the first one %d", len(rows[i]), len(rows[0]))
		}
	}
	schema := make(datatype.Schema, len(rows[0]))
	for c := range schema {
		types := make([]datatype.Type, len(rows))
		for r := range rows {
			types[r] = rows[r][c].Type()
		}
		t, err := function.CommonType(types...)
		if err != nil {
			return nil, b.errorf(sqlerr.TypeMismatch, q, "column %d of VALUES: %v", c+1, err)
		}
		if t.Kind == datatype.Char { // rows differ in length
			t = datatype.Of(datatype.Varchar).WithNull(t.Nullable)
		}
		schema[c] = datatype.Field{Name: fmt.Sprintf("EXPR$%d", c), Type: t}
	}
	return b.constantRows(q, rows, schema), nil
}

func (b *Binder) constantRows(q *ast.Values, rows [][]expr.Expr, schema datatype.Schema) plan.Node {
	values := &plan.Values{Place: b.at(q), Columns: schema}
	var computed []plan.Node
	for _, row := range rows {
		literals := make([]*expr.Literal, len(row))
		constant := true
		for c, e := range row {
			row[c] = castTo(e, schema[c].Type)
			lit, ok := row[c].(*expr.Literal)
			literals[c], constant = lit, constant && ok
		}
		if constant {
			values.Rows = append(values.Rows, literals)
			continue
		}
		one := &plan.Values{Place: b.at(q), Columns: datatype.Schema{{Name: "", Type: datatype.Of(datatype.Boolean).NotNull()}}, Rows: [][]*expr.Literal{{boolLiteral(true)}}}
		computed = append(computed, &plan.Project{Place: b.at(q), Input: one, Exprs: row, Names: schema.Names()})
	}
	if len(computed) == 0 {
		return values
	}
	if len(values.Rows) > 0 {
		computed = append([]plan.Node{values}, computed...)
	}
	if len(computed) == 1 {
		return computed[0]
	}
	return &plan.Union{Place: b.at(q), All: computed}
}

// sameForm reports whether a literal is, unchanged, one of type to: a text that
// is not too long, or an integer of a wider type.
func sameForm(lit *expr.Literal, to datatype.Type) bool {
	switch from := lit.T; {
	case from.IsString() && to.Kind == datatype.Varchar, from.IsBinary() && to.Kind == datatype.Varbinary:
		return from.Precision <= to.Precision
	default:
		return from.IsInteger() && to.IsInteger() && from.Kind <= to.Kind
	}
}
