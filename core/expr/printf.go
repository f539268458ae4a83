package expr

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// printfKernel is PRINTF, in the language of java.util.Formatter but for its %g,
// %a, %h and dates. What that refuses makes the result null.
func printfKernel(args []Expr, env *environment) kernel {
	formats := make([]func(v *vector) rowFormat, len(args))
	for i, a := range args {
		t := a.Type()
		if t.Kind == datatype.Null {
			continue
		}
		if t.IsString() {
			t = datatype.Of(datatype.Varbinary) // the bytes as they are
		}
		if formats[i] = rowFormatter(t, env); formats[i] == nil {
			return nil
		}
	}
	return func(k *call) error {
		out, fresh := k.textOut(), false
		p := &printer{a: k.arguments(), types: types(args), texts: make([]rowFormat, len(args))}
		for i, v := range k.args {
			if formats[i] != nil && !v.null {
				p.texts[i] = formats[i](v)
			}
		}
		for _, r := range k.rows() {
			if !out.begin(r) {
				break
			}
			if p.row = r; p.a.isNull(0, r) {
				k.setNull(r, &fresh)
				continue
			}
			b, ok := p.print(out.data, p.a.s(0, r))
			switch {
			case p.tooWide:
				return failure.Errorf(failure.UserCode, "PRINTF: the result exceeds %d MiB", maxText>>20)
			case !ok:
				k.setNull(r, &fresh)
			default:
				out.data = b
			}
		}
		return out.end()
	}
}

// printer prints one row.
type printer struct {
	a       *arguments
	types   []datatype.Type
	texts   []rowFormat
	row     int32
	tooWide bool
}

// directive is %[index$][flags][width][.precision]verb.
type directive struct {
	index     int // from 1, 0 for the next one
	flags     []byte
	width     int
	precision int // -1 for none
	verb      byte
}

func (d *directive) has(flag byte) bool { return bytes.IndexByte(d.flags, flag) >= 0 }

func (p *printer) print(b, format []byte) ([]byte, bool) {
	next := 1
	for len(format) > 0 {
		at := bytes.IndexByte(format, '%')
		if at < 0 {
			return append(b, format...), true
		}
		b = append(b, format[:at]...)
		d, n := parseDirective(format[at:])
		if n == 0 {
			return b, false
		}
		if d.width > maxText || d.precision > maxText || len(b) > math.MaxInt32-maxText {
			p.tooWide = true
			return b, false
		}
		format = format[at+n:]
		var s string
		ok := true
		switch d.verb {
		case 'n':
			s = "\n"
		case '%':
			s = "%"
		default:
			arg := d.index
			if arg == 0 {
				arg = next
				next++
			}
			s, ok = p.value(arg, &d)
		}
		if !ok {
			return b, false
		}
		b = d.pad(b, s)
	}
	return b, true
}

// parseDirective reads a directive at the front of s and says how long it is.
func parseDirective(s []byte) (d directive, length int) {
	d.precision = -1
	i := 1
	number := func() (n int, ok bool) {
		from := i
		for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			n = min(10*n+int(s[i]-'0'), math.MaxInt32)
		}
		return n, i > from
	}
	if n, ok := number(); ok && n > 0 && i < len(s) && s[i] == '$' {
		d.index = n
		i++
	} else {
		i = 1
	}
	for ; i < len(s) && bytes.IndexByte([]byte("-#+ 0,("), s[i]) >= 0; i++ {
		if d.has(s[i]) {
			return d, 0
		}
		d.flags = append(d.flags, s[i])
	}
	d.width, _ = number()
	if i < len(s) && s[i] == '.' {
		i++
		n, ok := number()
		if d.precision = n; !ok {
			return d, 0
		}
	}
	if i == len(s) || (d.has('-') || d.has('0')) && d.width == 0 || d.has('-') && d.has('0') || d.has('+') && d.has(' ') {
		return d, 0
	}
	d.verb = s[i]
	return d, i + 1
}

// pad puts spaces before or behind s.
func (d *directive) pad(b []byte, s string) []byte {
	n := d.width - utf8.RuneCountInString(s)
	if d.has('-') {
		b = append(b, s...)
	}
	if n > 0 {
		b = append(b, bytes.Repeat([]byte{' '}, n)...)
	}
	if !d.has('-') {
		b = append(b, s...)
	}
	return b
}

// value is argument number arg as its directive wants it.
func (p *printer) value(arg int, d *directive) (s string, ok bool) {
	if arg >= p.a.count() {
		return "", false
	}
	t, null := p.types[arg], p.a.isNull(arg, p.row)
	switch d.verb {
	case 's', 'S', 'b', 'B':
		s = p.general(arg, d.verb, null)
		if d.precision >= 0 {
			s = string([]rune(s)[:min(d.precision, utf8.RuneCountInString(s))])
		}
		ok = !d.has('0') && !d.has('+') && !d.has(' ') && !d.has(',') && !d.has('(') && !d.has('#')
	case 'd', 'x', 'X', 'o', 'c', 'C':
		ok = (null || t.IsInteger()) && d.precision < 0
		if ok && !null {
			s, ok = p.integer(arg, d)
		}
	case 'f', 'e', 'E':
		ok = null || t.Is(datatype.Float, datatype.Double, datatype.Decimal)
		if ok && !null {
			s = p.real(arg, d)
		}
	}
	if null && s == "" {
		s = "null"
	}
	if d.verb >= 'A' && d.verb <= 'Z' {
		s = strings.ToUpper(s)
	}
	return s, ok
}

