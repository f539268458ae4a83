package expr

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
)

// parseKernel casts text to a type. Blanks around the text are ignored.
func parseKernel(to datatype.Type, env *environment, try bool) kernel {
	fail := func(k *call, r int32, s []byte, fresh *bool) error {
		if !try {
			return k.atRow(r, errCast(s, to))
		}
		k.setNull(r, fresh)
		return nil
	}
	switch {
	case to.IsBinary():
		return textKernel(func(b, s []byte) []byte { return append(b, s[:min(len(s), to.Precision)]...) })
	case to.Kind == datatype.Decimal:
		return parseDecimals(to, fail)
	case to.Kind == datatype.Boolean:
		return parseBools(fail)
	case to.Kind == datatype.Float || to.Kind == datatype.Double:
		return parseFloats(to, fail)
	}
	parse := integerParser(to, env)
	if parse == nil {
		return nil
	}
	return func(k *call) error {
		k.allocate(k.out)
		in, out, fresh := k.args[0].text(), k.out.writer(), false
		for _, r := range k.rows() {
			s := in.at(int(r))
			x, ok := parse(s)
			if ok {
				out.putInteger(r, x)
			} else if err := fail(k, r, s, &fresh); err != nil {
				return err
			}
		}
		return nil
	}
}

type parseFailure = func(k *call, r int32, s []byte, fresh *bool) error

func parseDecimals(to datatype.Type, fail parseFailure) kernel {
	return func(k *call) error {
		in, out := k.args[0].text(), k.decimalOut(to)
		for _, r := range k.rows() {
			s := in.at(int(r))
			x, ok := parseDecimal(strings.TrimSpace(string(s)), to.Scale)
			if ok {
				out.put(r, x, true)
			} else if err := fail(k, r, s, &out.fresh); err != nil {
				return err
			}
		}
		return nil
	}
}

func parseFloats(to datatype.Type, fail parseFailure) kernel {
	bits := 64
	if to.Kind == datatype.Float {
		bits = 32
	}
	return func(k *call) error {
		k.allocate(k.out)
		in, out, fresh := k.args[0].text(), k.out.writer(), false
		for _, r := range k.rows() {
			s := in.at(int(r))
			x, ok := parseFloat(strings.TrimSpace(string(s)), bits)
			if ok {
				out.putFloat(r, x)
			} else if err := fail(k, r, s, &fresh); err != nil {
				return err
			}
		}
		return nil
	}
}

// parseFloat reads what Java reads: no hexadecimal, no underscores.
func parseFloat(s string, bits int) (float64, bool) {
	if strings.ContainsAny(s, "_xX") {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, bits)
	if err != nil && !math.IsInf(x, 0) {
		return 0, false
	}
	return x, true
}

