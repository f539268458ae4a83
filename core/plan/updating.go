package plan

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// GroupTop keeps the rows of each group that at most Offset + Count others come before,
// as Function counts, less the first Offset of them. It stands in streaming plans only.
// Output: the input columns, then, with Rank, the row's rank.
type GroupTop struct {
	Place         ast.Span
	Input         Node
	Groups        []int
	Order         []SortKey
	Function      string // ROW_NUMBER, RANK or DENSE_RANK
	Offset, Count int64
	Rank          bool
	Name          string // of the rank
}

// Materialize keeps the rows that the changes of its input leave. Unless these are upserts
// it stands in streaming plans only.
type Materialize struct {
	Input Node
	// Keys tell rows apart, of which the last counts; none: all columns do.
	Keys []int
	// AtEnd tells the rows once, when the input ends.
	AtEnd bool
	// Upserts: the changes are upserts by Keys, which take nothing back, as a table tells
	// them; it also stands in batch plans, where it waits for the end.
	Upserts bool
}

func (*GroupTop) node()    {}
func (*Materialize) node() {}

// At implements Node.
func (n *GroupTop) At() ast.Span { return n.Place }

// At implements Node.
func (n *Materialize) At() ast.Span { return n.Input.At() }

// Inputs implements Node.
func (n *GroupTop) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Materialize) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *GroupTop) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *Materialize) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// Schema implements Node.
func (n *GroupTop) Schema() datatype.Schema {
	if !n.Rank {
		return n.Input.Schema()
	}
	return append(slices.Clone(n.Input.Schema()), datatype.Field{Name: n.Name, Type: datatype.Of(datatype.BigInt).NotNull()})
}

// Schema implements Node.
func (n *Materialize) Schema() datatype.Schema { return n.Input.Schema() }

// Label implements Node.
func (n *GroupTop) Label() string {
	in := n.Input.Schema()
	s := fmt.Sprintf("Top%s by %s()", limitText(n.Offset, n.Count), n.Function)
	if len(n.Groups) > 0 {
		s += " of " + pick(in, n.Groups)
	}
	if len(n.Order) > 0 {
		s += " in order of " + OrderText(in, n.Order)
	}
	if n.Rank {
		s += " AS " + datatype.QuoteName(n.Name)
	}
	return s
}

// Label implements Node.
func (n *Materialize) Label() string {
	s := "Materialize"
	if n.Upserts {
		s = "Normalize"
	}
	if len(n.Keys) > 0 {
		s += " by " + pick(n.Input.Schema(), n.Keys)
	}
	if n.AtEnd {
		s += " at the end"
	}
	return s
}
