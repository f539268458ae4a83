package ast

import "strconv"

func (p *printer) query(q Query) {
	switch n := q.(type) {
	case *Select:
		p.selectBlock(n)
	case *SetOp:
		p.setOperand(n.Left, n.Op, false)
		p.words(n.Op.String(), when(n.All, "ALL"))
		p.WriteByte(' ')
		p.setOperand(n.Right, n.Op, true)
	case *Values:
		p.WriteString("VALUES ")
		commas(p, n.Rows, p.valuesRow)
	case *TableQuery:
		p.WriteString("TABLE ")
		p.table(n.Table)
	case *OrderedQuery:
		p.orderedQuery(n)
	case *WithQuery:
		p.WriteString("WITH " + when(n.Recursive, "RECURSIVE "))
		commas(p, n.CTEs, p.cte)
		p.WriteByte(' ')
		if _, nested := n.Body.(*WithQuery); nested {
			p.subquery(n.Body)
			return
		}
		p.query(n.Body)
	}
}

// setOperand writes an operand of a set operator, in parentheses where another one would read differently.
func (p *printer) setOperand(q Query, op SetOpKind, right bool) {
	needed := false
	switch n := q.(type) {
	case *OrderedQuery, *WithQuery:
		needed = true
	case *SetOp:
		weaker := op == Intersect && n.Op != Intersect
		needed = weaker || right && (op == Intersect || n.Op != Intersect)
	}
	if needed {
		p.subquery(q)
		return
	}
	p.query(q)
}

func (p *printer) valuesRow(e Expr) {
	if r, ok := e.(*Row); ok {
		p.expr(r)
		return
	}
	p.inParens(e)
}

func (p *printer) orderedQuery(n *OrderedQuery) {
	switch n.Body.(type) {
	case *OrderedQuery, *WithQuery:
		p.subquery(n.Body)
	default:
		p.query(n.Body)
	}
	if len(n.OrderBy) > 0 {
		p.WriteByte(' ')
		p.orderBy(n.OrderBy)
	}
	if n.Limit != nil {
		p.WriteString(" LIMIT ")
		p.expr(n.Limit)
	}
	if n.Offset != nil {
		p.WriteString(" OFFSET ")
		p.expr(n.Offset)
	}
}

func (p *printer) orderBy(list []*OrderItem) {
	p.WriteString("ORDER BY ")
	commas(p, list, p.orderItem)
}

func (p *printer) orderItem(o *OrderItem) {
	p.expr(o.Expr)
	p.words(when(o.Desc, "DESC"), when(o.Nulls != NullsUnset, o.Nulls.String()))
}

func (p *printer) cte(c *CTE) {
	p.ident(c.Name)
	if len(c.Columns) > 0 {
		p.WriteByte(' ')
		p.idents(c.Columns)
	}
	p.WriteString(" AS ")
	p.subquery(c.Query)
}

func (p *printer) selectBlock(n *Select) {
	p.WriteString("SELECT")
	p.hints(n.Hints)
	p.words(when(n.Quantifier != QuantNone, n.Quantifier.String()))
	p.WriteByte(' ')
	commas(p, n.Items, p.selectItem)
	if n.From != nil {
		p.WriteString(" FROM ")
		p.table(n.From)
	}
	p.clause(" WHERE ", n.Where)
	if n.GroupBy != nil {
		p.WriteString(" GROUP BY ")
		p.groupBy(n.GroupBy)
	}
	p.clause(" HAVING ", n.Having)
	if len(n.Windows) > 0 {
		p.WriteString(" WINDOW ")
		commas(p, n.Windows, p.namedWindow)
	}
	p.clause(" QUALIFY ", n.Qualify)
}

// clause writes a keyword and an expression if the expression is there.
func (p *printer) clause(keyword string, e Expr) {
	if e != nil {
		p.WriteString(keyword)
		p.expr(e)
	}
}

func (p *printer) selectItem(n *SelectItem) {
	p.expr(n.Expr)
	if n.Alias != nil {
		p.WriteString(" AS ")
		p.ident(n.Alias)
	}
}

func (p *printer) groupBy(g *GroupBy) {
	if g.All {
		p.WriteString("ALL")
		return
	}
	p.WriteString(when(g.Distinct, "DISTINCT "))
	commas(p, g.Items, p.expr)
}

