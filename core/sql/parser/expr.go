package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// wishExpr is what is expected where an expression may begin.
const wishExpr = "an expression"

// infix says which operator a sign is and how strongly it binds; a level of 0 is no operator.
type infix struct {
	op    ast.BinaryOp
	level int
}

var signs = [lex.Caret + 1]infix{
	lex.Eq:      {ast.OpEq, ast.LevelCompare},
	lex.Ne:      {ast.OpNe, ast.LevelCompare},
	lex.Lt:      {ast.OpLt, ast.LevelCompare},
	lex.Le:      {ast.OpLe, ast.LevelCompare},
	lex.Gt:      {ast.OpGt, ast.LevelCompare},
	lex.Ge:      {ast.OpGe, ast.LevelCompare},
	lex.Plus:    {ast.OpAdd, ast.LevelSum},
	lex.Minus:   {ast.OpSub, ast.LevelSum},
	lex.Star:    {ast.OpMul, ast.LevelProduct},
	lex.Slash:   {ast.OpDiv, ast.LevelProduct},
	lex.Percent: {ast.OpMod, ast.LevelProduct},
	lex.Concat:  {ast.OpConcat, ast.LevelProduct},
}

// expr reads an expression.
func (p *parser) expr() ast.Expr { return p.binding(ast.LevelOr) }

// binding reads an expression of operators that bind at least as strongly as level: Pratt's method, one loop a level of
// nesting.
func (p *parser) binding(level int) ast.Expr {
	if !p.enter() {
		p.leave()
		return &ast.NullLit{}
	}
	defer p.leave()
	start := p.start()
	x := p.prefix()
	for n := 0; ; n++ {
		y := p.infix(x, start, level)
		if y == nil {
			return x
		}
		if x = y; !p.chain(n) {
			return x
		}
	}
}

// prefix reads an operand with its prefix operators.
func (p *parser) prefix() ast.Expr {
	start := p.start()
	switch p.tok.Kind {
	case lex.Minus, lex.Plus:
		op := ast.OpNeg
		if p.tok.Kind == lex.Plus {
			op = ast.OpPlus
		}
		p.next()
		x := p.binding(ast.LevelSign)
		return &ast.Unary{Span: p.from(start), Op: op, X: x}
	case lex.Word:
		if p.tok.Word == lex.NOT {
			p.next()
			x := p.binding(ast.LevelNot)
			return &ast.Unary{Span: p.from(start), Op: ast.OpNot, X: x}
		}
	}
	return p.postfix(p.primary(), start)
}

// postfix reads what may follow an operand directly: element, field, cast.
func (p *parser) postfix(x ast.Expr, start ast.Pos) ast.Expr {
	for n := 0; p.chain(n); n++ {
		switch p.tok.Kind {
		case lex.LBracket:
			p.next()
			index := p.expr()
			p.expectSign(lex.RBracket)
			x = &ast.Index{Span: p.from(start), X: x, Index: index}
		case lex.Dot:
			if p.peek(1).Kind == lex.Star {
				return x
			}
			p.next()
			name := p.ident("the name of a field")
			x = &ast.Field{Span: p.from(start), X: x, Name: name}
		case lex.DoubleColon:
			p.next()
			typ := p.typeName()
			x = &ast.Cast{Span: p.from(start), X: x, Type: typ}
		default:
			return x
		}
	}
	return x
}

// infix reads one operator after x with its right side, if there is one that binds strongly enough; else it returns nil.
func (p *parser) infix(x ast.Expr, start ast.Pos, level int) ast.Expr {
	if p.tok.Kind != lex.Word {
		in := signs[min(int(p.tok.Kind), len(signs)-1)]
		if in.level < level || in.level == 0 {
			p.wantOperator(level)
			return nil
		}
		opPos := p.start()
		p.next()
		if in.level == ast.LevelCompare {
			if q := p.quantified(x, start, in.op); q != nil {
				return q
			}
		}
		return p.binary(x, start, in.op, in.level, opPos)
	}
	opPos := p.start()
	switch p.tok.Word {
	case lex.AND:
		if level <= ast.LevelAnd {
			p.next()
			return p.binary(x, start, ast.OpAnd, ast.LevelAnd, opPos)
		}
	case lex.OR:
		if level <= ast.LevelOr {
			p.next()
			return p.binary(x, start, ast.OpOr, ast.LevelOr, opPos)
		}
	case lex.OVERLAPS:
		if level <= ast.LevelCompare {
			p.next()
			return p.binary(x, start, ast.OpOverlaps, ast.LevelCompare, opPos)
		}
	case lex.IS:
		if level <= ast.LevelIs {
			p.next()
			return p.isTest(x, start, opPos)
		}
	case lex.NOT, lex.IN, lex.BETWEEN, lex.LIKE, lex.SIMILAR:
		if level <= ast.LevelIn {
			return p.membership(x, start)
		}
	}
	p.wantOperator(level)
	return nil
}

