package expr

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// timeFunction finds the kernels on times.
func (c *compiler) timeFunction(x *Call) (k kernel, strict bool, err error) {
	switch x.Function {
	case "YEAR", "QUARTER", "MONTH", "WEEK", "HOUR", "MINUTE", "SECOND":
		return c.extract(x.Function, x.Args[0].Type(), 0), true, nil
	case "DAYOFYEAR":
		return c.extract("DOY", x.Args[0].Type(), 0), true, nil
	case "DAYOFMONTH":
		return c.extract("DAY", x.Args[0].Type(), 0), true, nil
	case "DAYOFWEEK":
		return c.extract("DOW", x.Args[0].Type(), 0), true, nil
	case "EXTRACT", "TIMESTAMPADD", "TIMESTAMPDIFF":
		unit, err := unitOf(x.Args[0])
		if err != nil {
			return nil, false, err
		}
		return c.unitKernel(x, unit), true, nil
	case "FLOOR", "CEIL":
		unit, err := unitOf(x.Args[1])
		if err != nil {
			return nil, false, err
		}
		return c.roundTime(x.Args[0].Type(), unit, x.Function == "CEIL"), true, nil
	case "DATEDIFF":
		return c.dateDiff(x), true, nil
	case "$TUMBLE_START", "$TUMBLE_END":
		return c.tumble(x), true, nil
	case "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "PROCTIME":
		return c.clockKernel(x), true, nil
	}
	return c.timeText(x)
}

func (c *compiler) unitKernel(x *Call, unit string) kernel {
	switch x.Function {
	case "EXTRACT":
		return c.extract(unit, x.Args[1].Type(), 1)
	case "TIMESTAMPADD":
		return timestampAdd(unit, x.T)
	default:
		return timestampDiff(unit, x.Args[1].Type())
	}
}

// unitOf reads a literal unit of time.
func unitOf(e Expr) (string, error) {
	l, ok := e.(*Literal)
	if !ok {
		return "", fmt.Errorf("unit %s is not a literal", String(e))
	}
	s, ok := l.Value.(string)
	if !ok {
		return "", fmt.Errorf("unit %s is not text", String(e))
	}
	return strings.TrimPrefix(strings.ToUpper(s), "SQL_TSI_"), nil
}

// moment is a point in time, cut into a day and the nanoseconds of it.
type moment struct {
	day   int64 // since 1970-01-01
	nanos int64
}

// momentOf opens values of type t: local fields for TIMESTAMP_LTZ.
func (c *compiler) momentOf(t datatype.Type) func(x int64) moment {
	if t.Kind == datatype.Date {
		return func(x int64) moment { return moment{day: x} }
	}
	unit := nanosPer(timeUnit(t))
	perDay := nanosPerDay / unit
	split := func(x int64) moment {
		day := floorDiv(x, perDay)
		return moment{day, (x - day*perDay) * unit}
	}
	if t.Kind != datatype.TimestampLTZ || c.env.location == time.UTC {
		return split
	}
	return func(x int64) moment {
		m := split(x)
		_, offset := time.Unix(m.day*86400+m.nanos/1e9, 0).In(c.env.location).Zone()
		m.nanos += int64(offset) * 1e9
		m.day += floorDiv(m.nanos, nanosPerDay)
		m.nanos = floorMod(m.nanos, nanosPerDay)
		return m
	}
}

// daysOf is the inverse of datatype.Civil; the month may lie outside 1 to 12.
func daysOf(year, month, day int64) int64 {
	year += floorDiv(month-1, 12)
	month = floorMod(month-1, 12) + 1
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + day - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// extract is a field of the time in argument number arg.
func (c *compiler) extract(unit string, t datatype.Type, arg int) kernel {
	if t.IsInterval() {
		return extractInterval(unit, t, arg)
	}
	get, open := fieldOf(unit), c.momentOf(t)
	if get == nil {
		return nil
	}
	if t.Kind == datatype.Date && unit == "YEAR" {
		return yearOfDate(arg)
	}
	return func(k *call) error {
		k.allocate(k.out)
		in, out := k.args[arg].integers(), values[int64](k.out)
		for _, r := range k.rows() {
			out[r] = get(open(in.at(r)))
		}
		return nil
	}
}

// yearOfDate is the most common field, without calls through functions.
func yearOfDate(arg int) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		in, out, mask := values[int32](k.args[arg]), values[int64](k.out), k.args[arg].mask()
		for _, r := range k.rows() {
			out[r], _, _ = datatype.Civil(int64(in[int(r)&mask]))
		}
		return nil
	}
}

