package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// alter reads ALTER of anything.
func (p *parser) alter(start ast.Pos) ast.Statement {
	p.expect(lex.ALTER)
	var pre prefixes
	p.temporary(&pre)
	pre.span = p.from(start)
	a := &ast.Alter{Temporary: pre.temporary, System: pre.system}
	a.Kind = p.objectKind(ast.ObjectTable, ast.ObjectView, ast.ObjectMaterializedTable, ast.ObjectCatalog, ast.ObjectDatabase,
		ast.ObjectFunction, ast.ObjectModel, ast.ObjectConnection)
	p.refuse(pre.temporary && a.Kind != ast.ObjectFunction, pre.span, "TEMPORARY", a.Kind)
	a.IfExists = p.ifExists()
	a.Name = p.name("a name")
	a.Action = p.alterAction(a.Kind)
	a.Span = p.from(start)
	return a
}

// alterAction reads the change that goes with the kind of object.
func (p *parser) alterAction(kind ast.ObjectKind) ast.AlterAction {
	start := p.start()
	switch kind {
	case ast.ObjectTable:
		return p.alterTable(start)
	case ast.ObjectMaterializedTable:
		return p.alterMaterializedTable(start)
	case ast.ObjectView:
		if p.is(lex.RENAME) {
			return p.renameTo(start)
		}
		return p.setQuery(start)
	case ast.ObjectFunction:
		body := p.functionBody()
		return &ast.SetFunction{Span: p.from(start), Body: body}
	case ast.ObjectCatalog:
		if p.is(lex.COMMENT) {
			comment := p.comment()
			return &ast.SetComment{Span: p.from(start), Comment: comment}
		}
	case ast.ObjectModel, ast.ObjectConnection:
		if p.is(lex.RENAME) {
			return p.renameTo(start)
		}
	}
	return p.setOrReset(start)
}

func (p *parser) renameTo(start ast.Pos) ast.AlterAction {
	p.expectAll(lex.RENAME, lex.TO)
	name := p.name("the new name")
	return &ast.RenameTo{Span: p.from(start), Name: name}
}

func (p *parser) setQuery(start ast.Pos) ast.AlterAction {
	p.expect(lex.AS)
	q := p.requiredQuery()
	return &ast.SetQuery{Span: p.from(start), Query: q}
}

// setOrReset reads SET (...) or RESET (...).
func (p *parser) setOrReset(start ast.Pos) ast.AlterAction {
	if p.eat(lex.SET) {
		options := p.options()
		return &ast.SetOptions{Span: p.from(start), Options: options}
	}
	p.expect(lex.RESET)
	r := &ast.ResetOptions{}
	p.parens(func() {
		if !p.isSign(lex.RParen) {
			p.commaList(func() { r.Keys = append(r.Keys, p.stringLit("an option's key in quotes")) })
		}
	})
	r.Span = p.from(start)
	return r
}

func (p *parser) alterTable(start ast.Pos) ast.AlterAction {
	switch {
	case p.is(lex.RENAME):
		return p.rename(start)
	case p.eat(lex.ADD):
		if p.is(lex.PARTITION) || p.is(lex.IF) && p.peekIs(1, lex.NOT) {
			return p.addPartitions(start)
		}
		return p.changeSchema(&ast.ChangeSchema{}, start)
	case p.eat(lex.MODIFY):
		return p.changeSchema(&ast.ChangeSchema{Modify: true}, start)
	case p.eat(lex.DROP):
		if p.is(lex.PARTITION) || p.is(lex.IF) && p.peekIs(1, lex.EXISTS) {
			return p.dropPartitions(start)
		}
		return p.dropPart(start)
	}
	return p.setOrReset(start)
}

func (p *parser) rename(start ast.Pos) ast.AlterAction {
	if p.peekIs(1, lex.TO) {
		return p.renameTo(start)
	}
	p.expect(lex.RENAME)
	r := &ast.RenameColumn{From: p.name("the name of a column")}
	p.expect(lex.TO)
	r.To = p.ident("the new name")
	r.Span = p.from(start)
	return r
}

// changeSchema reads what follows ADD or MODIFY: a list in parentheses, one element, or a distribution.
func (p *parser) changeSchema(s *ast.ChangeSchema, start ast.Pos) ast.AlterAction {
	switch {
	case p.isSign(lex.LParen):
		list := p.schema(true)
		s.Columns, s.Constraints, s.Watermark = list.Columns, list.Constraints, list.Watermark
	case p.is(lex.DISTRIBUTION):
		at := p.start()
		p.next()
		s.Distribution = p.distribution(at)
	default:
		p.schemaElement(s, true)
	}
	for _, c := range s.Columns {
		if p.ok() && c.Kind == ast.ColumnName {
			p.fail(sqlerr.BadClause, c, "column %s has no type", c.Name.Name)
		}
	}
	s.Span = p.from(start)
	return s
}

