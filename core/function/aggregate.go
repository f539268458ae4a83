package function

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
)

func aggregate(name, usage string, r resolver) definition {
	return definition{name: name, kind: Aggregate, usage: []string{usage}, resolve: r}
}

// aggregates return null over no rows, but for the counts and SUM0. Their
// results are nullable even for arguments that are not: without GROUP BY there
// may be no row.
func aggregates() []definition {
	fixed := []definition{
		define(Aggregate, "COUNT", []string{"any... -> BIGINT!"}),
		define(Aggregate, "APPROX_COUNT_DISTINCT", []string{"any -> BIGINT!"}),
		aggregate("SUM", "SUM(numeric or interval)", sumOf(true)),
		aggregate("SUM0", "SUM0(numeric)", sumOf(false)),
		aggregate("AVG", "AVG(numeric)", average),
		define(Aggregate, "LISTAGG", []string{"string, string? -> STRING?"}),
		define(Aggregate, "BOOL_AND", []string{"bool -> BOOLEAN?"}),
		define(Aggregate, "BOOL_OR", []string{"bool -> BOOLEAN?"}),
		shown(define(Aggregate, "JSON_ARRAYAGG", []string{"string -> STRING!"}), "JSON_ARRAYAGG(value [NULL | ABSENT ON NULL])"),
		shown(define(Aggregate, "JSON_OBJECTAGG", []string{"string -> STRING!"}), "JSON_OBJECTAGG([KEY] key VALUE value [NULL | ABSENT ON NULL])"),
		aggregate("PERCENTILE", "PERCENTILE(numeric, double or array of doubles, integer?)", percentileOf),
		aggregate("COLLECT", "COLLECT(value)", collect),
		aggregate("ARRAY_AGG", "ARRAY_AGG(value)", arrayOf),
		aggregate("MIN", "MIN(value with an order)", extremeOf),
		aggregate("MAX", "MAX(value with an order)", extremeOf),
	}
	picks := each([]string{"FIRST_VALUE", "LAST_VALUE", "ANY_VALUE", "SINGLE_VALUE"}, func(name string) definition {
		return define(Aggregate, name, []string{"any -> $1?"})
	})
	spreads := each([]string{"STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP"}, func(name string) definition {
		return aggregate(name, name+"(numeric)", deviation)
	})
	return slices.Concat(fixed, picks, spreads)
}

func one(args []Arg) (datatype.Type, bool) {
	if len(args) != 1 {
		return datatype.Type{}, false
	}
	return args[0].Type, true
}

// sumOf keeps the type of integers, as Flink does: sums wrap around.
func sumOf(nullable bool) resolver {
	return func(args []Arg) (Resolved, bool) {
		t, ok := one(args)
		out := t
		if t.Kind == datatype.Decimal {
			out = datatype.DecimalOf(datatype.MaxDecimalPrecision, t.Scale)
		}
		return Resolved{Args: typesOf(args), Return: out.WithNull(nullable)}, ok && (t.IsNumeric() || t.IsInterval() && nullable)
	}
}

// average keeps the type of integers, whose average is truncated.
func average(args []Arg) (Resolved, bool) {
	t, ok := one(args)
	out := t
	if t.Kind == datatype.Decimal {
		out = datatype.DecimalOf(adjust(divDecimal(38, t.Scale, 20, 0)))
	}
	return Resolved{Args: typesOf(args), Return: out.WithNull(true)}, ok && t.IsNumeric()
}

// deviation keeps the type of integers and decimals' average, else DOUBLE.
func deviation(args []Arg) (Resolved, bool) { return average(args) }

func extremeOf(args []Arg) (Resolved, bool) {
	t, ok := one(args)
	nested := t.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row)
	return Resolved{Args: typesOf(args), Return: t.WithNull(true)}, ok && !nested
}

// percentileOf takes one percentage or an array of them, and how often a row
// counts.
func percentileOf(args []Arg) (Resolved, bool) {
	if len(args) < 2 || len(args) > 3 || !args[0].Type.IsNumeric() || len(args) == 3 && !args[2].Type.IsInteger() {
		return Resolved{}, false
	}
	double := datatype.Of(datatype.Double)
	r := Resolved{Args: []datatype.Type{double.WithNull(args[0].Type.Nullable)}, Return: double}
	switch at := args[1].Type; {
	case at.IsNumeric():
		r.Args = append(r.Args, double.WithNull(at.Nullable))
	case at.Kind == datatype.Array && at.Elem.IsNumeric():
		r.Args = append(r.Args, datatype.ArrayOf(double.WithNull(at.Elem.Nullable)).WithNull(at.Nullable))
		r.Return = datatype.ArrayOf(double.NotNull())
	default:
		return Resolved{}, false
	}
	if len(args) == 3 {
		r.Args = append(r.Args, datatype.Of(datatype.BigInt).WithNull(args[2].Type.Nullable))
	}
	return r, true
}

func collect(args []Arg) (Resolved, bool) {
	t, ok := one(args)
	elem := t.NotNull()
	return Resolved{Args: typesOf(args), Return: datatype.Type{Kind: datatype.Multiset, Nullable: false, Elem: &elem}}, ok
}

func arrayOf(args []Arg) (Resolved, bool) {
	t, ok := one(args)
	return Resolved{Args: typesOf(args), Return: datatype.ArrayOf(t)}, ok
}

func windows() []definition {
	return []definition{
		define(Window, "ROW_NUMBER", []string{"-> BIGINT!"}),
		define(Window, "RANK", []string{"-> BIGINT!"}),
		define(Window, "DENSE_RANK", []string{"-> BIGINT!"}),
		define(Window, "NTILE", []string{"bigint -> BIGINT!"}),
		define(Window, "PERCENT_RANK", []string{"-> DOUBLE!"}),
		define(Window, "CUME_DIST", []string{"-> DOUBLE!"}),
		{name: "NTH_VALUE", kind: Window, usage: []string{"NTH_VALUE(value, int)"}, resolve: nth},
		{name: "LAG", kind: Window, usage: []string{"LAG(value, int, default)"}, resolve: neighbour},
		{name: "LEAD", kind: Window, usage: []string{"LEAD(value, int, default)"}, resolve: neighbour},
	}
}

// nth is null where the frame has fewer rows.
func nth(args []Arg) (Resolved, bool) {
	if len(args) != 2 {
		return Resolved{}, false
	}
	return neighbour(args)
}

// neighbour is nullable unless a default that is not null fills the ends.
func neighbour(args []Arg) (Resolved, bool) {
	if len(args) < 1 || len(args) > 3 || len(args) > 1 && !args[1].Type.IsInteger() {
		return Resolved{}, false
	}
	t := args[0].Type
	r := Resolved{Args: []datatype.Type{t}, Return: t.WithNull(true)}
	if len(args) > 1 {
		r.Args = append(r.Args, datatype.Of(datatype.BigInt).WithNull(args[1].Type.Nullable))
	}
	if len(args) > 2 {
		r.Args = append(r.Args, t.WithNull(args[2].Type.Nullable))
		r.Return.Nullable = t.Nullable || args[2].Type.Nullable
		return r, CanCast(args[2].Type, t, true)
	}
	return r, true
}
