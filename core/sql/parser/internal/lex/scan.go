package lex

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scan cuts src into tokens. The last one is always of kind EOF and stands at the end of the text. An unterminated construct is
// one Illegal token up to the end.
func Scan(src string) []Token {
	s := scanner{src: src, tokens: make([]Token, 0, len(src)/4+8)}
	for s.skipBlanks() {
		s.scan()
	}
	s.emit(EOF, 0, len(src), len(src))
	return s.tokens
}

type scanner struct {
	src    string
	pos    int
	inHint bool
	tokens []Token
}

func (s *scanner) emit(k Kind, w Keyword, start, end int) {
	s.tokens = append(s.tokens, Token{Kind: k, Word: w, Start: int32(start), End: int32(end)})
	s.pos = end
}

// at returns the byte that is n after the current one, 0 beyond the end.
func (s *scanner) at(n int) byte {
	if s.pos+n < len(s.src) {
		return s.src[s.pos+n]
	}
	return 0
}

// skipBlanks moves to the next token and reports whether there is one.
func (s *scanner) skipBlanks() bool {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			s.pos++
		case c == '-' && s.at(1) == '-':
			s.skipLine()
		case c == '/' && s.at(1) == '*' && s.at(2) != '+':
			end := strings.Index(s.src[s.pos+2:], "*/")
			if end < 0 {
				s.emit(Illegal, OpenComment, s.pos, len(s.src))
				return false
			}
			s.pos += end + 4
		case c == 0xC2 && s.at(1) == 0xA0: // no-break space, from web pages
			s.pos += 2
		case c == 0xEF && s.at(1) == 0xBB && s.at(2) == 0xBF: // byte order mark
			s.pos += 3
		default:
			return true
		}
	}
	if s.inHint {
		s.emit(Illegal, OpenHint, len(s.src), len(s.src))
	}
	return false
}

func (s *scanner) skipLine() {
	end := strings.IndexByte(s.src[s.pos:], '\n')
	if end < 0 {
		s.pos = len(s.src)
		return
	}
	s.pos += end + 1
}

func (s *scanner) scan() {
	c := s.src[s.pos]
	switch class[c] {
	case letter:
		s.scanWord()
	case digit:
		s.scanNumber()
	case sign:
		s.scanSign(c)
	case quote:
		s.scanQuoted(c)
	case high:
		if r, _ := utf8.DecodeRuneInString(s.src[s.pos:]); unicode.IsLetter(r) {
			s.scanWord()
			return
		}
		s.stray()
	default:
		s.stray()
	}
}

func (s *scanner) stray() {
	_, n := utf8.DecodeRuneInString(s.src[s.pos:])
	s.emit(Illegal, StrayCharacter, s.pos, s.pos+n)
}

func (s *scanner) scanWord() {
	src, start, i := s.src, s.pos, s.pos
	var hash uint32
	for i < len(src) {
		switch c := src[i]; class[c] {
		case letter, digit:
			hash = hash*hashStep + uint32(c&^0x20)
			i++
			continue
		case high:
			if r, n := utf8.DecodeRuneInString(src[i:]); unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
				i += n
				continue
			}
		case quote:
			if c == '\'' && i == start+1 && src[start]|0x20 == 'x' {
				s.pos = i
				s.scanString(Binary, start)
				return
			}
		case sign:
			if c == '&' && i == start+1 && src[start]|0x20 == 'u' && i+1 < len(src) && src[i+1] == '\'' {
				s.pos = i + 1
				s.scanString(UString, start)
				return
			}
		}
		break
	}
	s.emit(Word, lookup(src[start:i], hash), start, i)
}

// scanString reads a quoted string whose opening quote is at s.pos; the token begins at start.
func (s *scanner) scanString(k Kind, start int) {
	for i := s.pos + 1; ; i++ {
		end := strings.IndexByte(s.src[i:], '\'')
		if end < 0 {
			s.emit(Illegal, OpenString, start, len(s.src))
			return
		}
		i += end
		if i+1 >= len(s.src) || s.src[i+1] != '\'' {
			s.emit(k, 0, start, i+1)
			return
		}
		i++
	}
}