// fieldOf returns what EXTRACT takes of a moment.
func fieldOf(unit string) func(m moment) int64 {
	switch unit {
	case "HOUR":
		return func(m moment) int64 { return m.nanos / 3600e9 }
	case "MINUTE":
		return func(m moment) int64 { return m.nanos / 60e9 % 60 }
	case "SECOND":
		return func(m moment) int64 { return m.nanos / 1e9 % 60 }
	case "MILLISECOND":
		return func(m moment) int64 { return m.nanos / 1e6 % 1000 }
	case "MICROSECOND":
		return func(m moment) int64 { return m.nanos / 1e3 % 1e6 }
	case "NANOSECOND":
		return func(m moment) int64 { return m.nanos % 1e9 }
	case "EPOCH":
		return func(m moment) int64 { return m.day*86400 + m.nanos/1e9 }
	case "DOW":
		return func(m moment) int64 { return floorMod(m.day+4, 7) + 1 }
	case "ISODOW":
		return func(m moment) int64 { return floorMod(m.day+3, 7) + 1 }
	case "WEEK":
		return func(m moment) int64 { _, week := isoWeek(m.day); return week }
	case "ISOYEAR":
		return func(m moment) int64 { year, _ := isoWeek(m.day); return year }
	}
	get := dateField(unit)
	if get == nil {
		return nil
	}
	return func(m moment) int64 {
		year, month, day := datatype.Civil(m.day)
		return get(year, month, day)
	}
}

func dateField(unit string) func(year, month, day int64) int64 {
	switch unit {
	case "YEAR":
		return func(year, _, _ int64) int64 { return year }
	case "QUARTER":
		return func(_, month, _ int64) int64 { return (month + 2) / 3 }
	case "MONTH":
		return func(_, month, _ int64) int64 { return month }
	case "DAY":
		return func(_, _, day int64) int64 { return day }
	case "DOY":
		return func(year, month, day int64) int64 { return daysOf(year, month, day) - daysOf(year, 1, 1) + 1 }
	case "DECADE":
		return func(year, _, _ int64) int64 { return floorDiv(year, 10) }
	case "CENTURY":
		return func(year, _, _ int64) int64 { return floorDiv(year+99, 100) }
	case "MILLENNIUM":
		return func(year, _, _ int64) int64 { return floorDiv(year+999, 1000) }
	default:
		return nil
	}
}

// isoWeek is the week of the year to which the day's Thursday belongs.
func isoWeek(day int64) (year, week int64) {
	thursday := day - floorMod(day+3, 7) + 3
	year, _, _ = datatype.Civil(thursday)
	return year, (thursday-daysOf(year, 1, 1))/7 + 1
}

func extractInterval(unit string, t datatype.Type, arg int) kernel {
	months := map[string][2]int64{"YEAR": {12, 1 << 62}, "MONTH": {1, 12}, "QUARTER": {3, 4}, "DECADE": {120, 1 << 62}}
	millis := map[string][2]int64{
		"DAY": {millisPerDay, 1 << 62}, "HOUR": {3600_000, 24}, "MINUTE": {60_000, 60}, "SECOND": {1000, 60},
		"MILLISECOND": {1, 1000}, "EPOCH": {1000, 1 << 62},
	}
	units := millis
	if t.Kind == datatype.IntervalMonth {
		units = months
	}
	of, ok := units[unit]
	if !ok {
		return nil
	}
	return integerOf(func(a *arguments, r int32) int64 { return a.n(arg, r) / of[0] % of[1] })
}

// unitMonths and unitNanos are the lengths of the units of time.
func unitMonths(unit string) int64 {
	return map[string]int64{"MONTH": 1, "QUARTER": 3, "YEAR": 12, "DECADE": 120, "CENTURY": 1200, "MILLENNIUM": 12000}[unit]
}

