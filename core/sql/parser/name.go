package parser

import (
	"strings"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// isName reports whether the next token can be a name.
func (p *parser) isName() bool { return nameToken(p.tok) }

func nameToken(t lex.Token) bool {
	return t.Kind == lex.Word && !t.Word.Reserved() || t.Kind == lex.Quoted
}

// ident reads one part of a name.
func (p *parser) ident(what string) *ast.Ident {
	if !p.isName() {
		p.want(what)
		p.unexpected()
		return &ast.Ident{}
	}
	id := p.identOf(p.tok)
	p.next()
	return id
}

// identOf makes an identifier of a word or a quoted name.
func (p *parser) identOf(t lex.Token) *ast.Ident {
	id := p.idents.one()
	id.Span, id.Name = t.Span(), t.Text(p.src)
	if t.Kind == lex.Quoted {
		id.Quote = id.Name[0]
		q := id.Name[:1]
		id.Name = id.Name[1 : len(id.Name)-1]
		if strings.Contains(id.Name, q) {
			id.Name = strings.ReplaceAll(id.Name, q+q, q)
		}
	}
	return id
}

// name reads a dotted name.
func (p *parser) name(what string) *ast.Name {
	first := p.ident(what)
	n := &ast.Name{Span: first.Span, Parts: p.parts.take(1)}
	n.Parts[0] = first
	for p.eatSign(lex.Dot) {
		n.Parts = append(n.Parts, p.ident("a name after the dot"))
		n.Span = p.from(first.Start)
	}
	return n
}

// columnList reads (a, b, c).
func (p *parser) columnList() []*ast.Ident {
	var list []*ast.Ident
	p.parens(func() {
		p.commaList(func() { list = append(list, p.ident("the name of a column")) })
	})
	return list
}

// stringLit reads a plain string.
func (p *parser) stringLit(what string) *ast.StringLit {
	if p.tok.Kind != lex.String && p.tok.Kind != lex.UString {
		p.want(what)
		p.unexpected()
		return &ast.StringLit{}
	}
	return p.stringToken()
}

// isString reports whether a string is next.
func (p *parser) isString(what string) bool {
	if p.tok.Kind == lex.String || p.tok.Kind == lex.UString {
		return true
	}
	p.want(what)
	return false
}

// options reads ('key' = 'value', ...).
func (p *parser) options() []*ast.Option {
	var list []*ast.Option
	p.expectSign(lex.LParen)
	if p.eatSign(lex.RParen) {
		return nil
	}
	p.commaList(func() {
		start := p.start()
		o := &ast.Option{Key: p.optionString("key")}
		p.expectSign(lex.Eq)
		o.Value = p.optionString("value")
		o.Span = p.from(start)
		list = append(list, o)
	})
	p.expectSign(lex.RParen)
	return list
}

// optionString reads key or value of an option; a frequent mistake is to leave out the quotes.
func (p *parser) optionString(part string) *ast.StringLit {
	if nameToken(p.tok) || p.tok.Kind == lex.Number || p.tok.Word == lex.TRUE || p.tok.Word == lex.FALSE {
		end := p.index
		for k := p.peek(end + 1 - p.index).Kind; k == lex.Dot || k == lex.Minus || k == lex.Word; k = p.peek(end + 1 - p.index).Kind {
			end++
		}
		span := ast.Span{Start: ast.Pos(p.tok.Start), Stop: ast.Pos(p.tokens[end].End)}
		p.failWith(sqlerr.New(sqlerr.Syntax, span, "an option's %s is a string in quotes", part).Suggest("write '%s'", ast.Text(span, p.src)))
	}
	return p.stringLit("an option's " + part + " in quotes")
}

// withOptions reads WITH (...) if it is next.
func (p *parser) withOptions() []*ast.Option {
	if p.eat(lex.WITH) {
		return p.options()
	}
	return nil
}

// hints reads /*+ ... */ if it is next.
func (p *parser) hints() []*ast.Hint {
	var list []*ast.Hint
	for p.tok.Kind == lex.HintOpen {
		p.next()
		p.commaHints(func() { list = append(list, p.hint()) })
		p.expectSign(lex.HintClose)
	}
	return list
}

// commaHints reads hints up to the closing sign; commas between them may be left out.
func (p *parser) commaHints(hint func()) {
	hint()
	for p.ok() && (p.eatSign(lex.Comma) || p.tok.Kind != lex.HintClose) {
		hint()
	}
}

func (p *parser) hint() *ast.Hint {
	start := p.start()
	h := &ast.Hint{Name: p.ident("the name of a hint")}
	if p.eatSign(lex.LParen) && !p.eatSign(lex.RParen) {
		p.commaList(func() { h.Args = append(h.Args, p.hintArg()) })
		p.expectSign(lex.RParen)
	}
	h.Span = p.from(start)
	return h
}

func (p *parser) hintArg() *ast.HintArg {
	start := p.start()
	a := &ast.HintArg{Value: p.hintValue()}
	if p.eatSign(lex.Eq) {
		a.Key, a.Value = a.Value, p.hintValue()
	}
	a.Span = p.from(start)
	return a
}

func (p *parser) hintValue() ast.Expr {
	switch p.tok.Kind {
	case lex.String, lex.UString:
		return p.stringToken()
	case lex.Number:
		return p.numberToken()
	}
	n := p.name("a name, string or number")
	return &ast.ColumnRef{Span: n.Span, Parts: n.Parts}
}
