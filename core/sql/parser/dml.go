package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// insert reads INSERT INTO or INSERT OVERWRITE.
func (p *parser) insert(start ast.Pos) ast.Statement {
	p.expect(lex.INSERT)
	i := &ast.Insert{}
	if p.eat(lex.OVERWRITE) {
		i.Overwrite = true
		p.eat(lex.INTO)
	} else {
		p.expect(lex.INTO)
	}
	p.eat(lex.TABLE)
	if p.isString("a path in quotes") {
		at := p.start()
		f := &ast.FileTable{Path: p.stringToken()}
		f.Hints = p.hints()
		f.Span = p.from(at)
		i.Table = f
	} else {
		i.Table = p.tableRef()
	}
	if p.is(lex.PARTITION) {
		i.Partition = p.partition()
	}
	if p.isColumnList() {
		p.parens(func() {
			p.commaList(func() { i.Columns = append(i.Columns, p.name("the name of a column")) })
		})
	}
	if i.Partition == nil && p.is(lex.PARTITION) { // Hive's order
		i.Partition = p.partition()
	}
	i.Query = p.requiredQuery()
	i.Span = p.from(start)
	return i
}

// isColumnList reports whether a parenthesis opens a list of columns and not a query.
func (p *parser) isColumnList() bool {
	return p.tok.Kind == lex.LParen && nameToken(p.peek(1))
}

func (p *parser) update(start ast.Pos) ast.Statement {
	p.expect(lex.UPDATE)
	u := &ast.Update{Table: p.tableRef()}
	u.Alias = p.alias()
	p.expect(lex.SET)
	p.commaList(func() {
		a := &ast.Assignment{Column: p.name("the name of a column")}
		p.expectSign(lex.Eq)
		a.Value = p.expr()
		a.Span = p.from(a.Column.Start)
		u.Sets = append(u.Sets, a)
	})
	if p.eat(lex.WHERE) {
		u.Where = p.expr()
	}
	u.Span = p.from(start)
	return u
}

func (p *parser) deleteFrom(start ast.Pos) ast.Statement {
	p.expectAll(lex.DELETE, lex.FROM)
	d := &ast.Delete{Table: p.tableRef()}
	d.Alias = p.alias()
	if p.eat(lex.WHERE) {
		d.Where = p.expr()
	}
	d.Span = p.from(start)
	return d
}

// execute reads EXECUTE PLAN 'path' or EXECUTE statement.
func (p *parser) execute(start ast.Pos) ast.Statement {
	p.expect(lex.EXECUTE)
	if p.eat(lex.PLAN) {
		path := p.stringLit("a path in quotes")
		return &ast.ExecutePlan{Span: p.from(start), Path: path}
	}
	s := p.runnable()
	return &ast.Execute{Span: p.from(start), Statement: s}
}

// runnable reads an INSERT, a statement set or a query.
func (p *parser) runnable() ast.Statement {
	start := p.start()
	switch {
	case p.is(lex.INSERT):
		return p.insert(start)
	case p.is(lex.STATEMENT), p.is(lex.BEGIN):
		return p.statementSet(start)
	}
	return p.requiredQuery()
}

// statementSet reads BEGIN STATEMENT SET; inserts END, or STATEMENT SET BEGIN inserts END.
func (p *parser) statementSet(start ast.Pos) ast.Statement {
	s := &ast.StatementSet{}
	begun := p.eat(lex.BEGIN)
	p.expectAll(lex.STATEMENT, lex.SET)
	if !begun {
		p.expect(lex.BEGIN)
	}
	for p.ok() {
		for p.eatSign(lex.Semicolon) {
			continue
		}
		if p.eat(lex.END) {
			break
		}
		s.Inserts = append(s.Inserts, p.setMember())
		if !p.is(lex.END) {
			p.want("a semicolon")
			p.expectSign(lex.Semicolon)
		}
	}
	s.Span = p.from(start)
	return s
}

// setMember reads one statement of a statement set.
func (p *parser) setMember() ast.Statement {
	start := p.start()
	if p.is(lex.INSERT) {
		return p.insert(start)
	}
	if p.is(lex.CREATE) {
		s := p.create(start)
		if t, ok := s.(*ast.CreateTable); !p.ok() || ok && t.Query != nil {
			return s
		}
		p.fail(sqlerr.BadClause, s, "a statement set holds INSERT and CREATE TABLE ... AS, nothing else")
		return s
	}
	p.unexpected()
	return &ast.Insert{}
}

// compilePlan reads COMPILE [AND EXECUTE] PLAN 'path' [IF NOT EXISTS] FOR statement.
func (p *parser) compilePlan(start ast.Pos) ast.Statement {
	p.expect(lex.COMPILE)
	c := &ast.CompilePlan{}
	if p.eat(lex.AND) {
		p.expect(lex.EXECUTE)
		c.Execute = true
	}
	p.expect(lex.PLAN)
	c.Path = p.stringLit("a path in quotes")
	c.IfNotExists = p.ifNotExists()
	p.expect(lex.FOR)
	at := p.start()
	c.Statement = p.runnable()
	switch c.Statement.(type) {
	case *ast.Insert, *ast.StatementSet:
	default:
		p.fail(sqlerr.BadClause, p.from(at), "a plan is compiled for INSERT or a statement set, not for a query")
	}
	c.Span = p.from(start)
	return c
}