// wantOperator notes the operators that are words, for suggestions.
func (p *parser) wantOperator(level int) {
	if level == ast.LevelOr {
		p.wantOneOf("an operator", lex.AND, lex.OR, lex.NOT, lex.IN, lex.BETWEEN, lex.LIKE, lex.SIMILAR, lex.IS, lex.OVERLAPS)
	}
}

func (p *parser) binary(l ast.Expr, start ast.Pos, op ast.BinaryOp, level int, opPos ast.Pos) ast.Expr {
	r := p.binding(level + 1)
	return &ast.Binary{Span: p.from(start), Op: op, L: l, R: r, OpPos: opPos}
}

// quantified reads ANY, SOME or ALL (...) after a comparison; nil if none is next.
func (p *parser) quantified(x ast.Expr, start ast.Pos, op ast.BinaryOp) ast.Expr {
	if p.tok.Kind != lex.Word || p.tok.Word != lex.ANY && p.tok.Word != lex.SOME && p.tok.Word != lex.ALL {
		return nil
	}
	q := &ast.Quantified{X: x, Op: op, All: p.tok.Word == lex.ALL}
	p.next()
	q.List, q.Query = p.listOrQuery()
	q.Span = p.from(start)
	return q
}

// listOrQuery reads (a, b) or (query).
func (p *parser) listOrQuery() (list []ast.Expr, query ast.Query) {
	p.expectSign(lex.LParen)
	if p.startsQuery() {
		query = p.query()
		p.expectSign(lex.RParen)
		return nil, query
	}
	list = p.exprs()
	if sub, ok := list[0].(*ast.Subquery); ok && len(list) == 1 {
		list, query = nil, p.queryAfter(sub.Query, sub.Start)
	}
	p.expectSign(lex.RParen)
	return list, query
}

// exprs reads expressions separated by commas.
func (p *parser) exprs() []ast.Expr {
	list := []ast.Expr{p.expr()}
	for p.eatSign(lex.Comma) {
		list = append(list, p.expr())
	}
	return list
}

// membership reads [NOT] IN, BETWEEN, LIKE or SIMILAR TO after x.
func (p *parser) membership(x ast.Expr, start ast.Pos) ast.Expr {
	not := p.eat(lex.NOT)
	switch {
	case p.eat(lex.IN):
		in := &ast.In{X: x, Not: not}
		in.List, in.Query = p.listOrQuery()
		in.Span = p.from(start)
		return in
	case p.eat(lex.BETWEEN):
		b := &ast.Between{X: x, Not: not, Symmetric: p.eat(lex.SYMMETRIC)}
		p.eat(lex.ASYMMETRIC)
		b.Lo = p.binding(ast.LevelSum)
		p.expect(lex.AND)
		b.Hi = p.binding(ast.LevelSum)
		b.Span = p.from(start)
		return b
	case p.eat(lex.LIKE):
		return p.like(&ast.Like{X: x, Not: not}, start)
	case p.eat(lex.SIMILAR):
		p.expect(lex.TO)
		return p.like(&ast.Like{X: x, Not: not, Similar: true}, start)
	}
	p.unexpected()
	return x
}

func (p *parser) like(l *ast.Like, start ast.Pos) ast.Expr {
	l.Pattern = p.binding(ast.LevelSum)
	if p.eat(lex.ESCAPE) {
		l.Escape = p.binding(ast.LevelSum)
	}
	l.Span = p.from(start)
	return l
}

