package parser

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// wishEnd is what is expected where a statement may end.
const wishEnd = "the end of the statement"

// maxShown is how many expected things a message lists.
const maxShown = 6

// wish is something that was looked for and not found at a token.
type wish struct {
	text string
	// hidden wishes make suggestions but are not listed.
	hidden bool
	word   bool
}

func (p *parser) addWish(w wish) {
	if p.failed {
		return // what is asked after a failure is asked at the wrong token
	}
	if p.wantedAt != p.index {
		p.wantedAt = p.index
		p.wanted = p.wanted[:0]
	}
	if !slices.ContainsFunc(p.wanted, func(have wish) bool { return have.text == w.text }) {
		p.wanted = append(p.wanted, w)
	}
}

func (p *parser) wantWord(w lex.Keyword) { p.addWish(wish{text: w.String(), word: true}) }

func (p *parser) wantSign(k lex.Kind) {
	switch k {
	case lex.Semicolon, lex.EOF:
		return
	case lex.Comma:
		p.addWish(wish{text: "a comma"})
	case lex.Dot:
		p.addWish(wish{text: "a dot", hidden: true})
	default:
		p.addWish(wish{text: k.String()})
	}
}

// isRare is like is for words that are not worth listing.
func (p *parser) isRare(w lex.Keyword) bool {
	if p.peekIs(0, w) {
		return true
	}
	if p.tracing {
		p.addWish(wish{text: w.String(), word: true, hidden: true})
	}
	return false
}

func (p *parser) eatRare(w lex.Keyword) bool {
	if p.isRare(w) {
		p.next()
		return true
	}
	return false
}

// want notes something that is no token, like "a name".
func (p *parser) want(what string) {
	if p.tracing {
		p.addWish(wish{text: what})
	}
}

// wantOneOf notes words that would make a suggestion, under one name that is listed.
func (p *parser) wantOneOf(what string, words ...lex.Keyword) {
	if !p.tracing {
		return
	}
	p.addWish(wish{text: what})
	for _, w := range words {
		p.addWish(wish{text: w.String(), word: true, hidden: true})
	}
}

// fail records a mistake and moves to the last token. Only the first counts.
func (p *parser) fail(code sqlerr.Code, at ast.Node, format string, args ...any) {
	p.failWith(sqlerr.New(code, at, format, args...))
}

func (p *parser) failWith(err *sqlerr.Error) {
	if p.failed {
		return
	}
	p.failed, p.err = true, err
	p.index = len(p.tokens) - 1
	p.tok = p.tokens[p.index]
}

// unexpected fails at the next token with the wishes noted there.
func (p *parser) unexpected() {
	if p.failed {
		return
	}
	if !p.tracing {
		p.failed = true
		p.err = &sqlerr.Error{Code: sqlerr.Syntax}
		p.index = len(p.tokens) - 1
		p.tok = p.tokens[p.index]
		return
	}
	if p.wantedAt != p.index {
		p.wanted = p.wanted[:0]
	}
	p.failWith(p.mistake())
}

// mistake makes the error for the next token.
func (p *parser) mistake() *sqlerr.Error {
	if p.tok.Kind == lex.Illegal {
		return p.lexicalError()
	}
	if err := p.misspelled(); err != nil {
		return err
	}
	expected := p.expectedText()
	switch {
	case p.tok.Kind == lex.EOF:
		return sqlerr.New(sqlerr.Incomplete, p.tok.Span(), "the statement is not complete%s", expected)
	case p.tok.Kind == lex.HintOpen:
		return sqlerr.New(sqlerr.BadHint, p.tok.Span(), "a hint cannot stand here; hints follow SELECT or the name of a table")
	case p.trailingComma():
		comma := p.previous()
		return sqlerr.New(sqlerr.Syntax, comma.Span(), "a comma before %s", p.describe(p.tok)).Suggest("remove the comma or add what is missing after it")
	}
	return p.advise(sqlerr.New(sqlerr.Syntax, p.tok.Span(), "unexpected %s%s", p.describe(p.tok), expected))
}

// advise adds what to do about mistakes that are made often.
func (p *parser) advise(err *sqlerr.Error) *sqlerr.Error {
	switch {
	case p.clauseTooLate():
		err.Code = sqlerr.BadClause
		return err.Suggest("each clause stands once, in the order SELECT, FROM, WHERE, GROUP BY, HAVING, WINDOW, QUALIFY, ORDER BY, LIMIT, OFFSET")
	case p.reservedAsName():
		err.Code = sqlerr.ReservedWord
		text := p.tok.Text(p.src)
		return err.Suggest("%s is a reserved word; if it is meant as a name, write `%s`", strings.ToUpper(text), text)
	case p.tok.Kind == lex.Eq && p.previous().Kind == lex.Eq:
		return err.Suggest("equality is written with one =")
	case p.startsStatement() && p.wants(wishEnd):
		return err.Suggest("put a semicolon between two statements")
	}
	return err
}

// startsStatement reports whether the failing token is a reserved word that begins statements.
func (p *parser) startsStatement() bool {
	return p.peekIs(0, lex.SELECT) || p.peekIs(0, lex.INSERT) || p.peekIs(0, lex.CREATE) || p.peekIs(0, lex.WITH)
}

func (p *parser) wants(text string) bool {
	return slices.ContainsFunc(p.wanted, func(w wish) bool { return w.text == text })
}

