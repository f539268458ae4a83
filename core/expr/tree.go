package expr

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
)

// Walk calls visit for e and, where visit returns true, for its arguments, from
// left to right.
func Walk(e Expr, visit func(Expr) bool) {
	if !visit(e) {
		return
	}
	if c, ok := e.(*Call); ok {
		for _, a := range c.Args {
			Walk(a, visit)
		}
	}
}

// Rewrite replaces nodes from the leaves up: replace is called for every node,
// its arguments already rewritten, and returns the node to put there. Unchanged
// subtrees are shared with e.
func Rewrite(e Expr, replace func(Expr) Expr) Expr {
	c, ok := e.(*Call)
	if !ok {
		return replace(e)
	}
	var args []Expr
	for i, a := range c.Args {
		b := Rewrite(a, replace)
		if b != a && args == nil {
			args = slices.Clone(c.Args)
		}
		if args != nil {
			args[i] = b
		}
	}
	if args == nil {
		return replace(c)
	}
	return replace(&Call{Function: c.Function, Args: args, T: c.T})
}

// MapColumns replaces the positions of columns, as needed when an expression
// moves to another input. It panics on a column that columns does not cover.
func MapColumns(e Expr, columns []int) Expr {
	return Rewrite(e, func(e Expr) Expr {
		if c, ok := e.(*Column); ok && columns[c.Index] != c.Index {
			return &Column{Index: columns[c.Index], Name: c.Name, T: c.T}
		}
		return e
	})
}

// Columns returns the positions of the columns that e reads, ascending, each once.
func Columns(exprs ...Expr) []int {
	var out []int
	for _, e := range exprs {
		Walk(e, func(e Expr) bool {
			if c, ok := e.(*Column); ok {
				out = append(out, c.Index)
			}
			return true
		})
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Equal reports whether both are the same tree: functions, columns by position,
// literals by value, and types.
func Equal(a, b Expr) bool {
	switch x := a.(type) {
	case *Column:
		y, ok := b.(*Column)
		return ok && x.Index == y.Index && x.T.Equal(y.T)
	case *Literal:
		y, ok := b.(*Literal)
		return ok && x.T.Equal(y.T) && equalValues(x.Value, y.Value)
	case *Call:
		y, ok := b.(*Call)
		return ok && x.Function == y.Function && x.T.Equal(y.T) && slices.EqualFunc(x.Args, y.Args, Equal)
	default:
		return false
	}
}

func equalValues(a, b any) bool {
	switch x := a.(type) {
	case []byte:
		y, ok := b.([]byte)
		return ok && slices.Equal(x, y)
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, equalValues)
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || x != x && y != y)
	default:
		return a == b
	}
}

// Conjuncts splits e at its ANDs.
func Conjuncts(e Expr) []Expr {
	if c, ok := e.(*Call); ok && c.Function == "AND" {
		out := make([]Expr, 0, len(c.Args))
		for _, a := range c.Args {
			out = append(out, Conjuncts(a)...)
		}
		return out
	}
	return []Expr{e}
}

// And joins terms; none gives TRUE, one gives itself.
func And(terms ...Expr) Expr {
	switch len(terms) {
	case 0:
		return &Literal{Value: true, T: datatype.Of(datatype.Boolean).NotNull()}
	case 1:
		return terms[0]
	}
	t := datatype.Of(datatype.Boolean).NotNull()
	for _, e := range terms {
		t.Nullable = t.Nullable || e.Type().Nullable
	}
	return &Call{Function: "AND", Args: terms, T: t}
}
