package cells

import (
	"github.com/tidemill/tidemill/core/datatype"
)

// number reads exactly n digits.
func number(b []byte, n int) (v int, rest []byte, ok bool) {
	if len(b) < n {
		return 0, b, false
	}
	for _, c := range b[:n] {
		d := c - '0'
		if d > 9 {
			return 0, b, false
		}
		v = v*10 + int(d)
	}
	return v, b[n:], true
}

// daysOf counts days since 1970 in the proleptic Gregorian calendar.
func daysOf(y, m, d int) int {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yearOfEra := y - era*400
	dayOfYear := (153*(m-3)+2)/5 + d - 1
	return era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
}

func daysIn(y, m int) int {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// date reads yyyy-mm-dd; the year may be negative.
func date(b []byte) (days int, rest []byte, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	y, b, ok := number(b, 4)
	if !ok || len(b) == 0 || b[0] != '-' {
		return 0, b, false
	}
	m, b, ok := number(b[1:], 2)
	if !ok || len(b) == 0 || b[0] != '-' || m < 1 || m > 12 {
		return 0, b, false
	}
	d, b, ok := number(b[1:], 2)
	if negative {
		y = -y
	}
	if !ok || d < 1 || d > daysIn(y, m) {
		return 0, b, false
	}
	return daysOf(y, m, d), b, true
}

// clock reads hh:mm[:ss[.fraction]] as nanoseconds.
func clock(b []byte) (nanos int64, rest []byte, ok bool) {
	h, b, ok := number(b, 2)
	if !ok || len(b) == 0 || b[0] != ':' || h > 23 {
		return 0, b, false
	}
	m, b, ok := number(b[1:], 2)
	if !ok || m > 59 {
		return 0, b, false
	}
	s := 0
	if len(b) > 0 && b[0] == ':' {
		if s, b, ok = number(b[1:], 2); !ok || s > 59 {
			return 0, b, false
		}
	}
	nanos = int64(h*3600+m*60+s) * 1e9
	if len(b) > 0 && b[0] == '.' {
		unit := int64(1e9)
		for b = b[1:]; len(b) > 0 && b[0]-'0' <= 9; b = b[1:] {
			unit /= 10
			nanos += int64(b[0]-'0') * unit
		}
		if unit == 1e9 {
			return 0, b, false
		}
	}
	return nanos, b, true
}

// zone reads Z, +hh:mm, +hhmm or +hh as seconds east of UTC.
func zone(b []byte) (seconds int64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, b, true
	}
	switch b[0] {
	case 'Z', 'z':
		return 0, b[1:], true
	case '+', '-':
	default:
		return 0, b, false
	}
	sign := int64(1)
	if b[0] == '-' {
		sign = -1
	}
	h, b, ok := number(b[1:], 2)
	m := 0
	if ok && len(b) > 0 && b[0] == ':' {
		b = b[1:]
	}
	if ok && len(b) > 0 {
		m, b, ok = number(b, 2)
	}
	return sign * int64(h*3600+m*60), b, ok && h <= 18 && m <= 59
}

func parseDate(b []byte, _ *datatype.Type) (int32, bool) {
	days, rest, ok := date(trim(b))
	return int32(days), ok && len(rest) == 0
}

func parseTime32(b []byte, _ *datatype.Type) (int32, bool) {
	nanos, rest, ok := clock(trim(b))
	return int32(nanos / 1e6), ok && len(rest) == 0
}

func parseTime64(b []byte, t *datatype.Type) (int64, bool) {
	nanos, rest, ok := clock(trim(b))
	if t.Precision <= 6 {
		nanos /= 1000
	}
	return nanos, ok && len(rest) == 0
}

// parseTimestamp reads a date, a clock after a space or T, and for instants a
// zone, UTC if there is none. Digits finer than the type's unit are cut off.
func parseTimestamp(b []byte, t *datatype.Type) (int64, bool) {
	days, b, ok := date(trim(b))
	if !ok {
		return 0, false
	}
	nanos := int64(0)
	if len(b) > 0 {
		if b[0] != ' ' && b[0]|32 != 't' {
			return 0, false
		}
		if nanos, b, ok = clock(b[1:]); !ok {
			return 0, false
		}
	}
	east := int64(0)
	if t.Kind == datatype.TimestampLTZ {
		if len(b) > 0 && b[0] == ' ' {
			b = b[1:]
		}
		if east, b, ok = zone(b); !ok {
			return 0, false
		}
	}
	seconds := int64(days)*86400 - east + nanos/1e9
	return scaleInstant(seconds, nanos%1e9, t.Precision, len(b) == 0)
}

// scaleInstant brings seconds and nanoseconds to the unit of the precision.
func scaleInstant(seconds, nanos int64, precision int, ok bool) (int64, bool) {
	switch {
	case precision <= 3:
		return seconds*1e3 + nanos/1e6, ok
	case precision <= 6:
		return seconds*1e6 + nanos/1e3, ok
	default:
		const limit = (1<<63 - 1) / 1_000_000_000
		return seconds*1e9 + nanos, ok && seconds < limit && seconds > -limit
	}
}
