package json

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidemill/tidemill/formats/internal/cells"
)

// maxDepth bounds the nesting of a value.
const maxDepth = 200

// scanner walks over the JSON text of one line.
type scanner struct {
	text []byte
	at   int
}

var errEnd = errors.New("line ends in the middle of a value")

func (s *scanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t' || s.text[s.at] == '\r' || s.text[s.at] == '\n') {
		s.at++
	}
}

// peek is the next byte that is no space, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.at >= len(s.text) {
		return 0
	}
	return s.text[s.at]
}

func (s *scanner) expect(c byte) error {
	if s.peek() == c {
		s.at++
		return nil
	}
	return s.unexpected("'" + string(c) + "'")
}

func (s *scanner) unexpected(want string) error {
	if s.at >= len(s.text) {
		return errEnd
	}
	return fmt.Errorf("unexpected %q where %s belongs", s.text[s.at], want)
}

// members calls visit at the value of each member of the object; visit must
// step over the value.
func (s *scanner) members(visit func(key cells.Cell) error) error {
	key, more, err := s.firstKey()
	for more && err == nil {
		if err = visit(key); err == nil {
			key, more, err = s.nextKey()
		}
	}
	return err
}

// firstKey steps into an object and over its first key to the value; more is false
// if there is none.
func (s *scanner) firstKey() (key cells.Cell, more bool, err error) {
	if err := s.expect('{'); err != nil {
		return key, false, err
	}
	if s.peek() == '}' {
		s.at++
		return key, false, nil
	}
	return s.key()
}

// nextKey steps from behind a value to that of the next key; more is false if the
// object ends.
func (s *scanner) nextKey() (key cells.Cell, more bool, err error) {
	if s.peek() == '}' {
		s.at++
		return key, false, nil
	}
	if err := s.expect(','); err != nil {
		return key, false, err
	}
	return s.key()
}

func (s *scanner) key() (key cells.Cell, more bool, err error) {
	if s.peek() != '"' {
		return key, false, s.unexpected("a key")
	}
	if key, err = s.string(); err != nil {
		return key, false, err
	}
	if err := s.expect(':'); err != nil {
		return key, false, err
	}
	s.space()
	return key, true, nil
}

// elements calls visit at each element of the array.
func (s *scanner) elements(visit func() error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		s.space()
		if err := visit(); err != nil {
			return err
		}
		if s.peek() == ']' {
			s.at++
			return nil
		}
		if err := s.expect(','); err != nil {
			return err
		}
	}
}

// value steps over any value. Strings come without their quotes, objects and
// arrays as their JSON text, Plain.
func (s *scanner) value(depth int) (cells.Cell, error) {
	if depth > maxDepth {
		return cells.Cell{}, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	start := s.at
	switch s.peek() {
	case '"':
		return s.string()
	case '{':
		err := s.members(func(cells.Cell) error { _, err := s.value(depth + 1); return err })
		return s.plain(start), err
	case '[':
		err := s.elements(func() error { _, err := s.value(depth + 1); return err })
		return s.plain(start), err
	case 0:
		return cells.Cell{}, errEnd
	}
	return s.literal()
}

func (s *scanner) plain(start int) cells.Cell {
	return cells.Cell{Start: uint32(start), End: uint32(s.at), Kind: cells.Plain}
}

// literal steps over a number, true, false or null.
func (s *scanner) literal() (cells.Cell, error) {
	start := s.at
	for s.at < len(s.text) {
		c := s.text[s.at]
		if c == ',' || c == '}' || c == ']' || c == ' ' || c == '\r' || c == '\t' || c == '\n' || c == ':' {
			break
		}
		s.at++
	}
	word := s.text[start:s.at]
	switch {
	case len(word) == 0:
		return cells.Cell{}, s.unexpected("a value")
	case string(word) == "null":
		return cells.Cell{}, nil
	case string(word) == "true", string(word) == "false", isNumber(word):
		return s.plain(start), nil
	}
	return cells.Cell{}, fmt.Errorf("%q is no JSON value", word)
}

// isNumber checks a number's letters; its form is checked where it is parsed.
func isNumber(word []byte) bool {
	if word[0] != '-' && word[0]-'0' > 9 {
		return false
	}
	for _, c := range word[1:] {
		if c-'0' > 9 && c != '.' && c != '-' && c != '+' && c|32 != 'e' {
			return false
		}
	}
	return word[len(word)-1]-'0' <= 9
}

// string steps over a string at a quote; the cell is what stands between.
func (s *scanner) string() (cells.Cell, error) {
	s.at++
	start, kind := s.at, cells.Quoted
	for {
		i := bytes.IndexByte(s.text[s.at:], '"')
		if i < 0 {
			return cells.Cell{}, errors.New("string is not closed")
		}
		part := s.text[s.at : s.at+i]
		s.at += i + 1
		slashes := 0
		for slashes < len(part) && part[len(part)-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			if kind == cells.Escaped || bytes.IndexByte(part, '\\') >= 0 {
				kind = cells.Escaped
			}
			return cells.Cell{Start: uint32(start), End: uint32(s.at - 1), Kind: kind}, nil
		}
		kind = cells.Escaped
	}
}

// unescape decodes a string's escapes; it never makes text longer.
func unescape(dst, text []byte) ([]byte, error) {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(dst, text...), nil
		}
		dst = append(dst, text[:i]...)
		if text = text[i+1:]; len(text) == 0 {
			return dst, errEnd
		}
		c := text[0]
		text = text[1:]
		switch c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, n, err := unescapeRune(text)
			if err != nil {
				return dst, err
			}
			dst = utf8.AppendRune(dst, r)
			text = text[n:]
		default:
			return dst, fmt.Errorf("unknown escape \\%c", c)
		}
	}
}

// unescapeRune reads the digits behind \u, and a second half where there is one.
func unescapeRune(text []byte) (r rune, n int, err error) {
	high, err := hex4(text)
	if err != nil {
		return 0, 0, err
	}
	if !utf16.IsSurrogate(high) {
		return high, 4, nil
	}
	if len(text) >= 10 && text[4] == '\\' && text[5] == 'u' {
		if low, err := hex4(text[6:]); err == nil {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				return r, 10, nil
			}
		}
	}
	return utf8.RuneError, 4, nil
}

func hex4(text []byte) (rune, error) {
	if len(text) < 4 {
		return 0, errEnd
	}
	v, err := strconv.ParseUint(string(text[:4]), 16, 32)
	if err != nil {
		return 0, fmt.Errorf("bad escape \\u%s", text[:4])
	}
	return rune(v), nil
}
