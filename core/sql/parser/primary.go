package parser

import (
	"strings"
	"unicode/utf8"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// primary reads an operand without its prefix and postfix operators.
func (p *parser) primary() ast.Expr {
	switch p.tok.Kind {
	case lex.Word:
		return p.wordOperand()
	case lex.Quoted:
		return p.nameOperand()
	case lex.Number:
		return p.numberToken()
	case lex.String, lex.UString:
		return p.stringOperand()
	case lex.Binary:
		return p.binaryToken()
	case lex.LParen:
		return p.paren()
	}
	return p.noExpr()
}

// noExpr fails because no expression begins here.
func (p *parser) noExpr() ast.Expr {
	p.wantOneOf(wishExpr, lex.CASE, lex.CAST, lex.EXISTS, lex.INTERVAL, lex.NOT, lex.NULL, lex.TRUE, lex.FALSE)
	p.unexpected()
	return &ast.NullLit{}
}

// wordOperand reads an operand that begins with a bare word.
func (p *parser) wordOperand() ast.Expr {
	switch p.tok.Word {
	case 0:
		return p.nameOperand()
	case lex.NULL:
		p.next()
		return &ast.NullLit{Span: p.previous().Span()}
	case lex.TRUE, lex.FALSE:
		p.next()
		return &ast.BoolLit{Span: p.previous().Span(), Value: p.previous().Word == lex.TRUE}
	case lex.UNKNOWN:
		p.next()
		return &ast.UnknownLit{Span: p.previous().Span()}
	case lex.CASE:
		return p.caseExpr()
	case lex.EXISTS:
		return p.exists()
	case lex.CURRENT_DATE, lex.CURRENT_TIME, lex.CURRENT_TIMESTAMP, lex.LOCALTIME, lex.LOCALTIMESTAMP:
		return p.niladic()
	case lex.LEFT, lex.RIGHT:
		if p.peek(1).Kind == lex.LParen {
			return p.callWithName()
		}
	}
	if x := p.literalWord(); x != nil {
		return x
	}
	return p.nameOperand()
}

// literalWord reads literals and constructors that begin with a word which could also be a name; nil if it is one.
func (p *parser) literalWord() ast.Expr {
	after := p.peek(1).Kind
	switch p.tok.Word {
	case lex.DATE, lex.TIME, lex.TIMESTAMP:
		return p.timeLit()
	case lex.INTERVAL:
		if after == lex.String || after == lex.Number || after == lex.Minus || after == lex.Plus {
			return p.intervalLit()
		}
	case lex.ARRAY, lex.MAP, lex.MULTISET:
		if after == lex.LBracket || after == lex.LParen {
			return p.collection()
		}
	case lex.ROW:
		if after == lex.LParen {
			return p.rowConstructor()
		}
	case lex.CAST, lex.TRY_CAST:
		if after == lex.LParen {
			return p.castExpr()
		}
	case lex.RUNNING, lex.FINAL:
		if next := p.peek(1); nameToken(next) && !notAlias(next.Word) && p.peek(2).Kind == lex.LParen {
			return p.matchScope()
		}
	}
	return nil
}

func (p *parser) exists() ast.Expr {
	start := p.start()
	p.next()
	p.expectSign(lex.LParen)
	q := p.query()
	p.expectSign(lex.RParen)
	return &ast.Exists{Span: p.from(start), Query: q}
}

// niladic reads CURRENT_TIMESTAMP and its kin, whose parentheses may be left out; a precision may be inside them.
func (p *parser) niladic() ast.Expr {
	if p.peek(1).Kind == lex.LParen {
		return p.callWithName()
	}
	id := p.identOf(p.tok)
	p.next()
	return &ast.Call{Span: id.Span, Func: &ast.Name{Span: id.Span, Parts: []*ast.Ident{id}}, NoParens: true}
}

func (p *parser) matchScope() ast.Expr {
	start := p.start()
	m := &ast.MatchScope{Final: p.tok.Word == lex.FINAL}
	p.next()
	m.X = p.primary()
	m.Span = p.from(start)
	return m
}

// nameOperand reads a column, a dotted name or a call.
func (p *parser) nameOperand() ast.Expr {
	if !p.isName() {
		return p.noExpr()
	}
	if p.peek(1).Kind == lex.LParen {
		return p.callWithName()
	}
	start := p.start()
	n := 1
	for p.peek(2*n-1).Kind == lex.Dot && p.peek(2*n).Kind != lex.Star {
		n++
	}
	parts := p.parts.take(n)
	parts[0] = p.identOf(p.tok)
	p.next()
	for i := 1; i < n; i++ {
		p.next()
		parts[i] = p.ident("a name after the dot")
	}
	if n > 1 && p.tok.Kind == lex.LParen {
		return p.call(&ast.Name{Span: p.from(start), Parts: parts}, 0)
	}
	ref := p.columns.one()
	ref.Span, ref.Parts = p.from(start), parts
	return ref
}

func (p *parser) numberToken() ast.Expr {
	n := &ast.NumberLit{Span: p.tok.Span(), Text: p.tok.Text(p.src)}
	p.next()
	return n
}

// stringOperand reads a string; strings on following lines are joined to it, as the standard says.
func (p *parser) stringOperand() ast.Expr {
	s := p.stringToken()
	for p.tok.Kind == lex.String && strings.Contains(p.src[p.previous().End:p.tok.Start], "\n") {
		s.Value += p.stringToken().Value
		s.Span = p.from(s.Start)
	}
	return s
}

// stringToken reads a string.
func (p *parser) stringToken() *ast.StringLit {
	start := p.start()
	s := &ast.StringLit{}
	if p.tok.Kind == lex.UString {
		s.Value = p.unicodeString()
	} else {
		s.Value = unquote(p.tok.Text(p.src))
		p.next()
	}
	s.Span = p.from(start)
	return s
}

// unquote returns the value of a quoted string.
func unquote(text string) string {
	text = text[1 : len(text)-1]
	if strings.IndexByte(text, '\'') >= 0 {
		return strings.ReplaceAll(text, "''", "'")
	}
	return text
}

// unicodeString reads U&'...' [UESCAPE 'c'] and decodes \XXXX and \+XXXXXX.
func (p *parser) unicodeString() string {
	tok := p.tok
	text := unquote(tok.Text(p.src)[2:])
	p.next()
	escape := '\\'
	if p.eat(lex.UESCAPE) {
		at := p.tok
		e := p.stringLit("the escape character in quotes")
		r, n := utf8.DecodeRuneInString(e.Value)
		if p.ok() && (n != len(e.Value) || n == 0 || strings.ContainsRune("0123456789abcdefABCDEF+'\" \t\n", r)) {
			p.fail(sqlerr.BadString, at.Span(), "an escape character is one character, but no hexadecimal digit, plus, quote or blank")
		}
		escape = r
	}
	value, ok := decodeUnicode(text, escape)
	if !ok {
		p.fail(sqlerr.BadString, tok.Span(), "an escape in a U& string is %cXXXX, %c+XXXXXX or %c%c", escape, escape, escape, escape)
	}
	return value
}

func decodeUnicode(text string, escape rune) (string, bool) {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if r != escape {
			b.WriteString(text[:n])
			text = text[n:]
			continue
		}
		text = text[n:]
		if next, m := utf8.DecodeRuneInString(text); next == escape && m > 0 {
			b.WriteRune(escape)
			text = text[m:]
			continue
		}
		digits := 4
		if strings.HasPrefix(text, "+") {
			text, digits = text[1:], 6
		}
		if len(text) < digits {
			return "", false
		}
		var code rune
		for _, c := range []byte(text[:digits]) {
			d := hexDigit(c)
			if d < 0 {
				return "", false
			}
			code = code<<4 | d
		}
		if !utf8.ValidRune(code) {
			return "", false
		}
		b.WriteRune(code)
		text = text[digits:]
	}
	return b.String(), true
}

