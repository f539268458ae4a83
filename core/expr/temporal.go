package expr

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/datatype"
)

const (
	millisPerDay = 86_400_000
	nanosPerDay  = 86_400_000_000_000
)

// timeUnit is the unit in which a TIME or TIMESTAMP counts.
func timeUnit(t datatype.Type) arrow.TimeUnit { return datatype.TimestampUnit(t.Precision) }

func nanosPer(u arrow.TimeUnit) int64 { return int64(u.Multiplier()) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 { return a - floorDiv(a, b)*b }

// timestampOf is the UTC time that x stands for in type t: a TIMESTAMP's fields
// read as UTC, or a TIMESTAMP_LTZ's instant.
func timestampOf(x int64, t datatype.Type) time.Time {
	switch timeUnit(t) {
	case arrow.Millisecond:
		return time.UnixMilli(x).UTC()
	case arrow.Microsecond:
		return time.UnixMicro(x).UTC()
	default:
		return time.Unix(floorDiv(x, 1e9), floorMod(x, 1e9)).UTC()
	}
}

// physicalTime is the inverse of timestampOf; digits beyond the precision are
// dropped.
func physicalTime(at time.Time, t datatype.Type) int64 {
	var x int64
	switch timeUnit(t) {
	case arrow.Millisecond:
		x = at.UnixMilli()
	case arrow.Microsecond:
		x = at.UnixMicro()
	default:
		x = at.UnixNano()
	}
	return dropDigits(x, t)
}

// dropDigits truncates a time in t's unit to t's precision.
func dropDigits(x int64, t datatype.Type) int64 {
	if step := precisionStep(t); step > 1 {
		return x - floorMod(x, step)
	}
	return x
}

// precisionStep is the number of units in the smallest step of t.
func precisionStep(t datatype.Type) int64 {
	unitDigits := map[arrow.TimeUnit]int{arrow.Millisecond: 3, arrow.Microsecond: 6, arrow.Nanosecond: 9}[timeUnit(t)]
	return pow10(max(unitDigits-t.Precision, 0))
}

// sameFields moves a time between zones keeping its fields: what casts between
// TIMESTAMP and TIMESTAMP_LTZ do.
func sameFields(t time.Time, to *time.Location) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), to)
}

// integerMap is a kernel from integers to integers by a function of the value.
func integerMap(f func(x int64) int64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		in, out := k.args[0].integers(), k.out.writer()
		for _, r := range k.rows() {
			out.putInteger(r, f(in.at(r)))
		}
		return nil
	}
}

// castTemporal casts among DATE, TIME, TIMESTAMP and TIMESTAMP_LTZ.
func castTemporal(from, to datatype.Type, env *environment) (kernel, bool) {
	zoned := (from.Kind == datatype.TimestampLTZ) != (to.Kind == datatype.TimestampLTZ) && env.location != time.UTC
	switch {
	case from.Kind == datatype.Date && to.Kind == datatype.Date:
		return nil, true
	case from.Kind == datatype.Time && to.Kind == datatype.Time, from.IsTimestamp() && to.IsTimestamp() && !zoned:
		if timeUnit(from) == timeUnit(to) && (precisionStep(to) == 1 || from.Precision <= to.Precision) {
			return nil, true
		}
		return integerMap(changeUnit(from, to)), false
	case from.Kind == datatype.Date && to.IsTimestamp() && !zoned:
		perDay := nanosPerDay / nanosPer(timeUnit(to))
		return integerMap(func(x int64) int64 { return x * perDay }), false
	case from.Kind == datatype.Timestamp && to.Kind == datatype.Date:
		perDay := nanosPerDay / nanosPer(timeUnit(from))
		return integerMap(func(x int64) int64 { return floorDiv(x, perDay) }), false
	case from.Kind == datatype.Timestamp && to.Kind == datatype.Time:
		perDay := nanosPerDay / nanosPer(timeUnit(from))
		change := changeUnit(from, to)
		return integerMap(func(x int64) int64 { return change(floorMod(x, perDay)) }), false
	}
	return castZoned(from, to, env), false
}

func changeUnit(from, to datatype.Type) func(x int64) int64 {
	f, t := nanosPer(timeUnit(from)), nanosPer(timeUnit(to))
	return func(x int64) int64 {
		if f > t {
			x *= f / t
		} else {
			x = floorDiv(x, t/f)
		}
		return dropDigits(x, to)
	}
}

// castZoned casts to or from TIMESTAMP_LTZ by the session's zone.
func castZoned(from, to datatype.Type, env *environment) kernel {
	switch {
	case to.Kind == datatype.TimestampLTZ:
		return integerMap(func(x int64) int64 {
			return physicalTime(sameFields(fieldsOf(x, from), env.location), to)
		})
	case from.Kind != datatype.TimestampLTZ:
		return nil
	case to.Kind == datatype.Timestamp:
		return integerMap(func(x int64) int64 {
			return physicalTime(sameFields(timestampOf(x, from).In(env.location), time.UTC), to)
		})
	case to.Kind == datatype.Date:
		return integerMap(func(x int64) int64 {
			return floorDiv(sameFields(timestampOf(x, from).In(env.location), time.UTC).Unix(), 86400)
		})
	case to.Kind == datatype.Time:
		unit := nanosPer(timeUnit(to))
		return integerMap(func(x int64) int64 {
			t := timestampOf(x, from).In(env.location)
			nanos := int64(t.Hour()*3600+t.Minute()*60+t.Second())*1e9 + int64(t.Nanosecond())
			return dropDigits(nanos/unit, to)
		})
	default:
		return nil
	}
}

