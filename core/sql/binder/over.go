package binder

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// firstOver is the column of the first window function in the virtual row,
// behind all others.
const firstOver = 1 << 24

// windows collects the window functions of a SELECT. The virtual row has one
// column for each, from firstOver on.
type windows struct {
	named []*ast.NamedWindow
	calls []overCall
}

// overCall is a window function over the virtual row.
type overCall struct {
	aggregateCall
	partition []expr.Expr
	order     []overKey
	frame     plan.Frame
	ignore    bool
	done      bool // it is computed
}

type overKey struct {
	expr                   expr.Expr
	descending, nullsFirst bool
}

// over registers a call with OVER and returns its column of the virtual row.
func (x *exprBinder) over(n *ast.Call, kind function.Kind, name string) (expr.Expr, error) {
	if x.overs == nil {
		e := x.errorf(sqlerr.MisplacedCall, n, "a window function cannot stand in %s", x.place())
		if x.clause == "WHERE" || x.clause == "HAVING" {
			return nil, e.Suggest("conditions on window functions belong into QUALIFY")
		}
		return nil, e
	}
	if err := x.refuseOver(n, kind, name); err != nil {
		return nil, err
	}
	inner := *x
	inner.overs, inner.clause = nil, "the arguments of a window function"
	call := overCall{aggregateCall: aggregateCall{at: n}, ignore: n.Nulls == ast.IgnoreNulls}
	var err error
	if !(name == "COUNT" && len(n.Args) == 1 && isStar(n.Args[0])) {
		if call.args, err = inner.bindAll(n.Args); err != nil {
			return nil, err
		}
	}
	if n.Filter != nil {
		if call.filter, err = inner.bind(n.Filter); err != nil {
			return nil, err
		}
		if call.filter, err = x.condition(n.Filter, call.filter, "FILTER"); err != nil {
			return nil, err
		}
	}
	var r function.Resolved
	if kind == function.Window {
		r, err = x.Functions.ResolveWindow(name, arguments(call.args))
	} else {
		r, err = x.Functions.ResolveAggregate(name, arguments(call.args), false)
	}
	if err != nil {
		return nil, x.errorf(sqlerr.WrongArguments, n, "%v", err)
	}
	call.function, call.typ, call.args = r.Name, r.Return, castAll(call.args, r.Args)
	if err := inner.window(&call, n.Over); err != nil {
		return nil, err
	}
	if name == "LAG" || name == "LEAD" {
		call.frame = reach(name, call.args)
	}
	if n.Quantifier == ast.QuantDistinct {
		if err := x.distinctOver(n, &call); err != nil {
			return nil, err
		}
	}
	return x.overs.virtual(call), nil
}

func (x *exprBinder) place() string {
	if x.insideOf != "" {
		return "aggregate " + x.insideOf
	}
	return x.clause
}

func (x *exprBinder) refuseOver(n *ast.Call, kind function.Kind, name string) error {
	value := slices.Contains([]string{"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE"}, name)
	switch {
	case kind == function.Scalar:
		return x.errorf(sqlerr.MisplacedCall, n, "%s is not a window function or an aggregate", name)
	case n.Quantifier == ast.QuantDistinct && (kind == function.Window || len(n.Args) != 1):
		return x.unsupported(n, "DISTINCT of this form of "+name+" over a window is")
	case n.JSON != nil || strings.HasPrefix(name, "JSON_") || len(n.WithinGroup) > 0 || len(n.OrderBy) > 0 || name == "SINGLE_VALUE" || name == "APPROX_COUNT_DISTINCT":
		return x.unsupported(n, "this form of "+name+" over a window is")
	case n.Nulls == ast.IgnoreNulls && !value:
		return x.errorf(sqlerr.BadClause, n, "IGNORE NULLS goes with LAG, LEAD, FIRST_VALUE, LAST_VALUE and NTH_VALUE only")
	case n.Filter != nil && (kind == function.Window || value):
		return x.errorf(sqlerr.BadClause, n.Filter, "FILTER goes with aggregates only, %s is none", name)
	case name == "COUNT" && len(n.Args) == 0:
		return x.errorf(sqlerr.WrongArguments, n, "COUNT wants an argument").Suggest("write COUNT(*) to count rows")
	}
	return nil
}

