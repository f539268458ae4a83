package expr

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/predicate"
)

// ToPredicate returns what e demands of single columns, for push-down into
// connectors and formats. The predicate holds wherever e does; exact says that
// the converse is true as well, so that nothing of e is lost. What cannot be
// said becomes an empty AND, which holds always. Columns need their names.
func ToPredicate(e Expr) (p predicate.Predicate, exact bool) {
	switch x := e.(type) {
	case *Call:
		switch x.Function {
		case "AND":
			return allOf(x.Args)
		case "OR":
			return anyOf(x.Args)
		}
		if p, ok := comparisonPredicate(x); ok {
			return p, true
		}
	case *Column:
		if x.T.Kind == datatype.Boolean && x.Name != "" {
			return predicate.Compare(predicate.Eq, x.Name, true), true
		}
	case *Literal:
		if v, ok := x.Value.(bool); ok && v {
			return predicate.AllOf(), true
		}
	}
	return predicate.AllOf(), false
}

func always(p predicate.Predicate) bool { return p.Op == predicate.And && len(p.Terms) == 0 }

func allOf(args []Expr) (predicate.Predicate, bool) {
	var terms []predicate.Predicate
	exact := true
	for _, a := range args {
		p, ok := ToPredicate(a)
		exact = exact && ok
		if !always(p) {
			terms = append(terms, p)
		}
	}
	return predicate.AllOf(terms...), exact
}

// anyOf can leave no term out: that would demand more than e does.
func anyOf(args []Expr) (predicate.Predicate, bool) {
	var terms []predicate.Predicate
	exact := true
	for _, a := range args {
		p, ok := ToPredicate(a)
		if always(p) {
			return p, false
		}
		exact = exact && ok
		terms = append(terms, p)
	}
	return predicate.AnyOf(terms...), exact
}

func comparisonPredicate(x *Call) (predicate.Predicate, bool) {
	column, ok := namedColumn(x.Args[0])
	switch {
	case x.Function == "IN" && ok:
		return inPredicate(column, x.Args[1:])
	case x.Function == "IS NULL" && ok:
		return predicate.Predicate{Op: predicate.IsNull, Column: column.Name}, true
	case x.Function == "IS NOT NULL" && ok:
		return predicate.Predicate{Op: predicate.IsNotNull, Column: column.Name}, true
	case x.Function == "NOT" && ok:
		return predicate.Compare(predicate.Eq, column.Name, false), true
	}
	op := compareOpOf(x.Function)
	if op == noCompare {
		return predicate.Predicate{}, false
	}
	value := x.Args[1]
	if !ok {
		if column, ok = namedColumn(x.Args[1]); !ok {
			return predicate.Predicate{}, false
		}
		op, value = op.swapped(), x.Args[0]
	}
	literal, ok := comparableLiteral(column, value)
	if !ok {
		return predicate.Predicate{}, false
	}
	ops := map[compareOp]predicate.Op{
		eq: predicate.Eq, ne: predicate.Ne, lt: predicate.Lt, le: predicate.Le, gt: predicate.Gt, ge: predicate.Ge,
	}
	return predicate.Compare(ops[op], column.Name, literal), true
}

func inPredicate(column *Column, items []Expr) (predicate.Predicate, bool) {
	p := predicate.Predicate{Op: predicate.In, Column: column.Name}
	for _, e := range items {
		v, ok := comparableLiteral(column, e)
		if !ok {
			return predicate.Predicate{}, false
		}
		p.Literals = append(p.Literals, v)
	}
	return p, true
}

// namedColumn looks through casts that keep the values and their order.
func namedColumn(e Expr) (*Column, bool) {
	if c, ok := e.(*Call); ok && c.Function == "CAST" && keepsValues(c.Args[0].Type(), c.T) {
		return namedColumn(c.Args[0])
	}
	c, ok := e.(*Column)
	return c, ok && c.Name != ""
}

// keepsValues reports a cast between types whose physical values are the same:
// integers of any width, decimals of one scale, times of one unit, and text.
func keepsValues(from, to datatype.Type) bool {
	switch {
	case from.IsInteger() && to.IsInteger():
		return from.Kind <= to.Kind
	case from.Kind == datatype.Decimal && to.Kind == datatype.Decimal:
		return from.Scale == to.Scale && from.Precision <= to.Precision
	case from.Kind == to.Kind && (from.IsTimestamp() || from.Kind == datatype.Time):
		return timeUnit(from) == timeUnit(to) && from.Precision <= to.Precision
	case from.IsString() && to.Kind == datatype.Varchar:
		return from.Precision <= to.Precision
	default:
		return false
	}
}

// comparableLiteral returns a literal in the column's physical form.
func comparableLiteral(column *Column, e Expr) (any, bool) {
	l, ok := e.(*Literal)
	if !ok || l.Value == nil || layoutOf(column.T) == nestedLayout {
		return nil, false
	}
	if f, ok := l.Value.(float64); ok && f != f {
		return nil, false
	}
	if column.T.Kind != datatype.Decimal {
		return l.Value, true
	}
	return decimalLiteral(column.T, l.Value)
}

// decimalLiteral gives a decimal the width of the column's type.
func decimalLiteral(t datatype.Type, value any) (any, bool) {
	switch v := value.(type) {
	case int64:
		if layoutOf(t) == decimalLayout {
			return decFrom(v), true
		}
		return v, true
	case dec:
		if layoutOf(t) == decimalLayout {
			return v, true
		}
		return int64(v.LowBits()), fitsInt64(v)
	default:
		return nil, false
	}
}
