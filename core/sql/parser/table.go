package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// wishTable is what is expected where a table may begin.
const wishTable = "a table"

// tables reads what follows FROM: table expressions with their joins, separated by commas.
func (p *parser) tables() ast.TableExpr {
	if !p.enter() {
		p.leave()
		return &ast.TableRef{Name: &ast.Name{}}
	}
	defer p.leave()
	start := p.start()
	left := p.joined()
	for n := 0; p.tok.Kind == lex.Comma && p.chain(n); n++ {
		p.next()
		right := p.joined()
		left = &ast.Join{Span: p.from(start), Kind: ast.JoinComma, Left: left, Right: right}
	}
	p.wantSign(lex.Comma)
	return left
}

// joined reads a table expression with its joins.
func (p *parser) joined() ast.TableExpr {
	start := p.start()
	return p.joins(p.tableExpr(), start)
}

func (p *parser) joins(left ast.TableExpr, start ast.Pos) ast.TableExpr {
	for n := 0; p.chain(n); n++ {
		j := &ast.Join{Left: left}
		if j.Natural = p.peekIs(0, lex.NATURAL); j.Natural {
			p.next()
		}
		if j.Kind = p.joinKind(); j.Kind == ast.JoinInvalid {
			if j.Natural {
				p.unexpected()
			}
			return left
		}
		p.joinSide(j)
		j.Span = p.from(start)
		left = j
	}
	return left
}

// joinSide reads the right side of a join and its condition.
func (p *parser) joinSide(j *ast.Join) {
	start := p.start()
	j.Right = p.tableExpr()
	if j.Natural || j.Kind == ast.JoinCross {
		return
	}
	if !p.enter() {
		p.leave()
		return
	}
	defer p.leave()
	if !p.is(lex.ON) && !p.is(lex.USING) { // a JOIN b JOIN c ON x ON y: the inner join is the right side
		j.Right = p.joins(j.Right, start)
	}
	switch {
	case p.eat(lex.ON):
		j.On = p.expr()
	case p.eat(lex.USING):
		j.Using = p.columnList()
	case p.tok.Kind == lex.Word && !p.tok.Word.Reserved() || p.tok.Kind == lex.Illegal:
		p.unexpected()
	default:
		p.noJoinCondition(j)
	}
}

// noJoinCondition fails because ON is missing, unless it was misspelled and taken for an alias.
func (p *parser) noJoinCondition(j *ast.Join) {
	if p.tracing && p.misspelled() != nil {
		p.unexpected()
		return
	}
	p.failWith(sqlerr.New(sqlerr.Syntax, ast.Span{Start: j.Right.Pos(), Stop: j.Right.End()}, "the %s has no condition", j.Kind).
		Suggest("add ON and a condition, or USING (columns); a join of all rows with all rows is written CROSS JOIN"))
}

// joinKind reads the words of a join; JoinInvalid if none is next.
func (p *parser) joinKind() ast.JoinKind {
	kind := ast.JoinInvalid
	p.wantOneOf("a join", lex.JOIN, lex.INNER, lex.CROSS, lex.LEFT, lex.RIGHT, lex.FULL, lex.NATURAL, lex.SEMI, lex.ANTI)
	switch {
	case p.eatRare(lex.JOIN):
		return ast.JoinInner
	case p.eatRare(lex.INNER):
		kind = ast.JoinInner
	case p.eatRare(lex.CROSS):
		kind = ast.JoinCross
	case p.eatRare(lex.LEFT):
		kind = ast.JoinLeft
		switch {
		case p.eat(lex.SEMI):
			kind = ast.JoinSemi
		case p.eat(lex.ANTI):
			kind = ast.JoinAnti
		default:
			p.eat(lex.OUTER)
		}
	case p.eatRare(lex.RIGHT):
		kind = ast.JoinRight
		p.eat(lex.OUTER)
	case p.eatRare(lex.FULL):
		kind = ast.JoinFull
		p.eat(lex.OUTER)
	case p.eatRare(lex.SEMI):
		kind = ast.JoinSemi
	case p.eatRare(lex.ANTI):
		kind = ast.JoinAnti
	default:
		return kind
	}
	p.expect(lex.JOIN)
	return kind
}

// tableExpr reads one table with what may follow it: snapshot, pattern, sample, alias.
func (p *parser) tableExpr() ast.TableExpr {
	start := p.start()
	t := p.tablePrimary()
	if p.isRare(lex.FOR) && p.peekIs(1, lex.SYSTEM_TIME) {
		p.next()
		p.next()
		p.expectAll(lex.AS, lex.OF)
		time := p.expr()
		t = &ast.Snapshot{Span: p.from(start), Table: t, Time: time}
	}
	if p.isRare(lex.MATCH_RECOGNIZE) {
		t = p.matchRecognize(t, start)
	}
	t = p.aliased(t, start)
	if p.isRare(lex.MATCH_RECOGNIZE) {
		t = p.aliased(p.matchRecognize(t, start), start)
	}
	if p.isRare(lex.TABLESAMPLE) {
		p.next()
		t = p.sample(t, start)
		t = p.aliased(t, start)
	}
	return t
}