// virtual returns the column of an equal call, adding the call if it is new.
func (w *windows) virtual(call overCall) expr.Expr {
	i := slices.IndexFunc(w.calls, func(o overCall) bool {
		return call.same(o.aggregateCall) && call.ignore == o.ignore && call.frame == o.frame &&
			slices.EqualFunc(call.partition, o.partition, expr.Equal) && slices.EqualFunc(call.order, o.order, overKey.same)
	})
	if i < 0 {
		i = len(w.calls)
		w.calls = append(w.calls, call)
	}
	return &expr.Column{Index: firstOver + i, Name: call.function, T: call.typ}
}

func (k overKey) same(o overKey) bool {
	return expr.Equal(k.expr, o.expr) && k.descending == o.descending && k.nullsFirst == o.nullsFirst
}

// window binds what follows OVER, which may extend a named window.
func (x *exprBinder) window(call *overCall, spec *ast.WindowSpec) error {
	partition, order, frame, err := x.extended(spec, 0)
	if err != nil {
		return err
	}
	if call.partition, err = x.bindAll(partition); err != nil {
		return err
	}
	for _, o := range order {
		e, err := x.bind(o.Expr)
		if err != nil {
			return err
		}
		if unordered(e.Type()) {
			return x.errorf(sqlerr.TypeMismatch, o, "%s has no order", e.Type().WithNull(true))
		}
		key := overKey{expr: e, descending: o.Desc, nullsFirst: !o.Desc}
		if o.Nulls != ast.NullsUnset {
			key.nullsFirst = o.Nulls == ast.NullsFirst
		}
		call.order = append(call.order, key)
	}
	call.frame, err = x.frame(call, frame)
	return err
}

// reach is the rows that a LAG or LEAD looks at, which is all that it has of a
// frame: unlimited where the distance is no constant.
func reach(name string, args []expr.Expr) plan.Frame {
	f := plan.Frame{Range: true, From: plan.Bound{Kind: ast.BoundUnboundedPreceding}, To: plan.Bound{Kind: ast.BoundUnboundedFollowing}}
	distance := int64(1)
	if len(args) > 1 {
		e := args[1]
		if c, ok := e.(*expr.Call); ok && c.Function == "CAST" {
			e = c.Args[0]
		}
		lit, ok := e.(*expr.Literal)
		if ok {
			distance, ok = lit.Value.(int64)
		}
		if !ok || !lit.T.IsInteger() || distance < 0 {
			return f
		}
	}
	f = plan.Frame{From: plan.Bound{Kind: ast.BoundCurrentRow}, To: plan.Bound{Kind: ast.BoundCurrentRow}}
	if name == "LAG" {
		f.From = plan.Bound{Kind: ast.BoundPreceding, Offset: distance}
	} else {
		f.To = plan.Bound{Kind: ast.BoundFollowing, Offset: distance}
	}
	return f
}

// extended follows the names of windows; depth bounds names that go in circles.
func (x *exprBinder) extended(spec *ast.WindowSpec, depth int) ([]ast.Expr, []*ast.OrderItem, *ast.Frame, error) {
	if spec.Base == nil {
		return spec.PartitionBy, spec.OrderBy, spec.Frame, nil
	}
	i := slices.IndexFunc(x.named, func(w *ast.NamedWindow) bool { return w.Name.Name == spec.Base.Name })
	if i < 0 || depth > len(x.named) {
		var known []string
		for _, w := range x.named {
			known = append(known, w.Name.Name)
		}
		return nil, nil, nil, x.errorf(sqlerr.BadClause, spec.Base, "no window is called %s", spec.Base.Name).DidYouMean(spec.Base.Name, known)
	}
	partition, order, frame, err := x.extended(x.named[i].Spec, depth+1)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(spec.PartitionBy) > 0 {
		return nil, nil, nil, x.errorf(sqlerr.BadClause, spec.PartitionBy[0], "window %s has its PARTITION BY already", spec.Base.Name)
	}
	if len(spec.OrderBy) > 0 {
		if len(order) > 0 {
			return nil, nil, nil, x.errorf(sqlerr.BadClause, spec.OrderBy[0], "window %s has an ORDER BY already", spec.Base.Name)
		}
		order = spec.OrderBy
	}
	if spec.Frame != nil {
		frame = spec.Frame
	}
	return partition, order, frame, nil
}

