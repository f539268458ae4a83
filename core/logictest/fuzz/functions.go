package fuzz

// function is one call, or operator, whose types need no thought. Arguments
// beyond the kinds are in the text.
type function struct {
	returns    typ
	args       []kind
	ours, duck string // duck "" means as ours
}

func calls(returns typ, args []kind, texts ...string) (out []function) {
	for _, t := range texts {
		out = append(out, function{returns: returns, args: args, ours: t})
	}
	return out
}

func call(returns typ, args []kind, here, there string) function {
	return function{returns: returns, args: args, ours: here, duck: there}
}

var (
	oneText = []kind{text}
	oneDate = []kind{date}
	oneTime = []kind{timestamp}
	oneDbl  = []kind{double}
	oneDec  = []kind{decimal}
	oneInt  = []kind{integer}
	oneBool = []kind{boolean}
)

// functionTable has the functions by the kind of their result.
func functionTable() map[kind][]function {
	table := map[kind][]function{}
	for _, group := range [][]function{textFunctions(), integerFunctions(), boolFunctions(), timeFunctions(), doubleFunctions()} {
		for _, f := range group {
			table[f.returns.kind] = append(table[f.returns.kind], f)
		}
	}
	return table
}

func textFunctions() []function {
	return append(calls(textType, oneText, "UPPER($0)", "LOWER($0)", "TRIM($0)", "LTRIM($0)", "RTRIM($0)", "REVERSE($0)", "LEFT($0, 2)", "RIGHT($0, 3)",
		"SUBSTRING($0, 2)", "SUBSTRING($0, 2, 3)", "SUBSTRING($0 FROM 1 FOR 2)", "REPLACE($0, 'a', 'xy')", "LPAD($0, 4, '*')", "RPAD($0, 3, 'ab')",
		"REPEAT($0, 2)", "MD5($0)", "TRANSLATE($0, 'abc', 'xy')"),
		call(textType, []kind{text, text}, "($0 || $1)", ""),
		call(textType, []kind{text, text}, "CONCAT($0, $1)", "($0 || $1)"),
		call(textType, []kind{text, text}, "CONCAT_WS('-', $0, $1)", ""),
		call(textType, oneText, "TRIM(BOTH 'a' FROM $0)", "trim($0, 'a')"),
		call(textType, oneText, "TRIM(LEADING 'a' FROM $0)", "ltrim($0, 'a')"),
		call(textType, oneText, "REGEXP_REPLACE($0, '[a-c]+', '#')", "regexp_replace($0, '[a-c]+', '#', 'g')"),
		call(textType, oneInt, "CAST($0 AS STRING)", "CAST($0 AS VARCHAR)"),
		call(textType, oneDec, "CAST($0 AS STRING)", "CAST($0 AS VARCHAR)"),
		call(textType, oneDate, "CAST($0 AS STRING)", "CAST($0 AS VARCHAR)"),
		call(textType, oneBool, "CAST($0 AS STRING)", "upper(CAST($0 AS VARCHAR))"),
		call(textType, oneTime, "DATE_FORMAT($0, 'yyyy-MM-dd HH:mm')", "strftime($0, '%Y-%m-%d %H:%M')"),
	)
}

func integerFunctions() []function {
	small, year := intType(32, 4), intType(64, 4)
	out := calls(small, oneText, "CHAR_LENGTH($0)", "POSITION('a' IN $0)")
	for _, unit := range []string{"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOY"} {
		out = append(out, calls(year, oneDate, "EXTRACT("+unit+" FROM $0)")...)
	}
	for _, unit := range []string{"YEAR", "MONTH", "DAY", "HOUR", "MINUTE"} {
		out = append(out, calls(year, oneTime, "EXTRACT("+unit+" FROM $0)")...)
	}
	return append(out,
		call(small, oneText, "OCTET_LENGTH($0)", "strlen($0)"),
		call(small, []kind{text, text}, "POSITION($0 IN $1)", ""),
		call(small, oneBool, "CAST($0 AS INT)", ""),
		call(small, oneInt, "SIGN($0)", ""),
		call(year, oneDate, "DAYOFWEEK($0)", "(dayofweek($0) + 1)"),
		call(year, oneTime, "EXTRACT(SECOND FROM $0)", "CAST(floor(extract(second FROM $0)) AS BIGINT)"),
		call(intType(32, 6), []kind{date, date}, "TIMESTAMPDIFF(DAY, $0, $1)", "date_diff('day', $0, $1)"),
		call(intType(32, 9), []kind{timestamp, timestamp}, "TIMESTAMPDIFF(HOUR, $0, $1)", "date_sub('hour', $0, $1)"),
		call(intType(32, 6), []kind{date, date}, "DATEDIFF($0, $1)", "date_diff('day', $1, $0)"),
	)
}

