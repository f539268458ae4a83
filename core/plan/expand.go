package plan

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// Expand yields each row once for every grouping set, with NULL in the keys that
// the set lacks. Output: the input columns, then the grouping id, whose lowest
// bits are 1 for the keys that are missing, the last key's being the lowest.
type Expand struct {
	Place ast.Span
	Input Node
	Keys  []int   // columns
	Sets  [][]int // positions in Keys
}

// GroupingID is the name of the last column of an Expand.
const GroupingID = "grouping_id"

func (*Expand) node() {}

// At implements Node.
func (n *Expand) At() ast.Span { return n.Place }

// Inputs implements Node.
func (n *Expand) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Expand) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// Schema implements Node.
func (n *Expand) Schema() datatype.Schema {
	s := slices.Clone(n.Input.Schema())
	for i, c := range n.Keys {
		if slices.ContainsFunc(n.Sets, func(set []int) bool { return !slices.Contains(set, i) }) {
			s[c].Type = s[c].Type.WithNull(true)
		}
	}
	return append(s, datatype.Field{Name: GroupingID, Type: datatype.Of(datatype.BigInt).NotNull()})
}

// Label implements Node.
func (n *Expand) Label() string {
	in := n.Input.Schema()
	sets := make([]string, len(n.Sets))
	for i, set := range n.Sets {
		columns := make([]int, len(set))
		for j, k := range set {
			columns[j] = n.Keys[k]
		}
		sets[i] = "(" + pick(in, columns) + ")"
	}
	return "Expand " + strings.Join(sets, ", ")
}