// frame is the frame as written; else all rows up to the current one's peers,
// which without an order are the whole partition.
func (x *exprBinder) frame(call *overCall, n *ast.Frame) (plan.Frame, error) {
	f := plan.Frame{Range: true, From: plan.Bound{Kind: ast.BoundUnboundedPreceding}, To: plan.Bound{Kind: ast.BoundCurrentRow}}
	if n == nil {
		if len(call.order) == 0 {
			f.To.Kind = ast.BoundUnboundedFollowing
		}
		return f, nil
	}
	var err error
	f.Range = n.Unit == ast.FrameRange
	if f.From, err = x.bound(call, n, n.From); err != nil {
		return f, err
	}
	if n.To.Kind != ast.BoundNone {
		if f.To, err = x.bound(call, n, n.To); err != nil {
			return f, err
		}
	}
	if f.From.Kind == ast.BoundUnboundedFollowing || f.To.Kind == ast.BoundUnboundedPreceding || f.From.Kind > f.To.Kind {
		return f, x.errorf(sqlerr.BadClause, n, "the frame ends before it begins")
	}
	return f, nil
}

func (x *exprBinder) bound(call *overCall, f *ast.Frame, n ast.FrameBound) (plan.Bound, error) {
	b := plan.Bound{Kind: n.Kind}
	if n.Offset == nil {
		return b, nil
	}
	var err error
	if f.Unit == ast.FrameRows {
		b.Offset, err = x.rowCount(n.Offset, "ROWS")
		return b, err
	}
	if len(call.order) != 1 {
		return b, x.errorf(sqlerr.BadClause, f, "RANGE with a distance needs exactly one ORDER BY column")
	}
	e, err := x.bind(n.Offset)
	if err != nil {
		return b, err
	}
	key := call.order[0].expr.Type()
	bad := x.errorf(sqlerr.TypeMismatch, n.Offset, "a distance between values of %s must be a constant that is not negative, of a type that fits", key.WithNull(true))
	lit, ok := e.(*expr.Literal)
	if !ok {
		return b, bad
	}
	if key.Is(datatype.Float, datatype.Double) {
		b.Real, ok = realOf(lit)
		ok = ok && b.Real >= 0
	} else {
		b.Offset, ok = distance(key, lit)
		ok = ok && b.Offset >= 0
		b.Months = lit.T.Kind == datatype.IntervalMonth
	}
	if !ok {
		return b, bad
	}
	return b, nil
}

func realOf(lit *expr.Literal) (float64, bool) {
	switch v := lit.Value.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v) / math.Pow10(lit.T.Scale), lit.T.IsInteger() || lit.T.Kind == datatype.Decimal
	}
	return 0, false
}

// distance is lit in units of values of key as they are stored.
func distance(key datatype.Type, lit *expr.Literal) (int64, bool) {
	v, ok := lit.Value.(int64)
	if !ok {
		return 0, false
	}
	const dayMillis = 86400000
	switch {
	case key.IsInteger():
		return v, lit.T.IsInteger()
	case key.Kind == datatype.Decimal && key.Precision <= datatype.MaxDecimal64Precision:
		scale := 0
		if lit.T.Kind == datatype.Decimal {
			scale = lit.T.Scale
		} else if !lit.T.IsInteger() {
			return 0, false
		}
		for ; scale < key.Scale; scale++ {
			if v > math.MaxInt64/10 {
				return 0, false
			}
			v *= 10
		}
		return v, scale == key.Scale
	case lit.T.Kind == datatype.IntervalMonth:
		return v, key.Is(datatype.Date, datatype.Timestamp, datatype.TimestampLTZ)
	case lit.T.Kind != datatype.IntervalSecond:
		return 0, false
	case key.Kind == datatype.Date:
		return v / dayMillis, v%dayMillis == 0
	case key.Is(datatype.Timestamp, datatype.TimestampLTZ):
		per := int64(1e6) / unitNanos(key.Precision)
		return v * per, v <= math.MaxInt64/per
	}
	return 0, false
}