func unitNanos(unit string) int64 {
	return map[string]int64{
		"NANOSECOND": 1, "MICROSECOND": 1e3, "MILLISECOND": 1e6, "SECOND": 1e9, "MINUTE": 60e9, "HOUR": 3600e9,
		"DAY": nanosPerDay, "WEEK": 7 * nanosPerDay,
	}[unit]
}

// physical puts a moment into type t: the inverse of momentOf in UTC.
func (m moment) physical(t datatype.Type) int64 {
	if t.Kind == datatype.Date {
		return m.day
	}
	unit := nanosPer(timeUnit(t))
	return m.day*(nanosPerDay/unit) + m.nanos/unit
}

// roundTime is FLOOR and CEIL of a time to a unit.
func (c *compiler) roundTime(t datatype.Type, unit string, up bool) kernel {
	floor := floorTo(unit)
	if floor == nil {
		return nil
	}
	open, back := c.momentOf(t), c.instantOf(t)
	return integerMap(func(x int64) int64 {
		m := open(x)
		down, next := floor(m)
		if up && down != m {
			down = next
		}
		return back(down)
	})
}

// instantOf is the inverse of momentOf.
func (c *compiler) instantOf(t datatype.Type) func(m moment) int64 {
	if t.Kind != datatype.TimestampLTZ || c.env.location == time.UTC {
		return func(m moment) int64 { return m.physical(t) }
	}
	return func(m moment) int64 {
		at := time.Unix(m.day*86400+m.nanos/1e9, m.nanos%1e9).UTC()
		return physicalTime(sameFields(at, c.env.location), t)
	}
}

// floorTo returns the start of the unit that holds a moment, and the next start.
func floorTo(unit string) func(m moment) (down, next moment) {
	if months := unitMonths(unit); months > 0 {
		return func(m moment) (down, next moment) {
			year, month, _ := datatype.Civil(m.day)
			first := floorDiv(year*12+month-1, months) * months
			if months >= 1200 { // centuries begin with year 1
				first = floorDiv(year*12+month-13, months)*months + 12
			}
			return moment{day: daysOf(floorDiv(first, 12), floorMod(first, 12)+1, 1)},
				moment{day: daysOf(floorDiv(first+months, 12), floorMod(first+months, 12)+1, 1)}
		}
	}
	switch nanos := unitNanos(unit); {
	case unit == "WEEK":
		return func(m moment) (down, next moment) { // from Sunday on, as Calcite
			day := m.day - floorMod(m.day+4, 7)
			return moment{day: day}, moment{day: day + 7}
		}
	case nanos > 0:
		return func(m moment) (down, next moment) {
			start := m.nanos - m.nanos%nanos
			next = moment{m.day, start + nanos}
			if next.nanos >= nanosPerDay {
				next = moment{day: m.day + 1}
			}
			return moment{m.day, start}, next
		}
	default:
		return nil
	}
}

// timestampAdd is TIMESTAMPADD(unit, n, t). A result that its type cannot hold is
// an error.
func timestampAdd(unit string, t datatype.Type) kernel {
	if months := unitMonths(unit); months > 0 {
		most := maxYears(t)
		return checkedShift(t, func(x, n int64) (int64, bool) {
			if n > 12*most/months || n < -12*most/months {
				return 0, false
			}
			year := int64(fieldsOf(x, t).Year()) + n*months/12 - 1970
			return AddMonths(x, n*months, t), -most < year && year < most
		})
	}
	nanos := unitNanos(unit)
	if nanos == 0 {
		return nil
	}
	per := int64(nanosPerDay)
	if t.Kind != datatype.Date {
		per = nanosPer(timeUnit(t))
	}
	return checkedShift(t, func(x, n int64) (int64, bool) {
		if nanos < per {
			n = floorDiv(n, per/nanos)
		} else if factor := nanos / per; n > math.MaxInt64/factor || n < math.MinInt64/factor {
			return 0, false
		} else {
			n *= factor
		}
		return x + n, (x+n > x) == (n > 0)
	})
}

