package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// schema reads (columns, constraints, watermark) of CREATE TABLE, and of ALTER TABLE, where columns have places.
func (p *parser) schema(places bool) *ast.ChangeSchema {
	start := p.start()
	s := &ast.ChangeSchema{}
	p.parens(func() {
		p.commaList(func() { p.schemaElement(s, places) })
	})
	s.Span = p.from(start)
	return s
}

// schemaElement reads one column, constraint or watermark.
func (p *parser) schemaElement(s *ast.ChangeSchema, places bool) {
	at := p.tok.Span()
	switch {
	case p.is(lex.WATERMARK) && p.peekIs(1, lex.FOR):
		if s.Watermark != nil {
			p.fail(sqlerr.Duplicate, at, "a table has one watermark, this is the second")
		}
		s.Watermark = p.watermark()
	case p.is(lex.CONSTRAINT) && nameToken(p.peek(1)) && (p.peekIs(2, lex.PRIMARY) || p.peekIs(2, lex.UNIQUE)),
		p.is(lex.PRIMARY) && p.peekIs(1, lex.KEY),
		p.is(lex.UNIQUE) && p.peek(1).Kind == lex.LParen:
		c := p.constraint()
		p.enforcedAfter(c)
		s.Constraints = append(s.Constraints, c)
	default:
		s.Columns = append(s.Columns, p.columnDef(places))
	}
}

// enforcedAfter reads the columns and the enforcement of a constraint of a table.
func (p *parser) enforcedAfter(c *ast.Constraint) {
	c.Columns = p.columnList()
	c.Enforced = p.enforcement()
	c.Span = p.from(c.Start)
}

// constraint reads [CONSTRAINT name] PRIMARY KEY or UNIQUE.
func (p *parser) constraint() *ast.Constraint {
	c := &ast.Constraint{}
	start := p.start()
	if p.eat(lex.CONSTRAINT) {
		c.Name = p.ident("the name of a constraint")
	}
	if p.eat(lex.PRIMARY) {
		p.expect(lex.KEY)
		c.Primary = true
	} else {
		p.expect(lex.UNIQUE)
	}
	c.Span = p.from(start)
	return c
}

func (p *parser) enforcement() ast.Enforcement {
	switch {
	case p.eat(lex.ENFORCED):
		return ast.Enforced
	case p.is(lex.NOT) && p.peekIs(1, lex.ENFORCED):
		p.next()
		p.next()
		return ast.NotEnforced
	}
	return ast.EnforcementUnset
}

func (p *parser) watermark() *ast.Watermark {
	start := p.start()
	p.expectAll(lex.WATERMARK, lex.FOR)
	w := &ast.Watermark{Column: p.name("the name of a time column")}
	p.expect(lex.AS)
	w.Expr = p.expr()
	w.Span = p.from(start)
	return w
}

// columnDef reads one column: physical, computed, metadata or a bare name.
func (p *parser) columnDef(places bool) *ast.ColumnDef {
	c := &ast.ColumnDef{Kind: ast.ColumnName, Name: p.ident("the name of a column")}
	switch {
	case p.tok.Kind == lex.Comma || p.tok.Kind == lex.RParen:
	case p.eat(lex.AS):
		c.Kind, c.Expr = ast.ColumnComputed, p.expr()
	case p.peekIs(0, lex.FOR), p.peekIs(0, lex.KEY): // a misspelled WATERMARK FOR or PRIMARY KEY
		p.aliasAt = p.index - 1
		p.isRare(lex.WATERMARK)
		p.isRare(lex.PRIMARY)
		p.want("a type")
		p.unexpected()
	case places && (p.is(lex.FIRST) || p.is(lex.AFTER)):
	default:
		p.typedColumn(c)
	}
	c.Comment = p.comment()
	if places {
		c.Place = p.place()
	}
	c.Span = p.from(c.Name.Start)
	return c
}

// typedColumn reads the type of a column and what may follow it.
func (p *parser) typedColumn(c *ast.ColumnDef) {
	c.Kind, c.Type = ast.ColumnPhysical, p.typeName()
	if p.eat(lex.METADATA) {
		c.Kind = ast.ColumnMetadata
		if p.eat(lex.FROM) {
			c.MetadataKey = p.stringLit("the key of the metadata in quotes")
		}
		c.Virtual = p.eat(lex.VIRTUAL)
		return
	}
	if p.is(lex.CONSTRAINT) || p.is(lex.PRIMARY) || p.is(lex.UNIQUE) {
		c.Constraint = p.constraint()
		c.Constraint.Enforced = p.enforcement()
		c.Constraint.Span = p.from(c.Constraint.Start)
	}
}

// place reads FIRST or AFTER column.
func (p *parser) place() *ast.ColumnPlace {
	start := p.start()
	switch {
	case p.eat(lex.FIRST):
		return &ast.ColumnPlace{Span: p.from(start)}
	case p.eat(lex.AFTER):
		after := p.ident("the name of a column")
		return &ast.ColumnPlace{Span: p.from(start), After: after}
	}
	return nil
}