// dropPart reads what follows DROP inside ALTER TABLE.
func (p *parser) dropPart(start ast.Pos) ast.AlterAction {
	d := &ast.DropPart{}
	switch {
	case p.is(lex.PRIMARY) && p.peekIs(1, lex.KEY):
		p.next()
		p.next()
		d.Part = ast.PartPrimaryKey
	case p.is(lex.CONSTRAINT) && nameToken(p.peek(1)):
		p.next()
		d.Part, d.Name = ast.PartConstraint, p.ident("the name of a constraint")
	case p.eat(lex.WATERMARK):
		d.Part = ast.PartWatermark
	case p.eat(lex.DISTRIBUTION):
		d.Part = ast.PartDistribution
	default:
		return p.dropColumns(start)
	}
	d.Span = p.from(start)
	return d
}

func (p *parser) dropColumns(start ast.Pos) ast.AlterAction {
	d := &ast.DropColumns{}
	column := func() { d.Columns = append(d.Columns, p.name("the name of a column")) }
	if p.eatSign(lex.LParen) {
		p.commaList(column)
		p.expectSign(lex.RParen)
	} else {
		column()
	}
	d.Span = p.from(start)
	return d
}

func (p *parser) addPartitions(start ast.Pos) ast.AlterAction {
	a := &ast.AddPartitions{IfNotExists: p.ifNotExists()}
	for {
		s := p.partition()
		if s.Options = p.withOptions(); s.Options != nil {
			s.Span = p.from(s.Start)
		}
		a.Partitions = append(a.Partitions, s)
		if !p.is(lex.PARTITION) {
			break
		}
	}
	a.Span = p.from(start)
	return a
}

func (p *parser) dropPartitions(start ast.Pos) ast.AlterAction {
	d := &ast.DropPartitions{IfExists: p.ifExists()}
	p.commaList(func() { d.Partitions = append(d.Partitions, p.partition()) })
	d.Span = p.from(start)
	return d
}

// partition reads PARTITION (a = 1, b).
func (p *parser) partition() *ast.PartitionSpec {
	start := p.start()
	p.expect(lex.PARTITION)
	s := &ast.PartitionSpec{}
	p.parens(func() {
		p.commaList(func() {
			item := &ast.PartitionItem{Column: p.ident("the name of a partition column")}
			if p.eatSign(lex.Eq) {
				item.Value = p.expr()
			}
			item.Span = p.from(item.Column.Start)
			s.Items = append(s.Items, item)
		})
	})
	s.Span = p.from(start)
	return s
}

func (p *parser) alterMaterializedTable(start ast.Pos) ast.AlterAction {
	switch {
	case p.eat(lex.SUSPEND):
		return &ast.Suspend{Span: p.from(start)}
	case p.eat(lex.RESUME):
		options := p.withOptions()
		return &ast.Resume{Span: p.from(start), Options: options}
	case p.eat(lex.REFRESH):
		r := &ast.Refresh{}
		if p.is(lex.PARTITION) {
			r.Partition = p.partition()
		}
		r.Span = p.from(start)
		return r
	case p.is(lex.AS):
		return p.setQuery(start)
	case p.is(lex.RENAME):
		return p.renameTo(start)
	case p.eat(lex.ADD):
		return p.changeSchema(&ast.ChangeSchema{}, start)
	case p.eat(lex.MODIFY):
		return p.changeSchema(&ast.ChangeSchema{Modify: true}, start)
	case p.eat(lex.DROP):
		return p.dropPart(start)
	case p.is(lex.SET) && p.peek(1).Kind != lex.LParen:
		return p.setRefresh(start)
	}
	return p.setOrReset(start)
}

// setRefresh reads SET FRESHNESS = interval or SET REFRESH_MODE = mode.
func (p *parser) setRefresh(start ast.Pos) ast.AlterAction {
	p.expect(lex.SET)
	if p.eat(lex.FRESHNESS) {
		p.expectSign(lex.Eq)
		f := p.interval()
		return &ast.SetFreshness{Span: p.from(start), Freshness: f}
	}
	p.wantSign(lex.LParen)
	p.expect(lex.REFRESH_MODE)
	p.expectSign(lex.Eq)
	mode := p.refreshMode()
	return &ast.SetRefreshMode{Span: p.from(start), Mode: mode}
}