func (p *printer) general(arg int, verb byte, null bool) string {
	switch text := verb == 's' || verb == 'S'; {
	case null && text:
		return "null"
	case null:
		return "false"
	case !text && p.types[arg].Kind != datatype.Boolean:
		return "true"
	case p.types[arg].Kind == datatype.Boolean: // small, as Java writes them
		return strconv.FormatBool(p.a.vectors[arg].truth(int(p.row)))
	default:
		return string(p.texts[arg](nil, p.row))
	}
}

// integer writes %d, %x, %o and %c; %x and %o show the bits of negative numbers.
func (p *printer) integer(arg int, d *directive) (string, bool) {
	n := p.a.n(arg, p.row)
	switch d.verb {
	case 'd':
		digits := strconv.FormatUint(uint64(max(n, -n)), 10)
		if n == math.MinInt64 {
			digits = "9223372036854775808"
		}
		return d.number(n < 0, digits, ""), !d.has('#')
	case 'c', 'C':
		return string(rune(n)), n >= 0 && n <= utf8.MaxRune && len(d.flags) == 0
	}
	if d.has('+') || d.has(' ') || d.has(',') || d.has('(') {
		return "", false
	}
	base, prefix := 16, "0x"
	if d.verb == 'o' {
		base, prefix = 8, "0"
	}
	bits := uint64(n)
	if w := p.a.vectors[arg].layout.width(); w < 8 {
		bits &= 1<<(8*w) - 1
	}
	digits := strconv.FormatUint(bits, base)
	if !d.has('#') {
		prefix = ""
	}
	if n := d.width - len(prefix) - len(digits); d.has('0') && n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	return prefix + digits, true
}

// real writes %f and %e; halves are rounded away from zero.
func (p *printer) real(arg int, d *directive) string {
	precision := d.precision
	if precision < 0 {
		precision = 6
	}
	text := string(p.texts[arg](nil, p.row))
	if p.types[arg].Kind != datatype.Decimal {
		f := p.a.f(arg, p.row)
		switch {
		case math.IsNaN(f):
			return "NaN"
		case math.IsInf(f, 0):
			infinite := directive{flags: slices.DeleteFunc(slices.Clone(d.flags), func(c byte) bool { return c == '0' })}
			return infinite.number(f < 0, "Infinity", "")
		}
		bits := 64
		if p.types[arg].Kind == datatype.Float {
			bits = 32
		}
		text = strconv.FormatFloat(f, 'f', -1, bits)
	}
	negative := strings.HasPrefix(text, "-")
	text = strings.TrimPrefix(text, "-")
	if d.verb != 'f' {
		f, _ := strconv.ParseFloat(text, 64)
		text = strconv.FormatFloat(f, 'e', precision, 64)
		at := strings.IndexByte(text, 'e')
		return d.number(negative, text[:at], text[at:])
	}
	return d.number(negative, roundText(text, precision), "")
}

// number adds sign, groups and zeros to digits, which tail follows.
func (d *directive) number(negative bool, digits, tail string) string {
	whole, fraction, point := strings.Cut(digits, ".")
	if d.has(',') && whole != "Infinity" {
		for i := len(whole) - 3; i > 0; i -= 3 {
			whole = whole[:i] + "," + whole[i:]
		}
	}
	if point {
		tail = "." + fraction + tail
	}
	before, behind := "", ""
	switch {
	case negative && d.has('('):
		before, behind = "(", ")"
	case negative:
		before = "-"
	case d.has('+'):
		before = "+"
	case d.has(' '):
		before = " "
	}
	if n := d.width - len(before) - len(whole) - len(tail) - len(behind); d.has('0') && n > 0 {
		whole = strings.Repeat("0", n) + whole
	}
	return before + whole + tail + behind
}

// roundText gives a decimal without sign so many digits after the point.
func roundText(text string, precision int) string {
	whole, fraction, _ := strings.Cut(text, ".")
	up := len(fraction) > precision && fraction[precision] >= '5'
	if len(fraction) > precision {
		fraction = fraction[:precision]
	}
	digits := slices.Concat([]byte{'0'}, []byte(whole), []byte(fraction), bytes.Repeat([]byte{'0'}, precision-len(fraction)))
	for i := len(digits) - 1; up; i-- {
		if digits[i]++; digits[i] <= '9' {
			break
		}
		digits[i] = '0'
	}
	point := len(digits) - precision
	first := 0
	for first < point-1 && digits[first] == '0' {
		first++
	}
	if precision == 0 {
		return string(digits[first:])
	}
	return string(digits[first:point]) + "." + string(digits[point:])
}
