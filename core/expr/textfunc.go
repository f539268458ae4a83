package expr

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/tidemill/tidemill/core/datatype"
)

// arguments reads the arguments of a function row by row: s text, n integers,
// f doubles.
type arguments struct {
	vectors  []*vector
	texts    []text
	integers []integers
	floats   []floats
}

func (k *call) arguments() *arguments {
	n := len(k.args)
	a := &arguments{k.args, make([]text, n), make([]integers, n), make([]floats, n)}
	for i, v := range k.args {
		switch {
		case v.null:
		case v.layout == textLayout:
			a.texts[i] = v.text()
		case v.layout >= int8Layout && v.layout <= int64Layout:
			a.integers[i] = v.integers()
		case v.layout == float32Layout || v.layout == float64Layout:
			a.floats[i] = v.floats()
		}
	}
	return a
}

func (a *arguments) count() int                 { return len(a.texts) }
func (a *arguments) s(i int, r int32) []byte    { return a.texts[i].at(int(r)) }
func (a *arguments) n(i int, r int32) int64     { return a.integers[i].at(r) }
func (a *arguments) f(i int, r int32) float64   { return a.floats[i].at(r) }
func (a *arguments) isNull(i int, r int32) bool { return a.vectors[i].isNull(int(r)) }

// or is integer argument i, or value where there are fewer arguments.
func (a *arguments) or(i int, r int32, value int64) int64 {
	if a.count() <= i {
		return value
	}
	return a.n(i, r)
}

// textFunc appends a function's text, or returns false for null.
type textFunc func(b []byte, a *arguments, r int32) ([]byte, bool)