func boolFunctions() []function {
	out := calls(boolType, oneText, "($0 LIKE '%a%')", "($0 LIKE 'a%')", "($0 LIKE '%e')", "($0 LIKE '_b%')", "($0 NOT LIKE '%p%e%')", "($0 LIKE 'a!%%' ESCAPE '!')",
		"($0 LIKE '')", "($0 LIKE 'abc')", "($0 IN ('a', 'abc', ''))", "($0 NOT IN ('b', 'zz'))")
	out = append(out, calls(boolType, oneBool, "($0 IS TRUE)", "($0 IS NOT TRUE)", "($0 IS FALSE)", "($0 IS NOT FALSE)", "(NOT $0)")...)
	out = append(out, calls(boolType, oneInt, "($0 IN (1, 2, 3))", "($0 NOT IN (0, 7))", "($0 BETWEEN 0 AND 5)", "($0 NOT BETWEEN 1 AND 3)", "($0 IN (1, NULL))", "($0 NOT IN (1, NULL))")...)
	out = append(out, calls(boolType, oneDate, "($0 >= DATE '2024-06-01')", "($0 BETWEEN DATE '2024-02-01' AND DATE '2024-08-01')")...)
	return append(out,
		call(boolType, []kind{boolean, boolean}, "($0 AND $1)", ""),
		call(boolType, []kind{boolean, boolean}, "($0 OR $1)", ""),
		call(boolType, []kind{text, text}, "STARTSWITH($0, $1)", "starts_with($0, $1)"),
		call(boolType, []kind{text, text}, "ENDSWITH($0, $1)", "ends_with($0, $1)"),
		call(boolType, oneText, "REGEXP($0, '[0-9]')", "regexp_matches($0, '[0-9]')"),
	)
}

func timeFunctions() []function {
	out := []function{
		call(dateType, oneTime, "CAST($0 AS DATE)", ""),
		call(timeType, oneDate, "CAST($0 AS TIMESTAMP)", ""),
		call(timeType, oneTime, "($0 - INTERVAL '90' MINUTE)", "($0 - INTERVAL 90 MINUTE)"),
		call(timeType, oneTime, "($0 + INTERVAL '3' HOUR)", "($0 + INTERVAL 3 HOUR)"),
		call(timeType, oneTime, "($0 + INTERVAL '1' MONTH)", "($0 + INTERVAL 1 MONTH)"),
		call(timeType, oneTime, "TIMESTAMPADD(SECOND, -1, $0)", "($0 - INTERVAL 1 SECOND)"),
	}
	for _, unit := range []string{"DAY", "MONTH", "YEAR"} {
		out = append(out,
			call(dateType, oneDate, "($0 + INTERVAL '1' "+unit+")", "CAST($0 + INTERVAL 1 "+unit+" AS DATE)"),
			call(dateType, oneDate, "($0 - INTERVAL '2' "+unit+")", "CAST($0 - INTERVAL 2 "+unit+" AS DATE)"),
			call(timeType, oneTime, "FLOOR($0 TO "+unit+")", "CAST(date_trunc('"+unit+"', $0) AS TIMESTAMP)"))
	}
	return append(out, call(timeType, oneTime, "FLOOR($0 TO HOUR)", "date_trunc('hour', $0)"))
}

func doubleFunctions() []function {
	return append(calls(dblType(9), oneDbl, "FLOOR($0)", "CEIL($0)", "ABS($0)", "(- $0)", "SQRT(ABS($0))"),
		call(dblType(9), oneInt, "CAST($0 AS DOUBLE)", ""),
		call(dblType(9), oneDec, "CAST($0 AS DOUBLE)", ""),
	)
}
