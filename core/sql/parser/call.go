package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
)

// callWithName reads a call whose name is the next token.
func (p *parser) callWithName() ast.Expr {
	word := p.tok.Word
	if p.tok.Kind != lex.Word {
		word = 0
	}
	id := p.identOf(p.tok)
	p.next()
	return p.call(&ast.Name{Span: id.Span, Parts: []*ast.Ident{id}}, word)
}

// call reads the parentheses of a call and the clauses after it. The word is the name as a keyword, 0 when the name is quoted,
// dotted or unknown.
func (p *parser) call(name *ast.Name, word lex.Keyword) ast.Expr {
	if word == lex.DESCRIPTOR {
		return p.descriptor(name.Start)
	}
	c := &ast.Call{Func: name}
	p.expectSign(lex.LParen)
	p.callArgs(c, word)
	p.expectSign(lex.RParen)
	c.Span = p.from(name.Start)
	if p.tok.Kind == lex.Word {
		p.afterCall(c)
		c.Span = p.from(name.Start)
	}
	return c
}

// callArgs reads what stands between the parentheses.
func (p *parser) callArgs(c *ast.Call, word lex.Keyword) {
	switch word {
	case lex.EXTRACT:
		p.extractArgs(c)
	case lex.POSITION:
		p.positionArgs(c)
	case lex.SUBSTRING:
		p.substringArgs(c)
	case lex.TRIM:
		p.trimArgs(c)
	case lex.OVERLAY:
		p.overlayArgs(c)
	case lex.CEIL, lex.CEILING, lex.FLOOR:
		p.roundArgs(c)
	case lex.TIMESTAMPADD, lex.TIMESTAMPDIFF:
		p.unitArg(c)
		p.expectSign(lex.Comma)
		c.Args = append(c.Args, p.exprs()...)
	case lex.JSON_VALUE, lex.JSON_QUERY, lex.JSON_EXISTS:
		p.jsonPathArgs(c)
	case lex.JSON_OBJECT, lex.JSON_OBJECTAGG:
		p.jsonObjectArgs(c)
	case lex.JSON_ARRAY, lex.JSON_ARRAYAGG:
		p.jsonArrayArgs(c)
	default:
		p.plainArgs(c)
	}
}

func (p *parser) plainArgs(c *ast.Call) {
	if p.tok.Kind == lex.RParen {
		return
	}
	if p.tok.Kind == lex.Star {
		c.Args = []ast.Expr{&ast.Star{Span: p.tok.Span()}}
		p.next()
		return
	}
	c.Quantifier = p.quantifier()
	c.Args = append(c.Args, p.arg())
	for p.eatSign(lex.Comma) {
		c.Args = append(c.Args, p.arg())
	}
	if p.tok.Kind == lex.Word {
		c.OrderBy = p.orderBy()
		if t := p.nullTreatment(); t != ast.NullsDefault {
			c.Nulls = t
		}
	}
}

// quantifier reads DISTINCT or ALL.
func (p *parser) quantifier() ast.Quantifier {
	if p.tok.Kind == lex.Word {
		switch p.tok.Word {
		case lex.DISTINCT:
			p.next()
			return ast.QuantDistinct
		case lex.ALL:
			p.next()
			return ast.QuantAll
		}
	}
	return ast.QuantNone
}

// arg reads one argument: a value, `name => value`, or a table or model.
func (p *parser) arg() ast.Expr {
	if p.isName() && p.peek(1).Kind == lex.Arrow {
		start := p.start()
		n := &ast.NamedArg{Name: p.ident("the name of a parameter")}
		p.next()
		n.Value = p.arg0()
		n.Span = p.from(start)
		return n
	}
	return p.arg0()
}

// arg0 reads the value of an argument.
func (p *parser) arg0() ast.Expr {
	start := p.start()
	switch {
	case p.tok.Kind == lex.Word && p.tok.Word == lex.TABLE:
		return p.tableArg(p.tableOfArg())
	case p.isModelArg():
		p.next()
		m := &ast.ModelArg{Model: p.name("the name of a model")}
		m.Span = p.from(start)
		return m
	}
	x := p.expr()
	if sub, ok := x.(*ast.Subquery); ok && (p.peekIs(0, lex.PARTITION) || p.peekIs(0, lex.ORDER)) {
		return p.tableArg(&ast.DerivedTable{Span: sub.Span, Query: sub.Query})
	}
	return x
}

// isModelArg reports whether MODEL and a name are next, and not a column named model with a clause after it.
func (p *parser) isModelArg() bool {
	name := p.peek(1)
	clause := notAlias(name.Word) || name.Word == lex.IGNORE || name.Word == lex.RESPECT
	return p.peekIs(0, lex.MODEL) && nameToken(name) && (name.Kind == lex.Quoted || !clause)
}

// tableOfArg reads TABLE t or TABLE (query).
func (p *parser) tableOfArg() ast.TableExpr {
	start := p.start()
	p.expect(lex.TABLE)
	if p.eatSign(lex.LParen) {
		q := p.query()
		p.expectSign(lex.RParen)
		return &ast.DerivedTable{Span: p.from(start), Query: q}
	}
	name := p.name("the name of a table")
	hints := p.hints()
	return &ast.TableRef{Span: p.from(name.Start), Name: name, Hints: hints}
}

