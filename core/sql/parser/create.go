package parser

import (
	"strings"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// prefixes are the words between CREATE, ALTER or DROP and the kind of object.
type prefixes struct {
	orReplace, orAlter, temporary, system bool
	span                                  ast.Span
}

// refuse fails when a word was written that the kind of object does not take.
func (p *parser) refuse(written bool, at ast.Span, words string, kind ast.ObjectKind) {
	if written {
		p.fail(sqlerr.BadClause, at, "%s cannot be used with a %s", words, strings.ToLower(kind.String()))
	}
}

// create reads CREATE of anything.
func (p *parser) create(start ast.Pos) ast.Statement {
	p.expect(lex.CREATE)
	var pre prefixes
	if p.eat(lex.OR) {
		if p.eat(lex.ALTER) {
			pre.orAlter = true
		} else {
			p.expect(lex.REPLACE)
			pre.orReplace = true
		}
	}
	p.temporary(&pre)
	pre.span = p.from(start)
	kind := p.objectKind(ast.ObjectTable, ast.ObjectView, ast.ObjectMaterializedTable, ast.ObjectCatalog, ast.ObjectDatabase,
		ast.ObjectFunction, ast.ObjectModel, ast.ObjectConnection)
	p.refuse(pre.orReplace && kind != ast.ObjectTable && kind != ast.ObjectView, pre.span, "OR REPLACE", kind)
	p.refuse(pre.orAlter && kind != ast.ObjectMaterializedTable, pre.span, "OR ALTER", kind)
	p.refuseTemporary(&pre, kind)
	return p.createKind(kind, &pre, start)
}

// temporary reads [TEMPORARY] [SYSTEM].
func (p *parser) temporary(pre *prefixes) {
	pre.temporary = p.eat(lex.TEMPORARY)
	pre.system = pre.temporary && p.eat(lex.SYSTEM)
}

func (p *parser) refuseTemporary(pre *prefixes, kind ast.ObjectKind) {
	fixed := kind == ast.ObjectMaterializedTable || kind == ast.ObjectCatalog || kind == ast.ObjectDatabase
	p.refuse(pre.temporary && fixed, pre.span, "TEMPORARY", kind)
	p.refuse(pre.system && kind != ast.ObjectFunction && kind != ast.ObjectConnection, pre.span, "SYSTEM", kind)
}

func (p *parser) createKind(kind ast.ObjectKind, pre *prefixes, start ast.Pos) ast.Statement {
	switch kind {
	case ast.ObjectTable:
		return p.createTable(&ast.CreateTable{Create: true, Replace: pre.orReplace, Temporary: pre.temporary}, start)
	case ast.ObjectView:
		return p.createView(&ast.CreateView{OrReplace: pre.orReplace, Temporary: pre.temporary}, start)
	case ast.ObjectMaterializedTable:
		return p.createMaterializedTable(&ast.CreateMaterializedTable{OrAlter: pre.orAlter}, start)
	case ast.ObjectCatalog:
		c := &ast.CreateCatalog{IfNotExists: p.ifNotExists(), Name: p.ident("the name of a catalog")}
		c.Comment, c.Options = p.comment(), p.withOptions()
		c.Span = p.from(start)
		return c
	case ast.ObjectDatabase:
		d := &ast.CreateDatabase{IfNotExists: p.ifNotExists(), Name: p.name("the name of a database")}
		d.Comment, d.Options = p.comment(), p.withOptions()
		d.Span = p.from(start)
		return d
	case ast.ObjectFunction:
		f := &ast.CreateFunction{Temporary: pre.temporary, System: pre.system}
		f.IfNotExists, f.Name = p.ifNotExists(), p.name("the name of a function")
		f.Body = p.functionBody()
		f.Span = p.from(start)
		return f
	case ast.ObjectModel:
		return p.createModel(&ast.CreateModel{Temporary: pre.temporary}, start)
	case ast.ObjectConnection:
		c := &ast.CreateConnection{Temporary: pre.temporary, System: pre.system}
		c.IfNotExists, c.Name = p.ifNotExists(), p.name("the name of a connection")
		c.Comment, c.Options = p.comment(), p.withOptions()
		c.Span = p.from(start)
		return c
	}
	return &ast.Select{}
}

// kindWords holds the words of each kind of object.
func kindWords(k ast.ObjectKind) []lex.Keyword {
	switch k {
	case ast.ObjectTable:
		return []lex.Keyword{lex.TABLE}
	case ast.ObjectView:
		return []lex.Keyword{lex.VIEW}
	case ast.ObjectMaterializedTable:
		return []lex.Keyword{lex.MATERIALIZED, lex.TABLE}
	case ast.ObjectCatalog:
		return []lex.Keyword{lex.CATALOG}
	case ast.ObjectDatabase:
		return []lex.Keyword{lex.DATABASE}
	case ast.ObjectFunction:
		return []lex.Keyword{lex.FUNCTION}
	case ast.ObjectModel:
		return []lex.Keyword{lex.MODEL}
	case ast.ObjectConnection:
		return []lex.Keyword{lex.CONNECTION}
	default:
		return []lex.Keyword{lex.JOB}
	}
}

// objectKind reads one of the kinds, or fails.
func (p *parser) objectKind(kinds ...ast.ObjectKind) ast.ObjectKind {
	for _, k := range kinds {
		if words := kindWords(k); p.eat(words[0]) {
			p.expectAll(words[1:]...)
			return k
		}
	}
	p.unexpected()
	return ast.ObjectInvalid
}

func (p *parser) ifNotExists() bool {
	if !p.is(lex.IF) && p.peekIs(1, lex.NOT) && p.peekIs(2, lex.EXISTS) {
		p.unexpected()
	}
	if !p.is(lex.IF) || !p.peekIs(1, lex.NOT) {
		return false
	}
	p.next()
	p.expectAll(lex.NOT, lex.EXISTS)
	return true
}

func (p *parser) ifExists() bool {
	if !p.is(lex.IF) && p.peekIs(1, lex.EXISTS) {
		p.unexpected()
	}
	if !p.is(lex.IF) || nameToken(p.peek(1)) && !p.peekIs(1, lex.EXISTS) {
		return false
	}
	p.next()
	p.expect(lex.EXISTS)
	return true
}

// comment reads COMMENT '...' if it is next.
func (p *parser) comment() *ast.StringLit {
	if p.eat(lex.COMMENT) {
		return p.stringLit("a comment in quotes")
	}
	return nil
}

// createTable reads what follows CREATE TABLE.
func (p *parser) createTable(c *ast.CreateTable, start ast.Pos) ast.Statement {
	c.IfNotExists = p.ifNotExists()
	c.Name = p.name("the name of a table")
	if p.isSign(lex.LParen) {
		s := p.schema(false)
		c.Columns, c.Constraints, c.Watermark = s.Columns, s.Constraints, s.Watermark
	}
	p.tableClauses(&c.Comment, &c.Distribution, &c.PartitionedBy, &c.Options)
	switch {
	case p.is(lex.LIKE) && c.Create && !c.Replace:
		c.Like = p.likeClause()
	case p.eat(lex.AS):
		c.Query = p.requiredQuery()
	case !c.Create || c.Replace:
		p.unexpected()
	}
	if p.ok() && c.Query == nil {
		for _, col := range c.Columns {
			if col.Kind == ast.ColumnName {
				p.failWith(sqlerr.New(sqlerr.BadClause, col, "column %s has no type", col.Name.Name).
					Suggest("add a type, or AS and an expression; names alone need CREATE TABLE ... AS SELECT"))
			}
		}
	}
	c.Span = p.from(start)
	return c
}

// tableClauses reads the clauses between columns and query in any order, each once.
func (p *parser) tableClauses(comment **ast.StringLit, dist **ast.Distribution, partitions *[]*ast.Ident, options *[]*ast.Option) {
	withSeen := false
	for p.ok() {
		at := p.tok.Span()
		switch {
		case p.is(lex.COMMENT):
			p.once(*comment != nil, at)
			*comment = p.comment()
		case p.is(lex.DISTRIBUTED):
			p.once(*dist != nil, at)
			p.next()
			*dist = p.distribution(at.Start)
		case p.eat(lex.PARTITIONED):
			p.once(*partitions != nil, at)
			p.expect(lex.BY)
			*partitions = p.columnList()
		case p.eat(lex.WITH):
			p.once(withSeen, at)
			withSeen = true
			*options = p.options()
		default:
			return
		}
	}
}

// once fails when a clause was read before.
func (p *parser) once(seen bool, at ast.Span) {
	if seen {
		p.fail(sqlerr.Duplicate, at, "the clause %s is written twice", strings.ToUpper(ast.Text(at, p.src)))
	}
}

// distribution reads what follows DISTRIBUTED or DISTRIBUTION: BY [HASH|RANGE] (columns) [INTO n BUCKETS], or INTO n BUCKETS.
func (p *parser) distribution(start ast.Pos) *ast.Distribution {
	d := &ast.Distribution{}
	if p.eat(lex.BY) {
		switch {
		case p.eat(lex.HASH):
			d.Kind = ast.DistributionHash
		case p.eat(lex.RANGE):
			d.Kind = ast.DistributionRange
		}
		d.Columns = p.columnList()
	}
	if (d.Columns == nil || p.is(lex.INTO)) && p.ok() {
		p.expect(lex.INTO)
		n := p.tok
		p.expectInteger("a number of buckets")
		d.Buckets = &ast.NumberLit{Span: n.Span(), Text: n.Text(p.src)}
		p.expect(lex.BUCKETS)
	}
	d.Span = p.from(start)
	return d
}

func (p *parser) likeClause() *ast.LikeClause {
	start := p.start()
	p.expect(lex.LIKE)
	l := &ast.LikeClause{}
	if p.isString("a path in quotes") {
		l.File = p.stringToken()
	} else {
		l.Table = p.name("the name of a table")
	}
	if p.eatSign(lex.LParen) {
		for p.ok() && !p.eatSign(lex.RParen) {
			l.Options = append(l.Options, p.likeOption())
		}
	}
	l.Span = p.from(start)
	return l
}

func (p *parser) likeOption() *ast.LikeOption {
	o := &ast.LikeOption{}
	start := p.start()
	switch {
	case p.eat(lex.INCLUDING):
		o.Strategy = ast.MergeIncluding
	case p.eat(lex.EXCLUDING):
		o.Strategy = ast.MergeExcluding
	default:
		p.expect(lex.OVERWRITING)
		o.Strategy = ast.MergeOverwriting
	}
	switch {
	case p.eat(lex.ALL):
		o.Feature = ast.FeatureAll
	case p.eat(lex.CONSTRAINTS):
		o.Feature = ast.FeatureConstraints
	case p.eat(lex.DISTRIBUTION):
		o.Feature = ast.FeatureDistribution
	case p.eat(lex.GENERATED):
		o.Feature = ast.FeatureGenerated
	case p.eat(lex.METADATA):
		o.Feature = ast.FeatureMetadata
	case p.eat(lex.OPTIONS):
		o.Feature = ast.FeatureOptions
	case p.eat(lex.PARTITIONS):
		o.Feature = ast.FeaturePartitions
	default:
		p.expect(lex.WATERMARKS)
		o.Feature = ast.FeatureWatermarks
	}
	o.Span = p.from(start)
	return o
}

// requiredQuery reads a query, or fails.
func (p *parser) requiredQuery() ast.Query {
	if !p.isQuery() {
		p.unexpected()
		return &ast.Select{}
	}
	return p.query()
}

func (p *parser) createView(v *ast.CreateView, start ast.Pos) ast.Statement {
	v.IfNotExists = p.ifNotExists()
	v.Name = p.name("the name of a view")
	if p.eatSign(lex.LParen) {
		p.commaList(func() {
			c := &ast.ViewColumn{Name: p.ident("the name of a column")}
			c.Comment = p.comment()
			c.Span = p.from(c.Name.Start)
			v.Columns = append(v.Columns, c)
		})
		p.expectSign(lex.RParen)
	}
	v.Comment = p.comment()
	p.expect(lex.AS)
	v.Query = p.requiredQuery()
	v.Span = p.from(start)
	return v
}

func (p *parser) createMaterializedTable(m *ast.CreateMaterializedTable, start ast.Pos) ast.Statement {
	m.IfNotExists = p.ifNotExists()
	m.Name = p.name("the name of a materialized table")
	if p.isSign(lex.LParen) {
		s := p.schema(false)
		m.Columns, m.Constraints, m.Watermark = s.Columns, s.Constraints, s.Watermark
	}
	p.tableClauses(&m.Comment, &m.Distribution, &m.PartitionedBy, &m.Options)
	if p.eat(lex.FRESHNESS) {
		p.expectSign(lex.Eq)
		m.Freshness = p.interval()
	}
	if p.eat(lex.REFRESH_MODE) {
		p.expectSign(lex.Eq)
		m.RefreshMode = p.refreshMode()
	}
	p.expect(lex.AS)
	m.Query = p.requiredQuery()
	m.Span = p.from(start)
	return m
}

// interval reads an interval literal.
func (p *parser) interval() ast.Expr {
	if !p.is(lex.INTERVAL) {
		p.unexpected()
		return &ast.NullLit{}
	}
	return p.intervalLit()
}

func (p *parser) refreshMode() ast.RefreshMode {
	if p.eat(lex.FULL) {
		return ast.RefreshFull
	}
	p.expect(lex.CONTINUOUS)
	return ast.RefreshContinuous
}

func (p *parser) createModel(m *ast.CreateModel, start ast.Pos) ast.Statement {
	m.IfNotExists = p.ifNotExists()
	m.Name = p.name("the name of a model")
	if p.eat(lex.INPUT) {
		m.Input = p.schema(false).Columns
	}
	if p.eat(lex.OUTPUT) {
		m.Output = p.schema(false).Columns
	}
	m.Comment, m.Options = p.comment(), p.withOptions()
	if p.eat(lex.AS) {
		m.Query = p.requiredQuery()
	}
	m.Span = p.from(start)
	return m
}

// functionBody reads AS 'class' [LANGUAGE word] [USING JAR 'uri', ...] [WITH (...)].
func (p *parser) functionBody() *ast.FunctionBody {
	start := p.start()
	p.expect(lex.AS)
	b := &ast.FunctionBody{Class: p.stringLit("a class name in quotes")}
	if p.eat(lex.LANGUAGE) {
		b.Language = strings.ToUpper(p.tok.Text(p.src))
		if !p.eat(lex.JAVA) && !p.eat(lex.SCALA) && !p.eat(lex.PYTHON) && !p.eat(lex.SQL) {
			p.unexpected()
		}
	}
	if p.eat(lex.USING) {
		p.commaList(func() { b.Resources = append(b.Resources, p.resource()) })
	}
	b.Options = p.withOptions()
	b.Span = p.from(start)
	return b
}

func (p *parser) resource() *ast.Resource {
	start := p.start()
	r := &ast.Resource{Kind: strings.ToUpper(p.tok.Text(p.src))}
	if !p.eat(lex.JAR) && !p.eat(lex.FILE) && !p.eat(lex.ARCHIVE) && !p.eat(lex.ARTIFACT) {
		p.unexpected()
	}
	r.URI = p.stringLit("a path in quotes")
	r.Span = p.from(start)
	return r
}

// drop reads DROP of anything.
func (p *parser) drop(start ast.Pos) ast.Statement {
	p.expect(lex.DROP)
	var pre prefixes
	p.temporary(&pre)
	pre.span = p.from(start)
	d := &ast.Drop{Temporary: pre.temporary, System: pre.system}
	d.Kind = p.objectKind(ast.ObjectTable, ast.ObjectView, ast.ObjectMaterializedTable, ast.ObjectCatalog, ast.ObjectDatabase,
		ast.ObjectFunction, ast.ObjectModel, ast.ObjectConnection)
	p.refuseTemporary(&pre, d.Kind)
	d.IfExists = p.ifExists()
	d.Name = p.name("a name")
	if d.Kind == ast.ObjectDatabase {
		switch {
		case p.eat(lex.CASCADE):
			d.Behavior = ast.DropCascade
		case p.eat(lex.RESTRICT):
			d.Behavior = ast.DropRestrict
		}
	}
	d.Span = p.from(start)
	return d
}
