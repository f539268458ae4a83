package plan

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
)

// remembered is the schema that a join or union had over certain inputs. Trees of
// them are deep, and each level copies the columns of those below: without it the
// schema of n tables would cost the square of n each time it is asked for. What is
// built on inputs is not changed afterwards, so the inputs tell whether it holds.
type remembered struct {
	kind   JoinKind
	inputs []Node
	schema datatype.Schema
}

func (r *remembered) holds(kind JoinKind, inputs ...Node) bool {
	return r != nil && r.kind == kind && slices.Equal(r.inputs, inputs)
}

// Schema implements Node.
func (n *Join) Schema() datatype.Schema {
	if n.Kind == Semi || n.Kind == Anti {
		return n.Left.Schema()
	}
	if n.known.holds(n.Kind, n.Left, n.Right) {
		return n.known.schema
	}
	left, right := n.Left.Schema(), n.Right.Schema()
	s := make(datatype.Schema, 0, len(left)+len(right))
	s = appendNullable(s, left, n.Kind == Right || n.Kind == Full)
	s = appendNullable(s, right, n.Kind == Left || n.Kind == Full)
	n.known = &remembered{kind: n.Kind, inputs: []Node{n.Left, n.Right}, schema: s}
	return s
}

// Schema implements Node.
func (n *Union) Schema() datatype.Schema {
	if n.known.holds(JoinInvalid, n.All...) {
		return n.known.schema
	}
	s := slices.Clip(slices.Clone(n.All[0].Schema()))
	for _, in := range n.All[1:] {
		for i, f := range in.Schema() {
			s[i].Type = nullableAs(s[i].Type, f.Type)
		}
	}
	n.known = &remembered{inputs: slices.Clone(n.All), schema: s}
	return s
}
