package expr

import "github.com/tidemill/tidemill/core/datatype"

// Expr is a typed expression over the columns of one batch. Expressions are
// immutable and may be shared between plans.
type Expr interface {
	// Type is the result type.
	Type() datatype.Type
	expr()
}

// Column is an input column by its position in the batch.
type Column struct {
	Index int
	Name  string // for printing only
	T     datatype.Type
}

// Literal is a constant; Value is nil for NULL, else in the physical form that
// core/predicate describes ([]any for ARRAY and ROW; MAP alternates keys and
// values).
type Literal struct {
	Value any
	T     datatype.Type
}

// Call applies a function of the catalogue to arguments that already have the
// types the function wants: the binder inserted the casts. Operators, CASE, CAST,
// IN and the like are calls too; see core/function for the names.
type Call struct {
	Function string
	Args     []Expr
	T        datatype.Type
}

// Type implements Expr.
func (c *Column) Type() datatype.Type { return c.T }

// Type implements Expr.
func (l *Literal) Type() datatype.Type { return l.T }

// Type implements Expr.
func (c *Call) Type() datatype.Type { return c.T }

func (*Column) expr()  {}
func (*Literal) expr() {}
func (*Call) expr()    {}
