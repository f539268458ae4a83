package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
)

// This file reads the arguments of the calls that have words between them. Each is brought to positional form; the plain form
// with commas is taken, too, where Flink takes it.

func (p *parser) unitArg(c *ast.Call) {
	at := p.tok.Span()
	c.Args = append(c.Args, &ast.UnitArg{Span: at, Unit: p.timeUnit("a unit like DAY or HOUR")})
}

// extractArgs reads unit FROM x.
func (p *parser) extractArgs(c *ast.Call) {
	p.unitArg(c)
	p.expect(lex.FROM)
	c.Args = append(c.Args, p.expr())
}

// positionArgs reads x IN y [FROM n].
func (p *parser) positionArgs(c *ast.Call) {
	c.Args = append(c.Args, p.binding(ast.LevelSum))
	if !p.eat(lex.IN) {
		p.expectSign(lex.Comma)
	}
	c.Args = append(c.Args, p.expr())
	if p.eat(lex.FROM) {
		c.Args = append(c.Args, p.expr())
	}
}

// substringArgs reads x FROM n [FOR m].
func (p *parser) substringArgs(c *ast.Call) {
	c.Args = append(c.Args, p.expr())
	if !p.eat(lex.FROM) {
		p.expectSign(lex.Comma)
		c.Args = append(c.Args, p.exprs()...)
		return
	}
	c.Args = append(c.Args, p.expr())
	if p.eat(lex.FOR) {
		c.Args = append(c.Args, p.expr())
	}
}

// trimArgs reads [BOTH|LEADING|TRAILING] [what] FROM x, or x.
func (p *parser) trimArgs(c *ast.Call) {
	side := ast.TrimInvalid
	at := p.tok.Span()
	switch {
	case p.eat(lex.BOTH):
		side = ast.TrimBoth
	case p.eat(lex.LEADING):
		side = ast.TrimLeading
	case p.eat(lex.TRAILING):
		side = ast.TrimTrailing
	}
	if side == ast.TrimInvalid {
		first := p.expr()
		if !p.eat(lex.FROM) {
			c.Args = append(c.Args, first)
			return
		}
		c.Args = append(c.Args, &ast.TrimArg{Span: at, Side: ast.TrimBoth}, first, p.expr())
		return
	}
	c.Args = append(c.Args, &ast.TrimArg{Span: at, Side: side})
	if !p.eat(lex.FROM) {
		c.Args = append(c.Args, p.expr())
		p.expect(lex.FROM)
	} else {
		c.Args = append(c.Args, &ast.StringLit{Span: at, Value: " "})
	}
	c.Args = append(c.Args, p.expr())
}

// overlayArgs reads x PLACING y FROM n [FOR m].
func (p *parser) overlayArgs(c *ast.Call) {
	c.Args = append(c.Args, p.expr())
	if !p.eat(lex.PLACING) {
		p.expectSign(lex.Comma)
		c.Args = append(c.Args, p.exprs()...)
		return
	}
	c.Args = append(c.Args, p.expr())
	p.expect(lex.FROM)
	c.Args = append(c.Args, p.expr())
	if p.eat(lex.FOR) {
		c.Args = append(c.Args, p.expr())
	}
}

// roundArgs reads x [TO unit].
func (p *parser) roundArgs(c *ast.Call) {
	c.Args = append(c.Args, p.expr())
	if p.eat(lex.TO) {
		p.unitArg(c)
	}
}

// jsonPathArgs reads doc, path and the clauses of JSON_VALUE, JSON_QUERY and JSON_EXISTS.
func (p *parser) jsonPathArgs(c *ast.Call) {
	c.Args = append(c.Args, p.expr())
	p.expectSign(lex.Comma)
	c.Args = append(c.Args, p.expr())
	j := &ast.JSONClauses{}
	start := p.start()
	if p.eat(lex.RETURNING) {
		j.Returning = p.typeName()
	}
	j.Wrapper = p.jsonWrapper()
	for p.ok() && p.tok.Kind != lex.RParen {
		b := p.jsonBehavior()
		p.expect(lex.ON)
		switch {
		case j.OnEmpty == nil && j.OnError == nil && p.eat(lex.EMPTY):
			j.OnEmpty = b
		case j.OnError == nil:
			p.expect(lex.ERROR)
			j.OnError = b
		default:
			p.unexpected()
		}
	}
	if j.Span = p.from(start); j.Returning != nil || j.Wrapper != 0 || j.OnEmpty != nil || j.OnError != nil {
		c.JSON = j
	}
}

