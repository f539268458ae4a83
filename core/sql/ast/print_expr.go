package ast

import (
	"strconv"
	"strings"
)

// level returns how strongly the outermost operator of an expression binds.
func level(e Expr) int {
	switch n := e.(type) {
	case *Binary:
		return n.Op.Level()
	case *Unary:
		if n.Op == OpNot {
			return LevelNot
		}
		return LevelSign
	case *Is:
		return LevelIs
	case *Quantified:
		return LevelCompare
	case *Between, *In, *Like:
		return LevelIn
	}
	return LevelPostfix
}

// operand writes an expression, in parentheses if it binds more weakly than its place.
func (p *printer) operand(e Expr, place int) {
	if level(e) < place {
		p.inParens(e)
		return
	}
	p.expr(e)
}

func (p *printer) inParens(e Expr) {
	p.WriteByte('(')
	p.expr(e)
	p.WriteByte(')')
}

// base writes what a field or an element is taken of. A plain name gets parentheses before a dot, else the field would become a
// part of the name; and so do the words that before a bracket mean a constructor.
func (p *printer) base(e Expr, dot bool) {
	switch n := e.(type) {
	case *ColumnRef:
		if dot || len(n.Parts) == 1 && n.Parts[0].Quote == 0 && isConstructor(n.Parts[0].Name) {
			p.inParens(e)
			return
		}
	case *NumberLit:
		p.inParens(e)
		return
	}
	p.operand(e, LevelPostfix)
}

func isConstructor(name string) bool {
	switch strings.ToUpper(name) {
	case "ARRAY", "MAP", "MULTISET":
		return true
	}
	return false
}

func (p *printer) exprs(list []Expr) { parens(p, list, p.expr) }

func (p *printer) expr(e Expr) {
	switch n := e.(type) {
	case *ColumnRef:
		p.parts(n.Parts)
	case *Unary:
		p.unary(n)
	case *Binary:
		p.operand(n.L, n.Op.Level())
		p.WriteString(" " + n.Op.String() + " ")
		p.operand(n.R, n.Op.Level()+1)
	case *Between:
		p.between(n)
	case *In:
		p.operand(n.X, LevelIn)
		p.words(when(n.Not, "NOT"), "IN ")
		p.listOrQuery(n.List, n.Query)
	case *Quantified:
		p.operand(n.X, LevelCompare)
		p.words(n.Op.String(), when(n.All, "ALL "), when(!n.All, "ANY "))
		p.listOrQuery(n.List, n.Query)
	case *Exists:
		p.WriteString("EXISTS ")
		p.subquery(n.Query)
	case *Subquery:
		p.subquery(n.Query)
	case *Like:
		p.like(n)
	case *Is:
		p.operand(n.X, LevelIs)
		p.words("IS", when(n.Not, "NOT"), n.Test.String())
	case *Case:
		p.caseExpr(n)
	case *Cast:
		p.WriteString(when(n.Try, "TRY_") + "CAST(")
		p.expr(n.X)
		p.WriteString(" AS ")
		p.typeName(n.Type)
		p.WriteByte(')')
	case *Call:
		p.call(n)
	case *MatchScope:
		p.WriteString(when(n.Final, "FINAL ") + when(!n.Final, "RUNNING "))
		p.expr(n.X)
	case *GroupingSet:
		p.WriteString(n.Kind.String() + " ")
		p.exprs(n.Items)
	default:
		p.constructor(e)
	}
}

// constructor writes arrays, maps, rows, access to them, and arguments.
func (p *printer) constructor(e Expr) {
	switch n := e.(type) {
	case *Array:
		p.collection("ARRAY", n.Elems, n.Query)
	case *Map:
		p.collection("MAP", n.Entries, n.Query)
	case *Multiset:
		p.collection("MULTISET", n.Elems, n.Query)
	case *Row:
		p.WriteString(when(n.Explicit, "ROW"))
		p.exprs(n.Elems)
	case *Index:
		p.base(n.X, false)
		p.WriteByte('[')
		p.expr(n.Index)
		p.WriteByte(']')
	case *Field:
		p.base(n.X, true)
		p.WriteByte('.')
		p.ident(n.Name)
	case *NamedArg:
		p.ident(n.Name)
		p.WriteString(" => ")
		p.expr(n.Value)
	case *Descriptor:
		p.WriteString("DESCRIPTOR")
		parens(p, n.Columns, p.descriptorColumn)
	case *TableArg:
		p.tableArg(n)
	case *ModelArg:
		p.WriteString("MODEL ")
		p.name(n.Model)
	case *UnitArg:
		p.WriteString(n.Unit.String())
	case *TrimArg:
		p.WriteString(n.Side.String())
	default:
		p.lit(e)
	}
}

