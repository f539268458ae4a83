package json

import (
	"encoding/binary"
	"math/bits"

	"github.com/tidemill/tidemill/formats/internal/cells"
)

const (
	eachByte = 0x0101010101010101
	lowBits  = 0x7f * eachByte
	highBits = 0x80 * eachByte
)

// quickValue is value at depth 0. Strings without escapes and numbers, which nearly
// all values are, are stepped over eight bytes at a time.
func (s *scanner) quickValue() (cells.Cell, error) {
	if s.at < len(s.text) {
		start := s.at
		switch c := s.text[start]; {
		case c == '"':
			if end := stringEnd(s.text, start+1); end < len(s.text) && s.text[end] == '"' {
				s.at = end + 1
				return cells.Cell{Start: uint32(start + 1), End: uint32(end), Kind: cells.Quoted}, nil
			}
		case c-'0' <= 9 || c == '-':
			if end := numberEnd(s.text, start); end > 0 {
				s.at = end
				return s.plain(start), nil
			}
		}
	}
	s.space()
	return s.value(0)
}

// stringEnd is the place of the first quote or backslash from at on, the text's
// length if there is none.
func stringEnd(text []byte, at int) int {
	const quotes, slashes = '"' * eachByte, '\\' * eachByte
	for ; at+8 <= len(text); at += 8 {
		w := binary.LittleEndian.Uint64(text[at:])
		q, b := w^quotes, w^slashes
		// The lowest bit of these is that of the first such byte; higher ones may not be.
		if found := ((q-eachByte)&^q | (b-eachByte)&^b) & highBits; found != 0 {
			return at + bits.TrailingZeros64(found)/8
		}
	}
	for at < len(text) && text[at] != '"' && text[at] != '\\' {
		at++
	}
	return at
}

// numberEnd is where a number of digits, with a minus before them and a point within,
// ends before a comma or brace; 0 if what stands there is written in another way.
func numberEnd(text []byte, at int) int {
	if text[at] == '-' {
		at++
	}
	end := digitsEnd(text, at)
	if end < len(text) && text[end] == '.' {
		at = end + 1
		end = digitsEnd(text, at)
	}
	if end == at || end == len(text) || text[end] != ',' && text[end] != '}' {
		return 0
	}
	return end
}

// digitsEnd is the place of the first byte from at on that is no digit, the text's
// length if there is none.
func digitsEnd(text []byte, at int) int {
	for ; at+8 <= len(text); at += 8 {
		w := binary.LittleEndian.Uint64(text[at:]) ^ '0'*eachByte
		if other := (w&lowBits + 0x76*eachByte | w) & highBits; other != 0 {
			return at + bits.TrailingZeros64(other)/8
		}
	}
	for at < len(text) && text[at]-'0' <= 9 {
		at++
	}
	return at
}