func parseBools(fail parseFailure) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		clear(k.out.data)
		in, fresh := k.args[0].text(), false
		for _, r := range k.rows() {
			s := in.at(int(r))
			switch strings.ToLower(strings.TrimSpace(string(s))) {
			case "true", "t", "yes", "y", "1":
				setBit(k.out.data, int(r))
			case "false", "f", "no", "n", "0":
			default:
				if err := fail(k, r, s, &fresh); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// integerParser reads what is an integer in its physical form.
func integerParser(to datatype.Type, env *environment) func(s []byte) (int64, bool) {
	switch to.Kind {
	case datatype.TinyInt:
		return wholeNumber(math.MinInt8, math.MaxInt8)
	case datatype.SmallInt:
		return wholeNumber(math.MinInt16, math.MaxInt16)
	case datatype.Int, datatype.IntervalMonth:
		return wholeNumber(math.MinInt32, math.MaxInt32)
	case datatype.BigInt, datatype.IntervalSecond:
		return wholeNumber(math.MinInt64, math.MaxInt64)
	case datatype.Date:
		return func(s []byte) (int64, bool) {
			t, ok := parseTimestamp(strings.TrimSpace(string(s)), time.UTC)
			return floorDiv(t.Unix(), 86400), ok
		}
	case datatype.Time:
		return func(s []byte) (int64, bool) {
			nanos, ok := parseClock(strings.TrimSpace(string(s)))
			return nanos / nanosPer(timeUnit(to)), ok
		}
	case datatype.Timestamp, datatype.TimestampLTZ:
		in := time.UTC
		if to.Kind == datatype.TimestampLTZ {
			in = env.location
		}
		return func(s []byte) (int64, bool) {
			t, ok := parseTimestamp(strings.TrimSpace(string(s)), in)
			return physicalTime(t, to), ok
		}
	default:
		return nil
	}
}

// wholeNumber reads an integer; digits after a point are dropped, as Flink does.
func wholeNumber(low, high int64) func(s []byte) (int64, bool) {
	return func(s []byte) (int64, bool) {
		if x, ok := shortInteger(s); ok {
			return x, x >= low && x <= high
		}
		text := strings.TrimSpace(string(s))
		whole, fraction, point := strings.Cut(text, ".")
		if point && (fraction == "" && whole == "" || strings.Trim(fraction, "0123456789") != "") {
			return 0, false
		}
		if point && strings.Trim(whole, "+-") == "" {
			whole += "0"
		}
		x, err := strconv.ParseInt(whole, 10, 64)
		return x, err == nil && x >= low && x <= high
	}
}

// shortInteger reads plain digits with an optional sign, without allocating.
func shortInteger(s []byte) (int64, bool) {
	negative := len(s) > 1 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	x := int64(0)
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		x = x*10 + int64(c-'0')
	}
	if negative {
		x = -x
	}
	return x, true
}

// parseTimestamp reads yyyy-MM-dd, optionally followed by a blank or T and a
// clock, optionally followed by Z.
func parseTimestamp(s string, in *time.Location) (time.Time, bool) {
	date, clock, _ := strings.Cut(strings.Replace(s, "T", " ", 1), " ")
	if zone, ok := strings.CutSuffix(clock, "Z"); ok {
		clock, in = zone, time.UTC
	}
	year, rest, ok1 := strings.Cut(date, "-")
	month, day, ok2 := strings.Cut(rest, "-")
	y, ok3 := smallNumber(year, 4)
	m, ok4 := smallNumber(month, 2)
	d, ok5 := smallNumber(day, 2)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return time.Time{}, false
	}
	nanos := int64(0)
	if clock != "" {
		var ok bool
		if nanos, ok = parseClock(clock); !ok {
			return time.Time{}, false
		}
	}
	sec := int(nanos / 1e9)
	t := time.Date(y, time.Month(m), d, sec/3600, sec/60%60, sec%60, int(nanos%1e9), in)
	return t, m >= 1 && m <= 12 && d >= 1 && time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Day() == d
}

// parseClock reads HH:mm[:ss[.fraction]] as nanoseconds of the day.
func parseClock(s string) (int64, bool) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	h, ok1 := smallNumber(parts[0], 2)
	m, ok2 := smallNumber(parts[1], 2)
	sec, nanos, ok3 := 0, int64(0), true
	if len(parts) == 3 {
		whole, fraction, _ := strings.Cut(parts[2], ".")
		sec, ok3 = smallNumber(whole, 2)
		if fraction != "" {
			padded := (fraction + "000000000")[:9]
			n, err := strconv.ParseUint(padded, 10, 32)
			if nanos = int64(n); err != nil {
				return 0, false
			}
		}
	}
	ok := ok1 && ok2 && ok3 && h < 24 && m < 60 && sec < 60
	return int64(h*3600+m*60+sec)*1e9 + nanos, ok
}

// smallNumber reads up to max digits.
func smallNumber(s string, max int) (int, bool) {
	if len(s) == 0 || len(s) > max {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && s[0] != '+'
}