func (p *parser) jsonWrapper() ast.JSONWrapper {
	w := ast.WrapperUnset
	switch {
	case p.eat(lex.WITHOUT):
		w = ast.WithoutWrapper
	case p.eat(lex.WITH):
		w = ast.WithUnconditionalWrapper
		if p.eat(lex.CONDITIONAL) {
			w = ast.WithConditionalWrapper
		} else {
			p.eat(lex.UNCONDITIONAL)
		}
	default:
		return w
	}
	p.eat(lex.ARRAY)
	p.expect(lex.WRAPPER)
	return w
}

func (p *parser) jsonBehavior() *ast.JSONBehavior {
	b := &ast.JSONBehavior{}
	start := p.start()
	switch {
	case p.eat(lex.NULL):
		b.Kind = ast.JSONNull
	case p.eat(lex.ERROR):
		b.Kind = ast.JSONError
	case p.eat(lex.TRUE):
		b.Kind = ast.JSONTrue
	case p.eat(lex.FALSE):
		b.Kind = ast.JSONFalse
	case p.eat(lex.UNKNOWN):
		b.Kind = ast.JSONUnknown
	case p.eat(lex.DEFAULT):
		b.Kind = ast.JSONDefault
		b.Default = p.expr()
	case p.eat(lex.EMPTY):
		b.Kind = ast.JSONEmptyArray
		if p.eat(lex.OBJECT) {
			b.Kind = ast.JSONEmptyObject
		} else {
			p.expect(lex.ARRAY)
		}
	default:
		p.wantSign(lex.RParen)
		p.unexpected()
	}
	b.Span = p.from(start)
	return b
}

// jsonObjectArgs reads [KEY] k VALUE v, k : v, ... and NULL or ABSENT ON NULL.
func (p *parser) jsonObjectArgs(c *ast.Call) {
	if !p.startsOnNull() && p.tok.Kind != lex.RParen {
		p.commaList(func() {
			if p.peekIs(0, lex.KEY) && p.peek(1).Kind != lex.Comma && p.peek(1).Kind != lex.Colon && !p.peekIs(1, lex.VALUE) {
				p.next()
			}
			c.Args = append(c.Args, p.expr())
			if !p.eat(lex.VALUE) && !p.eatSign(lex.Colon) {
				p.expectSign(lex.Comma)
			}
			c.Args = append(c.Args, p.expr())
		})
	}
	p.jsonOnNull(c)
}

// jsonArrayArgs reads a, b, ... [ORDER BY ...] and NULL or ABSENT ON NULL.
func (p *parser) jsonArrayArgs(c *ast.Call) {
	if !p.startsOnNull() && p.tok.Kind != lex.RParen {
		c.Quantifier = p.quantifier()
		c.Args = p.exprs()
		c.OrderBy = p.orderBy()
	}
	p.jsonOnNull(c)
}

func (p *parser) startsOnNull() bool {
	return (p.peekIs(0, lex.NULL) || p.peekIs(0, lex.ABSENT)) && p.peekIs(1, lex.ON) && p.peekIs(2, lex.NULL)
}

func (p *parser) jsonOnNull(c *ast.Call) {
	start := p.start()
	on := ast.NullOnNull
	switch {
	case p.eat(lex.NULL):
	case p.eat(lex.ABSENT):
		on = ast.AbsentOnNull
	default:
		return
	}
	p.expectAll(lex.ON, lex.NULL)
	c.JSON = &ast.JSONClauses{Span: p.from(start), OnNull: on}
}