// isTest reads what follows IS.
func (p *parser) isTest(x ast.Expr, start, opPos ast.Pos) ast.Expr {
	not := p.eat(lex.NOT)
	test := ast.IsInvalid
	switch {
	case p.eat(lex.NULL):
		test = ast.IsNull
	case p.eat(lex.TRUE):
		test = ast.IsTrue
	case p.eat(lex.FALSE):
		test = ast.IsFalse
	case p.eat(lex.UNKNOWN):
		test = ast.IsUnknown
	case p.eat(lex.JSON):
		test = p.jsonTest()
	case p.eat(lex.DISTINCT):
		p.expect(lex.FROM)
		op := ast.OpIsDistinct
		if not {
			op = ast.OpIsNotDistinct
		}
		return p.binary(x, start, op, ast.LevelCompare, opPos)
	default:
		p.unexpected()
	}
	return &ast.Is{Span: p.from(start), X: x, Not: not, Test: test}
}

func (p *parser) jsonTest() ast.IsTest {
	switch {
	case p.eat(lex.OBJECT):
		return ast.IsJSONObject
	case p.eat(lex.ARRAY):
		return ast.IsJSONArray
	case p.eat(lex.SCALAR):
		return ast.IsJSONScalar
	}
	p.eat(lex.VALUE)
	return ast.IsJSONValue
}

// paren reads what begins with an opening parenthesis: a query, a row or an expression.
func (p *parser) paren() ast.Expr {
	start := p.start()
	p.expectSign(lex.LParen)
	if p.startsQuery() {
		q := p.query()
		p.expectSign(lex.RParen)
		return &ast.Subquery{Span: p.from(start), Query: q}
	}
	elems := []ast.Expr{p.expr()}
	sub, ok := elems[0].(*ast.Subquery)
	if ok && p.tok.Kind == lex.Word {
		sub.Query = p.queryAfter(sub.Query, sub.Start)
		p.expectSign(lex.RParen)
		sub.Span = p.from(start)
		return sub
	}
	for p.eatSign(lex.Comma) {
		elems = append(elems, p.expr())
	}
	p.expectSign(lex.RParen)
	if len(elems) == 1 {
		return elems[0]
	}
	return &ast.Row{Span: p.from(start), Elems: elems}
}

func (p *parser) caseExpr() ast.Expr {
	c := &ast.Case{}
	start := p.start()
	p.expect(lex.CASE)
	if !p.is(lex.WHEN) {
		c.Operand = p.expr()
	}
	for p.is(lex.WHEN) {
		c.Whens = append(c.Whens, p.when(c.Operand != nil))
	}
	if len(c.Whens) == 0 {
		p.unexpected()
	}
	if p.eat(lex.ELSE) {
		c.Else = p.expr()
	}
	p.expect(lex.END)
	c.Span = p.from(start)
	return c
}

func (p *parser) when(several bool) *ast.When {
	start := p.start()
	p.expect(lex.WHEN)
	w := &ast.When{Conds: []ast.Expr{p.expr()}}
	for several && p.eatSign(lex.Comma) {
		w.Conds = append(w.Conds, p.expr())
	}
	p.expect(lex.THEN)
	w.Then = p.expr()
	w.Span = p.from(start)
	return w
}

// castExpr reads CAST(x AS t) and TRY_CAST(x AS t).
func (p *parser) castExpr() ast.Expr {
	start := p.start()
	c := &ast.Cast{Try: p.tok.Word == lex.TRY_CAST}
	p.next()
	p.expectSign(lex.LParen)
	c.X = p.expr()
	p.expect(lex.AS)
	c.Type = p.typeName()
	p.expectSign(lex.RParen)
	c.Span = p.from(start)
	return c
}

// expectInteger reads a plain whole number that fits int32, with its place.
func (p *parser) expectInteger(what string) int {
	if p.tok.Kind != lex.Number {
		p.want(what)
		p.unexpected()
		return 0
	}
	n := 0
	for _, c := range []byte(p.tok.Text(p.src)) {
		if c < '0' || c > '9' || n > (1<<31-1-9)/10 {
			p.fail(sqlerr.BadNumber, p.tok.Span(), "%s is not a whole number from 0 to 2147483647", p.describe(p.tok))
			return 0
		}
		n = n*10 + int(c-'0')
	}
	p.next()
	return n
}
