package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// statementWords begin statements; a first word close to one of them is taken for a typing mistake.
var statementWords = []lex.Keyword{
	lex.SELECT, lex.INSERT, lex.CREATE, lex.WITH, lex.VALUES, lex.TABLE, lex.FROM, lex.ALTER, lex.DROP,
	lex.UPDATE, lex.DELETE, lex.TRUNCATE, lex.EXECUTE, lex.COMPILE, lex.BEGIN, lex.STATEMENT, lex.SHOW, lex.DESCRIBE, lex.DESC, lex.EXPLAIN,
	lex.SET, lex.RESET, lex.USE, lex.LOAD, lex.UNLOAD, lex.ADD, lex.REMOVE, lex.ANALYZE, lex.CALL, lex.STOP, lex.REPLACE,
}

// statement reads one statement without its semicolon.
func (p *parser) statement() ast.Statement {
	if !p.enter() {
		p.leave()
		return &ast.Select{}
	}
	defer p.leave()
	if p.startsQuery() || p.tok.Kind == lex.LParen {
		return p.query()
	}
	start := p.start()
	if p.tok.Kind == lex.Word {
		if s := p.definition(start); s != nil {
			return s
		}
		if s := p.manipulation(start); s != nil {
			return s
		}
		if s := p.command(start); s != nil {
			return s
		}
	}
	p.unknownStatement()
	return &ast.Select{}
}

func (p *parser) unknownStatement() {
	if p.tok.Kind == lex.EOF || p.tok.Kind == lex.Illegal {
		p.wantOneOf("a statement", statementWords...)
		p.unexpected()
		return
	}
	err := sqlerr.New(sqlerr.UnknownStatement, p.tok.Span(), "no statement begins with %s", p.describe(p.tok))
	if p.tok.Kind == lex.Word {
		err = err.DidYouMean(p.tok.Text(p.src), texts(statementWords))
	}
	p.failWith(err)
}

// definition reads CREATE, ALTER and DROP; nil if none is next.
func (p *parser) definition(start ast.Pos) ast.Statement {
	switch p.tok.Word {
	case lex.CREATE:
		return p.create(start)
	case lex.REPLACE:
		p.next()
		p.expect(lex.TABLE)
		return p.createTable(&ast.CreateTable{Replace: true}, start)
	case lex.ALTER:
		return p.alter(start)
	case lex.DROP:
		return p.drop(start)
	}
	return nil
}

// manipulation reads INSERT and its kin and what runs them; nil if none is next.
func (p *parser) manipulation(start ast.Pos) ast.Statement {
	switch p.tok.Word {
	case lex.INSERT:
		return p.insert(start)
	case lex.UPDATE:
		return p.update(start)
	case lex.DELETE:
		return p.deleteFrom(start)
	case lex.TRUNCATE:
		p.next()
		p.expect(lex.TABLE)
		name := p.name("the name of a table")
		return &ast.Truncate{Span: p.from(start), Table: name}
	case lex.EXECUTE:
		return p.execute(start)
	case lex.COMPILE:
		return p.compilePlan(start)
	case lex.BEGIN, lex.STATEMENT:
		return p.statementSet(start)
	}
	return nil
}

// command reads what asks or steers the session; nil if none is next.
func (p *parser) command(start ast.Pos) ast.Statement {
	switch p.tok.Word {
	case lex.SHOW:
		return p.show(start)
	case lex.DESCRIBE, lex.DESC:
		return p.describeStatement(start)
	case lex.EXPLAIN:
		return p.explain(start)
	case lex.SET:
		return p.set(start)
	case lex.RESET:
		return p.reset(start)
	case lex.USE:
		return p.use(start)
	case lex.LOAD:
		p.next()
		p.expect(lex.MODULE)
		m := &ast.LoadModule{Name: p.ident("the name of a module")}
		m.Options = p.withOptions()
		m.Span = p.from(start)
		return m
	case lex.UNLOAD:
		p.next()
		p.expect(lex.MODULE)
		name := p.ident("the name of a module")
		return &ast.UnloadModule{Span: p.from(start), Name: name}
	case lex.ADD, lex.REMOVE:
		j := &ast.Jar{Remove: p.tok.Word == lex.REMOVE}
		p.next()
		p.expect(lex.JAR)
		j.Path = p.stringLit("a path in quotes")
		j.Span = p.from(start)
		return j
	case lex.ANALYZE:
		return p.analyze(start)
	case lex.CALL:
		return p.callProcedure(start)
	case lex.STOP:
		return p.stopJob(start)
	}
	return nil
}
