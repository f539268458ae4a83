package expr

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/tidemill/tidemill/core/datatype"
)

// arguments reads the arguments of a function row by row: s text, n integers,
// f doubles.
type arguments struct {
	texts    []text
	integers []integers
	floats   []floats
}

func (k *call) arguments() *arguments {
	n := len(k.args)
	a := &arguments{make([]text, n), make([]integers, n), make([]floats, n)}
	for i, v := range k.args {
		switch v.layout {
		case textLayout:
			if !v.null {
				a.texts[i] = v.text()
			}
		case int8Layout, int16Layout, int32Layout, int64Layout:
			a.integers[i] = v.integers()
		case float32Layout, float64Layout:
			a.floats[i] = v.floats()
		}
	}
	return a
}

func (a *arguments) count() int               { return len(a.texts) }
func (a *arguments) s(i int, r int32) []byte  { return a.texts[i].at(int(r)) }
func (a *arguments) n(i int, r int32) int64   { return a.integers[i].at(r) }
func (a *arguments) f(i int, r int32) float64 { return a.floats[i].at(r) }

// textOf is a kernel whose result is text: f appends it, or returns false for
// null.
func textOf(f func(b []byte, a *arguments, r int32) ([]byte, bool)) kernel {
	return func(k *call) error {
		a, out, fresh := k.arguments(), k.textOut(), false
		for _, r := range k.rows() {
			out.begin(r)
			b, ok := f(out.data, a, r)
			if !ok {
				k.setNull(r, &fresh)
				continue
			}
			out.data = b
		}
		return out.end()
	}
}

// integerOf is a kernel whose result is an integer of any width.
func integerOf(f func(a *arguments, r int32) int64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		a, out := k.arguments(), k.out.writer()
		for _, r := range k.rows() {
			out.putInteger(r, f(a, r))
		}
		return nil
	}
}

// boolOf is a kernel whose result is a boolean.
func boolOf(f func(a *arguments, r int32) (bool, error)) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		clear(k.out.data)
		a := k.arguments()
		for _, r := range k.rows() {
			yes, err := f(a, r)
			if err != nil {
				return err
			}
			if yes {
				setBit(k.out.data, int(r))
			}
		}
		return nil
	}
}

// textFunction finds the kernels on text.
func (c *compiler) textFunction(x *Call) (k kernel, strict bool, err error) {
	switch x.Function {
	case "LIKE":
		return likeKernel, true, nil
	case "UPPER":
		return textKernel(appendUpper), true, nil
	case "LOWER":
		return textKernel(appendLower), true, nil
	case "SUBSTRING":
		return textOf(substring), true, nil
	case "CHAR_LENGTH":
		return integerOf(func(a *arguments, r int32) int64 { return int64(utf8.RuneCount(a.s(0, r))) }), true, nil
	case "CONCAT":
		return textOf(concat), true, nil
	case "||":
		if x.T.Kind != datatype.Array {
			return textOf(concat), true, nil
		}
	}
	return nil, false, nil
}

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

// skip returns the byte position of character n of s, or len(s).
func skip(s []byte, n int64) int {
	if int64(len(s)) <= n && ascii(s) {
		return len(s)
	}
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

func ascii(s []byte) bool {
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// substring counts from 1, or from the end where the position is negative.
func substring(b []byte, a *arguments, r int32) ([]byte, bool) {
	s, pos := a.s(0, r), a.n(1, r)
	switch {
	case pos > 0:
		pos--
	case pos < 0:
		if pos += int64(utf8.RuneCount(s)); pos < 0 {
			return b, true
		}
	}
	s = s[skip(s, pos):]
	if a.count() > 2 {
		s = s[:skip(s, max(a.n(2, r), 0))]
	}
	return append(b, s...), true
}

func concat(b []byte, a *arguments, r int32) ([]byte, bool) {
	for i := range a.texts {
		b = append(b, a.s(i, r)...)
	}
	return b, true
}
