package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// matchRecognize reads MATCH_RECOGNIZE (...) after table.
func (p *parser) matchRecognize(table ast.TableExpr, start ast.Pos) ast.TableExpr {
	p.expect(lex.MATCH_RECOGNIZE)
	m := &ast.MatchRecognize{Table: table}
	p.expectSign(lex.LParen)
	if p.eat(lex.PARTITION) {
		p.expect(lex.BY)
		m.PartitionBy = p.exprs()
	}
	m.OrderBy = p.orderBy()
	if p.eat(lex.MEASURES) {
		p.commaList(func() { m.Measures = append(m.Measures, p.measure()) })
	}
	m.Rows = p.rowsPerMatch()
	if p.eat(lex.AFTER) {
		m.After = p.afterMatch()
	}
	p.expect(lex.PATTERN)
	p.parens(func() {
		m.StartAnchor = p.eatSign(lex.Caret)
		m.Pattern = p.pattern()
		m.EndAnchor = p.eatDollar()
	})
	if p.eat(lex.WITHIN) {
		m.Within = p.expr()
	}
	if p.eat(lex.SUBSET) {
		p.commaList(func() { m.Subsets = append(m.Subsets, p.subset()) })
	}
	if p.eat(lex.DEFINE) {
		p.commaList(func() { m.Defines = append(m.Defines, p.patternDef()) })
	}
	p.expectSign(lex.RParen)
	m.Span = p.from(start)
	return m
}

func (p *parser) measure() *ast.Measure {
	start := p.start()
	m := &ast.Measure{Expr: p.expr()}
	p.expect(lex.AS)
	m.Alias = p.ident("a name")
	m.Span = p.from(start)
	return m
}

func (p *parser) rowsPerMatch() ast.RowsPerMatch {
	switch {
	case p.eat(lex.ONE):
		p.expectAll(lex.ROW, lex.PER, lex.MATCH)
		return ast.OneRow
	case p.eat(lex.ALL):
		p.expectAll(lex.ROWS, lex.PER, lex.MATCH)
		return ast.AllRows
	}
	return ast.RowsDefault
}

func (p *parser) afterMatch() *ast.AfterMatch {
	a := &ast.AfterMatch{}
	start := ast.Pos(p.previous().Start)
	p.expectAll(lex.MATCH, lex.SKIP)
	if p.eat(lex.PAST) {
		p.expectAll(lex.LAST, lex.ROW)
		a.Kind = ast.SkipPastLastRow
	} else {
		p.expect(lex.TO)
		switch {
		case p.eatAll(lex.NEXT, lex.ROW):
			a.Kind = ast.SkipToNextRow
		case p.eat(lex.FIRST):
			a.Kind = ast.SkipToFirst
			a.Var = p.ident("a pattern variable")
		default:
			p.eat(lex.LAST)
			a.Kind = ast.SkipToLast
			a.Var = p.ident("a pattern variable")
		}
	}
	a.Span = p.from(start)
	return a
}

func (p *parser) subset() *ast.Subset {
	s := &ast.Subset{Name: p.ident("the name of a subset")}
	p.expectSign(lex.Eq)
	s.Vars = p.columnList()
	s.Span = p.from(s.Name.Start)
	return s
}

func (p *parser) patternDef() *ast.PatternDef {
	d := &ast.PatternDef{Var: p.ident("a pattern variable")}
	p.expect(lex.AS)
	d.Cond = p.expr()
	d.Span = p.from(d.Var.Start)
	return d
}

// eatDollar skips $, which the lexer takes for a word.
func (p *parser) eatDollar() bool {
	if !p.isDollar() {
		return false
	}
	p.next()
	return true
}

func (p *parser) isDollar() bool { return p.tok.Kind == lex.Word && p.tok.Text(p.src) == "$" }

// pattern reads alternatives.
func (p *parser) pattern() ast.PatternExpr {
	if !p.enter() {
		p.leave()
		return &ast.PatternSeq{}
	}
	defer p.leave()
	start := p.start()
	first := p.patternSeq()
	if p.tok.Kind != lex.Bar {
		return first
	}
	alt := &ast.PatternAlt{Items: []ast.PatternExpr{first}}
	for p.eatSign(lex.Bar) {
		alt.Items = append(alt.Items, p.patternSeq())
	}
	alt.Span = p.from(start)
	return alt
}

// patternSeq reads patterns that follow each other.
func (p *parser) patternSeq() ast.PatternExpr {
	start := p.start()
	items := []ast.PatternExpr{p.patternFactor()}
	for p.ok() && (p.isName() && !p.isDollar() || p.tok.Kind == lex.LParen || p.tok.Kind == lex.LBrace) {
		items = append(items, p.patternFactor())
	}
	if len(items) == 1 {
		return items[0]
	}
	return &ast.PatternSeq{Span: p.from(start), Items: items}
}

// patternFactor reads one pattern with its quantifier.
func (p *parser) patternFactor() ast.PatternExpr {
	start := p.start()
	x := p.patternPrimary()
	r := &ast.PatternRepeat{X: x}
	switch {
	case p.eatSign(lex.Star):
		r.Max = -1
	case p.eatSign(lex.Plus):
		r.Min, r.Max = 1, -1
	case p.eatSign(lex.Question):
		r.Max = 1
	case p.tok.Kind == lex.LBrace && p.peek(1).Kind != lex.Minus:
		p.next()
		p.repeatBounds(r, start)
	default:
		return x
	}
	r.Reluctant = p.eatSign(lex.Question)
	r.Span = p.from(start)
	return r
}

// repeatBounds reads n}, n,}, ,m} or n,m}.
func (p *parser) repeatBounds(r *ast.PatternRepeat, start ast.Pos) {
	r.Max = -1
	if p.tok.Kind != lex.Comma {
		r.Min = p.expectInteger("how often the pattern repeats")
		r.Max = r.Min
	}
	if p.eatSign(lex.Comma) {
		r.Max = -1
		if p.tok.Kind == lex.Number {
			r.Max = p.expectInteger("how often the pattern repeats")
		}
	}
	p.expectSign(lex.RBrace)
	if r.Max >= 0 && r.Max < r.Min {
		p.fail(sqlerr.BadNumber, p.from(start), "a pattern cannot repeat at least %d and at most %d times", r.Min, r.Max)
	}
}

func (p *parser) patternPrimary() ast.PatternExpr {
	start := p.start()
	switch {
	case p.eatSign(lex.LParen):
		x := p.pattern()
		p.expectSign(lex.RParen)
		return x
	case p.eatSign(lex.LBrace):
		p.expectSign(lex.Minus)
		x := p.pattern()
		p.expectSign(lex.Minus)
		p.expectSign(lex.RBrace)
		return &ast.PatternExclude{Span: p.from(start), X: x}
	case p.peekIs(0, lex.PERMUTE) && p.peek(1).Kind == lex.LParen:
		p.next()
		perm := &ast.PatternPermute{}
		p.parens(func() {
			p.commaList(func() { perm.Items = append(perm.Items, p.pattern()) })
		})
		perm.Span = p.from(start)
		return perm
	}
	if p.isDollar() {
		p.want("a pattern variable")
		p.unexpected()
	}
	id := p.ident("a pattern variable")
	return &ast.PatternVar{Span: id.Span, Name: id}
}