// fieldsOf is the time whose UTC fields are those of x: a date at midnight, or a
// timestamp.
func fieldsOf(x int64, t datatype.Type) time.Time {
	if t.Kind == datatype.Date {
		return time.Unix(x*86400, 0).UTC()
	}
	return timestampOf(x, t)
}

// temporalKernel is time ± interval, in either order for +, and time - time.
func temporalKernel(op string, a, b, ret datatype.Type) kernel {
	first, second := 0, 1
	if a.IsInterval() {
		a, b, first, second = b, a, 1, 0
	}
	sign := int64(1)
	if op == "-" {
		sign = -1
	}
	switch {
	case b.IsTemporal() && op == "-":
		return differenceKernel(a)
	case b.Kind == datatype.IntervalMonth:
		return shiftKernel(first, second, func(x, months int64) int64 { return AddMonths(x, sign*months, a) })
	case b.Kind == datatype.IntervalSecond:
		return shiftKernel(first, second, shiftBy(a, sign))
	default:
		return nil
	}
}

// shiftBy adds milliseconds in the unit of t; a TIME wraps around at midnight.
func shiftBy(t datatype.Type, sign int64) func(x, ms int64) int64 {
	switch t.Kind {
	case datatype.Date:
		return func(x, ms int64) int64 { return x + floorDiv(sign*ms, millisPerDay) }
	case datatype.Time:
		perMilli := max(1_000_000/nanosPer(timeUnit(t)), 1)
		perDay := nanosPerDay / nanosPer(timeUnit(t))
		return func(x, ms int64) int64 { return floorMod(x+sign*ms*perMilli, perDay) }
	default:
		perMilli := 1_000_000 / nanosPer(timeUnit(t))
		return func(x, ms int64) int64 { return x + sign*ms*perMilli }
	}
}

func shiftKernel(first, second int, f func(x, by int64) int64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		a, b, out := k.args[first].integers(), k.args[second].integers(), k.out.writer()
		for _, r := range k.rows() {
			out.putInteger(r, f(a.at(r), b.at(r)))
		}
		return nil
	}
}

// differenceKernel subtracts two times of one type as milliseconds.
func differenceKernel(t datatype.Type) kernel {
	toMillis := func(x int64) int64 { return floorDiv(x, 1_000_000/nanosPer(timeUnit(t))) }
	if t.Kind == datatype.Date {
		toMillis = func(x int64) int64 { return x * millisPerDay }
	}
	return shiftKernel(0, 1, func(x, y int64) int64 { return toMillis(x) - toMillis(y) })
}

// AddMonths returns x, a date or timestamp of type t as it is stored, so many months
// later. It keeps the day of the month, or takes the last one of a shorter month.
func AddMonths(x, months int64, t datatype.Type) int64 {
	at := fieldsOf(x, t)
	total := int64(at.Year())*12 + int64(at.Month()) - 1 + months
	year, month := int(floorDiv(total, 12)), time.Month(floorMod(total, 12)+1)
	day := min(at.Day(), time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day())
	moved := time.Date(year, month, day, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
	if t.Kind == datatype.Date {
		return floorDiv(moved.Unix(), 86400)
	}
	return physicalTime(moved, t)
}

// scaleInterval is interval * number, number * interval and interval / number.
func scaleInterval(op string, a, b, ret datatype.Type) kernel {
	interval, number := 0, 1
	if b.IsInterval() {
		interval, number, b = 1, 0, a
	}
	if !ret.IsInterval() || !b.IsNumeric() {
		return nil
	}
	whole := b.IsInteger()
	return func(k *call) error {
		k.allocate(k.out)
		in, out := k.args[interval].integers(), k.out.writer()
		by := factor{whole: whole}
		if whole {
			by.integers = k.args[number].integers()
		} else {
			by.floats = k.args[number].floats()
		}
		for _, r := range k.rows() {
			x, err := by.apply(op, in.at(r), r)
			if err != nil {
				return err
			}
			out.putInteger(r, x)
		}
		return nil
	}
}

type factor struct {
	integers integers
	floats   floats
	whole    bool
}

func (f *factor) apply(op string, x int64, r int32) (int64, error) {
	switch {
	case !f.whole && op == "*":
		return saturate(float64(x)*f.floats.at(r), -1<<63, 1<<63-1), nil
	case !f.whole:
		return saturate(float64(x)/f.floats.at(r), -1<<63, 1<<63-1), nil
	case op == "*":
		return x * f.integers.at(r), nil
	case f.integers.at(r) == 0:
		return 0, errDivideByZero("/", "interval")
	default:
		return x / f.integers.at(r), nil
	}
}
