package expr

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
)

// timeText finds the functions between times and text or numbers.
func (c *compiler) timeText(x *Call) (k kernel, strict bool, err error) {
	switch x.Function {
	case "DATE_FORMAT":
		return c.dateFormat(x.Args[0].Type()), true, nil
	case "FROM_UNIXTIME":
		return c.fromUnixTime(), true, nil
	case "UNIX_TIMESTAMP":
		if len(x.Args) == 0 {
			return func(k *call) error {
				k.allocate(k.out)
				values[int64](k.out)[0] = c.env.now().Unix()
				return nil
			}, true, nil
		}
		return c.unixTimestamp(), true, nil
	case "TO_DATE":
		return parseTimeKernel(time.UTC, func(t time.Time) int64 { return floorDiv(t.Unix(), 86400) }), true, nil
	case "TO_TIMESTAMP":
		return parseTimeKernel(time.UTC, func(t time.Time) int64 { return physicalTime(t, x.T) }), true, nil
	case "TO_TIMESTAMP_LTZ":
		if x.Args[0].Type().IsInteger() {
			return epochKernel, true, nil
		}
		return parseTimeKernel(c.env.location, func(t time.Time) int64 { return physicalTime(t, x.T) }), true, nil
	case "CONVERT_TZ":
		return convertZone(), true, nil
	default:
		return nil, false, nil
	}
}

// dateFormat is DATE_FORMAT of a time, or of text that is one.
func (c *compiler) dateFormat(t datatype.Type) kernel {
	return func(k *call) error {
		a, out, cache, fresh := k.arguments(), k.textOut(), patterns{}, false
		for _, r := range k.rows() {
			p, err := cache.of(a.s(1, r))
			if err != nil {
				return err
			}
			at, ok := c.timeAt(a, r, t)
			if !out.begin(r) {
				break
			}
			if !ok {
				k.setNull(r, &fresh)
				continue
			}
			out.data = p.format(out.data, at)
		}
		return out.end()
	}
}

// timeAt is the local time of the first argument.
func (c *compiler) timeAt(a *arguments, r int32, t datatype.Type) (time.Time, bool) {
	switch {
	case t.IsString():
		return parseTimestamp(strings.TrimSpace(string(a.s(0, r))), time.UTC)
	case t.Kind == datatype.TimestampLTZ:
		return timestampOf(a.n(0, r), t).In(c.env.location), true
	default:
		return fieldsOf(a.n(0, r), t), true
	}
}

// fromUnixTime formats seconds since the epoch in the session's zone.
func (c *compiler) fromUnixTime() kernel {
	return func(k *call) error {
		a, out, cache := k.arguments(), k.textOut(), patterns{}
		for _, r := range k.rows() {
			pattern := []byte(defaultPattern)
			if a.count() > 1 {
				pattern = a.s(1, r)
			}
			p, err := cache.of(pattern)
			if err != nil {
				return err
			}
			if !out.begin(r) {
				break
			}
			out.data = p.format(out.data, time.Unix(a.n(0, r), 0).In(c.env.location))
		}
		return out.end()
	}
}

// unixTimestamp reads text in the session's zone; what is no time gives the
// smallest number, as in Flink.
func (c *compiler) unixTimestamp() kernel {
	return func(k *call) error {
		k.allocate(k.out)
		a, out, cache := k.arguments(), values[int64](k.out), patterns{}
		for _, r := range k.rows() {
			t, ok, err := readTime(a, r, &cache, c.env.location)
			if err != nil {
				return err
			}
			if out[r] = t.Unix(); !ok {
				out[r] = -1 << 63
			}
		}
		return nil
	}
}

// readTime reads the text of the first argument, by the pattern of the second
// where there is one.
func readTime(a *arguments, r int32, cache *patterns, in *time.Location) (time.Time, bool, error) {
	s := strings.TrimSpace(string(a.s(0, r)))
	if a.count() < 2 {
		t, ok := parseTimestamp(s, in)
		return t, ok, nil
	}
	p, err := cache.of(a.s(1, r))
	if err != nil {
		return time.Time{}, false, err
	}
	t, ok := p.parse(s, in)
	return t, ok, nil
}

// parseTimeKernel is TO_DATE and its like: null where the text is no time.
func parseTimeKernel(in *time.Location, physical func(t time.Time) int64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		a, out, cache, fresh := k.arguments(), k.out.writer(), patterns{}, false
		for _, r := range k.rows() {
			t, ok, err := readTime(a, r, &cache, in)
			if err != nil {
				return err
			}
			if !ok {
				k.setNull(r, &fresh)
				continue
			}
			out.putInteger(r, physical(t))
		}
		return nil
	}
}

// epochKernel is TO_TIMESTAMP_LTZ of a number: seconds, or with precision 3
// milliseconds; other precisions give null.
func epochKernel(k *call) error {
	k.allocate(k.out)
	a, out, fresh := k.arguments(), values[int64](k.out), false
	for _, r := range k.rows() {
		switch x := a.n(0, r); a.or(1, r, 3) {
		case 0:
			out[r] = x * 1000
		case 3:
			out[r] = x
		default:
			k.setNull(r, &fresh)
		}
	}
	return nil
}

// convertZone is CONVERT_TZ(text, from, to): null for text that is no time or
// zones that are unknown.
func convertZone() kernel {
	return textOf(func(b []byte, a *arguments, r int32) ([]byte, bool) {
		from, ok1 := zone(string(a.s(1, r)))
		to, ok2 := zone(string(a.s(2, r)))
		if !ok1 || !ok2 {
			return b, false
		}
		t, ok := parseTimestamp(string(a.s(0, r)), from)
		if !ok {
			return b, false
		}
		return t.In(to).AppendFormat(b, "2006-01-02 15:04:05"), true
	})
}

// zone finds a time zone by name, or by an offset such as GMT+08:00.
func zone(name string) (*time.Location, bool) {
	if offset, ok := strings.CutPrefix(name, "GMT"); ok && len(offset) > 1 {
		hours, minutes, _ := strings.Cut(offset[1:], ":")
		h, err1 := strconv.Atoi(hours)
		m, err2 := strconv.Atoi("0" + minutes)
		seconds := h*3600 + m*60
		if offset[0] == '-' {
			seconds = -seconds
		}
		return time.FixedZone(name, seconds), err1 == nil && err2 == nil
	}
	loc, err := time.LoadLocation(name)
	return loc, err == nil
}
