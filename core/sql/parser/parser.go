package parser

import (
	"unicode/utf8"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// ParseScript parses statements separated by semicolons. Empty statements are skipped. On a mistake it returns the statements
// before it and a *sqlerr.Error with the text attached. Positions count from the beginning of src.
func ParseScript(src string) ([]ast.Statement, error) {
	var statements []ast.Statement
	err := run(src, func(p *parser) {
		statements = p.script()
	})
	return statements, err
}

// ParseStatement parses exactly one statement; a semicolon may follow it.
func ParseStatement(src string) (ast.Statement, error) {
	var statement ast.Statement
	err := run(src, func(p *parser) {
		for p.eatSign(lex.Semicolon) {
			continue
		}
		statement = p.statement()
		for p.eatSign(lex.Semicolon) {
			continue
		}
		if p.ok() && p.tok.Kind != lex.EOF && p.previous().Kind == lex.Semicolon {
			p.fail(sqlerr.NotOneStatement, p.tok.Span(), "a second statement begins here, only one is expected")
		}
		p.end(wishEnd)
	})
	if err != nil {
		return nil, err
	}
	return statement, nil
}

// ParseExpr parses one expression and nothing else.
func ParseExpr(src string) (ast.Expr, error) {
	var expr ast.Expr
	err := run(src, func(p *parser) {
		expr = p.expr()
		p.end("the end of the expression")
	})
	if err != nil {
		return nil, err
	}
	return expr, nil
}

// ParseType parses one type, as in CAST or a column of CREATE TABLE, and nothing else.
func ParseType(src string) (ast.TypeName, error) {
	var typ ast.TypeName
	err := run(src, func(p *parser) {
		typ = p.typeName()
		p.end("the end of the type")
	})
	if err != nil {
		return nil, err
	}
	return typ, nil
}

// run parses with a fresh parser; after a failure it does so again with tracing on, to tell what was expected.
func run(src string, parse func(*parser)) error {
	if len(src) > MaxBytes {
		return sqlerr.New(sqlerr.TooLarge, ast.Span{}, "the text has %d bytes, at most %d are parsed", len(src), MaxBytes).In(src)
	}
	if at, bad := invalidUTF8(src); bad {
		span := ast.Span{Start: ast.Pos(at), Stop: ast.Pos(at + 1)}
		return sqlerr.New(sqlerr.BadCharacter, span, "the text is not UTF-8: byte 0x%02x", src[at]).In(src)
	}
	tokens := lex.Scan(src)
	p := parser{src: src, tokens: tokens, tok: tokens[0]}
	parse(&p)
	if p.ok() {
		return nil
	}
	p = parser{src: src, tokens: tokens, tok: tokens[0], tracing: true}
	parse(&p)
	return p.err.In(src)
}

// invalidUTF8 finds the first byte that does not belong to a character. Neither job
// graphs nor columns of text could carry it.
func invalidUTF8(src string) (at int, bad bool) {
	if utf8.ValidString(src) {
		return 0, false
	}
	for at < len(src) {
		r, size := utf8.DecodeRuneInString(src[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at, true
}

func (p *parser) script() []ast.Statement {
	var statements []ast.Statement
	for p.ok() {
		for p.eatSign(lex.Semicolon) {
			continue
		}
		if p.tok.Kind == lex.EOF {
			if p.index == 0 || p.previous().Kind == lex.Semicolon {
				p.wantOneOf("a statement", statementWords...)
			}
			break
		}
		s := p.statement()
		if p.tok.Kind != lex.Semicolon {
			p.end(wishEnd)
		}
		if p.ok() {
			statements = append(statements, s)
		}
	}
	return statements
}

// end fails unless all tokens are used.
func (p *parser) end(what string) {
	if p.tok.Kind != lex.EOF {
		p.want(what)
		p.unexpected()
	}
}
