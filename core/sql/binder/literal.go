package binder

import (
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

func stringLiteral(s string) *expr.Literal {
	t := datatype.Of(datatype.Char).WithPrecision(max(1, len([]rune(s)))).NotNull()
	return &expr.Literal{Value: s, T: t}
}

func boolLiteral(v bool) *expr.Literal {
	return &expr.Literal{Value: v, T: datatype.Of(datatype.Boolean).NotNull()}
}

func intLiteral(v int64) *expr.Literal {
	kind := datatype.Int
	if v > math.MaxInt32 || v < math.MinInt32 {
		kind = datatype.BigInt
	}
	return &expr.Literal{Value: v, T: datatype.Of(kind).NotNull()}
}

// number returns the literal of a number with its sign: INT or BIGINT where it
// fits, DECIMAL for a point, DOUBLE for an exponent.
func (b *Binder) number(n ast.Node, text string) (expr.Expr, error) {
	text = strings.ReplaceAll(text, "_", "")
	if strings.ContainsAny(text, "eE") {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, b.errorf(sqlerr.BadLiteral, n, "%s is out of the range of DOUBLE", text)
		}
		return &expr.Literal{Value: v, T: datatype.Of(datatype.Double).NotNull()}, nil
	}
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		return intLiteral(v), nil
	}
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	whole = strings.TrimLeft(whole, "0")
	precision, scale := max(1, len(whole)+len(fraction)), len(fraction)
	unscaled, ok := new(big.Int).SetString("0"+whole+fraction, 10)
	if !ok || precision > datatype.MaxDecimalPrecision {
		return nil, b.errorf(sqlerr.BadLiteral, n, "%s has %d digits, DECIMAL has at most %d", text, precision, datatype.MaxDecimalPrecision)
	}
	if negative {
		unscaled.Neg(unscaled)
	}
	t := datatype.DecimalOf(precision, scale).NotNull()
	if precision <= datatype.MaxDecimal64Precision {
		return &expr.Literal{Value: unscaled.Int64(), T: t}, nil
	}
	return &expr.Literal{Value: decimal128.FromBigInt(unscaled), T: t}, nil
}

func (b *Binder) binary(n *ast.BinaryLit) (expr.Expr, error) {
	v, err := hex.DecodeString(n.Hex)
	if err != nil {
		return nil, b.errorf(sqlerr.BadLiteral, n, "X'%s' is not hexadecimal", n.Hex)
	}
	return &expr.Literal{Value: v, T: datatype.Of(datatype.Binary).WithPrecision(max(1, len(v))).NotNull()}, nil
}

func (b *Binder) timeLiteral(n *ast.TimeLit) (expr.Expr, error) {
	bad := func(want string) error {
		return b.errorf(sqlerr.BadLiteral, n, "'%s' is not a %s", n.Value, n.Kind).Suggest("write it like %s", want)
	}
	value := strings.TrimSpace(n.Value)
	digits := 0
	if _, fraction, ok := strings.Cut(value, "."); ok {
		digits = len(fraction)
	}
	if digits > datatype.MaxTimePrecision {
		return nil, b.errorf(sqlerr.BadLiteral, n, "'%s' has more than %d digits of seconds", n.Value, datatype.MaxTimePrecision)
	}
	switch n.Kind {
	case ast.DateLit:
		t, err := time.Parse("2006-01-02", value)
		if err != nil {
			return nil, bad("DATE '2026-11-20'")
		}
		return &expr.Literal{Value: floorDiv(t.Unix(), 86400), T: datatype.Of(datatype.Date).NotNull()}, nil
	case ast.TimeOfDayLit:
		t, err := time.Parse("15:04:05", value)
		if err != nil {
			return nil, bad("TIME '12:34:56'")
		}
		nanos := t.Sub(t.Truncate(24 * time.Hour)).Nanoseconds()
		return &expr.Literal{Value: nanos / unitNanos(digits), T: datatype.Of(datatype.Time).WithPrecision(digits).NotNull()}, nil
	}
	kind := datatype.Timestamp
	if n.Kind == ast.TimestampLtzLit {
		kind = datatype.TimestampLTZ
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, value); err == nil {
			per := unitNanos(digits)
			v := t.Unix()*(1e9/per) + int64(t.Nanosecond())/per
			return &expr.Literal{Value: v, T: datatype.Of(kind).WithPrecision(digits).NotNull()}, nil
		}
	}
	return nil, bad("TIMESTAMP '2026-11-20 12:34:56'")
}

// unitNanos is the physical unit of a time with that many digits of seconds.
func unitNanos(digits int) int64 {
	switch {
	case digits <= 3:
		return 1e6
	case digits <= 6:
		return 1e3
	}
	return 1
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// interval reads the fields of an interval: months, or milliseconds.
func (b *Binder) interval(n *ast.IntervalLit) (expr.Expr, error) {
	value := strings.TrimSpace(n.Value)
	negative := n.Negative
	if rest, ok := strings.CutPrefix(value, "-"); ok {
		value, negative = rest, !negative
	}
	fields := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ':' || r == '-' })
	units := intervalUnits(n.Qualifier)
	if len(fields) != len(units) {
		return nil, b.errorf(sqlerr.BadLiteral, n, "'%s' does not have the fields of this interval", n.Value)
	}
	total := 0.0
	for i, f := range fields {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || v < 0 || v != math.Trunc(v) && units[i] != ast.UnitSecond {
			return nil, b.errorf(sqlerr.BadLiteral, n, "'%s' is not a number of %ss", f, strings.ToLower(units[i].String()))
		}
		total += v * unitSize(units[i])
	}
	if negative {
		total = -total
	}
	kind := datatype.IntervalSecond
	if n.Qualifier.From == ast.UnitYear || n.Qualifier.From == ast.UnitMonth || n.Qualifier.From == ast.UnitQuarter {
		kind = datatype.IntervalMonth
	}
	if math.Abs(total) >= 1<<53 || kind == datatype.IntervalMonth && math.Abs(total) > math.MaxInt32 {
		return nil, b.errorf(sqlerr.BadLiteral, n, "the interval is out of range")
	}
	return &expr.Literal{Value: int64(math.Round(total)), T: datatype.Of(kind).NotNull()}, nil
}

func intervalUnits(q ast.IntervalQualifier) []ast.TimeUnit {
	if q.To == ast.UnitNone || q.To == q.From {
		return []ast.TimeUnit{q.From}
	}
	order := []ast.TimeUnit{ast.UnitYear, ast.UnitMonth, ast.UnitDay, ast.UnitHour, ast.UnitMinute, ast.UnitSecond}
	var units []ast.TimeUnit
	for _, u := range order {
		if u >= q.From && u <= q.To {
			units = append(units, u)
		}
	}
	return units
}

// unitSize is a unit in months, or in milliseconds.
func unitSize(u ast.TimeUnit) float64 {
	switch u {
	case ast.UnitYear:
		return 12
	case ast.UnitQuarter:
		return 3
	case ast.UnitMonth:
		return 1
	case ast.UnitWeek:
		return 7 * 86_400_000
	case ast.UnitDay:
		return 86_400_000
	case ast.UnitHour:
		return 3_600_000
	case ast.UnitMinute:
		return 60_000
	case ast.UnitSecond:
		return 1000
	}
	return 1
}