func textOf(f textFunc) kernel {
	return func(k *call) error {
		a, out, fresh := k.arguments(), k.textOut(), false
		for _, r := range k.rows() {
			if !out.begin(r) {
				break
			}
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
func boolOf(f func(a *arguments, r int32) bool) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		clear(k.out.data)
		a := k.arguments()
		for _, r := range k.rows() {
			if f(a, r) {
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
	case "||":
		if x.T.Kind != datatype.Array {
			return textOf(concat), true, nil
		}
		return nil, false, nil
	case "CONCAT_WS":
		return textOf(concatWith), false, nil
	case "ELT":
		return textOf(elt), false, nil
	case "PRINTF":
		return printfKernel(x.Args, c.env), false, nil
	case "SHA2":
		return sha2Kernel, true, nil
	case "REPLACE":
		return replaceKernel, true, nil
	case "URL_ENCODE":
		return textKernel(urlEncode), true, nil
	case "SPLIT":
		return textListKernel(x.T, split), true, nil
	case "REGEXP_EXTRACT_ALL":
		return regexExtractAll(x.T), true, nil
	case "REPEAT", "LPAD", "RPAD":
		return bounded(x.Function, textOf(textFunctions(x.Function))), true, nil
	}
	if f := textToText(x.Function); f != nil {
		return textKernel(f), true, nil
	}
	if f := textFunctions(x.Function); f != nil {
		return textOf(f), true, nil
	}
	if f := textNumbers(x.Function); f != nil {
		return integerOf(f), true, nil
	}
	if f := textTests(x.Function); f != nil {
		return boolOf(f), true, nil
	}
	if k := regexFunction(x.Function); k != nil {
		return k, true, nil
	}
	return encodingFunction(x), x.Function != "TYPEOF", nil
}

// textToText are the functions of one text.
func textToText(name string) func(b, s []byte) []byte {
	switch name {
	case "UPPER":
		return appendUpper
	case "LOWER":
		return appendLower
	case "INITCAP":
		return appendInitcap
	case "REVERSE":
		return appendReversed
	default:
		return nil
	}
}

// textFunctions are those whose result is text.
func textFunctions(name string) textFunc {
	switch name {
	case "SUBSTRING":
		return substring
	case "LEFT":
		return left
	case "RIGHT":
		return right
	case "REPEAT":
		return repeat
	case "LPAD":
		return pad(true)
	case "RPAD":
		return pad(false)
	case "TRANSLATE":
		return translate
	case "OVERLAY":
		return overlay
	case "TRIM", "BTRIM":
		return trim(true, true)
	case "LTRIM":
		return trim(true, false)
	case "RTRIM":
		return trim(false, true)
	case "CONCAT":
		return concat
	case "SPLIT_INDEX":
		return splitIndex
	case "CHR":
		return chr
	case "URL_DECODE":
		return urlDecode
	default:
		return nil
	}
}

// textNumbers are those whose result is a number.
func textNumbers(name string) func(a *arguments, r int32) int64 {
	switch name {
	case "CHAR_LENGTH":
		return func(a *arguments, r int32) int64 { return int64(utf8.RuneCount(a.s(0, r))) }
	case "OCTET_LENGTH":
		return func(a *arguments, r int32) int64 { return int64(len(a.s(0, r))) }
	case "ASCII":
		return func(a *arguments, r int32) int64 {
			if s := a.s(0, r); len(s) > 0 {
				return int64(s[0])
			}
			return 0
		}
	case "COUNT_CHAR":
		return func(a *arguments, r int32) int64 {
			if c := a.s(1, r); len(c) > 0 {
				return int64(bytes.Count(a.s(0, r), c[:1]))
			}
			return 0
		}
	case "POSITION", "LOCATE":
		return func(a *arguments, r int32) int64 { return position(a.s(1, r), a.s(0, r), a.or(2, r, 1), 1) }
	case "INSTR":
		return func(a *arguments, r int32) int64 {
			return position(a.s(0, r), a.s(1, r), a.or(2, r, 1), a.or(3, r, 1))
		}
	default:
		return nil
	}
}

// textTests are those whose result is a boolean.
func textTests(name string) func(a *arguments, r int32) bool {
	switch name {
	case "STARTSWITH":
		return func(a *arguments, r int32) bool { return bytes.HasPrefix(a.s(0, r), a.s(1, r)) }
	case "ENDSWITH":
		return func(a *arguments, r int32) bool { return bytes.HasSuffix(a.s(0, r), a.s(1, r)) }
	case "IS_ALPHA":
		return func(a *arguments, r int32) bool { return allRunes(a.s(0, r), isAlpha) }
	case "IS_DIGIT":
		return func(a *arguments, r int32) bool { return allRunes(a.s(0, r), isDigit) }
	case "IS_DECIMAL":
		return func(a *arguments, r int32) bool {
			_, ok := parseFloat(string(a.s(0, r)), 64)
			return ok
		}
	default:
		return nil
	}
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

func left(b []byte, a *arguments, r int32) ([]byte, bool) {
	s := a.s(0, r)
	return append(b, s[:skip(s, max(a.n(1, r), 0))]...), true
}

func right(b []byte, a *arguments, r int32) ([]byte, bool) {
	s := a.s(0, r)
	keep := max(a.n(1, r), 0)
	return append(b, s[skip(s, max(int64(utf8.RuneCount(s))-keep, 0)):]...), true
}

// maxText bounds what one call of REPEAT, LPAD, REPLACE and the like makes of little.
const maxText = 256 << 20

func repeat(b []byte, a *arguments, r int32) ([]byte, bool) {
	s, n := a.s(0, r), a.n(1, r)
	if n > 0 && len(s) > 0 && n > int64(maxText/len(s)) {
		return b, false
	}
	for range max(n, 0) {
		b = append(b, s...)
	}
	return b, true
}

// pad fills up to a number of characters, or cuts; null where that is impossible.
func pad(before bool) textFunc {
	return func(b []byte, a *arguments, r int32) ([]byte, bool) {
		s, n, with := a.s(0, r), a.n(1, r), a.s(2, r)
		if n < 0 || n > maxText || len(with) == 0 {
			return b, false
		}
		missing := n - int64(utf8.RuneCount(s))
		if missing <= 0 {
			return append(b, s[:skip(s, n)]...), true
		}
		if !before {
			b = append(b, s...)
		}
		each := int64(utf8.RuneCount(with))
		for ; missing >= each; missing -= each {
			b = append(b, with...)
		}
		b = append(b, with[:skip(with, missing)]...)
		if before {
			b = append(b, s...)
		}
		return b, true
	}
}

// replaceKernel is REPLACE, which can make much of little.
func replaceKernel(k *call) error {
	a, out := k.arguments(), k.textOut()
	for _, r := range k.rows() {
		if !out.begin(r) {
			break
		}
		s, from, to := a.s(0, r), a.s(1, r), a.s(2, r)
		if more := len(to) - len(from); more > 0 && len(from) > 0 && len(s)/len(from) > maxText/len(to) && len(s)+bytes.Count(s, from)*more > maxText {
			return tooLong("REPLACE")
		}
		for len(from) > 0 {
			at := bytes.Index(s, from)
			if at < 0 {
				break
			}
			out.data = append(append(out.data, s[:at]...), to...)
			s = s[at+len(from):]
		}
		out.data = append(out.data, s...)
	}
	return out.end()
}

// translate replaces characters one by one; those without a partner are dropped.
func translate(b []byte, a *arguments, r int32) ([]byte, bool) {
	from, to := []rune(string(a.s(1, r))), []rune(string(a.s(2, r)))
	for _, c := range string(a.s(0, r)) {
		at := indexRune(from, c)
		switch {
		case at < 0:
			b = utf8.AppendRune(b, c)
		case at < len(to):
			b = utf8.AppendRune(b, to[at])
		}
	}
	return b, true
}

func indexRune(runes []rune, c rune) int {
	for i, x := range runes {
		if x == c {
			return i
		}
	}
	return -1
}

// overlay puts the second text over the first from a position on.
func overlay(b []byte, a *arguments, r int32) ([]byte, bool) {
	s, with, pos := a.s(0, r), a.s(1, r), a.n(2, r)
	n := a.or(3, r, int64(utf8.RuneCount(with)))
	if pos <= 0 || pos > int64(utf8.RuneCount(s)) {
		return append(b, s...), true
	}
	start := skip(s, pos-1)
	b = append(append(b, s[:start]...), with...)
	rest := s[start:]
	if n < 0 {
		return b, true
	}
	return append(b, rest[skip(rest, n):]...), true
}

// trim removes any of the characters given, or blanks.
func trim(leading, trailing bool) textFunc {
	return func(b []byte, a *arguments, r int32) ([]byte, bool) {
		s, cut := a.s(0, r), " "
		if a.count() > 1 {
			cut = string(a.s(1, r))
		}
		if leading {
			s = bytes.TrimLeft(s, cut)
		}
		if trailing {
			s = bytes.TrimRight(s, cut)
		}
		return append(b, s...), true
	}
}

func concat(b []byte, a *arguments, r int32) ([]byte, bool) {
	for i := range a.texts {
		b = append(b, a.s(i, r)...)
	}
	return b, true
}

// concatWith leaves nulls out; only a null separator makes the result null.
func concatWith(b []byte, a *arguments, r int32) ([]byte, bool) {
	if a.isNull(0, r) {
		return b, false
	}
	first := true
	for i := 1; i < a.count(); i++ {
		if a.isNull(i, r) {
			continue
		}
		if !first {
			b = append(b, a.s(0, r)...)
		}
		b, first = append(b, a.s(i, r)...), false
	}
	return b, true
}

// splitIndex takes part n, from 0, of a text cut at a delimiter, which may be a
// character's code; null when there is no such part.
func splitIndex(b []byte, a *arguments, r int32) ([]byte, bool) {
	s, n := a.s(0, r), a.n(2, r)
	var cut []byte
	if a.vectors[1].layout == textLayout {
		cut = a.s(1, r)
	} else {
		cut = utf8.AppendRune(nil, rune(a.n(1, r)))
	}
	if n < 0 || len(cut) == 0 || len(s) == 0 {
		return b, false
	}
	for ; n > 0; n-- {
		at := bytes.Index(s, cut)
		if at < 0 {
			return b, false
		}
		s = s[at+len(cut):]
	}
	part, _, _ := bytes.Cut(s, cut)
	return append(b, part...), true
}

// chr is the character of a code, of which only the low 8 bits count.
func chr(b []byte, a *arguments, r int32) ([]byte, bool) {
	if n := a.n(0, r); n >= 0 {
		b = utf8.AppendRune(b, rune(n&0xff))
	}
	return b, true
}

// position is where needle occurs for the nth time at or after character start,
// counting from 1; 0 if it does not.
func position(s, needle []byte, start, nth int64) int64 {
	if start < 1 || nth < 1 {
		return 0
	}
	skipped := skip(s, start-1)
	if skipped == len(s) && start > 1 && int64(utf8.RuneCount(s)) < start-1 {
		return 0
	}
	at := skipped
	for ; nth > 0; nth-- {
		i := bytes.Index(s[at:], needle)
		if i < 0 {
			return 0
		}
		at += i
		if nth > 1 {
			at += max(len(needle), 1)
			if at > len(s) {
				return 0
			}
		}
	}
	return int64(utf8.RuneCount(s[:at])) + 1
}

func allRunes(s []byte, test func(rune) bool) bool {
	return len(s) > 0 && strings.IndexFunc(string(s), func(c rune) bool { return !test(c) }) < 0
}