func hexDigit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	return -1
}

func (p *parser) binaryToken() ast.Expr {
	text := p.tok.Text(p.src)
	lit := &ast.BinaryLit{Span: p.tok.Span(), Hex: text[2 : len(text)-1]}
	for _, c := range []byte(lit.Hex) {
		if hexDigit(c) < 0 {
			p.fail(sqlerr.BadString, lit, "%q is no hexadecimal digit", c)
		}
	}
	if len(lit.Hex)%2 != 0 {
		p.fail(sqlerr.BadString, lit, "a binary string has two hexadecimal digits for every byte")
	}
	p.next()
	return lit
}

// timeLit reads DATE '...', TIME '...', TIMESTAMP [WITH LOCAL TIME ZONE] '...'; nil if the word is a name.
func (p *parser) timeLit() ast.Expr {
	lit := &ast.TimeLit{Kind: ast.DateLit}
	words := 1
	switch p.tok.Word {
	case lex.TIME:
		lit.Kind = ast.TimeOfDayLit
	case lex.TIMESTAMP:
		lit.Kind = ast.TimestampLit
		if p.peekIs(1, lex.WITH) && p.peekIs(2, lex.LOCAL) && p.peekIs(3, lex.TIME) && p.peekIs(4, lex.ZONE) {
			lit.Kind, words = ast.TimestampLtzLit, 5
		}
	}
	if p.peek(words).Kind != lex.String {
		return nil
	}
	start := p.start()
	p.index += words - 1
	p.next()
	lit.Value = p.stringToken().Value
	lit.Span = p.from(start)
	return lit
}

