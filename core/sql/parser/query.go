package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
)

// startsQuery reports whether the next token begins a query without parentheses.
func (p *parser) startsQuery() bool {
	if p.tok.Kind != lex.Word {
		return false
	}
	switch p.tok.Word {
	case lex.SELECT, lex.VALUES, lex.FROM, lex.WITH:
		return true
	case lex.TABLE: // TABLE(f(...)) is no query
		return p.peek(1).Kind != lex.LParen
	}
	return false
}

// query reads a query with everything that may belong to it.
func (p *parser) query() ast.Query {
	if !p.enter() {
		p.leave()
		return &ast.Select{}
	}
	defer p.leave()
	if p.tok.Kind == lex.Word && p.tok.Word == lex.WITH {
		return p.withQuery()
	}
	start := p.start()
	return p.ordered(p.setOps(p.queryTerm(), start, 1), start)
}

// queryAfter goes on with a query whose first term, in parentheses, has been read already.
func (p *parser) queryAfter(first ast.Query, start ast.Pos) ast.Query {
	return p.ordered(p.setOps(first, start, 1), start)
}

func (p *parser) withQuery() ast.Query {
	start := p.start()
	p.expect(lex.WITH)
	w := &ast.WithQuery{Recursive: p.eat(lex.RECURSIVE)}
	p.commaList(func() { w.CTEs = append(w.CTEs, p.cte()) })
	if p.isQuery() {
		w.Body = p.query()
	} else {
		p.unexpected()
		w.Body = &ast.Select{}
	}
	w.Span = p.from(start)
	return w
}

func (p *parser) cte() *ast.CTE {
	c := &ast.CTE{Name: p.ident("the name of a common table expression")}
	if p.isSign(lex.LParen) {
		c.Columns = p.columnList()
	}
	p.expect(lex.AS)
	p.parens(func() { c.Query = p.query() })
	c.Span = p.from(c.Name.Start)
	return c
}

// isQuery reports whether a query is next, and notes what could begin one.
func (p *parser) isQuery() bool {
	if p.startsQuery() || p.tok.Kind == lex.LParen {
		return true
	}
	p.wantOneOf("a query", lex.SELECT, lex.VALUES, lex.WITH, lex.TABLE)
	return false
}

// ordered reads ORDER BY, LIMIT, OFFSET and FETCH after body.
func (p *parser) ordered(body ast.Query, start ast.Pos) ast.Query {
	o := &ast.OrderedQuery{Body: body}
	o.OrderBy = p.orderBy()
	found := len(o.OrderBy) > 0
	for p.ok() {
		switch {
		case o.Limit == nil && p.eat(lex.LIMIT):
			if !p.eat(lex.ALL) {
				o.Limit = p.expr()
			}
		case o.Offset == nil && p.eat(lex.OFFSET):
			o.Offset = p.expr()
			if !p.eat(lex.ROWS) {
				p.eat(lex.ROW)
			}
		case o.Limit == nil && p.eat(lex.FETCH):
			o.Limit = p.fetch()
		default:
			if !found {
				return body
			}
			o.Span = p.from(start)
			return o
		}
		found = found || o.Limit != nil || o.Offset != nil
	}
	return body
}

// fetch reads what follows FETCH: FIRST 10 ROWS ONLY.
func (p *parser) fetch() ast.Expr {
	if !p.eat(lex.FIRST) {
		p.expect(lex.NEXT)
	}
	n := ast.Expr(&ast.NumberLit{Span: p.previous().Span(), Text: "1"})
	if !p.is(lex.ROW) && !p.is(lex.ROWS) {
		n = p.expr()
	}
	if !p.eat(lex.ROWS) {
		p.expect(lex.ROW)
	}
	p.expect(lex.ONLY)
	return n
}

// orderBy reads ORDER BY if it is next.
func (p *parser) orderBy() []*ast.OrderItem {
	if !p.is(lex.ORDER) {
		return nil
	}
	return p.requiredOrderBy()
}

func (p *parser) requiredOrderBy() []*ast.OrderItem {
	p.expect(lex.ORDER)
	p.expect(lex.BY)
	return p.orderItems()
}

func (p *parser) orderItems() []*ast.OrderItem {
	list := []*ast.OrderItem{p.orderItem()}
	for p.eatSign(lex.Comma) {
		list = append(list, p.orderItem())
	}
	return list
}