// aliased reads [AS] name [(columns)] after t.
func (p *parser) aliased(t ast.TableExpr, start ast.Pos) ast.TableExpr {
	alias := p.alias()
	if alias == nil {
		return t
	}
	a := &ast.Aliased{Table: t, Alias: alias}
	if p.tok.Kind == lex.LParen {
		a.Columns = p.columnList()
	}
	a.Span = p.from(start)
	return a
}

func (p *parser) sample(t ast.TableExpr, start ast.Pos) ast.TableExpr {
	s := &ast.Sample{Table: t}
	if p.eat(lex.SYSTEM) {
		s.Method = ast.SampleSystem
	} else {
		p.expect(lex.BERNOULLI)
		s.Method = ast.SampleBernoulli
	}
	p.parens(func() { s.Percent = p.expr() })
	if p.eat(lex.REPEATABLE) {
		p.parens(func() { s.Seed = p.expr() })
	}
	s.Span = p.from(start)
	return s
}

// tablePrimary reads a table without alias.
func (p *parser) tablePrimary() ast.TableExpr {
	start := p.start()
	switch {
	case p.peekIs(0, lex.LATERAL):
		p.next()
		return p.lateral(start)
	case p.tok.Kind == lex.String:
		f := &ast.FileTable{Path: p.stringToken()}
		f.Hints = p.hints()
		f.Span = p.from(start)
		return f
	case p.tok.Kind == lex.LParen:
		return p.parenTable(start, false)
	case p.peekIs(0, lex.UNNEST):
		return p.unnest(start, false)
	case p.peekIs(0, lex.TABLE) && p.peek(1).Kind == lex.LParen:
		return p.tableFunc(start, false)
	case p.isName():
		return p.named(start, false)
	}
	p.wantOneOf(wishTable, lex.UNNEST, lex.TABLE, lex.LATERAL)
	p.unexpected()
	return &ast.TableRef{Name: &ast.Name{}}
}

// lateral reads what follows LATERAL.
func (p *parser) lateral(start ast.Pos) ast.TableExpr {
	switch {
	case p.isSign(lex.LParen):
		return p.parenTable(start, true)
	case p.is(lex.UNNEST):
		return p.unnest(start, true)
	case p.is(lex.TABLE):
		return p.tableFunc(start, true)
	case p.isName():
		return p.named(start, true)
	}
	p.unexpected()
	return &ast.TableRef{Name: &ast.Name{}}
}

// named reads a table by its name, or a table function without the word TABLE.
func (p *parser) named(start ast.Pos, lateral bool) ast.TableExpr {
	if lateral || p.peek(1).Kind == lex.LParen {
		return p.functionTable(p.primary(), start, lateral)
	}
	name := p.name("the name of a table")
	if p.tok.Kind == lex.LParen {
		return p.functionTable(p.call(name, 0), start, lateral)
	}
	ref := &ast.TableRef{Name: name}
	if p.tok.Kind == lex.HintOpen {
		ref.Hints = p.hints()
	}
	ref.Span = p.from(start)
	return ref
}

func (p *parser) functionTable(x ast.Expr, start ast.Pos, lateral bool) ast.TableExpr {
	call, ok := x.(*ast.Call)
	if !ok || call.NoParens {
		p.want("a table function")
		p.unexpected()
		call = &ast.Call{Func: &ast.Name{}}
	}
	return &ast.TableFunc{Span: p.from(start), Call: call, Lateral: lateral}
}

func (p *parser) tableRef() *ast.TableRef {
	name := p.name("the name of a table")
	hints := p.hints()
	return &ast.TableRef{Span: p.from(name.Start), Name: name, Hints: hints}
}

// parenTable reads (query) or (table JOIN table).
func (p *parser) parenTable(start ast.Pos, lateral bool) ast.TableExpr {
	p.expectSign(lex.LParen)
	if p.startsQuery() {
		q := p.query()
		p.expectSign(lex.RParen)
		return &ast.DerivedTable{Span: p.from(start), Query: q, Lateral: lateral}
	}
	inner := p.tables()
	if d, ok := inner.(*ast.DerivedTable); ok && !d.Lateral {
		q := p.queryAfter(d.Query, d.Start)
		p.expectSign(lex.RParen)
		return &ast.DerivedTable{Span: p.from(start), Query: q, Lateral: lateral}
	}
	if lateral {
		p.want("a query")
		p.unexpected()
	}
	p.expectSign(lex.RParen)
	return inner
}

func (p *parser) unnest(start ast.Pos, lateral bool) ast.TableExpr {
	p.expect(lex.UNNEST)
	u := &ast.Unnest{Lateral: lateral}
	p.parens(func() { u.Exprs = p.exprs() })
	if p.peekIs(0, lex.WITH) && p.peekIs(1, lex.ORDINALITY) {
		p.next()
		p.next()
		u.Ordinality = true
	}
	u.Span = p.from(start)
	return u
}

// tableFunc reads TABLE(f(...)). TABLE t is a query, and has no place here.
func (p *parser) tableFunc(start ast.Pos, lateral bool) ast.TableExpr {
	p.expect(lex.TABLE)
	p.expectSign(lex.LParen)
	if !p.isName() {
		p.want("a table function")
		p.unexpected()
	}
	x := p.primary()
	p.expectSign(lex.RParen)
	return p.functionTable(x, start, lateral)
}