// misspelled returns an error when the failing word, or an alias just before it, is close to a keyword that may stand there.
func (p *parser) misspelled() *sqlerr.Error {
	var words []string
	for _, w := range p.wanted {
		if w.word {
			words = append(words, w.text)
		}
	}
	at := p.tok
	best := p.closest(at, words)
	if p.aliasAt > 0 && p.aliasAt == p.index-1 {
		if before := p.closest(p.tokens[p.aliasAt], words); before != "" {
			at, best = p.tokens[p.aliasAt], before
		}
	}
	if best == "" {
		return nil
	}
	return sqlerr.New(sqlerr.Syntax, at.Span(), "unexpected %s", p.describe(at)).Suggest("did you mean %s?", best)
}

// closest returns the word that a token is probably meant to be. Reserved words and types are what they are.
func (p *parser) closest(t lex.Token, words []string) string {
	if t.Kind != lex.Word || t.Word != 0 && (t.Word.Reserved() || isTypeWord(t.Word)) {
		return ""
	}
	text := t.Text(p.src)
	if len(text) < 2 {
		return ""
	}
	return sqlerr.Suggest(text, words)
}

func (p *parser) trailingComma() bool {
	if p.index == 0 || p.previous().Kind != lex.Comma {
		return false
	}
	return p.tok.Kind == lex.RParen || p.tok.Kind == lex.Word && p.tok.Word.Reserved() && !p.followsName(p.peek(1))
}

// clauseTooLate reports whether a clause of a query follows one that it must stand before.
func (p *parser) clauseTooLate() bool {
	switch {
	case p.tok.Kind != lex.Word:
		return false
	case p.tok.Word == lex.FROM, p.tok.Word == lex.WHERE, p.tok.Word == lex.GROUP, p.tok.Word == lex.HAVING, p.tok.Word == lex.WINDOW,
		p.tok.Word == lex.QUALIFY, p.tok.Word == lex.ORDER, p.tok.Word == lex.LIMIT:
		return p.wants(lex.LIMIT.String()) || p.wants(lex.OFFSET.String())
	}
	return false
}

// reservedAsName reports whether a reserved word stands where a name would do and what follows fits a name.
func (p *parser) reservedAsName() bool {
	if p.tok.Kind != lex.Word || !p.tok.Word.Reserved() {
		return false
	}
	name := slices.ContainsFunc(p.wanted, func(w wish) bool {
		return strings.Contains(w.text, "name") || w.text == wishExpr || w.text == wishTable
	})
	return name && p.followsName(p.peek(1))
}

// followsName reports whether a token may come after a name, or is a type in a column list.
func (p *parser) followsName(t lex.Token) bool {
	switch t.Kind {
	case lex.EOF, lex.Semicolon, lex.Comma, lex.RParen, lex.Dot, lex.Eq:
		return true
	case lex.Word:
		return t.Word != 0 && (t.Word.Reserved() || isTypeWord(t.Word))
	}
	return false
}

func (p *parser) lexicalError() *sqlerr.Error {
	at := p.tok.Span()
	text := p.tok.Text(p.src)
	switch p.tok.Word {
	case lex.OpenString:
		return sqlerr.New(sqlerr.Unterminated, at, "a string is not closed").Suggest("add a ' at its end; a ' inside a string is written ''")
	case lex.OpenQuote:
		return sqlerr.New(sqlerr.Unterminated, at, "a quoted name is not closed").Suggest("add a %s at its end", text[:1])
	case lex.OpenComment:
		return sqlerr.New(sqlerr.Unterminated, at, "a comment is not closed").Suggest("add */ at its end")
	case lex.OpenHint:
		return sqlerr.New(sqlerr.Unterminated, at, "a hint is not closed").Suggest("add */ at its end")
	case lex.BadNumber:
		return sqlerr.New(sqlerr.BadNumber, at, "%s is neither a number nor a name", text).Suggest("if it is meant as a name, write `%s`", text)
	case lex.EmptyQuote:
		return sqlerr.New(sqlerr.Syntax, at, "a quoted name is empty")
	}
	err := sqlerr.New(sqlerr.BadCharacter, at, "the character %q has no meaning here", text)
	switch text {
	case "&":
		return err.Suggest("the logical operators are AND, OR and NOT")
	case "!":
		return err.Suggest("write NOT before a condition, or <> between two values")
	}
	return err
}

// expectedText lists the visible wishes: ", expected A, B or C".
func (p *parser) expectedText() string {
	var list []string
	for _, w := range p.wanted {
		switch {
		case w.hidden:
		case w.text == "GROUP" || w.text == "ORDER":
			list = append(list, w.text+" BY")
		default:
			list = append(list, w.text)
		}
	}
	switch n := len(list); {
	case n == 0:
		return ""
	case n == 1:
		return ", expected " + list[0]
	case n > maxShown:
		return ", expected " + strings.Join(list[:maxShown-1], ", ") + ", ... or " + list[n-1]
	default:
		return ", expected " + strings.Join(list[:n-1], ", ") + " or " + list[n-1]
	}
}

// describe names a token in a message.
func (p *parser) describe(t lex.Token) string {
	text := t.Text(p.src)
	const longest = 40
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "..."
	}
	switch t.Kind {
	case lex.EOF:
		return "end of the text"
	case lex.String, lex.UString, lex.Binary:
		return "string " + text
	case lex.Number:
		return "number " + text
	case lex.Semicolon:
		return "end of the statement"
	case lex.Comma:
		return "comma"
	}
	return text
}

// texts returns the texts of keywords.
func texts(words []lex.Keyword) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w.String()
	}
	return list
}
