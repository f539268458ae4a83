package function

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
)

func scalarTables() [][]definition {
	return [][]definition{mathTable(), textTable(), timeTable(), nestedTable(), otherTable(), jsonTable()}
}

// synonyms are other names of the same functions.
func synonyms() map[string]string {
	return map[string]string{
		"!=": "<>", "IS UNKNOWN": "IS NULL", "IS NOT UNKNOWN": "IS NOT NULL",
		"CHARACTER_LENGTH": "CHAR_LENGTH", "LENGTH": "CHAR_LENGTH", "SUBSTR": "SUBSTRING", "MOD": "%",
		"CEILING": "CEIL", "POW": "POWER", "NOW": "CURRENT_TIMESTAMP", "CURRENT_ROW_TIMESTAMP": "CURRENT_TIMESTAMP",
		"VARIANCE": "VAR_SAMP", "STDDEV": "STDDEV_SAMP", "$SUM0": "SUM0", "EVERY": "BOOL_AND", "SOME": "BOOL_OR",
		"STRING_AGG": "LISTAGG", "LOCALTIME": "CURRENT_TIME",
	}
}

func mathTable() []definition {
	fixed := []definition{
		scalar("ABS", "numeric -> $1"),
		scalar("SIGN", "numeric -> $1"),
		scalar("POWER", "double, double -> DOUBLE"),
		scalar("LOG", "double, double? -> DOUBLE"),
		scalar("ATAN2", "double, double -> DOUBLE"),
		scalar("PI", "-> DOUBLE"),
		scalar("E", "-> DOUBLE"),
		scalar("BIN", "bigint -> STRING"),
		scalar("HEX", "bigint -> STRING", "string -> STRING", "binary -> STRING"),
		scalar("UNHEX", "string -> BYTES?"),
		random("RAND", "int? -> DOUBLE"),
		random("RAND_INTEGER", "int, int? -> INT"),
		operator("ROUND", "ROUND(numeric, int)", round),
		operator("TRUNCATE", "TRUNCATE(numeric, int)", round),
		operator("FLOOR", "FLOOR(numeric) or FLOOR(time TO unit)", floor),
		operator("CEIL", "CEIL(numeric) or CEIL(time TO unit)", floor),
	}
	names := []string{
		"SQRT", "EXP", "LN", "LOG2", "LOG10", "SIN", "COS", "TAN", "COT", "ASIN", "ACOS", "ATAN",
		"SINH", "COSH", "TANH", "DEGREES", "RADIANS", "CBRT",
	}
	return slices.Concat(fixed, each(names, func(name string) definition { return scalar(name, "double -> DOUBLE") }))
}

// round gives a decimal as many digits after the point as a literal asks for.
func round(args []Arg) (Resolved, bool) {
	if len(args) < 1 || len(args) > 2 || !args[0].Type.IsNumeric() || len(args) == 2 && !args[1].Type.IsInteger() {
		return Resolved{}, false
	}
	t := args[0].Type
	r := Resolved{Args: []datatype.Type{t}}
	digits, known := int64(0), true
	if len(args) == 2 {
		r.Args = append(r.Args, datatype.Of(datatype.Int).WithNull(args[1].Type.Nullable))
		digits, known = args[1].Literal.(int64)
	}
	r.Return = t.WithNull(anyNullable(r.Args))
	if t.Kind != datatype.Decimal || !known || digits >= int64(t.Scale) {
		return r, true
	}
	scale := int(max(digits, 0))
	precision := min(1+t.Precision-t.Scale+scale, datatype.MaxDecimalPrecision)
	r.Return = datatype.DecimalOf(precision, scale).WithNull(r.Return.Nullable)
	return r, true
}

// timeUnits are the units of EXTRACT, FLOOR, CEIL, TIMESTAMPADD and -DIFF.
func timeUnits() []string {
	return []string{
		"MILLENNIUM", "CENTURY", "DECADE", "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOW", "ISODOW", "DOY", "ISOYEAR",
		"HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND", "EPOCH",
	}
}

// isUnit reports whether the argument is a literal that names a unit of time.
func isUnit(a Arg) bool {
	name, ok := a.Literal.(string)
	if !ok {
		return false
	}
	name = strings.TrimPrefix(strings.ToUpper(name), "SQL_TSI_")
	for _, u := range timeUnits() {
		if name == u {
			return true
		}
	}
	return false
}

