package plan

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
)

// Column returns a reference to column i of a schema.
func Column(s datatype.Schema, i int) *expr.Column {
	return &expr.Column{Index: i, Name: s[i].Name, T: s[i].Type}
}

// Columns returns references to all columns of a schema.
func Columns(s datatype.Schema) []expr.Expr {
	all := make([]expr.Expr, len(s))
	for i := range s {
		all[i] = Column(s, i)
	}
	return all
}

// Identity returns the projection of in that passes its columns as they are.
func Identity(in Node) *Project {
	s := in.Schema()
	return &Project{Place: in.At(), Input: in, Exprs: Columns(s), Names: s.Names()}
}

// EachColumn visits every column reference in e.
func EachColumn(e expr.Expr, visit func(*expr.Column)) {
	expr.Walk(e, func(e expr.Expr) bool {
		if c, ok := e.(*expr.Column); ok {
			visit(c)
		}
		return true
	})
}

// OnlyColumns reports whether e refers to no column for which ok is false.
func OnlyColumns(e expr.Expr, ok func(index int) bool) bool {
	all := true
	EachColumn(e, func(c *expr.Column) { all = all && ok(c.Index) })
	return all
}

// ReplaceColumns returns e with each column reference replaced.
func ReplaceColumns(e expr.Expr, by func(*expr.Column) expr.Expr) expr.Expr {
	return expr.Rewrite(e, func(e expr.Expr) expr.Expr {
		if c, ok := e.(*expr.Column); ok {
			return by(c)
		}
		return e
	})
}

// Renumber returns e with each column index i replaced by index(i). Indexes below
// zero, which the binder has until it decorrelates, stay.
func Renumber(e expr.Expr, index func(int) int) expr.Expr {
	return ReplaceColumns(e, func(c *expr.Column) expr.Expr {
		if c.Index < 0 {
			return c
		}
		to := index(c.Index)
		if to == c.Index {
			return c
		}
		return &expr.Column{Index: to, Name: c.Name, T: c.T}
	})
}

// Substitute returns e, which is over the output of a projection, over the
// projection's input.
func Substitute(e expr.Expr, exprs []expr.Expr) expr.Expr {
	return ReplaceColumns(e, func(c *expr.Column) expr.Expr { return exprs[c.Index] })
}

// Conjuncts returns the terms that e, a condition, joins by AND; none for nil
// and for TRUE.
func Conjuncts(e expr.Expr) []expr.Expr {
	if lit, ok := e.(*expr.Literal); e == nil || ok && lit.Value == true {
		return nil
	}
	return expr.Conjuncts(e)
}

// AllOf joins terms by AND: nil for none.
func AllOf(terms []expr.Expr) expr.Expr {
	if len(terms) == 0 {
		return nil
	}
	return expr.And(terms...)
}

// Where returns in filtered by the terms, and in itself for none.
func Where(in Node, terms []expr.Expr) Node {
	if len(terms) == 0 {
		return in
	}
	return &Filter{Place: in.At(), Input: in, Cond: AllOf(terms)}
}