func (p *parser) orderItem() *ast.OrderItem {
	o := &ast.OrderItem{}
	start := p.start()
	o.Expr = p.expr()
	if !p.eat(lex.ASC) {
		o.Desc = p.eat(lex.DESC)
	}
	if p.eat(lex.NULLS) {
		o.Nulls = ast.NullsLast
		if p.eat(lex.FIRST) {
			o.Nulls = ast.NullsFirst
		} else {
			p.expect(lex.LAST)
		}
	}
	o.Span = p.from(start)
	return o
}

// The levels of set operators: INTERSECT binds more strongly.
const (
	levelUnion = 1 + iota
	levelIntersect
)

// setOps reads set operators of at least the level after left.
func (p *parser) setOps(left ast.Query, start ast.Pos, level int) ast.Query {
	for n := 0; p.chain(n); n++ {
		s := &ast.SetOp{Left: left}
		own := levelUnion
		switch {
		case level <= levelUnion && p.eat(lex.UNION):
			s.Op = ast.Union
		case level <= levelUnion && (p.eat(lex.EXCEPT) || p.eat(lex.MINUS)):
			s.Op = ast.Except
		case p.eat(lex.INTERSECT):
			s.Op = ast.Intersect
			own = levelIntersect
		default:
			return left
		}
		s.All = p.eat(lex.ALL)
		if !s.All {
			p.eat(lex.DISTINCT)
		}
		rightStart := p.start()
		s.Right = p.queryTerm()
		if own == levelUnion {
			s.Right = p.setOps(s.Right, rightStart, levelIntersect)
		}
		s.Span = p.from(start)
		left = s
	}
	return left
}

// queryTerm reads one operand of a set operator.
func (p *parser) queryTerm() ast.Query {
	if p.tok.Kind == lex.LParen {
		p.next()
		q := p.query()
		p.expectSign(lex.RParen)
		return q
	}
	if !p.isQuery() {
		p.unexpected()
		return &ast.Select{}
	}
	start := p.start()
	switch p.tok.Word {
	case lex.SELECT:
		return p.selectBlock()
	case lex.FROM:
		return p.fromFirst()
	case lex.VALUES:
		return p.values()
	case lex.TABLE:
		p.next()
		ref := p.tableRef()
		return &ast.TableQuery{Span: p.from(start), Table: ref}
	}
	p.unexpected() // WITH inside a set operator needs parentheses
	return &ast.Select{}
}

func (p *parser) values() ast.Query {
	start := p.start()
	p.expect(lex.VALUES)
	v := &ast.Values{}
	v.Rows = p.exprs()
	v.Span = p.from(start)
	return v
}

func (p *parser) selectBlock() ast.Query {
	start := p.start()
	s := &ast.Select{}
	p.selectList(s)
	if p.eat(lex.FROM) {
		s.From = p.tables()
	}
	p.afterFrom(s)
	s.Span = p.from(start)
	return s
}

// fromFirst reads FROM t [SELECT list] and the clauses after it.
func (p *parser) fromFirst() ast.Query {
	start := p.start()
	p.expect(lex.FROM)
	s := &ast.Select{From: p.tables()}
	if p.is(lex.SELECT) {
		p.selectList(s)
	} else {
		star := ast.Span{Start: start, Stop: start}
		s.Items = []*ast.SelectItem{{Span: star, Expr: &ast.Star{Span: star}}}
	}
	p.afterFrom(s)
	s.Span = p.from(start)
	return s
}

// selectList reads SELECT [hints] [DISTINCT] items.
func (p *parser) selectList(s *ast.Select) {
	p.expect(lex.SELECT)
	s.Hints = p.hints()
	s.Quantifier = p.quantifier()
	s.Items = append(make([]*ast.SelectItem, 0, 4), p.selectItem())
	for p.eatSign(lex.Comma) {
		s.Items = append(s.Items, p.selectItem())
	}
}

func (p *parser) selectItem() *ast.SelectItem {
	start := p.start()
	if p.tok.Kind == lex.Star {
		p.next()
		span := p.from(start)
		return &ast.SelectItem{Span: span, Expr: &ast.Star{Span: span}}
	}
	item := &ast.SelectItem{Expr: p.expr()}
	if p.tok.Kind == lex.Dot && p.peek(1).Kind == lex.Star {
		item.Expr = p.qualifiedStar(item.Expr)
	} else {
		item.Alias = p.alias()
	}
	item.Span = p.from(start)
	return item
}