// floor takes a number, or a time and the literal name of a unit.
func floor(args []Arg) (Resolved, bool) {
	if len(args) == 2 {
		t := args[0].Type
		return Resolved{Args: typesOf(args), Return: t}, t.IsTemporal() && isUnit(args[1])
	}
	if len(args) != 1 || !args[0].Type.IsNumeric() {
		return Resolved{}, false
	}
	t := args[0].Type
	r := Resolved{Args: []datatype.Type{t}, Return: t}
	r.Return.Scale = 0
	return r, true
}

func textTable() []definition {
	return []definition{
		scalar("UPPER", "string -> STRING"),
		scalar("LOWER", "string -> STRING"),
		scalar("INITCAP", "string -> STRING"),
		scalar("REVERSE", "string -> STRING"),
		scalar("CHAR_LENGTH", "string -> INT"),
		scalar("OCTET_LENGTH", "string -> INT", "binary -> INT"),
		scalar("ASCII", "string -> INT"),
		scalar("CHR", "bigint -> STRING"),
		scalar("SUBSTRING", "string, int, int? -> STRING"),
		scalar("LEFT", "string, int -> STRING"),
		scalar("RIGHT", "string, int -> STRING"),
		scalar("REPEAT", "string, int -> STRING"),
		scalar("LPAD", "string, int, string -> STRING?"),
		scalar("RPAD", "string, int, string -> STRING?"),
		scalar("REPLACE", "string, string, string -> STRING"),
		scalar("TRANSLATE", "string, string, string -> STRING"),
		scalar("OVERLAY", "string, string, int, int? -> STRING"),
		scalar("TRIM", "string, string? -> STRING"),
		scalar("LTRIM", "string, string? -> STRING"),
		scalar("RTRIM", "string, string? -> STRING"),
		scalar("BTRIM", "string, string? -> STRING"),
		scalar("POSITION", "string, string -> INT"),
		scalar("INSTR", "string, string, int?, int? -> INT"),
		scalar("COUNT_CHAR", "string, string -> BIGINT"),
		scalar("LOCATE", "string, string, int? -> INT"),
		scalar("CONCAT", "string, string... -> STRING"),
		scalar("CONCAT_WS", "string, string... -> STRING"),
		scalar("SPLIT_INDEX", "string, string, int -> STRING?", "string, int, int -> STRING?"),
		scalar("REGEXP", "string, string -> BOOLEAN"),
		scalar("REGEXP_REPLACE", "string, string, string -> STRING"),
		scalar("REGEXP_EXTRACT", "string, string, int? -> STRING?"),
		scalar("STARTSWITH", "string, string -> BOOLEAN", "binary, binary -> BOOLEAN"),
		scalar("ENDSWITH", "string, string -> BOOLEAN", "binary, binary -> BOOLEAN"),
		scalar("TO_BASE64", "string -> STRING", "binary -> STRING"),
		scalar("FROM_BASE64", "string -> STRING?"),
		scalar("MD5", "string -> STRING", "binary -> STRING"),
		scalar("SHA1", "string -> STRING", "binary -> STRING"),
		scalar("SHA224", "string -> STRING", "binary -> STRING"),
		scalar("SHA256", "string -> STRING", "binary -> STRING"),
		scalar("SHA384", "string -> STRING", "binary -> STRING"),
		scalar("SHA512", "string -> STRING", "binary -> STRING"),
		scalar("SHA2", "string, int -> STRING", "binary, int -> STRING"),
		scalar("PRINTF", "string, any... -> STRING?"),
		scalar("IS_ALPHA", "string -> BOOLEAN"),
		scalar("IS_DIGIT", "string -> BOOLEAN"),
		scalar("IS_DECIMAL", "string -> BOOLEAN"),
		scalar("ENCODE", "string, string -> BYTES?"),
		scalar("DECODE", "binary, string -> STRING?"),
		scalar("PARSE_URL", "string, string, string? -> STRING?"),
		scalar("REGEXP_EXTRACT_ALL", "string, string, int? -> ARRAY<STRING>"),
		scalar("REGEXP_COUNT", "string, string -> INT"),
		scalar("REGEXP_INSTR", "string, string -> INT"),
		scalar("REGEXP_SUBSTR", "string, string -> STRING?"),
		scalar("SPLIT", "string, string -> ARRAY<STRING>"),
		scalar("ELT", "int, string, string... -> STRING?"),
		scalar("URL_ENCODE", "string -> STRING"),
		scalar("URL_DECODE", "string -> STRING?"),
		random("UUID", "-> STRING"),
	}
}

