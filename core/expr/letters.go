package expr

import (
	"bytes"
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// appendUpper changes ASCII without looking at its neighbours; other letters may
// change their length.
func appendUpper(b, s []byte) []byte {
	if !ascii(s) {
		return append(b, bytes.ToUpper(s)...)
	}
	at := len(b)
	b = append(b, s...)
	for i, c := range b[at:] {
		lower := byte(0)
		if c-'a' < 26 {
			lower = 'a' - 'A'
		}
		b[at+i] = c - lower
	}
	return b
}

func appendLower(b, s []byte) []byte {
	if !ascii(s) {
		return append(b, bytes.ToLower(s)...)
	}
	at := len(b)
	b = append(b, s...)
	for i, c := range b[at:] {
		upper := byte(0)
		if c-'A' < 26 {
			upper = 'a' - 'A'
		}
		b[at+i] = c + upper
	}
	return b
}

// ascii reports whether s has characters of one byte only.
func ascii(s []byte) bool {
	for len(s) >= 8 {
		if binary.LittleEndian.Uint64(s)&0x8080808080808080 != 0 {
			return false
		}
		s = s[8:]
	}
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendInitcap begins each word with a capital; words are letters and digits.
func appendInitcap(b, s []byte) []byte {
	inside := false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRune(s[i:])
		i += size
		if inside {
			b = utf8.AppendRune(b, unicode.ToLower(r))
		} else {
			b = utf8.AppendRune(b, unicode.ToUpper(r))
		}
		inside = unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	return b
}

func appendReversed(b, s []byte) []byte {
	for len(s) > 0 {
		_, size := utf8.DecodeLastRune(s)
		b = append(b, s[len(s)-size:]...)
		s = s[:len(s)-size]
	}
	return b
}

func isAlpha(r rune) bool { return unicode.IsLetter(r) }

func isDigit(r rune) bool { return unicode.IsDigit(r) }

// skip returns the byte position of character n of s, or len(s).
func skip(s []byte, n int64) int {
	at := 0
	for ; n > 0 && at < len(s); n-- {
		if s[at] < utf8.RuneSelf {
			at++
			continue
		}
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return at
}