func (p *parser) tableArg(table ast.TableExpr) ast.Expr {
	a := &ast.TableArg{Table: table}
	start := table.Pos()
	if p.eat(lex.PARTITION) {
		p.expect(lex.BY)
		a.PartitionBy = p.maybeParenExprs()
	}
	if p.eat(lex.ORDER) {
		p.expect(lex.BY)
		if p.eatSign(lex.LParen) {
			a.OrderBy = p.orderItems()
			p.expectSign(lex.RParen)
		} else {
			a.OrderBy = []*ast.OrderItem{p.orderItem()}
		}
	}
	a.Span = p.from(start)
	return a
}

// maybeParenExprs reads one expression, or several in parentheses.
func (p *parser) maybeParenExprs() []ast.Expr {
	x := p.expr()
	if r, ok := x.(*ast.Row); ok && !r.Explicit {
		return r.Elems
	}
	return []ast.Expr{x}
}

// descriptor reads the columns of DESCRIPTOR(...), which may be empty.
func (p *parser) descriptor(start ast.Pos) ast.Expr {
	d := &ast.Descriptor{}
	p.expectSign(lex.LParen)
	if !p.isSign(lex.RParen) {
		p.commaList(func() {
			c := &ast.DescriptorColumn{Name: p.ident("the name of a column")}
			if p.tok.Kind == lex.Word {
				c.Type = p.typeName()
			}
			c.Span = p.from(c.Name.Start)
			d.Columns = append(d.Columns, c)
		})
	}
	p.expectSign(lex.RParen)
	d.Span = p.from(start)
	return d
}

// afterCall reads the clauses after the closing parenthesis.
func (p *parser) afterCall(c *ast.Call) {
	if p.tok.Word == lex.WITHIN && p.peekIs(1, lex.GROUP) {
		p.next()
		p.next()
		p.parens(func() { c.WithinGroup = p.requiredOrderBy() })
	}
	if t := p.nullTreatment(); t != ast.NullsDefault {
		c.Nulls = t
	}
	if p.tok.Word == lex.FILTER && p.peek(1).Kind == lex.LParen {
		p.next()
		p.parens(func() {
			p.expect(lex.WHERE)
			c.Filter = p.expr()
		})
	}
	if p.eat(lex.OVER) {
		c.Over = p.windowRef()
	}
}

func (p *parser) nullTreatment() ast.NullTreatment {
	if p.tok.Kind != lex.Word || !p.peekIs(1, lex.NULLS) {
		return ast.NullsDefault
	}
	switch p.tok.Word {
	case lex.IGNORE:
		p.next()
		p.next()
		return ast.IgnoreNulls
	case lex.RESPECT:
		p.next()
		p.next()
		return ast.RespectNulls
	}
	return ast.NullsDefault
}

// windowRef reads what follows OVER.
func (p *parser) windowRef() *ast.WindowSpec {
	if p.isName() {
		base := p.ident("the name of a window")
		return &ast.WindowSpec{Span: base.Span, Base: base}
	}
	p.want("the name of a window")
	return p.windowSpec()
}

// windowSpec reads a window specification in parentheses.
func (p *parser) windowSpec() *ast.WindowSpec {
	start := p.start()
	w := &ast.WindowSpec{}
	p.parens(func() {
		if p.isName() && !p.peekIs(0, lex.ROWS) && !p.peekIs(0, lex.RANGE) {
			w.Base = p.ident("the name of a window")
		}
		if p.eat(lex.PARTITION) {
			p.expect(lex.BY)
			w.PartitionBy = p.exprs()
		}
		w.OrderBy = p.orderBy()
		w.Frame = p.frame()
	})
	w.Span = p.from(start)
	return w
}

func (p *parser) frame() *ast.Frame {
	f := &ast.Frame{}
	start := p.start()
	switch {
	case p.eat(lex.ROWS):
		f.Unit = ast.FrameRows
	case p.eat(lex.RANGE):
		f.Unit = ast.FrameRange
	default:
		return nil
	}
	if p.eat(lex.BETWEEN) {
		f.From = p.frameBound()
		p.expect(lex.AND)
		f.To = p.frameBound()
	} else {
		f.From = p.frameBound()
	}
	f.Span = p.from(start)
	return f
}

func (p *parser) frameBound() ast.FrameBound {
	start := p.start()
	b := ast.FrameBound{}
	switch {
	case p.is(lex.CURRENT) && p.peekIs(1, lex.ROW):
		p.next()
		p.next()
		b.Kind = ast.BoundCurrentRow
	case p.eat(lex.UNBOUNDED):
		b.Kind = ast.BoundUnboundedFollowing
		if p.eat(lex.PRECEDING) {
			b.Kind = ast.BoundUnboundedPreceding
		} else {
			p.expect(lex.FOLLOWING)
		}
	default:
		b.Offset = p.binding(ast.LevelSum)
		b.Kind = ast.BoundFollowing
		if p.eat(lex.PRECEDING) {
			b.Kind = ast.BoundPreceding
		} else {
			p.expect(lex.FOLLOWING)
		}
	}
	b.Span = p.from(start)
	return b
}
