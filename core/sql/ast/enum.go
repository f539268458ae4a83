package ast

// spell returns the spelling of an enum value, and "invalid" for a value outside the table.
func spell[E ~uint8](e E, names []string) string {
	if e == 0 || int(e) >= len(names) {
		return "invalid"
	}
	return names[e]
}

// UnaryOp is a prefix operator.
type UnaryOp uint8

// The prefix operators.
const (
	OpInvalidUnary UnaryOp = iota
	OpNot
	OpNeg
	OpPlus
)

// String returns the operator as written in SQL.
func (o UnaryOp) String() string { return spell(o, []string{"", "NOT", "-", "+"}) }

// BinaryOp is an infix operator.
type BinaryOp uint8

// The infix operators.
const (
	OpInvalid BinaryOp = iota
	OpOr
	OpAnd
	OpEq
	OpNe
	OpLt
	OpLe
	OpGt
	OpGe
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpMod
	OpConcat
	OpIsDistinct
	OpIsNotDistinct
	OpOverlaps
)

var binaryOps = []string{
	"", "OR", "AND", "=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||",
	"IS DISTINCT FROM", "IS NOT DISTINCT FROM", "OVERLAPS",
}

// String returns the operator as written in SQL.
func (o BinaryOp) String() string { return spell(o, binaryOps) }

// IsComparison reports whether the operator is one of = <> < <= > >=.
func (o BinaryOp) IsComparison() bool { return o >= OpEq && o <= OpGe }

// IsTest is what IS tests.
type IsTest uint8

// The tests after IS [NOT].
const (
	IsInvalid IsTest = iota
	IsNull
	IsTrue
	IsFalse
	IsUnknown
	IsJSONValue
	IsJSONObject
	IsJSONArray
	IsJSONScalar
)

// String returns the test as written in SQL.
func (t IsTest) String() string {
	return spell(t, []string{"", "NULL", "TRUE", "FALSE", "UNKNOWN", "JSON VALUE", "JSON OBJECT", "JSON ARRAY", "JSON SCALAR"})
}

// TimeLitKind is the kind of a TimeLit.
type TimeLitKind uint8

// The kinds of temporal literals.
const (
	TimeLitInvalid TimeLitKind = iota
	DateLit
	TimeOfDayLit
	TimestampLit
	// TimestampLtzLit is TIMESTAMP WITH LOCAL TIME ZONE '...'.
	TimestampLtzLit
)

