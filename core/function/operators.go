package function

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
)

func operator(name, usage string, r resolver) definition {
	return definition{name: name, kind: Scalar, usage: []string{usage}, resolve: r}
}

func operators() []definition {
	fixed := []definition{
		operator("+", "a + b with numbers, intervals, or a time and an interval", plus),
		operator("-", "a - b or -a with numbers, intervals or times", minus),
		operator("*", "a * b with numbers, or an interval and a number", times),
		operator("/", "a / b with numbers, or an interval and a number", divide),
		operator("%", "a % b with exact numbers", modulo),
		scalar("AND", "bool, bool, bool... -> BOOLEAN"),
		scalar("OR", "bool, bool, bool... -> BOOLEAN"),
		scalar("NOT", "bool -> BOOLEAN"),
		operator("||", "string || string, binary || binary or array || array", concatenation),
		operator("LIKE", "string LIKE string [ESCAPE string]", pattern),
		operator("SIMILAR TO", "string SIMILAR TO string [ESCAPE string]", pattern),
		operator("IN", "value IN (value, ...)", membership),
		operator("CAST", "CAST(value AS type)", cast(false)),
		operator("TRY_CAST", "TRY_CAST(value AS type)", cast(true)),
		operator("[]", "array[integer] or map[key]", element),
		operator(".", "row.field", field),
		scalar("$KEY", "any -> BYTES!"),
		scalar("$VALUE", "binary -> $1"), // the result's type is the call's
		scalar("$TUMBLE_START", "timestamp, bigint, bigint -> $1"),
		scalar("$TUMBLE_END", "timestamp, bigint, bigint -> $1"),
	}
	nulls := each([]string{"IS NULL", "IS NOT NULL"}, func(name string) definition { return scalar(name, "any -> BOOLEAN!") })
	truths := each([]string{"IS TRUE", "IS FALSE", "IS NOT TRUE", "IS NOT FALSE"}, func(name string) definition {
		return scalar(name, "bool -> BOOLEAN!")
	})
	comparisons := each([]string{"=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}, func(name string) definition {
		return operator(name, "a "+name+" b with comparable types", comparison(name))
	})
	return slices.Concat(fixed, nulls, truths, comparisons, jsonTests())
}

// each defines functions that differ in their name only.
func each(names []string, define func(name string) definition) []definition {
	out := make([]definition, len(names))
	for i, name := range names {
		out[i] = define(name)
	}
	return out
}

// withoutNull gives an untyped NULL the type of the other side.
func withoutNull(args []Arg) []datatype.Type {
	types := typesOf(args)
	for i := range types {
		if types[i].Kind == datatype.Null && len(types) == 2 {
			types[i] = types[1-i].WithNull(true)
		}
	}
	return types
}

func plus(args []Arg) (Resolved, bool) {
	if len(args) == 1 && args[0].Type.IsNumeric() {
		return Resolved{Args: typesOf(args), Return: args[0].Type}, true
	}
	if len(args) != 2 {
		return Resolved{}, false
	}
	a, b := args[0], args[1]
	if a.Type.IsInterval() && b.Type.IsTemporal() {
		r, ok := shift(b, a)
		r.Args = []datatype.Type{a.Type, b.Type}
		return r, ok
	}
	return sum(args)
}

func minus(args []Arg) (Resolved, bool) {
	if len(args) == 1 {
		t := args[0].Type
		return Resolved{Args: []datatype.Type{t}, Return: t}, t.IsNumeric() || t.IsInterval()
	}
	if len(args) != 2 {
		return Resolved{}, false
	}
	a, b := args[0].Type, args[1].Type
	if a.IsTemporal() && b.IsTemporal() {
		t, ok := common(a, b)
		return same2(t, datatype.Of(datatype.IntervalSecond).WithNull(t.Nullable)), ok
	}
	return sum(args)
}