func (s *scanner) scanQuoted(c byte) {
	if c == '\'' {
		s.scanString(String, s.pos)
		return
	}
	start := s.pos
	for i := start + 1; ; i++ {
		end := strings.IndexByte(s.src[i:], c)
		if end < 0 {
			s.emit(Illegal, OpenQuote, start, len(s.src))
			return
		}
		i += end
		if i+1 < len(s.src) && s.src[i+1] == c {
			i++
			continue
		}
		if i == start+1 {
			s.emit(Illegal, EmptyQuote, start, i+1)
			return
		}
		s.emit(Quoted, 0, start, i+1)
		return
	}
}

// scanNumber reads digits [. digits] [e [sign] digits]. Letters glued to a number are a fault: 12abc is neither.
func (s *scanner) scanNumber() {
	src, start := s.src, s.pos
	i := digits(src, start)
	if i < len(src) && src[i] == '.' {
		i = digits(src, i+1)
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		j := i + 1
		if j < len(src) && (src[j] == '+' || src[j] == '-') {
			j++
		}
		if end := digits(src, j); end > j {
			i = end
		}
	}
	if i < len(src) && class[src[i]] == letter {
		for i < len(src) && (class[src[i]] == letter || class[src[i]] == digit) {
			i++
		}
		s.emit(Illegal, BadNumber, start, i)
		return
	}
	s.emit(Number, 0, start, i)
}

// digits returns the index of the first byte from i on that is no digit.
func digits(src string, i int) int {
	for i < len(src) && class[src[i]] == digit {
		i++
	}
	return i
}

func (s *scanner) scanSign(c byte) {
	if c == '.' && class[s.at(1)] == digit {
		s.scanNumber()
		return
	}
	if c == '/' && s.at(1) == '*' { // skipBlanks leaves only hints
		if !strings.Contains(s.src[s.pos:], "*/") {
			s.emit(Illegal, OpenHint, s.pos, len(s.src))
			return
		}
		s.inHint = true
		s.emit(HintOpen, 0, s.pos, s.pos+3)
		return
	}
	if c == '*' && s.inHint && s.at(1) == '/' {
		s.inHint = false
		s.emit(HintClose, 0, s.pos, s.pos+2)
		return
	}
	k, n := s.sign(c)
	if k == Invalid {
		s.stray()
		return
	}
	s.emit(k, 0, s.pos, s.pos+n)
}

// sign returns kind and length of the sign that begins with c.
func (s *scanner) sign(c byte) (Kind, int) {
	next := s.at(1)
	switch {
	case c == '<' && next == '>', c == '!' && next == '=':
		return Ne, 2
	case c == '<' && next == '=':
		return Le, 2
	case c == '>' && next == '=':
		return Ge, 2
	case c == '=' && next == '>':
		return Arrow, 2
	case c == '|' && next == '|':
		return Concat, 2
	case c == ':' && next == ':':
		return DoubleColon, 2
	}
	return single[c], 1
}

const hashStep = 31

// charClass is what a byte can begin.
type charClass uint8

const (
	other charClass = iota
	letter
	digit
	sign
	quote
	high // part of a character beyond ASCII
)

var class = func() (t [256]charClass) {
	for c := range t {
		switch b := byte(c); {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == '$':
			t[c] = letter
		case b >= '0' && b <= '9':
			t[c] = digit
		case b == '\'', b == '`', b == '"':
			t[c] = quote
		case b >= utf8.RuneSelf:
			t[c] = high
		case strings.IndexByte("()[]{},;.:=<>!+-*/%|?^&", b) >= 0:
			t[c] = sign
		}
	}
	return t
}()

// single holds the signs of one byte.
var single = [256]Kind{
	'(': LParen, ')': RParen, '[': LBracket, ']': RBracket, '{': LBrace, '}': RBrace, ',': Comma, ';': Semicolon,
	'.': Dot, ':': Colon, '=': Eq, '<': Lt, '>': Gt, '+': Plus, '-': Minus, '*': Star, '/': Slash, '%': Percent, '|': Bar,
	'?': Question, '^': Caret,
}
