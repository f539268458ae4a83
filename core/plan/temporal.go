package plan

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// LookupJoin joins each row with those that a table has of its keys when the row comes.
// The table is not read: its connector is asked. Output: the input columns, then the
// table's.
type LookupJoin struct {
	Place               ast.Span
	Input               Node
	Kind                JoinKind // Inner or Left
	Table               *Scan
	LeftKeys, RightKeys []int // of the input, of Table.Columns
	Residual            expr.Expr
}

// TemporalJoin joins each left row with the version that the right side had of its key at
// the row's time. A right row is the version of its key from its time on, until there is
// another. Output: the left columns, then the right ones.
type TemporalJoin struct {
	Place               ast.Span
	Left, Right         Node
	Kind                JoinKind // Inner or Left
	LeftKeys, RightKeys []int
	LeftTime, RightTime int // event times
	Residual            expr.Expr
}

func (*LookupJoin) node()   {}
func (*TemporalJoin) node() {}

// At implements Node.
func (n *LookupJoin) At() ast.Span { return n.Place }

// At implements Node.
func (n *TemporalJoin) At() ast.Span { return n.Place }

// Inputs implements Node.
func (n *LookupJoin) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *TemporalJoin) Inputs() []Node { return []Node{n.Left, n.Right} }

// WithInputs implements Node.
func (n *LookupJoin) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *TemporalJoin) WithInputs(in ...Node) Node {
	c := *n
	c.Left, c.Right = in[0], in[1]
	return &c
}

// Schema implements Node.
func (n *LookupJoin) Schema() datatype.Schema {
	return appendNullable(slices.Clone(n.Input.Schema()), n.Table.Columns, n.Kind == Left)
}

// Schema implements Node.
func (n *TemporalJoin) Schema() datatype.Schema {
	return appendNullable(slices.Clone(n.Left.Schema()), n.Right.Schema(), n.Kind == Left)
}

// Label implements Node.
func (n *LookupJoin) Label() string {
	return "LookupJoin " + n.Kind.String() + " " + n.Table.Table.Name + " (" + strings.Join(n.Table.Columns.Names(), ", ") + ")" +
		on(n.Input.Schema(), n.LeftKeys, n.Table.Columns, n.RightKeys, n.Residual)
}

// Label implements Node.
func (n *TemporalJoin) Label() string {
	left, right := n.Left.Schema(), n.Right.Schema()
	return "TemporalJoin " + n.Kind.String() + on(left, n.LeftKeys, right, n.RightKeys, n.Residual) +
		", version " + pick(right, []int{n.RightTime}) + " as of " + pick(left, []int{n.LeftTime})
}

// on is the condition of a join in SQL.
func on(left datatype.Schema, leftKeys []int, right datatype.Schema, rightKeys []int, residual expr.Expr) string {
	terms := make([]string, len(leftKeys))
	for i, k := range leftKeys {
		terms[i] = datatype.QuoteName(left[k].Name) + " = " + datatype.QuoteName(right[rightKeys[i]].Name)
	}
	s := " on " + strings.Join(terms, ", ")
	if residual != nil {
		s += " where " + expr.String(residual)
	}
	return s
}

// temporalTimes: a row comes once its own time has closed on the left side; what closes
// with that time still does.
func (f *inference) temporalTimes(n *TemporalJoin) []closing {
	in := f.timesOf(n.Left)
	at := in[n.LeftTime]
	out := make([]closing, len(in))
	for i, t := range in {
		if t.ok && at.ok && t.moment == at.moment {
			t.after = max(t.after, t.after-at.after)
			out[i] = t
		}
	}
	return withNone(out, len(n.Schema()))
}

// lookupKeys are the input's where a row finds one of the table's at most.
func lookupKeys(n *LookupJoin) [][]int {
	var key []int
	for _, name := range n.Table.Table.PrimaryKey {
		key = append(key, n.Table.Columns.Index(name))
	}
	if len(key) == 0 || !oneOf([][]int{key}, n.RightKeys) {
		return nil
	}
	return UpsertKeys(n.Input)
}