// sum is a ± b but for the forms that only one of them has.
func sum(args []Arg) (Resolved, bool) {
	types := withoutNull(args)
	a, b := types[0], types[1]
	switch {
	case a.IsTemporal() && b.IsInterval():
		return shift(args[0], args[1])
	case a.IsInterval() && a.Kind == b.Kind:
		t, _ := common(a, b)
		return same2(t, t), true
	case !a.IsNumeric() || !b.IsNumeric():
		return Resolved{}, false
	}
	return arithmetic(a, b, addDecimal)
}

func same2(t, result datatype.Type) Resolved {
	return Resolved{Args: []datatype.Type{t, t}, Return: result}
}

// shift moves a time by an interval. A date moved by a literal that is not whole
// days becomes a timestamp.
func shift(at, by Arg) (Resolved, bool) {
	t := at.Type
	ms, literal := by.Literal.(int64)
	if t.Kind == datatype.Date && by.Type.Kind == datatype.IntervalSecond && literal && ms%86_400_000 != 0 {
		t = datatype.Of(datatype.Timestamp).WithPrecision(3).WithNull(t.Nullable)
	}
	if t.Kind == datatype.Time && by.Type.Kind == datatype.IntervalMonth {
		return Resolved{}, false
	}
	return Resolved{Args: []datatype.Type{t, by.Type}, Return: t.WithNull(t.Nullable || by.Type.Nullable)}, true
}

// arithmetic types a numeric operator: the wider integer, the wider float, or
// the decimal that decide makes of two of them.
func arithmetic(a, b datatype.Type, decide func(p1, s1, p2, s2 int) (int, int)) (Resolved, bool) {
	t := commonNumeric(a, b)
	nullable := a.Nullable || b.Nullable
	if t.Kind != datatype.Decimal {
		return Resolved{Args: []datatype.Type{t.WithNull(a.Nullable), t.WithNull(b.Nullable)}, Return: t.WithNull(nullable)}, true
	}
	p1, s1 := decimalOf(a)
	p2, s2 := decimalOf(b)
	wanted, s := decide(p1, s1, p2, s2)
	p, s := adjust(wanted, s)
	nullable = nullable || wanted > p // what does not fit is null
	args := []datatype.Type{datatype.DecimalOf(p1, s1).WithNull(a.Nullable), datatype.DecimalOf(p2, s2).WithNull(b.Nullable)}
	return Resolved{Args: args, Return: datatype.DecimalOf(p, s).WithNull(nullable)}, true
}

// adjust caps a decimal at 38 digits, giving up digits after the point, of which
// up to 6 are kept, for those before it.
func adjust(precision, scale int) (int, int) {
	if precision <= datatype.MaxDecimalPrecision {
		return precision, scale
	}
	return datatype.MaxDecimalPrecision, max(datatype.MaxDecimalPrecision-(precision-scale), min(scale, 6))
}

func addDecimal(p1, s1, p2, s2 int) (int, int) {
	s := max(s1, s2)
	return max(p1-s1, p2-s2) + s + 1, s
}

func mulDecimal(p1, s1, p2, s2 int) (int, int) { return p1 + p2 + 1, s1 + s2 }

func divDecimal(p1, s1, p2, s2 int) (int, int) {
	s := max(6, s1+p2+1)
	return p1 - s1 + s2 + s, s
}

func modDecimal(p1, s1, p2, s2 int) (int, int) {
	s := max(s1, s2)
	return min(p1-s1, p2-s2) + s, s
}

func times(args []Arg) (Resolved, bool) {
	if len(args) != 2 {
		return Resolved{}, false
	}
	types := withoutNull(args)
	a, b := types[0], types[1]
	switch {
	case a.IsNumeric() && b.IsNumeric():
		return arithmetic(a, b, mulDecimal)
	case a.IsInterval():
		return scale(a, b, false)
	case b.IsInterval():
		return scale(b, a, true)
	default:
		return Resolved{}, false
	}
}

