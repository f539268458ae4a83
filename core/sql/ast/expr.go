package ast

// ColumnRef is a bare or dotted name used as a value: `a`, `t.a`, `t.a.field`. Where the table part ends and field access
// begins is the binder's question.
type ColumnRef struct {
	Span
	Parts []*Ident
}

// Star is `*` or `t.*` in a select list, and the argument of COUNT(*).
type Star struct {
	Span
	// Table is nil for a plain star.
	Table *Name
}

// StringLit is a character string. U&” escapes are already decoded.
type StringLit struct {
	Span
	Value string
}

// NumberLit is an unsigned number as written: `12`, `1.50`, `1e3`. A sign is a Unary.
type NumberLit struct {
	Span
	Text string
}

// BinaryLit is X'0aff'; Hex has an even number of digits, as written.
type BinaryLit struct {
	Span
	Hex string
}

// BoolLit is TRUE or FALSE.
type BoolLit struct {
	Span
	Value bool
}

// UnknownLit is UNKNOWN, the truth value that is a null BOOLEAN.
type UnknownLit struct{ Span }

// NullLit is NULL.
type NullLit struct{ Span }

// TimeLit is DATE '...', TIME '...' or TIMESTAMP '...'. The text is not checked here.
type TimeLit struct {
	Span
	Kind  TimeLitKind
	Value string
}

// IntervalLit is INTERVAL [-] '...' with its qualifier.
type IntervalLit struct {
	Span
	Negative  bool
	Value     string
	Qualifier IntervalQualifier
}

// IntervalQualifier is `DAY(2) TO SECOND(3)`: the fields of an interval.
type IntervalQualifier struct {
	From TimeUnit
	// To is zero when the interval has a single field.
	To TimeUnit
	// Precision is the number of digits of the leading field, -1 when not written.
	Precision int
	// Fraction is the number of fractional digits of the seconds, -1 when not written.
	Fraction int
}

// Unary is a sign or NOT.
type Unary struct {
	Span
	Op UnaryOp
	X  Expr
}

// Binary is an infix operator with two operands.
type Binary struct {
	Span
	Op   BinaryOp
	L, R Expr
	// OpPos is the offset of the operator, so that an error can point at it.
	OpPos Pos
}

// Between is `x [NOT] BETWEEN [SYMMETRIC] lo AND hi`.
type Between struct {
	Span
	X, Lo, Hi Expr
	Not       bool
	Symmetric bool
}

// In is `x [NOT] IN (list)` or `x [NOT] IN (query)`; exactly one of List and Query is set.
type In struct {
	Span
	X     Expr
	Not   bool
	List  []Expr
	Query Query
}

// Quantified is `x op ANY|ALL (list or query)`; exactly one of List and Query is set. SOME is ANY.
type Quantified struct {
	Span
	X     Expr
	Op    BinaryOp
	All   bool
	List  []Expr
	Query Query
}

// Exists is EXISTS (query).
type Exists struct {
	Span
	Query Query
}

// Subquery is a query in parentheses used as a value.
type Subquery struct {
	Span
	Query Query
}

// Like is `x [NOT] LIKE pattern [ESCAPE c]` or the same with SIMILAR TO.
type Like struct {
	Span
	X, Pattern Expr
	// Escape is nil when not written.
	Escape  Expr
	Not     bool
	Similar bool
}

// Is is `x IS [NOT] NULL` and the other postfix tests.
type Is struct {
	Span
	X    Expr
	Not  bool
	Test IsTest
}

// Case is CASE in both forms.
type Case struct {
	Span
	// Operand is nil in the searched form.
	Operand Expr
	Whens   []*When
	// Else is nil when not written.
	Else Expr
}

// When is one WHEN ... THEN ... of a Case.
type When struct {
	Span
	// Conds has more than one element only in the form with an operand: WHEN 1, 2 THEN.
	Conds []Expr
	Then  Expr
}

// Cast is CAST, TRY_CAST or `::`.
type Cast struct {
	Span
	X    Expr
	Type TypeName
	// Try is set for TRY_CAST, which yields null instead of failing.
	Try bool
}

// Call is a function call with all clauses that may follow it.
type Call struct {
	Span
	Func *Name
	Args []Expr
	// Quantifier is DISTINCT or ALL before the arguments.
	Quantifier Quantifier
	// NoParens is set for CURRENT_TIMESTAMP and its kin, written without parentheses.
	NoParens bool
	// OrderBy is the ORDER BY inside the parentheses.
	OrderBy []*OrderItem
	// JSON is nil unless a JSON clause was written.
	JSON *JSONClauses
	// WithinGroup is WITHIN GROUP (ORDER BY ...).
	WithinGroup []*OrderItem
	// Nulls is IGNORE NULLS or RESPECT NULLS.
	Nulls NullTreatment
	// Filter is FILTER (WHERE ...), nil when not written.
	Filter Expr
	// Over is nil for a call that is not a window call.
	Over *WindowSpec
}