// String returns the words before the quoted value.
func (k TimeLitKind) String() string {
	return spell(k, []string{"", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH LOCAL TIME ZONE"})
}

// TimeUnit is a field of dates, times and intervals.
type TimeUnit uint8

// The time units, those of intervals first.
const (
	UnitNone TimeUnit = iota
	UnitYear
	UnitQuarter
	UnitMonth
	UnitWeek
	UnitDay
	UnitHour
	UnitMinute
	UnitSecond
	UnitMillisecond
	UnitMicrosecond
	UnitNanosecond
	UnitEpoch
	UnitDow
	UnitIsodow
	UnitDoy
	UnitIsoyear
	UnitDecade
	UnitCentury
	UnitMillennium
)

var timeUnits = []string{
	"", "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND",
	"MICROSECOND", "NANOSECOND", "EPOCH", "DOW", "ISODOW", "DOY", "ISOYEAR", "DECADE", "CENTURY", "MILLENNIUM",
}

// String returns the unit as written in SQL.
func (u TimeUnit) String() string { return spell(u, timeUnits) }

// ParseTimeUnit returns the unit of an upper-case word, and UnitNone for a word that is none. The plural (DAYS) and the
// names of the JDBC standard (SQL_TSI_DAY) are units too.
func ParseTimeUnit(word string) TimeUnit {
	const jdbc = "SQL_TSI_"
	if len(word) > len(jdbc) && word[:len(jdbc)] == jdbc {
		word = word[len(jdbc):]
	}
	for u := UnitYear; int(u) < len(timeUnits); u++ {
		name := timeUnits[u]
		if word == name || (u <= UnitNanosecond && len(word) == len(name)+1 && word[len(name)] == 'S' && word[:len(name)] == name) {
			return u
		}
	}
	return UnitNone
}

// Quantifier is DISTINCT or ALL after SELECT or in a call.
type Quantifier uint8

// The quantifiers; QuantNone means that none was written.
const (
	QuantNone Quantifier = iota
	QuantDistinct
	QuantAll
)

// String returns the quantifier as written in SQL.
func (q Quantifier) String() string { return spell(q, []string{"", "DISTINCT", "ALL"}) }

// NullTreatment is IGNORE NULLS or RESPECT NULLS after a call.
type NullTreatment uint8

// The null treatments; NullsDefault means that none was written.
const (
	NullsDefault NullTreatment = iota
	IgnoreNulls
	RespectNulls
)

// String returns the treatment as written in SQL.
func (n NullTreatment) String() string {
	return spell(n, []string{"", "IGNORE NULLS", "RESPECT NULLS"})
}

// NullsOrder is NULLS FIRST or NULLS LAST of an order key.
type NullsOrder uint8

// The places of nulls; NullsUnset means that none was written.
const (
	NullsUnset NullsOrder = iota
	NullsFirst
	NullsLast
)

// String returns the place as written in SQL.
func (n NullsOrder) String() string { return spell(n, []string{"", "NULLS FIRST", "NULLS LAST"}) }

// TrimSide is the side of TRIM.
type TrimSide uint8

// The sides of TRIM.
const (
	TrimInvalid TrimSide = iota
	TrimBoth
	TrimLeading
	TrimTrailing
)

// String returns the side as written in SQL.
func (s TrimSide) String() string { return spell(s, []string{"", "BOTH", "LEADING", "TRAILING"}) }

// GroupingKind tells the GroupingSets apart.
type GroupingKind uint8

// The kinds of grouping.
const (
	GroupingInvalid GroupingKind = iota
	GroupingSets
	Rollup
	Cube
)

// String returns the kind as written in SQL.
func (k GroupingKind) String() string {
	return spell(k, []string{"", "GROUPING SETS", "ROLLUP", "CUBE"})
}

// FrameUnit is ROWS or RANGE.
type FrameUnit uint8

// The units of window frames.
const (
	FrameInvalid FrameUnit = iota
	FrameRows
	FrameRange
)

// String returns the unit as written in SQL.
func (u FrameUnit) String() string { return spell(u, []string{"", "ROWS", "RANGE"}) }

// BoundKind is the kind of a FrameBound.
type BoundKind uint8

// The kinds of frame bounds; BoundNone means that the bound was not written.
const (
	BoundNone BoundKind = iota
	BoundUnboundedPreceding
	BoundPreceding
	BoundCurrentRow
	BoundFollowing
	BoundUnboundedFollowing
)

// String returns the bound as written in SQL, without its offset.
func (k BoundKind) String() string {
	return spell(k, []string{"", "UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING", "UNBOUNDED FOLLOWING"})
}

// SetOpKind is the operator of a SetOp.
type SetOpKind uint8

// The set operators.
const (
	SetOpInvalid SetOpKind = iota
	Union
	Intersect
	Except
)

// String returns the operator as written in SQL.
func (k SetOpKind) String() string { return spell(k, []string{"", "UNION", "INTERSECT", "EXCEPT"}) }

// JoinKind is the kind of a Join.
type JoinKind uint8

// The kinds of joins.
const (
	JoinInvalid JoinKind = iota
	JoinInner
	JoinLeft
	JoinRight
	JoinFull
	JoinCross
	JoinSemi
	JoinAnti
	// JoinComma is a comma in FROM.
	JoinComma
)

// String returns the join as written in SQL.
func (k JoinKind) String() string {
	return spell(k, []string{"", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "LEFT SEMI JOIN", "LEFT ANTI JOIN", ","})
}

// SampleMethod is the method of TABLESAMPLE.
type SampleMethod uint8

// The sampling methods.
const (
	SampleInvalid SampleMethod = iota
	SampleBernoulli
	SampleSystem
)

// String returns the method as written in SQL.
func (m SampleMethod) String() string { return spell(m, []string{"", "BERNOULLI", "SYSTEM"}) }

// RowsPerMatch is how many rows a match yields.
type RowsPerMatch uint8

// The choices for rows of a match; RowsDefault means that none was written.
const (
	RowsDefault RowsPerMatch = iota
	OneRow
	AllRows
)

// String returns the choice as written in SQL.
func (r RowsPerMatch) String() string {
	return spell(r, []string{"", "ONE ROW PER MATCH", "ALL ROWS PER MATCH"})
}

// SkipKind is where matching goes on after a match.
type SkipKind uint8

// The places to go on after a match.
const (
	SkipInvalid SkipKind = iota
	SkipPastLastRow
	SkipToNextRow
	SkipToFirst
	SkipToLast
)

// String returns the place as written in SQL, without its variable.
func (k SkipKind) String() string {
	return spell(k, []string{"", "PAST LAST ROW", "TO NEXT ROW", "TO FIRST", "TO LAST"})
}

// JSONWrapper is the wrapper clause of JSON_QUERY.
type JSONWrapper uint8

// The wrapper clauses; WrapperUnset means that none was written.
const (
	WrapperUnset JSONWrapper = iota
	WithoutWrapper
	WithConditionalWrapper
	WithUnconditionalWrapper
)

// String returns the clause as written in SQL.
func (w JSONWrapper) String() string {
	return spell(w, []string{"", "WITHOUT ARRAY WRAPPER", "WITH CONDITIONAL ARRAY WRAPPER", "WITH UNCONDITIONAL ARRAY WRAPPER"})
}

// JSONBehaviorKind is the value that a JSON function yields ON EMPTY or ON ERROR.
type JSONBehaviorKind uint8

// The behaviours of JSON functions.
const (
	JSONInvalid JSONBehaviorKind = iota
	JSONNull
	JSONError
	JSONDefault
	JSONEmptyArray
	JSONEmptyObject
	JSONTrue
	JSONFalse
	JSONUnknown
)

// String returns the behaviour as written in SQL, without the value of DEFAULT.
func (k JSONBehaviorKind) String() string {
	return spell(k, []string{"", "NULL", "ERROR", "DEFAULT", "EMPTY ARRAY", "EMPTY OBJECT", "TRUE", "FALSE", "UNKNOWN"})
}

// JSONOnNull is what JSON constructors do with nulls.
type JSONOnNull uint8

// The choices for nulls in JSON constructors; OnNullUnset means that none was written.
const (
	OnNullUnset JSONOnNull = iota
	NullOnNull
	AbsentOnNull
)

// String returns the clause as written in SQL.
func (o JSONOnNull) String() string { return spell(o, []string{"", "NULL ON NULL", "ABSENT ON NULL"}) }

// BasicKind is the kind of a BasicType.
type BasicKind uint8

// The basic types.
const (
	TypeInvalid BasicKind = iota
	TypeChar
	TypeVarchar
	TypeString
	TypeBoolean
	TypeBinary
	TypeVarbinary
	TypeBytes
	TypeDecimal
	TypeTinyint
	TypeSmallint
	TypeInt
	TypeBigint
	TypeFloat
	TypeDouble
	TypeDate
	TypeTime
	TypeTimestamp
	TypeTimestampTZ
	TypeTimestampLTZ
	TypeNull
	TypeVariant
	TypeBitmap
)

var basicKinds = []string{
	"", "CHAR", "VARCHAR", "STRING", "BOOLEAN", "BINARY", "VARBINARY", "BYTES", "DECIMAL", "TINYINT",
	"SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_LTZ", "NULL", "VARIANT", "BITMAP",
}

// String returns the type's canonical name.
func (k BasicKind) String() string { return spell(k, basicKinds) }

// ObjectKind is a kind of catalog object in CREATE, ALTER, DROP, SHOW CREATE and DESCRIBE.
type ObjectKind uint8

// The kinds of catalog objects.
const (
	ObjectInvalid ObjectKind = iota
	ObjectTable
	ObjectView
	ObjectMaterializedTable
	ObjectCatalog
	ObjectDatabase
	ObjectFunction
	ObjectModel
	ObjectConnection
	ObjectJob
)

// String returns the kind as written in SQL.
func (k ObjectKind) String() string {
	return spell(k, []string{"", "TABLE", "VIEW", "MATERIALIZED TABLE", "CATALOG", "DATABASE", "FUNCTION", "MODEL", "CONNECTION", "JOB"})
}