func (p *printer) namedWindow(n *NamedWindow) {
	p.ident(n.Name)
	p.WriteString(" AS ")
	p.windowSpec(n.Spec)
}

// windowRef writes what follows OVER.
func (p *printer) windowRef(w *WindowSpec) {
	if w.Base != nil && len(w.PartitionBy) == 0 && len(w.OrderBy) == 0 && w.Frame == nil {
		p.ident(w.Base)
		return
	}
	p.windowSpec(w)
}

func (p *printer) windowSpec(w *WindowSpec) {
	p.WriteByte('(')
	if w.Base != nil {
		p.ident(w.Base)
	}
	if len(w.PartitionBy) > 0 {
		p.words("PARTITION BY ")
		commas(p, w.PartitionBy, p.expr)
	}
	if len(w.OrderBy) > 0 {
		p.blank()
		p.orderBy(w.OrderBy)
	}
	if w.Frame != nil {
		p.blank()
		p.frame(w.Frame)
	}
	p.WriteByte(')')
}

func (p *printer) frame(f *Frame) {
	p.WriteString(f.Unit.String() + " ")
	if f.To.Kind == BoundNone {
		p.frameBound(&f.From)
		return
	}
	p.WriteString("BETWEEN ")
	p.frameBound(&f.From)
	p.WriteString(" AND ")
	p.frameBound(&f.To)
}

func (p *printer) frameBound(b *FrameBound) {
	if b.Offset != nil {
		p.operand(b.Offset, LevelSum)
		p.WriteByte(' ')
	}
	p.WriteString(b.Kind.String())
}

// The ranks of table expressions: what has a higher rank is written around what has a lower one without parentheses.
const (
	rankPrimary = iota
	rankSnapshot
	rankMatch
	rankAlias
	rankSample
	rankJoin
	rankComma
)

func rank(t TableExpr) int {
	switch n := t.(type) {
	case *Snapshot:
		return rankSnapshot
	case *MatchRecognize:
		return rankMatch
	case *Aliased:
		return rankAlias
	case *Sample:
		return rankSample
	case *Join:
		if n.Kind == JoinComma {
			return rankComma
		}
		return rankJoin
	}
	return rankPrimary
}

// inner writes a table expression inside another one of the given rank.
func (p *printer) inner(t TableExpr, outer int) {
	if rank(t) >= outer {
		p.WriteByte('(')
		p.table(t)
		p.WriteByte(')')
		return
	}
	p.table(t)
}

func (p *printer) table(t TableExpr) {
	switch n := t.(type) {
	case *TableRef:
		p.name(n.Name)
		p.hints(n.Hints)
	case *FileTable:
		p.str(n.Path.Value)
		p.hints(n.Hints)
	case *DerivedTable:
		p.WriteString(when(n.Lateral, "LATERAL "))
		p.subquery(n.Query)
	case *TableFunc:
		p.WriteString(when(n.Lateral, "LATERAL ") + "TABLE(")
		p.call(n.Call)
		p.WriteByte(')')
	case *Unnest:
		p.WriteString(when(n.Lateral, "LATERAL ") + "UNNEST")
		p.exprs(n.Exprs)
		p.WriteString(when(n.Ordinality, " WITH ORDINALITY"))
	case *Aliased:
		p.inner(n.Table, rankAlias)
		p.WriteString(" AS ")
		p.ident(n.Alias)
		if len(n.Columns) > 0 {
			p.WriteByte(' ')
			p.idents(n.Columns)
		}
	case *Snapshot:
		p.inner(n.Table, rankSnapshot)
		p.WriteString(" FOR SYSTEM_TIME AS OF ")
		p.expr(n.Time)
	case *Sample:
		p.sample(n)
	case *Join:
		p.join(n)
	case *MatchRecognize:
		p.matchRecognize(n)
	}
}

func (p *printer) sample(n *Sample) {
	p.inner(n.Table, rankSample)
	p.WriteString(" TABLESAMPLE " + n.Method.String() + " ")
	p.inParens(n.Percent)
	if n.Seed != nil {
		p.WriteString(" REPEATABLE ")
		p.inParens(n.Seed)
	}
}

func (p *printer) join(n *Join) {
	if n.Kind == JoinComma {
		p.table(n.Left)
		p.WriteString(", ")
		p.inner(n.Right, rankComma)
		return
	}
	p.inner(n.Left, rankComma)
	p.words(when(n.Natural, "NATURAL"), n.Kind.String())
	p.WriteByte(' ')
	p.inner(n.Right, rankJoin)
	p.clause(" ON ", n.On)
	if len(n.Using) > 0 {
		p.WriteString(" USING ")
		p.idents(n.Using)
	}
}