func timeTable() []definition {
	fixed := []definition{
		operator("EXTRACT", "EXTRACT(unit FROM time)", extract),
		operator("TIMESTAMPADD", "TIMESTAMPADD(unit, integer, time)", timestampAdd),
		operator("TIMESTAMPDIFF", "TIMESTAMPDIFF(unit, time, time)", timestampDiff),
		scalar("TO_DATE", "string, string? -> DATE?"),
		scalar("TO_TIMESTAMP", "string, string? -> TIMESTAMP(3)?"),
		scalar("TO_TIMESTAMP_LTZ", "bigint, int? -> TIMESTAMP_LTZ(3)?", "string, string? -> TIMESTAMP_LTZ(3)?"),
		scalar("DATE_FORMAT", "timestamp, string -> STRING?", "date, string -> STRING?", "string, string -> STRING?"),
		scalar("FROM_UNIXTIME", "bigint, string? -> STRING"),
		scalar("CONVERT_TZ", "string, string, string -> STRING?"),
		scalar("DATEDIFF", "day, day -> INT"),
		random("CURRENT_DATE", "-> DATE!"),
		random("CURRENT_TIME", "-> TIME(0)!"),
		random("CURRENT_TIMESTAMP", "-> TIMESTAMP_LTZ(3)!"),
		random("LOCALTIMESTAMP", "-> TIMESTAMP(3)!"),
		random("PROCTIME", "-> TIMESTAMP_LTZ(3)!"),
		unixTimestamp(),
	}
	days := each([]string{"YEAR", "QUARTER", "MONTH", "WEEK", "DAYOFYEAR", "DAYOFMONTH", "DAYOFWEEK"}, func(name string) definition {
		return scalar(name, "day -> BIGINT")
	})
	clocks := each([]string{"HOUR", "MINUTE", "SECOND"}, func(name string) definition { return scalar(name, "clock -> BIGINT") })
	return slices.Concat(fixed, days, clocks)
}

// unixTimestamp is random only without arguments.
func unixTimestamp() definition {
	return random("UNIX_TIMESTAMP", "-> BIGINT!", "string, string? -> BIGINT")
}

func extract(args []Arg) (Resolved, bool) {
	if len(args) != 2 || !isUnit(args[0]) {
		return Resolved{}, false
	}
	t := args[1].Type
	r := Resolved{Args: typesOf(args), Return: datatype.Of(datatype.BigInt).WithNull(t.Nullable)}
	return r, t.IsTemporal() || t.IsInterval()
}

// timestampAdd makes a date a timestamp when it adds less than days.
func timestampAdd(args []Arg) (Resolved, bool) {
	if len(args) != 3 || !isUnit(args[0]) || !args[1].Type.IsInteger() {
		return Resolved{}, false
	}
	t := args[2].Type
	unit := strings.TrimPrefix(strings.ToUpper(args[0].Literal.(string)), "SQL_TSI_")
	if t.Kind == datatype.Date && (unit == "HOUR" || unit == "MINUTE" || strings.HasSuffix(unit, "SECOND")) {
		t = datatype.Of(datatype.Timestamp).WithPrecision(3).WithNull(t.Nullable)
	}
	n := datatype.Of(datatype.BigInt).WithNull(args[1].Type.Nullable)
	r := Resolved{Args: []datatype.Type{args[0].Type, n, t}, Return: t.WithNull(t.Nullable || n.Nullable)}
	return r, t.IsTemporal()
}

func timestampDiff(args []Arg) (Resolved, bool) {
	if len(args) != 3 || !isUnit(args[0]) || !args[1].Type.IsTemporal() || !args[2].Type.IsTemporal() {
		return Resolved{}, false
	}
	t, ok := common(args[1].Type, args[2].Type)
	r := Resolved{Args: []datatype.Type{args[0].Type, t, t}, Return: datatype.Of(datatype.Int).WithNull(t.Nullable)}
	return r, ok
}

func otherTable() []definition {
	return []definition{scalar("TYPEOF", "any -> STRING!")}
}
