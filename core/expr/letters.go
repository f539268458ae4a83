package expr

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

func appendUpper(b, s []byte) []byte {
	for i, c := range s {
		if c >= utf8.RuneSelf {
			return append(b, bytes.ToUpper(s[i:])...)
		}
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

func appendLower(b, s []byte) []byte {
	for i, c := range s {
		if c >= utf8.RuneSelf {
			return append(b, bytes.ToLower(s[i:])...)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
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
