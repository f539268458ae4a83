package plan

import (
	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// Node is one relational operator with its inputs. The set of nodes is closed:
// a switch over them can be complete.
type Node interface {
	// Schema is the node's output columns; callers must not change it.
	Schema() datatype.Schema
	// Inputs are the nodes it reads, left before right.
	Inputs() []Node
	// WithInputs returns the node over other inputs of the same schemas and order.
	WithInputs(inputs ...Node) Node
	// At is the place in the statement that asked for the node.
	At() ast.Span
	// Label is the node in one line, without its inputs.
	Label() string

	node()
}

// Scan reads columns of a table through its connector.
type Scan struct {
	Place     ast.Span
	Connector string
	Table     connector.Table
	// Columns are what is read, in output order: a subset of the table's.
	Columns datatype.Schema
	// Known is what the connector told of the table, the predicate included.
	Known connector.Description
	// Analyzed is what ANALYZE found out about the table and its partitions; Stale is
	// set where the table has changed since it was looked at as a whole.
	Analyzed []catalog.Statistics
	Stale    bool
	// Predicate may be used to skip; the filter above still decides. Nil: none.
	Predicate *predicate.Predicate
	// Limit is how many rows suffice; 0: all.
	Limit int64
	// Rejects says what becomes of records that are no rows; nil: the first one fails the job.
	Rejects *Rejects
}

// Rejects is where the records of a table go that are no rows of it, or the late rows of a job.
type Rejects struct {
	Late   bool   // they are late rows
	Source string // the table that records are of; empty of late rows
	Max    int64  // more of them fail the job; negative: any number may be
	// Sink is the table that takes them, and what it makes of Records, which stands for them.
	Sink    *Sink
	Records *Values
}

// Values is constant rows.
type Values struct {
	Place   ast.Span
	Columns datatype.Schema
	Rows    [][]*expr.Literal
}

// Filter keeps the rows for which Cond is true.
type Filter struct {
	Place ast.Span
	Input Node
	Cond  expr.Expr
}

// Project computes its columns from those of one input row.
type Project struct {
	Place ast.Span
	Input Node
	Exprs []expr.Expr
	Names []string
}

// Call is one aggregate function over columns of the aggregate's input.
type Call struct {
	Function string // name in the catalogue
	Args     []int
	Distinct bool
	Filter   int // boolean column, or -1
	Type     datatype.Type
	Name     string
	// Growing says that of an input that takes rows back the call may pass those over:
	// what one brought is brought again by the row in its place.
	Growing bool
}

// Aggregate groups by key columns. Output: the keys, then one column a call.
// Without keys it yields one row, also for no input. Without calls it is DISTINCT.
type Aggregate struct {
	Place ast.Span
	Input Node
	Keys  []int
	Calls []Call
}

// WindowTVF assigns rows to event-time windows. Output: the input columns, then
// window_start, window_end, window_time.
type WindowTVF struct {
	Place  ast.Span
	Input  Node
	Window Window
	Time   int // the time column
	// Partition are the keys of SESSION, over the input columns: each of their values
	// has sessions of its own. Sessions are known only to a WindowAggregate by just these.
	Partition []expr.Expr
}

// WindowAggregate groups by keys and event-time windows in one step. Output: the
// keys, the calls, then the properties.
type WindowAggregate struct {
	Place      ast.Span
	Input      Node
	Window     Window
	Time       int
	Keys       []int
	Calls      []Call
	Properties []Property
	Names      []string // of the properties
}

// Join joins two inputs by equality of key columns and a residual condition over
// left columns, then right ones. Without keys it compares all pairs. Output: the
// left columns, then the right ones; of a semi or anti join only the left ones.
type Join struct {
	Place               ast.Span
	Left, Right         Node
	Kind                JoinKind
	LeftKeys, RightKeys []int
	Residual            expr.Expr // nil: true
	// BuildLeft lets a semi or anti join keep its left side and look for partners
	// as the right side passes: for a left side that is the smaller one.
	BuildLeft bool

	known *remembered
}

// SortKey is one column of an order.
type SortKey struct {
	Column     int
	Descending bool
	NullsFirst bool
}

// Over computes window functions. Output: the input columns, then one column a
// call.
type Over struct {
	Place     ast.Span
	Input     Node
	Partition []int
	Order     []SortKey
	Calls     []OverCall
	// Top says which rows may be left out; the zero value: none.
	Top Top
}

// Top allows to leave out the rows of a partition whose rank by Function, which is
// ROW_NUMBER, RANK or DENSE_RANK, is more than Count.
type Top struct {
	Function string
	Count    int64
}

// OverCall is one window function: a ranking or value function, or an aggregate
// over the rows of a frame.
type OverCall struct {
	Call
	Frame       Frame
	IgnoreNulls bool
}

// Frame is the rows that a window function sees beside its own.
type Frame struct {
	Range    bool // by values of the order column, not by rows
	From, To Bound
}

// Bound is one end of a frame. Of a range the offset is in units of the order
// column as it is stored, or in months of the calendar, and Real where the column
// is a floating-point number.
type Bound struct {
	Kind   ast.BoundKind
	Offset int64
	Real   float64
	Months bool
}

// Sort orders the whole input.
type Sort struct {
	Place ast.Span
	Input Node
	Keys  []SortKey
}

// Limit skips Offset rows and passes Count rows.
type Limit struct {
	Place  ast.Span
	Input  Node
	Offset int64
	Count  int64 // -1: all
}

// TopN is a Sort below a Limit in one.
type TopN struct {
	Place  ast.Span
	Input  Node
	Keys   []SortKey
	Offset int64
	Count  int64
}

// Union passes all rows of all inputs, whose columns agree in type. The names
// are those of the first.
type Union struct {
	Place ast.Span
	All   []Node

	known *remembered
}

// Watermark declares a column the event time, with the expression that derives
// its watermark.
type Watermark struct {
	Place  ast.Span
	Input  Node
	Column int
	Expr   expr.Expr
	// IdleMillis is the silence after which the input no longer holds time back;
	// 0: never.
	IdleMillis int64
	// FutureMillis is how far an event time may be ahead of the clock and still advance the
	// watermark; 0: any.
	FutureMillis int64
	// Processing makes the column the time at which a row comes by, whatever it was,
	// and the watermark that of the clock; Expr is the column then.
	Processing bool
}

// Sink writes its input to a table through its connector.
type Sink struct {
	Place           ast.Span
	Input           Node
	Connector       string
	Table           connector.Table
	StaticPartition map[string]string
	Overwrite       bool
	// Accepts are the changes that the connector takes.
	Accepts connector.Changes
}

// WindowKind tells the event-time windows apart.
type WindowKind uint8

// The kinds of windows.
const (
	WindowInvalid WindowKind = iota
	Tumble
	Hop
	Cumulate
	Session // SizeMillis is the gap
)

// String is the window's table function.
func (k WindowKind) String() string {
	return name(k, "TUMBLE", "HOP", "CUMULATE", "SESSION")
}

// Window is an event-time window; lengths are milliseconds.
type Window struct {
	Kind         WindowKind
	SizeMillis   int64
	SlideMillis  int64 // HOP: slide; CUMULATE: step
	OffsetMillis int64
}

// Property is a column that a window gives.
type Property uint8

// The properties, in the order in which a WindowTVF appends them.
const (
	PropertyInvalid Property = iota
	WindowStart
	WindowEnd
	WindowTime
)

// String is the property's column name.
func (p Property) String() string {
	return name(p, "window_start", "window_end", "window_time")
}

// JoinKind tells joins apart.
type JoinKind uint8

// The kinds of joins. A cross join is an inner one without condition.
const (
	JoinInvalid JoinKind = iota
	Inner
	Left
	Right
	Full
	Semi
	Anti
)

// String is the kind in a word.
func (k JoinKind) String() string {
	return name(k, "inner", "left", "right", "full", "semi", "anti")
}

func name[E ~uint8](e E, names ...string) string {
	if e == 0 || int(e) > len(names) {
		return "invalid"
	}
	return names[e-1]
}

// Distinct returns the rows of input without repetition.
func Distinct(at ast.Span, input Node) *Aggregate {
	keys := make([]int, len(input.Schema()))
	for i := range keys {
		keys[i] = i
	}
	return &Aggregate{Place: at, Input: input, Keys: keys}
}

func (*Scan) node()            {}
func (*Values) node()          {}
func (*Filter) node()          {}
func (*Project) node()         {}
func (*Aggregate) node()       {}
func (*WindowTVF) node()       {}
func (*WindowAggregate) node() {}
func (*Join) node()            {}
func (*Over) node()            {}
func (*Sort) node()            {}
func (*Limit) node()           {}
func (*TopN) node()            {}
func (*Union) node()           {}
func (*Watermark) node()       {}
func (*Sink) node()            {}