// intervalLit reads INTERVAL [sign] '...' qualifier. A number without quotes is taken as well.
func (p *parser) intervalLit() ast.Expr {
	start := p.start()
	p.next()
	lit := &ast.IntervalLit{}
	if !p.eatSign(lex.Plus) {
		lit.Negative = p.eatSign(lex.Minus)
	}
	if p.tok.Kind == lex.Number {
		lit.Value = p.tok.Text(p.src)
		p.next()
	} else {
		lit.Value = p.stringLit("the interval's value in quotes").Value
	}
	lit.Qualifier = p.intervalQualifier()
	lit.Span = p.from(start)
	return lit
}

// intervalQualifier reads DAY(2) TO SECOND(3).
func (p *parser) intervalQualifier() ast.IntervalQualifier {
	q := ast.IntervalQualifier{Precision: -1, Fraction: -1}
	start := p.start()
	q.From = p.timeUnit("a unit like DAY or HOUR")
	if q.From > ast.UnitSecond {
		p.failWith(sqlerr.New(sqlerr.BadInterval, p.from(start), "an interval has no field %s", q.From).
			Suggest("the fields are YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE and SECOND"))
	}
	if p.isSign(lex.LParen) {
		p.next()
		q.Precision = p.expectInteger("a number of digits")
		if q.From == ast.UnitSecond && p.eatSign(lex.Comma) {
			q.Fraction = p.expectInteger("a number of digits")
		}
		p.expectSign(lex.RParen)
	}
	if !p.eat(lex.TO) {
		return q
	}
	q.To = p.timeUnit("a unit like HOUR or SECOND")
	if q.To == ast.UnitSecond && p.eatSign(lex.LParen) {
		q.Fraction = p.expectInteger("a number of digits")
		p.expectSign(lex.RParen)
	}
	months := q.From == ast.UnitYear && q.To == ast.UnitMonth
	seconds := q.From >= ast.UnitDay && q.To <= ast.UnitSecond && q.From < q.To
	if p.ok() && !months && !seconds {
		p.failWith(sqlerr.New(sqlerr.BadInterval, p.from(start), "an interval cannot go from %s to %s", q.From, q.To).
			Suggest("the pairs are YEAR TO MONTH, and DAY, HOUR, MINUTE to a finer one up to SECOND"))
	}
	return q
}

// timeUnit reads a unit.
func (p *parser) timeUnit(what string) ast.TimeUnit {
	if p.tok.Kind == lex.Word {
		if u := ast.ParseTimeUnit(strings.ToUpper(p.tok.Text(p.src))); u != ast.UnitNone {
			p.next()
			return u
		}
	}
	p.wantOneOf(what, lex.YEAR, lex.QUARTER, lex.MONTH, lex.WEEK, lex.DAY, lex.HOUR, lex.MINUTE, lex.SECOND, lex.MILLISECOND)
	p.unexpected()
	return ast.UnitNone
}

// collection reads ARRAY[...], MAP[...], MULTISET[...] or their forms with a query.
func (p *parser) collection() ast.Expr {
	start, word := p.start(), p.tok.Word
	p.next()
	var elems []ast.Expr
	var query ast.Query
	if p.eatSign(lex.LParen) {
		query = p.query()
		p.expectSign(lex.RParen)
	} else {
		p.expectSign(lex.LBracket)
		if !p.isSign(lex.RBracket) {
			elems = p.exprs()
		}
		p.expectSign(lex.RBracket)
	}
	span := p.from(start)
	switch word {
	case lex.ARRAY:
		return &ast.Array{Span: span, Elems: elems, Query: query}
	case lex.MULTISET:
		return &ast.Multiset{Span: span, Elems: elems, Query: query}
	}
	if len(elems)%2 != 0 {
		p.fail(sqlerr.BadClause, span, "a map needs a value for every key, this one has %d elements", len(elems))
	}
	return &ast.Map{Span: span, Entries: elems, Query: query}
}

func (p *parser) rowConstructor() ast.Expr {
	start := p.start()
	p.next()
	r := &ast.Row{Explicit: true}
	p.expectSign(lex.LParen)
	if !p.isSign(lex.RParen) {
		r.Elems = p.exprs()
	}
	p.expectSign(lex.RParen)
	r.Span = p.from(start)
	return r
}