// scale types interval * number, in either order.
func scale(interval, number datatype.Type, swapped bool) (Resolved, bool) {
	by := datatype.Of(datatype.BigInt)
	if !number.IsInteger() {
		by = datatype.Of(datatype.Double)
	}
	by = by.WithNull(number.Nullable)
	r := Resolved{Args: []datatype.Type{interval, by}, Return: interval.WithNull(interval.Nullable || number.Nullable)}
	if swapped {
		r.Args[0], r.Args[1] = by, interval
	}
	return r, number.IsNumeric()
}

func divide(args []Arg) (Resolved, bool) {
	if len(args) != 2 {
		return Resolved{}, false
	}
	types := withoutNull(args)
	switch a, b := types[0], types[1]; {
	case a.IsInterval():
		return scale(a, b, false)
	case a.IsNumeric() && b.IsNumeric():
		return arithmetic(a, b, divDecimal)
	default:
		return Resolved{}, false
	}
}

// modulo of exact numbers; doubles are allowed as in Flink's MOD.
func modulo(args []Arg) (Resolved, bool) {
	if len(args) != 2 {
		return Resolved{}, false
	}
	types := withoutNull(args)
	if !types[0].IsNumeric() || !types[1].IsNumeric() {
		return Resolved{}, false
	}
	return arithmetic(types[0], types[1], modDecimal)
}

// comparison types both sides alike. A string beside another type is read as
// that type, so that dates and numbers can be written as text.
func comparison(name string) resolver {
	never := strings.HasSuffix(name, "DISTINCT FROM")
	ordered := name != "=" && name != "<>" && !never
	return func(args []Arg) (Resolved, bool) {
		if len(args) != 2 {
			return Resolved{}, false
		}
		t, ok := comparable(args[0], args[1])
		if !ok || ordered && t.Is(datatype.Map, datatype.Multiset) {
			return Resolved{}, false
		}
		nullable := !never && (args[0].Type.Nullable || args[1].Type.Nullable)
		r := Resolved{
			Args:   []datatype.Type{t.WithNull(args[0].Type.Nullable), t.WithNull(args[1].Type.Nullable)},
			Return: datatype.Of(datatype.Boolean).WithNull(nullable),
		}
		if t.IsString() || t.IsBinary() { // lengths do not matter: no cast
			for i := range args {
				if args[i].Type.Kind != datatype.Null {
					r.Args[i] = args[i].Type
				}
			}
		}
		return r, true
	}
}

func comparable(a, b Arg) (datatype.Type, bool) {
	at, bt := a.Type, b.Type
	if t, ok := common(narrow(a, bt), narrow(b, at)); ok {
		return t, true
	}
	switch {
	case at.IsString() && !bt.IsString() && CanCast(at, bt, false):
		return textAs(a, bt), true
	case bt.IsString() && !at.IsString() && CanCast(bt, at, false):
		return textAs(b, at), true
	default:
		return datatype.Type{}, false
	}
}

// textAs is the type that text is read as beside a value of type t: an integer
// may meet '1.5', which must not be truncated.
func textAs(text Arg, t datatype.Type) datatype.Type {
	if !t.IsInteger() {
		return t
	}
	if s, ok := text.Literal.(string); ok {
		if _, err := strconv.ParseInt(s, 10, 32); err == nil {
			return t
		}
	}
	return datatype.DecimalOf(38, 18)
}

// narrow gives an integer literal beside a decimal no more digits than it has, so
// that comparing DECIMAL(15, 2) with 24 stays in 64 bits.
func narrow(a Arg, other datatype.Type) datatype.Type {
	v, ok := a.Literal.(int64)
	if !ok || !a.IsLiteral || !a.Type.IsInteger() || other.Kind != datatype.Decimal {
		return a.Type
	}
	digits := len(strconv.FormatInt(v, 10))
	if v < 0 {
		digits--
	}
	return datatype.DecimalOf(digits, 0).WithNull(a.Type.Nullable)
}

