package parser

import (
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// parser is a cursor over the tokens of one text. See the package comment for how it fails.
type parser struct {
	src    string
	tokens []lex.Token
	index  int
	tok    lex.Token // tokens[index]
	depth  int
	failed bool
	err    *sqlerr.Error // set with failed; precise only when tracing

	// tracing notes what was asked for at the token with the index wantedAt.
	tracing  bool
	wanted   []wish
	wantedAt int
	// aliasAt is the index of the last word that was read as an alias without AS, or as a name in the place of a keyword.
	aliasAt int

	idents  chunk[ast.Ident]
	parts   chunk[*ast.Ident]
	columns chunk[ast.ColumnRef]
}

func (p *parser) ok() bool { return !p.failed }

// next moves to the next token; the last one stays.
func (p *parser) next() {
	if p.index < len(p.tokens)-1 {
		p.index++
		p.tok = p.tokens[p.index]
	}
}

// peek returns the token n after the current one.
func (p *parser) peek(n int) lex.Token {
	return p.tokens[min(p.index+n, len(p.tokens)-1)]
}

func (p *parser) previous() lex.Token {
	return p.tokens[max(p.index-1, 0)]
}

// is reports whether the next token is a keyword.
func (p *parser) is(w lex.Keyword) bool {
	if p.tok.Word == w && p.tok.Kind == lex.Word {
		return true
	}
	if p.tracing {
		p.wantWord(w)
	}
	return false
}

// eat skips the keyword if it is next, and reports whether it was.
func (p *parser) eat(w lex.Keyword) bool {
	if p.is(w) {
		p.next()
		return true
	}
	return false
}

// expect skips the keyword, or fails.
func (p *parser) expect(w lex.Keyword) {
	if !p.eat(w) {
		p.unexpected()
	}
}

// expectAll skips the keywords in turn, or fails.
func (p *parser) expectAll(words ...lex.Keyword) {
	for _, w := range words {
		p.expect(w)
	}
}

// eatAll skips the keywords if all of them are next; else it skips none.
func (p *parser) eatAll(words ...lex.Keyword) bool {
	if !p.is(words[0]) {
		return false
	}
	for i, w := range words {
		if !p.peekIs(i, w) {
			return false
		}
	}
	p.index += len(words) - 1
	p.next()
	return true
}

// peekIs reports whether the token n after the current one is a keyword; it does not note a wish.
func (p *parser) peekIs(n int, w lex.Keyword) bool {
	t := p.peek(n)
	return t.Word == w && t.Kind == lex.Word
}

// isSign reports whether the next token is of a kind.
func (p *parser) isSign(k lex.Kind) bool {
	if p.tok.Kind == k {
		return true
	}
	if p.tracing {
		p.wantSign(k)
	}
	return false
}

// eatSign skips the sign if it is next, and reports whether it was.
func (p *parser) eatSign(k lex.Kind) bool {
	if p.isSign(k) {
		p.next()
		return true
	}
	return false
}

// expectSign skips the sign, or fails.
func (p *parser) expectSign(k lex.Kind) {
	if !p.eatSign(k) {
		p.unexpected()
	}
}

// start returns the offset at which the next node begins.
func (p *parser) start() ast.Pos { return ast.Pos(p.tok.Start) }

// from returns the span from start to the end of the last token that was skipped.
func (p *parser) from(start ast.Pos) ast.Span {
	return ast.Span{Start: start, Stop: max(start, ast.Pos(p.previous().End))}
}

// enter goes one level deeper and reports whether the depth is legal; leave must follow in any case.
func (p *parser) enter() bool {
	p.depth++
	if p.depth <= MaxDepth {
		return true
	}
	p.fail(sqlerr.TooDeep, p.tok.Span(), "nested deeper than %d levels", MaxDepth)
	return false
}

func (p *parser) leave() { p.depth-- }

// chain counts operators in a row and reports whether n is legal.
func (p *parser) chain(n int) bool {
	if n < MaxChain {
		return p.ok()
	}
	p.fail(sqlerr.TooDeep, p.tok.Span(), "more than %d operators in a row without parentheses", MaxChain)
	return false
}

// commaList calls element once, and again after every comma.
func (p *parser) commaList(element func()) {
	element()
	for p.eatSign(lex.Comma) {
		element()
	}
}

// parens calls inside between parentheses.
func (p *parser) parens(inside func()) {
	p.expectSign(lex.LParen)
	inside()
	p.expectSign(lex.RParen)
}