func (p *printer) matchRecognize(n *MatchRecognize) {
	p.inner(n.Table, rankMatch)
	p.WriteString(" MATCH_RECOGNIZE (")
	if len(n.PartitionBy) > 0 {
		p.words("PARTITION BY ")
		commas(p, n.PartitionBy, p.expr)
	}
	if len(n.OrderBy) > 0 {
		p.blank()
		p.orderBy(n.OrderBy)
	}
	if len(n.Measures) > 0 {
		p.words("MEASURES ")
		commas(p, n.Measures, p.measure)
	}
	p.words(when(n.Rows != RowsDefault, n.Rows.String()))
	if n.After != nil {
		p.blank()
		p.afterMatch(n.After)
	}
	p.words("PATTERN (" + when(n.StartAnchor, "^ "))
	p.pattern(n.Pattern)
	p.WriteString(when(n.EndAnchor, " $") + ")")
	p.clause(" WITHIN ", n.Within)
	if len(n.Subsets) > 0 {
		p.WriteString(" SUBSET ")
		commas(p, n.Subsets, p.subset)
	}
	if len(n.Defines) > 0 {
		p.WriteString(" DEFINE ")
		commas(p, n.Defines, p.patternDef)
	}
	p.WriteByte(')')
}

func (p *printer) measure(m *Measure) {
	p.expr(m.Expr)
	p.WriteString(" AS ")
	p.ident(m.Alias)
}

func (p *printer) afterMatch(a *AfterMatch) {
	p.WriteString("AFTER MATCH SKIP " + a.Kind.String())
	if a.Var != nil {
		p.WriteByte(' ')
		p.ident(a.Var)
	}
}

func (p *printer) subset(s *Subset) {
	p.ident(s.Name)
	p.WriteString(" = ")
	p.idents(s.Vars)
}

func (p *printer) patternDef(d *PatternDef) {
	p.ident(d.Var)
	p.WriteString(" AS ")
	p.expr(d.Cond)
}

func (p *printer) pattern(x PatternExpr) {
	switch n := x.(type) {
	case *PatternVar:
		p.ident(n.Name)
	case *PatternSeq:
		for i, item := range n.Items {
			p.WriteString(when(i > 0, " "))
			_, seq := item.(*PatternSeq)
			p.subpattern(item, seq)
		}
	case *PatternAlt:
		for i, item := range n.Items {
			p.WriteString(when(i > 0, " | "))
			p.subpattern(item, false)
		}
	case *PatternRepeat:
		_, seq := n.X.(*PatternSeq)
		_, repeat := n.X.(*PatternRepeat)
		p.subpattern(n.X, seq || repeat)
		p.WriteString(quantifier(n.Min, n.Max) + when(n.Reluctant, "?"))
	case *PatternExclude:
		p.WriteString("{- ")
		p.pattern(n.X)
		p.WriteString(" -}")
	case *PatternPermute:
		p.WriteString("PERMUTE")
		parens(p, n.Items, p.pattern)
	}
}

// subpattern writes a part of a pattern, in parentheses if asked, and alternatives always.
func (p *printer) subpattern(x PatternExpr, paren bool) {
	if _, alt := x.(*PatternAlt); alt || paren || isPermute(x) {
		p.WriteByte('(')
		p.pattern(x)
		p.WriteByte(')')
		return
	}
	p.pattern(x)
}

// isPermute reports whether a variable would be taken for the word PERMUTE before a parenthesis.
func isPermute(x PatternExpr) bool {
	v, ok := x.(*PatternVar)
	return ok && v.Name.Quote == 0 && len(v.Name.Name) == len("PERMUTE") && (v.Name.Name[0]|0x20) == 'p'
}

func quantifier(least, most int) string {
	switch {
	case least == 0 && most < 0:
		return "*"
	case least == 1 && most < 0:
		return "+"
	case least == 0 && most == 1:
		return "?"
	case most < 0:
		return "{" + strconv.Itoa(least) + ",}"
	case least == most:
		return "{" + strconv.Itoa(least) + "}"
	}
	return "{" + strconv.Itoa(least) + "," + strconv.Itoa(most) + "}"
}
