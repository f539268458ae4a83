package expr

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// timePattern is a pattern of Java's SimpleDateFormat, as DATE_FORMAT takes it.
type timePattern []patternPart

// patternPart is a run of one pattern letter, or text to be taken as it is.
type patternPart struct {
	letter byte // 0: text
	count  int
	text   string
}

const defaultPattern = "yyyy-MM-dd HH:mm:ss"

// patterns keeps the last pattern read: they are nearly always constant.
type patterns struct {
	last  string
	found timePattern
}

func (c *patterns) of(s []byte) (timePattern, error) {
	if c.found != nil && c.last == string(s) {
		return c.found, nil
	}
	p, err := parseTimePattern(string(s))
	c.last, c.found = string(s), p
	return p, err
}

func parseTimePattern(s string) (timePattern, error) {
	p := timePattern{}
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\'':
			text, n := quoted(s[i:])
			p, i = append(p, patternPart{text: text}), i+n
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := 1
			for i+n < len(s) && s[i+n] == c {
				n++
			}
			if !strings.ContainsRune("yuMdHhmsSaEDkK", rune(c)) {
				return nil, failure.Errorf(failure.UserCode, "time pattern '%s': letter %c is not supported", s, c)
			}
			p, i = append(p, patternPart{letter: c, count: n}), i+n
		default:
			p, i = append(p, patternPart{text: s[i : i+1]}), i+1
		}
	}
	return p, nil
}

// quoted reads text in apostrophes, of which two are one.
func quoted(s string) (text string, n int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		if i == 1 {
			return "'", 2
		}
		return b.String(), i + 1
	}
	return b.String(), len(s)
}

// format appends t.
func (p timePattern) format(b []byte, t time.Time) []byte {
	for _, part := range p {
		if part.letter == 0 {
			b = append(b, part.text...)
			continue
		}
		b = part.format(b, t)
	}
	return b
}

func (part patternPart) format(b []byte, t time.Time) []byte {
	switch part.letter {
	case 'y', 'u':
		if part.count == 2 {
			return appendPadded(b, t.Year()%100, 2)
		}
		return appendPadded(b, t.Year(), part.count)
	case 'M':
		switch part.count {
		case 1, 2:
			return appendPadded(b, int(t.Month()), part.count)
		case 3:
			return append(b, t.Month().String()[:3]...)
		default:
			return append(b, t.Month().String()...)
		}
	case 'E':
		if part.count <= 3 {
			return append(b, t.Weekday().String()[:3]...)
		}
		return append(b, t.Weekday().String()...)
	case 'a':
		if t.Hour() < 12 {
			return append(b, "AM"...)
		}
		return append(b, "PM"...)
	case 'S':
		digits := strconv.Itoa(1e9 + t.Nanosecond())[1:]
		return append(b, (digits + strings.Repeat("0", part.count))[:part.count]...)
	default:
		return appendPadded(b, part.number(t), part.count)
	}
}

func (part patternPart) number(t time.Time) int {
	switch part.letter {
	case 'd':
		return t.Day()
	case 'D':
		return t.YearDay()
	case 'H':
		return t.Hour()
	case 'k':
		return (t.Hour()+23)%24 + 1
	case 'K':
		return t.Hour() % 12
	case 'h':
		return (t.Hour()+11)%12 + 1
	case 'm':
		return t.Minute()
	default:
		return t.Second()
	}
}

func appendPadded(b []byte, x, width int) []byte {
	s := strconv.Itoa(x)
	for i := len(s); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, s...)
}

// parse reads s in a time zone; false where it is not as the pattern says.
func (p timePattern) parse(s string, in *time.Location) (time.Time, bool) {
	f := timeFields{year: 1970, month: 1, day: 1}
	for i, part := range p {
		if part.letter == 0 {
			rest, ok := strings.CutPrefix(s, part.text)
			if !ok {
				return time.Time{}, false
			}
			s = rest
			continue
		}
		adjacent := i+1 < len(p) && p[i+1].letter != 0
		var ok bool
		if s, ok = f.read(part, s, adjacent); !ok {
			return time.Time{}, false
		}
	}
	return f.time(in, s == "")
}

// timeFields are what a pattern has read so far.
type timeFields struct {
	year, month, day, hour, minute, second, nanos int
	afternoon, half                               bool
}

// read takes one field off s. Numbers are as long as they go, unless another
// field follows at once.
func (f *timeFields) read(part patternPart, s string, adjacent bool) (string, bool) {
	switch {
	case part.letter == 'a':
		if len(s) < 2 {
			return s, false
		}
		f.half, f.afternoon = true, strings.EqualFold(s[:2], "PM")
		return s[2:], f.afternoon || strings.EqualFold(s[:2], "AM")
	case part.letter == 'M' && part.count >= 3:
		return f.readMonth(s)
	case part.letter == 'E':
		return strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyzMTWFS"), true
	}
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' && (!adjacent || n < part.count) {
		n++
	}
	if n == 0 || n > 9 {
		return s, false
	}
	x, err := strconv.Atoi(s[:n])
	if err != nil {
		return s, false
	}
	f.set(part, x, n)
	return s[n:], true
}

func (f *timeFields) readMonth(s string) (string, bool) {
	for m := time.January; m <= time.December; m++ {
		for _, name := range []string{m.String(), m.String()[:3]} {
			if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
				f.month = int(m)
				return s[len(name):], true
			}
		}
	}
	return s, false
}

func (f *timeFields) set(part patternPart, x, digits int) {
	switch part.letter {
	case 'y', 'u':
		if f.year = x; part.count == 2 && digits == 2 {
			f.year = 2000 + x
		}
	case 'M':
		f.month = x
	case 'd':
		f.day = x
	case 'D':
		f.month, f.day = 1, x
	case 'H':
		f.hour = x
	case 'k':
		f.hour = x % 24
	case 'h', 'K':
		f.hour, f.half = x%12, true
	case 'm':
		f.minute = x
	case 's':
		f.second = x
	case 'S':
		for ; digits < 9; digits++ {
			x *= 10
		}
		f.nanos = x
	}
}

// time is the time of the fields; false where they are out of range.
func (f *timeFields) time(in *time.Location, complete bool) (time.Time, bool) {
	hour := f.hour
	if f.half && f.afternoon {
		hour += 12
	}
	t := time.Date(f.year, time.Month(f.month), f.day, hour, f.minute, f.second, f.nanos, in)
	plain := f.month >= 1 && f.month <= 12 && f.day >= 1 && f.day <= 366 && hour < 24 && f.minute < 60 && f.second < 60
	sameDay := f.day > 31 || time.Date(f.year, time.Month(f.month), f.day, 0, 0, 0, 0, time.UTC).Day() == f.day
	return t, complete && plain && sameDay
}
