package ast

// Select is one SELECT block without ORDER BY.
type Select struct {
	Span
	Hints      []*Hint
	Quantifier Quantifier
	Items      []*SelectItem
	// From is nil for SELECT without FROM; tables separated by commas are Joins of kind JoinComma.
	From    TableExpr
	Where   Expr
	GroupBy *GroupBy
	Having  Expr
	Windows []*NamedWindow
	Qualify Expr
}

// SelectItem is one element of a select list.
type SelectItem struct {
	Span
	// Expr may be a *Star.
	Expr Expr
	// Alias is nil when not written.
	Alias *Ident
}

// GroupBy is GROUP BY ALL (Items is empty) or a list of expressions and GroupingSets.
type GroupBy struct {
	Span
	All bool
	// Distinct is set for GROUP BY DISTINCT, which drops repeated grouping sets.
	Distinct bool
	Items    []Expr
}

// NamedWindow is one entry of the WINDOW clause.
type NamedWindow struct {
	Span
	Name *Ident
	Spec *WindowSpec
}

// WindowSpec is what follows OVER: a window's name, or a specification in parentheses that may extend a named one.
type WindowSpec struct {
	Span
	// Base is the named window, nil when there is none.
	Base        *Ident
	PartitionBy []Expr
	OrderBy     []*OrderItem
	Frame       *Frame
}

// Frame is ROWS or RANGE with its bounds.
type Frame struct {
	Span
	Unit FrameUnit
	From FrameBound
	// To has the kind BoundNone when only one bound was written.
	To FrameBound
}

// FrameBound is one end of a Frame.
type FrameBound struct {
	Span
	Kind BoundKind
	// Offset is set when Kind is BoundPreceding or BoundFollowing.
	Offset Expr
}

// SetOp joins two queries by UNION, INTERSECT or EXCEPT. MINUS is EXCEPT.
type SetOp struct {
	Span
	Op          SetOpKind
	All         bool
	Left, Right Query
}

// Values is VALUES with one expression a row; a row of several columns is a *Row.
type Values struct {
	Span
	Rows []Expr
}

// TableQuery is TABLE t used as a query.
type TableQuery struct {
	Span
	Table *TableRef
}

// OrderedQuery is a query followed by ORDER BY, OFFSET or LIMIT; at least one is set.
type OrderedQuery struct {
	Span
	Body    Query
	OrderBy []*OrderItem
	Offset  Expr
	// Limit is nil when not written and for LIMIT ALL.
	Limit Expr
}

// OrderItem is one key of an ORDER BY.
type OrderItem struct {
	Span
	Expr Expr
	Desc bool
	// Nulls is zero when NULLS FIRST or LAST was not written.
	Nulls NullsOrder
}

// WithQuery is a query with common table expressions before it.
type WithQuery struct {
	Span
	Recursive bool
	CTEs      []*CTE
	Body      Query
}

// CTE is one named query of a WithQuery.
type CTE struct {
	Span
	Name    *Ident
	Columns []*Ident
	Query   Query
}

// TableRef is a table, view or common table expression by name.
type TableRef struct {
	Span
	Name  *Name
	Hints []*Hint
}

// FileTable is a path in quotes in the place of a table: FROM 'data/*.parquet'.
type FileTable struct {
	Span
	Path  *StringLit
	Hints []*Hint
}

// DerivedTable is a query in parentheses in FROM.
type DerivedTable struct {
	Span
	Query   Query
	Lateral bool
}

// TableFunc is TABLE(f(...)), with or without LATERAL; the word TABLE may be missing.
type TableFunc struct {
	Span
	Call    *Call
	Lateral bool
}

// Unnest is UNNEST(x, ...) [WITH ORDINALITY].
type Unnest struct {
	Span
	Exprs      []Expr
	Ordinality bool
	Lateral    bool
}

// Aliased gives a table expression a name and maybe column names.
type Aliased struct {
	Span
	Table   TableExpr
	Alias   *Ident
	Columns []*Ident
}