// overWindows computes the window functions over the rows so far and rewrites the
// later expressions over them: first those that need no other ones.
func (s *selection) overWindows() {
	for range 2 { // distinctOver makes calls that need one other
		var now []int
		for i, c := range s.overs.calls {
			waits := c.filter != nil && !plan.OnlyColumns(c.filter, func(i int) bool { return i < firstOver })
			if !waits && !c.done {
				now = append(now, i)
			}
		}
		if len(now) > 0 {
			s.overNodes(now)
		}
	}
}

// overNodes computes some window functions, one node for each window.
func (s *selection) overNodes(calls []int) {
	in := plan.Identity(s.node)
	nodes := make([]*plan.Over, 0, 1)
	of := map[int][2]int{} // node, call
	for _, i := range calls {
		s.overs.calls[i].done = true
		n, call := s.overCall(in, i)
		at := slices.IndexFunc(nodes, func(o *plan.Over) bool {
			return slices.Equal(o.Partition, n.Partition) && slices.Equal(o.Order, n.Order)
		})
		if at < 0 {
			at = len(nodes)
			nodes = append(nodes, n)
		}
		of[i] = [2]int{at, len(nodes[at].Calls)}
		nodes[at].Calls = append(nodes[at].Calls, call)
	}
	s.node = in
	first := make([]int, len(nodes))
	for i, n := range nodes {
		first[i] = len(s.node.Schema())
		n.Input = s.node
		s.node = n
	}
	schema := s.node.Schema()
	for _, e := range s.later() {
		*e = plan.ReplaceColumns(*e, func(c *expr.Column) expr.Expr {
			at, ok := of[c.Index-firstOver]
			if !ok {
				return c
			}
			return plan.Column(schema, first[at[0]]+at[1])
		})
	}
}

// overCall is window function i, and its window without calls, over what in computes.
func (s *selection) overCall(in *plan.Project, i int) (*plan.Over, plan.OverCall) {
	c := s.overs.calls[i]
	n := &plan.Over{Place: s.at(c.at)}
	for _, e := range c.partition {
		if at := addColumn(in, e); !slices.Contains(n.Partition, at) {
			n.Partition = append(n.Partition, at)
		}
	}
	for _, k := range c.order {
		n.Order = append(n.Order, plan.SortKey{Column: addColumn(in, k.expr), Descending: k.descending, NullsFirst: k.nullsFirst})
	}
	call := plan.OverCall{Call: plan.Call{Function: c.function, Filter: -1, Type: c.typ, Name: s.overName(i)}, Frame: c.frame, IgnoreNulls: c.ignore}
	for _, a := range c.args {
		call.Args = append(call.Args, addColumn(in, a))
	}
	if c.filter != nil {
		call.Filter = addColumn(in, c.filter)
	}
	return n, call
}

// overName is the name of the item that is just this call.
func (s *selection) overName(i int) string {
	for _, it := range s.items {
		if c, ok := it.expr.(*expr.Column); ok && c.Index == firstOver+i {
			return it.name
		}
	}
	return "over" + strconv.Itoa(i)
}

func (s *selection) bindQualify() error {
	if s.syntax.Qualify == nil {
		return nil
	}
	x := s.binder("QUALIFY")
	x.group, x.aliases, x.overs, x.named = s.group, s.aliases(), &s.overs, s.overs.named
	if s.group == nil {
		x.group = &grouping{width: len(s.node.Schema())}
	}
	e, err := x.bind(s.syntax.Qualify)
	if err != nil {
		return err
	}
	if s.group == nil && len(x.group.calls) > 0 {
		return s.errorf(sqlerr.NotAggregated, s.syntax.Qualify, "QUALIFY uses an aggregate, but the query has no GROUP BY")
	}
	if len(s.overs.calls) == 0 {
		return s.errorf(sqlerr.BadClause, s.syntax.Qualify, "QUALIFY needs a window function").Suggest("other conditions belong into WHERE or HAVING")
	}
	s.qualify, err = s.condition(s.syntax.Qualify, e, "QUALIFY")
	return err
}