// qualifiedStar reads .* after a name.
func (p *parser) qualifiedStar(x ast.Expr) ast.Expr {
	ref, ok := x.(*ast.ColumnRef)
	if !ok {
		p.unexpected()
		return x
	}
	p.next()
	p.next()
	return &ast.Star{Span: p.from(ref.Start), Table: &ast.Name{Span: ref.Span, Parts: ref.Parts}}
}

// alias reads [AS] name if it is next.
func (p *parser) alias() *ast.Ident {
	if p.eat(lex.AS) {
		return p.ident("a name")
	}
	if !p.isName() || p.tok.Kind == lex.Word && notAlias(p.tok.Word) {
		return nil
	}
	p.aliasAt = p.index
	return p.ident("a name")
}

// notAlias reports whether a word, though not reserved, is more likely a clause than an alias.
func notAlias(w lex.Keyword) bool {
	switch w {
	case lex.OFFSET, lex.SEMI, lex.ANTI, lex.WINDOW, lex.MATCH_RECOGNIZE, lex.SET, lex.OVERLAPS, lex.ESCAPE, lex.RETURNING:
		return true
	}
	return false
}

// afterFrom reads the clauses of a SELECT after FROM.
func (p *parser) afterFrom(s *ast.Select) {
	if p.eat(lex.WHERE) {
		s.Where = p.expr()
	}
	if p.eat(lex.GROUP) {
		p.expect(lex.BY)
		s.GroupBy = p.groupBy()
	}
	if p.eat(lex.HAVING) {
		s.Having = p.expr()
	}
	if p.is(lex.WINDOW) && nameToken(p.peek(1)) {
		p.next()
		p.commaList(func() { s.Windows = append(s.Windows, p.namedWindow()) })
	}
	if p.eat(lex.QUALIFY) {
		s.Qualify = p.expr()
	}
}

func (p *parser) namedWindow() *ast.NamedWindow {
	w := &ast.NamedWindow{Name: p.ident("the name of a window")}
	p.expect(lex.AS)
	w.Spec = p.windowSpec()
	w.Span = p.from(w.Name.Start)
	return w
}

func (p *parser) groupBy() *ast.GroupBy {
	start := p.start()
	g := &ast.GroupBy{}
	if p.tok.Kind == lex.Word {
		switch p.quantifier() {
		case ast.QuantDistinct:
			g.Distinct = true
		case ast.QuantAll:
			g.All = !p.isGroupItem()
		}
	}
	if !g.All {
		p.commaList(func() { g.Items = append(g.Items, p.groupItem()) })
	}
	g.Span = p.from(start)
	return g
}

// isGroupItem reports whether something to group by follows GROUP BY ALL; then ALL is the quantifier of grouping sets.
func (p *parser) isGroupItem() bool {
	switch p.tok.Kind {
	case lex.EOF, lex.Semicolon, lex.RParen:
		return false
	case lex.Word:
		switch p.tok.Word {
		case lex.HAVING, lex.WINDOW, lex.QUALIFY, lex.ORDER, lex.LIMIT, lex.OFFSET, lex.FETCH, lex.UNION, lex.INTERSECT, lex.EXCEPT,
			lex.MINUS, lex.WITH, lex.LIKE, lex.ON:
			return false
		}
	}
	return true
}

// groupItem reads an expression, () or grouping sets.
func (p *parser) groupItem() ast.Expr {
	start := p.start()
	after := p.peek(1)
	switch {
	case p.tok.Kind == lex.LParen && after.Kind == lex.RParen:
		p.next()
		p.next()
		return &ast.Row{Span: p.from(start)}
	case p.peekIs(0, lex.ROLLUP) && after.Kind == lex.LParen:
		return p.groupingSet(ast.Rollup)
	case p.peekIs(0, lex.CUBE) && after.Kind == lex.LParen:
		return p.groupingSet(ast.Cube)
	case p.peekIs(0, lex.GROUPING) && p.peekIs(1, lex.SETS):
		p.next()
		return p.groupingSet(ast.GroupingSets)
	}
	return p.expr()
}

func (p *parser) groupingSet(kind ast.GroupingKind) ast.Expr {
	start := p.start()
	if kind == ast.GroupingSets {
		start = ast.Pos(p.previous().Start)
	}
	p.next()
	g := &ast.GroupingSet{Kind: kind}
	if !p.enter() {
		p.leave()
		return g
	}
	defer p.leave()
	p.parens(func() {
		p.commaList(func() { g.Items = append(g.Items, p.groupItem()) })
	})
	g.Span = p.from(start)
	return g
}