// Snapshot is `t FOR SYSTEM_TIME AS OF time`.
type Snapshot struct {
	Span
	Table TableExpr
	Time  Expr
}

// Sample is `t TABLESAMPLE BERNOULLI|SYSTEM (percentage) [REPEATABLE (seed)]`.
type Sample struct {
	Span
	Table   TableExpr
	Method  SampleMethod
	Percent Expr
	// Seed is nil when not written.
	Seed Expr
}

// Join joins two table expressions.
type Join struct {
	Span
	Kind        JoinKind
	Natural     bool
	Left, Right TableExpr
	// On is nil when USING, NATURAL, CROSS or a comma says how to join.
	On    Expr
	Using []*Ident
}

// MatchRecognize is `t MATCH_RECOGNIZE (...)`.
type MatchRecognize struct {
	Span
	Table       TableExpr
	PartitionBy []Expr
	OrderBy     []*OrderItem
	Measures    []*Measure
	Rows        RowsPerMatch
	// After is nil when not written.
	After *AfterMatch
	// StartAnchor and EndAnchor are ^ and $ around the pattern.
	StartAnchor, EndAnchor bool
	Pattern                PatternExpr
	// Within is the interval in which the pattern must complete, nil when not written.
	Within  Expr
	Subsets []*Subset
	Defines []*PatternDef
}

// Measure is one output of MATCH_RECOGNIZE.
type Measure struct {
	Span
	Expr  Expr
	Alias *Ident
}

// AfterMatch is AFTER MATCH SKIP ...
type AfterMatch struct {
	Span
	Kind SkipKind
	// Var is the pattern variable of SKIP TO [FIRST|LAST] var.
	Var *Ident
}

// Subset is `name = (a, b)` in SUBSET.
type Subset struct {
	Span
	Name *Ident
	Vars []*Ident
}

// PatternDef is `var AS condition` in DEFINE.
type PatternDef struct {
	Span
	Var  *Ident
	Cond Expr
}

// PatternExpr is a part of a row pattern.
type PatternExpr interface {
	Node
	patternExpr()
}

// PatternVar is a variable in a pattern.
type PatternVar struct {
	Span
	Name *Ident
}

// PatternSeq is a sequence of patterns.
type PatternSeq struct {
	Span
	Items []PatternExpr
}

// PatternAlt is `a | b`.
type PatternAlt struct {
	Span
	Items []PatternExpr
}

// PatternRepeat is a quantified pattern: * + ? {n} {n,m} and their reluctant forms.
type PatternRepeat struct {
	Span
	X   PatternExpr
	Min int
	// Max is -1 when there is no upper bound.
	Max       int
	Reluctant bool
}

// PatternExclude is {- pattern -}: matched, but not in the output.
type PatternExclude struct {
	Span
	X PatternExpr
}

// PatternPermute is PERMUTE(a, b, c).
type PatternPermute struct {
	Span
	Items []PatternExpr
}

func (*Select) statement()       {}
func (*SetOp) statement()        {}
func (*Values) statement()       {}
func (*TableQuery) statement()   {}
func (*OrderedQuery) statement() {}
func (*WithQuery) statement()    {}

func (*Select) query()       {}
func (*SetOp) query()        {}
func (*Values) query()       {}
func (*TableQuery) query()   {}
func (*OrderedQuery) query() {}
func (*WithQuery) query()    {}

func (*TableRef) tableExpr()       {}
func (*FileTable) tableExpr()      {}
func (*DerivedTable) tableExpr()   {}
func (*TableFunc) tableExpr()      {}
func (*Unnest) tableExpr()         {}
func (*Aliased) tableExpr()        {}
func (*Snapshot) tableExpr()       {}
func (*Sample) tableExpr()         {}
func (*Join) tableExpr()           {}
func (*MatchRecognize) tableExpr() {}

func (*PatternVar) patternExpr()     {}
func (*PatternSeq) patternExpr()     {}
func (*PatternAlt) patternExpr()     {}
func (*PatternRepeat) patternExpr()  {}
func (*PatternExclude) patternExpr() {}
func (*PatternPermute) patternExpr() {}