// JSONClauses holds what the JSON_* functions take beside plain arguments. JSON_OBJECT and JSON_OBJECTAGG have their keys
// and values alternating in Call.Args.
type JSONClauses struct {
	Span
	// Returning is nil when not written.
	Returning TypeName
	Wrapper   JSONWrapper
	OnEmpty   *JSONBehavior
	OnError   *JSONBehavior
	// OnNull is NULL ON NULL or ABSENT ON NULL.
	OnNull JSONOnNull
}

// JSONBehavior is what stands before ON EMPTY or ON ERROR.
type JSONBehavior struct {
	Span
	Kind JSONBehaviorKind
	// Default is set when Kind is JSONDefault.
	Default Expr
}

// NamedArg is `name => value` in a call.
type NamedArg struct {
	Span
	Name  *Ident
	Value Expr
}

// Descriptor is DESCRIPTOR(a, b) in a table function call. A column may carry a type.
type Descriptor struct {
	Span
	Columns []*DescriptorColumn
}

// DescriptorColumn is one column of a Descriptor.
type DescriptorColumn struct {
	Span
	Name *Ident
	// Type is nil when not written.
	Type TypeName
}

// TableArg is a table passed to a table function: `TABLE t` or `(SELECT ...)`, with its partitioning and order.
type TableArg struct {
	Span
	// Table is a *TableRef or a *DerivedTable.
	Table       TableExpr
	PartitionBy []Expr
	OrderBy     []*OrderItem
}

// ModelArg is `MODEL m` in a table function call.
type ModelArg struct {
	Span
	Model *Name
}

// UnitArg is a time unit as an argument: EXTRACT(YEAR FROM x), TIMESTAMPADD(DAY, 1, x), FLOOR(x TO HOUR).
type UnitArg struct {
	Span
	Unit TimeUnit
}

// TrimArg is the first argument of TRIM when a side was written.
type TrimArg struct {
	Span
	Side TrimSide
}

// Array is ARRAY[...] or, with Query set, ARRAY(query).
type Array struct {
	Span
	Elems []Expr
	Query Query
}

// Map is MAP[k, v, ...] or, with Query set, MAP(query); Entries holds keys and values alternating.
type Map struct {
	Span
	Entries []Expr
	Query   Query
}

// Multiset is MULTISET[...] or, with Query set, MULTISET(query).
type Multiset struct {
	Span
	Elems []Expr
	Query Query
}

// Row is ROW(a, b), or (a, b) with two elements or more; in GROUP BY also ().
type Row struct {
	Span
	Elems []Expr
	// Explicit is set when the word ROW was written.
	Explicit bool
}

// Index is `x[i]`: an element of an array or the value of a map's key.
type Index struct {
	Span
	X, Index Expr
}

// Field is `x.name` where x is not itself a plain name.
type Field struct {
	Span
	X    Expr
	Name *Ident
}

// MatchScope is RUNNING or FINAL before a call in MATCH_RECOGNIZE.
type MatchScope struct {
	Span
	Final bool
	X     Expr
}

// GroupingSet is GROUPING SETS, ROLLUP or CUBE in GROUP BY.
type GroupingSet struct {
	Span
	Kind GroupingKind
	// Items are expressions, Rows (a parenthesised list) or, in GROUPING SETS, GroupingSets.
	Items []Expr
}

func (*ColumnRef) expr()   {}
func (*Star) expr()        {}
func (*StringLit) expr()   {}
func (*NumberLit) expr()   {}
func (*BinaryLit) expr()   {}
func (*BoolLit) expr()     {}
func (*UnknownLit) expr()  {}
func (*NullLit) expr()     {}
func (*TimeLit) expr()     {}
func (*IntervalLit) expr() {}
func (*Unary) expr()       {}
func (*Binary) expr()      {}
func (*Between) expr()     {}
func (*In) expr()          {}
func (*Quantified) expr()  {}
func (*Exists) expr()      {}
func (*Subquery) expr()    {}
func (*Like) expr()        {}
func (*Is) expr()          {}
func (*Case) expr()        {}
func (*Cast) expr()        {}
func (*Call) expr()        {}
func (*NamedArg) expr()    {}
func (*Descriptor) expr()  {}
func (*TableArg) expr()    {}
func (*ModelArg) expr()    {}
func (*UnitArg) expr()     {}
func (*TrimArg) expr()     {}
func (*Array) expr()       {}
func (*Map) expr()         {}
func (*Multiset) expr()    {}
func (*Row) expr()         {}
func (*Index) expr()       {}
func (*Field) expr()       {}
func (*MatchScope) expr()  {}
func (*GroupingSet) expr() {}
