package parser

import (
	"strings"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// show reads SHOW of a list, or SHOW CREATE.
func (p *parser) show(start ast.Pos) ast.Statement {
	p.expect(lex.SHOW)
	if p.eat(lex.CREATE) {
		s := &ast.ShowCreate{}
		s.Kind = p.objectKind(ast.ObjectTable, ast.ObjectView, ast.ObjectMaterializedTable, ast.ObjectCatalog, ast.ObjectDatabase,
			ast.ObjectModel, ast.ObjectConnection)
		s.Name = p.name("a name")
		s.Span = p.from(start)
		return s
	}
	s := &ast.Show{Kind: p.showKind()}
	switch s.Kind {
	case ast.ShowColumns:
		if !p.eat(lex.FROM) {
			p.expect(lex.IN)
		}
		s.From = p.name("the name of a table")
		p.showLike(s)
	case ast.ShowPartitions:
		s.From = p.name("the name of a table")
		if p.is(lex.PARTITION) {
			s.Partition = p.partition()
		}
	case ast.ShowDatabases, ast.ShowTables, ast.ShowViews, ast.ShowMaterializedTables, ast.ShowFunctions, ast.ShowUserFunctions,
		ast.ShowProcedures, ast.ShowModels, ast.ShowConnections:
		if p.eat(lex.FROM) || p.eat(lex.IN) {
			s.From = p.name("the name of a catalog or database")
		}
		p.showLike(s)
	case ast.ShowCatalogs:
		p.showLike(s)
	}
	s.Span = p.from(start)
	return s
}

// showKind reads the words that say what to list.
func (p *parser) showKind() ast.ShowKind {
	switch {
	case p.eat(lex.CATALOGS):
		return ast.ShowCatalogs
	case p.eat(lex.DATABASES):
		return ast.ShowDatabases
	case p.eat(lex.TABLES):
		return ast.ShowTables
	case p.eat(lex.VIEWS):
		return ast.ShowViews
	case p.eat(lex.COLUMNS):
		return ast.ShowColumns
	case p.eat(lex.PARTITIONS):
		return ast.ShowPartitions
	case p.eat(lex.FUNCTIONS):
		return ast.ShowFunctions
	case p.eat(lex.PROCEDURES):
		return ast.ShowProcedures
	case p.eat(lex.MODELS):
		return ast.ShowModels
	case p.eat(lex.MODULES):
		return ast.ShowModules
	case p.eat(lex.CONNECTIONS):
		return ast.ShowConnections
	case p.eat(lex.JARS):
		return ast.ShowJars
	case p.eat(lex.JOBS):
		return ast.ShowJobs
	case p.eat(lex.USER):
		p.expect(lex.FUNCTIONS)
		return ast.ShowUserFunctions
	case p.eat(lex.FULL):
		p.expect(lex.MODULES)
		return ast.ShowFullModules
	case p.eat(lex.MATERIALIZED):
		p.expect(lex.TABLES)
		return ast.ShowMaterializedTables
	case p.eat(lex.CURRENT):
		if p.eat(lex.CATALOG) {
			return ast.ShowCurrentCatalog
		}
		p.expect(lex.DATABASE)
		return ast.ShowCurrentDatabase
	}
	p.unexpected()
	return ast.ShowInvalid
}

// showLike reads [NOT] LIKE or ILIKE.
func (p *parser) showLike(s *ast.Show) {
	s.Not = p.eat(lex.NOT)
	switch {
	case p.eat(lex.LIKE):
	case p.eat(lex.ILIKE):
		s.CaseInsensitive = true
	default:
		if s.Not {
			p.unexpected()
		}
		return
	}
	s.Like = p.stringLit("a pattern in quotes")
}

// describeStatement reads DESCRIBE and DESC.
func (p *parser) describeStatement(start ast.Pos) ast.Statement {
	p.next()
	d := &ast.Describe{Kind: ast.ObjectTable}
	for _, k := range []ast.ObjectKind{ast.ObjectCatalog, ast.ObjectDatabase, ast.ObjectFunction, ast.ObjectModel, ast.ObjectConnection, ast.ObjectJob} {
		after := p.peek(1)
		if p.is(kindWords(k)[0]) && (nameToken(after) || after.Kind == lex.String) {
			p.next()
			d.Kind = k
			break
		}
	}
	if after := p.peek(1); p.is(lex.EXTENDED) && (nameToken(after) || after.Kind == lex.String) {
		p.next()
		d.Extended = true
	}
	switch {
	case d.Kind == ast.ObjectJob:
		d.Job = p.stringLit("the id of a job in quotes")
	case d.Kind == ast.ObjectTable && p.isString("a path in quotes"):
		d.File = p.stringToken()
	case d.Kind == ast.ObjectTable && (p.startsQuery() || p.tok.Kind == lex.LParen) && !p.peekIs(0, lex.TABLE):
		d.Query = p.query()
	default:
		if d.Kind == ast.ObjectTable {
			p.eat(lex.TABLE)
		}
		d.Name = p.name("a name")
	}
	d.Span = p.from(start)
	return d
}

// explain reads EXPLAIN [PLAN FOR | details] statement.
func (p *parser) explain(start ast.Pos) ast.Statement {
	p.expect(lex.EXPLAIN)
	e := &ast.Explain{}
	if p.eat(lex.PLAN) {
		p.expect(lex.FOR)
	} else {
		p.explainDetails(e)
	}
	at := p.start()
	switch {
	case p.is(lex.INSERT), p.is(lex.STATEMENT), p.is(lex.BEGIN):
		e.Statement = p.runnable()
	case p.is(lex.UPDATE):
		e.Statement = p.update(at)
	case p.is(lex.DELETE):
		e.Statement = p.deleteFrom(at)
	case p.is(lex.EXECUTE):
		e.Statement = p.execute(at)
	case p.is(lex.CREATE):
		e.Statement = p.create(at)
		if t, ok := e.Statement.(*ast.CreateTable); !ok || t.Query == nil {
			p.fail(sqlerr.BadClause, e.Statement, "only CREATE TABLE ... AS can be explained, other definitions make no plan")
		}
	default:
		e.Statement = p.requiredQuery()
	}
	e.Span = p.from(start)
	return e
}

func (p *parser) explainDetails(e *ast.Explain) {
	details := []struct {
		word   lex.Keyword
		detail ast.ExplainDetail
	}{
		{lex.ESTIMATED_COST, ast.ExplainEstimatedCost},
		{lex.CHANGELOG_MODE, ast.ExplainChangelogMode},
		{lex.JSON_EXECUTION_PLAN, ast.ExplainJSON},
		{lex.PLAN_ADVICE, ast.ExplainAdvice},
		{lex.ANALYZE, ast.ExplainAnalyze},
	}
	for {
		found := false
		for _, d := range details {
			if !found && p.eat(d.word) {
				e.Details = append(e.Details, d.detail)
				found = true
			}
		}
		if !found {
			if len(e.Details) > 0 {
				p.unexpected()
			}
			return
		}
		if !p.eatSign(lex.Comma) {
			return
		}
	}
}

// set reads SET, SET 'key' = 'value' and, as a comfort, SET key = value without quotes.
func (p *parser) set(start ast.Pos) ast.Statement {
	p.expect(lex.SET)
	s := &ast.Set{}
	if p.atEnd() {
		s.Span = p.from(start)
		return s
	}
	s.Key = p.looseString("an option's key in quotes", func() bool { return p.tok.Kind == lex.Eq })
	p.expectSign(lex.Eq)
	s.Value = p.looseString("an option's value in quotes", func() bool { return false })
	s.Span = p.from(start)
	return s
}

func (p *parser) reset(start ast.Pos) ast.Statement {
	p.expect(lex.RESET)
	r := &ast.Reset{}
	if !p.atEnd() {
		r.Key = p.looseString("an option's key in quotes", func() bool { return false })
	}
	r.Span = p.from(start)
	return r
}

func (p *parser) atEnd() bool { return p.tok.Kind == lex.EOF || p.tok.Kind == lex.Semicolon }

// looseString reads a string, or plain text up to the end of the statement or of what the caller says.
func (p *parser) looseString(what string, ends func() bool) *ast.StringLit {
	if p.tok.Kind == lex.String || p.tok.Kind == lex.UString {
		return p.stringToken()
	}
	start := p.start()
	for p.ok() && !p.atEnd() && !ends() {
		if p.tok.Kind == lex.Illegal && (p.tok.Word == lex.OpenString || p.tok.Word == lex.OpenQuote || p.tok.Word == lex.OpenComment) {
			p.unexpected()
		}
		p.next()
	}
	span := p.from(start)
	if span.Len() == 0 {
		p.want(what)
		p.unexpected()
		return &ast.StringLit{}
	}
	return &ast.StringLit{Span: span, Value: strings.TrimSpace(ast.Text(span, p.src))}
}

// use reads USE database, USE CATALOG catalog and USE MODULES.
func (p *parser) use(start ast.Pos) ast.Statement {
	p.expect(lex.USE)
	if p.is(lex.MODULES) && nameToken(p.peek(1)) {
		p.next()
		m := &ast.UseModules{}
		p.commaList(func() { m.Names = append(m.Names, p.ident("the name of a module")) })
		m.Span = p.from(start)
		return m
	}
	u := &ast.Use{}
	if p.is(lex.CATALOG) && nameToken(p.peek(1)) {
		p.next()
		u.Catalog = true
	}
	u.Name = p.name("the name of a database")
	u.Span = p.from(start)
	return u
}

// analyze reads ANALYZE TABLE t [PARTITION (...)] COMPUTE STATISTICS [FOR COLUMNS a, b | FOR ALL COLUMNS].
func (p *parser) analyze(start ast.Pos) ast.Statement {
	p.expectAll(lex.ANALYZE, lex.TABLE)
	a := &ast.AnalyzeTable{Table: p.name("the name of a table")}
	if p.is(lex.PARTITION) {
		a.Partition = p.partition()
	}
	p.expectAll(lex.COMPUTE, lex.STATISTICS)
	if p.eat(lex.FOR) {
		if p.eat(lex.ALL) {
			p.expect(lex.COLUMNS)
			a.AllColumns = true
		} else {
			p.expect(lex.COLUMNS)
			p.commaList(func() { a.Columns = append(a.Columns, p.ident("the name of a column")) })
		}
	}
	a.Span = p.from(start)
	return a
}

func (p *parser) callProcedure(start ast.Pos) ast.Statement {
	p.expect(lex.CALL)
	c := &ast.CallProcedure{}
	first := p.tok
	name := p.name("the name of a procedure")
	if first.Kind != lex.Word || len(name.Parts) > 1 {
		first.Word = 0
	}
	call, ok := p.call(name, first.Word).(*ast.Call)
	if !ok {
		p.fail(sqlerr.Syntax, name, "%s is no procedure", name)
		call = &ast.Call{Func: name}
	}
	c.Call = call
	c.Span = p.from(start)
	return c
}

// stopJob reads STOP JOB 'id' [WITH SAVEPOINT] [WITH DRAIN].
func (p *parser) stopJob(start ast.Pos) ast.Statement {
	p.expectAll(lex.STOP, lex.JOB)
	s := &ast.StopJob{Job: p.stringLit("the id of a job in quotes")}
	for p.ok() && p.eat(lex.WITH) {
		switch {
		case !s.Savepoint && p.eat(lex.SAVEPOINT):
			s.Savepoint = true
		case !s.Drain && p.eat(lex.DRAIN):
			s.Drain = true
		default:
			p.unexpected()
		}
	}
	s.Span = p.from(start)
	return s
}