func concatenation(args []Arg) (Resolved, bool) {
	if len(args) != 2 {
		return Resolved{}, false
	}
	t, ok := CommonType(typesOf(args)...)
	if ok != nil {
		return Resolved{}, false
	}
	switch {
	case t.IsString() || t.Kind == datatype.Null:
		text := datatype.Of(datatype.Varchar).WithNull(t.Nullable)
		return Resolved{Args: []datatype.Type{asText(args[0].Type), asText(args[1].Type)}, Return: text}, true
	case t.IsBinary():
		return same2(t, datatype.Of(datatype.Varbinary).WithNull(t.Nullable)), true
	case t.Kind == datatype.Array:
		return same2(t, t), true
	default:
		return Resolved{}, false
	}
}

func asText(t datatype.Type) datatype.Type {
	if t.IsString() {
		return t
	}
	return datatype.Of(datatype.Varchar).WithNull(t.Nullable)
}

func pattern(args []Arg) (Resolved, bool) {
	if len(args) != 2 && len(args) != 3 {
		return Resolved{}, false
	}
	types := typesOf(args)
	for i, t := range types {
		if !t.IsString() && t.Kind != datatype.Null {
			return Resolved{}, false
		}
		types[i] = asText(t)
	}
	return Resolved{Args: types, Return: datatype.Of(datatype.Boolean).WithNull(anyNullable(types))}, true
}

func membership(args []Arg) (Resolved, bool) {
	if len(args) < 2 {
		return Resolved{}, false
	}
	t, nullable := args[0].Type, false
	for _, a := range args {
		c, ok := comparable(Arg{Type: t}, a)
		if !ok {
			return Resolved{}, false
		}
		t, nullable = c, nullable || a.Type.Nullable
	}
	types := make([]datatype.Type, len(args))
	for i, a := range args {
		if types[i] = t.WithNull(a.Type.Nullable); a.Type.IsString() && t.IsString() {
			types[i] = a.Type
		}
	}
	return Resolved{Args: types, Return: datatype.Of(datatype.Boolean).WithNull(nullable)}, true
}

func cast(try bool) resolver {
	return func(args []Arg) (Resolved, bool) {
		if len(args) != 2 || !CanCast(args[0].Type, args[1].Type, false) {
			return Resolved{}, false
		}
		from, to := args[0].Type, args[1].Type
		return Resolved{Args: []datatype.Type{from}, Return: to.WithNull(try || from.Nullable || overflows(from, to))}, true
	}
}

// overflows reports a cast that may give null: to a decimal that has too few
// digits before the point.
func overflows(from, to datatype.Type) bool {
	switch {
	case from.Kind == datatype.Null:
		return true
	case to.Kind != datatype.Decimal || from.Kind == datatype.Boolean:
		return false
	case from.IsInteger() || from.Kind == datatype.Decimal:
		p, s := decimalOf(from)
		return p-s > to.Precision-to.Scale || s > to.Scale && p-s == to.Precision-to.Scale
	default:
		return true
	}
}

func element(args []Arg) (Resolved, bool) {
	if len(args) != 2 {
		return Resolved{}, false
	}
	switch of, at := args[0].Type, args[1].Type; of.Kind {
	case datatype.Array:
		index := datatype.Of(datatype.Int).WithNull(at.Nullable)
		return Resolved{Args: []datatype.Type{of, index}, Return: of.Elem.WithNull(true)}, at.IsInteger()
	case datatype.Map:
		key := of.Key.WithNull(at.Nullable)
		return Resolved{Args: []datatype.Type{of, key}, Return: of.Elem.WithNull(true)}, CanCast(at, *of.Key, true)
	default:
		return Resolved{}, false
	}
}

// field takes the position, from zero, as an integer literal.
func field(args []Arg) (Resolved, bool) {
	if len(args) != 2 || args[0].Type.Kind != datatype.Row {
		return Resolved{}, false
	}
	row := args[0].Type
	at, ok := args[1].Literal.(int64)
	if !ok || at < 0 || at >= int64(len(row.Fields)) {
		return Resolved{}, false
	}
	t := row.Fields[at].Type
	return Resolved{Args: []datatype.Type{row, datatype.Of(datatype.Int).NotNull()}, Return: t.WithNull(t.Nullable || row.Nullable)}, true
}