// maxYears is about how many years from 1970 a type reaches, both ways.
func maxYears(t datatype.Type) int64 {
	if t.Precision > 6 {
		return 292
	}
	return 292_000
}

func checkedShift(t datatype.Type, f func(x, n int64) (int64, bool)) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		a, b, out := k.args[2].integers(), k.args[1].integers(), k.out.writer()
		for _, r := range k.rows() {
			v, ok := f(a.at(r), b.at(r))
			if !ok || t.Kind == datatype.Date && int64(int32(v)) != v {
				return failure.Errorf(failure.UserCode, "TIMESTAMPADD: %d units more exceed %s", b.at(r), t.WithNull(true))
			}
			out.putInteger(r, v)
		}
		return nil
	}
}

// timestampDiff is TIMESTAMPDIFF(unit, from, to): whole units, towards zero.
func timestampDiff(unit string, t datatype.Type) kernel {
	if months := unitMonths(unit); months > 0 {
		return shiftKernel(1, 2, func(from, to int64) int64 { return monthsBetween(from, to, t) / months })
	}
	nanos := unitNanos(unit)
	if nanos == 0 {
		return nil
	}
	per := int64(nanosPerDay)
	if t.Kind != datatype.Date {
		per = nanosPer(timeUnit(t))
	}
	return shiftKernel(1, 2, func(from, to int64) int64 {
		if nanos >= per {
			return (to - from) / (nanos / per)
		}
		return (to - from) * (per / nanos)
	})
}

// monthsBetween counts the whole months from one time to another.
func monthsBetween(from, to int64, t datatype.Type) int64 {
	a, b := fieldsOf(from, t), fieldsOf(to, t)
	months := int64(b.Year()-a.Year())*12 + int64(b.Month()-a.Month())
	switch moved := AddMonths(from, months, t); {
	case months > 0 && moved > to:
		months--
	case months < 0 && moved < to:
		months++
	}
	return months
}

// dateDiff is the number of days from the second time to the first.
func (c *compiler) dateDiff(x *Call) kernel {
	a, b := c.momentOf(x.Args[0].Type()), c.momentOf(x.Args[1].Type())
	return shiftKernel(0, 1, func(x, y int64) int64 { return a(x).day - b(y).day })
}

// tumble is the start or end of the tumbling window that holds a time. Windows
// of TIMESTAMP_LTZ are aligned to the session's zone, as in Flink.
func (c *compiler) tumble(x *Call) kernel {
	t := x.Args[0].Type()
	perMilli := 1_000_000 / nanosPer(timeUnit(t))
	end := int64(0)
	if x.Function == "$TUMBLE_END" {
		end = 1
	}
	local := func(x int64) int64 { return x }
	if back := c.momentOf(t); t.Kind == datatype.TimestampLTZ && c.env.location != time.UTC {
		local = func(x int64) int64 { return back(x).physical(t) }
	}
	return func(k *call) error {
		k.allocate(k.out)
		in, out := values[int64](k.args[0]), values[int64](k.out)
		size, offset := k.args[1].integers(), k.args[2].integers()
		mask := k.args[0].mask()
		for _, r := range k.rows() {
			x, width := in[int(r)&mask], size.at(r)*perMilli
			if width <= 0 {
				return failure.Errorf(failure.UserCode, "a window of %d ms: want a positive size", size.at(r))
			}
			out[r] = x - floorMod(local(x)-offset.at(r)*perMilli, width) + end*width
		}
		return nil
	}
}

// clockKernel is the time of the batch: one value for all of its rows.
func (c *compiler) clockKernel(x *Call) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		now := c.env.now()
		if x.T.Kind != datatype.TimestampLTZ {
			now = sameFields(now.In(c.env.location), time.UTC)
		}
		out := k.out.writer()
		switch x.T.Kind {
		case datatype.Date:
			out.putInteger(0, floorDiv(now.Unix(), 86400))
		case datatype.Time:
			millis := floorMod(now.UnixMilli(), millisPerDay)
			out.putInteger(0, dropDigits(millis, x.T))
		default:
			out.putInteger(0, physicalTime(now, x.T))
		}
		return nil
	}
}