func (p *printer) lit(e Expr) {
	switch n := e.(type) {
	case *Star:
		if n.Table != nil {
			p.name(n.Table)
			p.WriteByte('.')
		}
		p.WriteByte('*')
	case *StringLit:
		p.str(n.Value)
	case *NumberLit:
		p.WriteString(n.Text)
	case *BinaryLit:
		p.WriteString("X'" + n.Hex + "'")
	case *BoolLit:
		p.WriteString(strings.ToUpper(strconv.FormatBool(n.Value)))
	case *UnknownLit:
		p.WriteString("UNKNOWN")
	case *NullLit:
		p.WriteString("NULL")
	case *TimeLit:
		p.WriteString(n.Kind.String() + " ")
		p.str(n.Value)
	case *IntervalLit:
		p.WriteString("INTERVAL " + when(n.Negative, "-"))
		p.str(n.Value)
		p.WriteByte(' ')
		p.qualifier(n.Qualifier)
	}
}

func (p *printer) qualifier(q IntervalQualifier) {
	p.WriteString(q.From.String())
	switch {
	case q.To == UnitNone && q.Fraction >= 0:
		p.WriteString("(" + strconv.Itoa(q.Precision) + ", " + strconv.Itoa(q.Fraction) + ")")
		return
	default:
		p.number(q.Precision)
	}
	if q.To != UnitNone {
		p.WriteString(" TO " + q.To.String())
		p.number(q.Fraction)
	}
}

func (p *printer) unary(n *Unary) {
	if n.Op == OpNot {
		p.WriteString("NOT ")
		p.operand(n.X, LevelNot)
		return
	}
	p.WriteString(n.Op.String())
	if inner, ok := n.X.(*Unary); ok && inner.Op != OpNot {
		p.WriteByte(' ') // two signs that touch would open a comment
	}
	p.operand(n.X, LevelSign)
}

func (p *printer) between(n *Between) {
	p.operand(n.X, LevelIn)
	p.words(when(n.Not, "NOT"), "BETWEEN", when(n.Symmetric, "SYMMETRIC"))
	p.WriteByte(' ')
	p.operand(n.Lo, LevelSum)
	p.WriteString(" AND ")
	p.operand(n.Hi, LevelSum)
}

func (p *printer) like(n *Like) {
	p.operand(n.X, LevelIn)
	p.words(when(n.Not, "NOT"), when(n.Similar, "SIMILAR TO "), when(!n.Similar, "LIKE "))
	p.operand(n.Pattern, LevelSum)
	if n.Escape != nil {
		p.WriteString(" ESCAPE ")
		p.operand(n.Escape, LevelSum)
	}
}

func (p *printer) listOrQuery(list []Expr, q Query) {
	if q != nil {
		p.subquery(q)
		return
	}
	p.exprs(list)
}

func (p *printer) subquery(q Query) {
	p.WriteByte('(')
	p.query(q)
	p.WriteByte(')')
}

func (p *printer) caseExpr(n *Case) {
	p.WriteString("CASE")
	if n.Operand != nil {
		p.WriteByte(' ')
		p.expr(n.Operand)
	}
	for _, w := range n.Whens {
		p.WriteByte(' ')
		p.when(w)
	}
	if n.Else != nil {
		p.WriteString(" ELSE ")
		p.expr(n.Else)
	}
	p.WriteString(" END")
}

func (p *printer) when(n *When) {
	p.WriteString("WHEN ")
	commas(p, n.Conds, p.expr)
	p.WriteString(" THEN ")
	p.expr(n.Then)
}

func (p *printer) collection(word string, elems []Expr, q Query) {
	p.WriteString(word)
	if q != nil {
		p.subquery(q)
		return
	}
	p.WriteByte('[')
	commas(p, elems, p.expr)
	p.WriteByte(']')
}

func (p *printer) descriptorColumn(c *DescriptorColumn) {
	p.ident(c.Name)
	if c.Type != nil {
		p.WriteByte(' ')
		p.typeName(c.Type)
	}
}

func (p *printer) tableArg(n *TableArg) {
	p.WriteString("TABLE ")
	p.table(n.Table)
	if len(n.PartitionBy) > 0 {
		p.WriteString(" PARTITION BY ")
		p.exprs(n.PartitionBy)
	}
	if len(n.OrderBy) > 0 {
		p.WriteString(" ORDER BY ")
		parens(p, n.OrderBy, p.orderItem)
	}
}
