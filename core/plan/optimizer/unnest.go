package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// throughUnnest moves the terms about kept columns below. An outer unnest whose
// added rows a term drops is an inner one.
func throughUnnest(n *plan.Unnest, terms []expr.Expr) plan.Node {
	if n.Outer && rejectsNull(terms, len(n.Keep)) {
		inner := *n
		inner.Outer = false
		n = &inner
	}
	return throughColumns(n, terms, n.Keep)
}

// keepUnnest keeps the columns that are needed and what is unnested. Where only
// rows count, the first field of the elements stays: it costs nothing.
func keepUnnest(n *plan.Unnest, need []int) plan.Node {
	c := *n
	c.Keep, c.Fields, c.Names, c.Ordinality = nil, nil, nil, false
	if len(need) == 0 {
		need = []int{len(n.Keep)}
	}
	in := []int{n.Column}
	for _, i := range need {
		switch field := i - len(n.Keep); {
		case field < 0:
			c.Keep = append(c.Keep, n.Keep[i])
			in = append(in, n.Keep[i])
		case field < len(n.Fields):
			c.Fields, c.Names = append(c.Fields, n.Fields[field]), append(c.Names, n.Names[field])
		default:
			c.Ordinality, c.Names = true, append(c.Names, n.Names[field])
		}
	}
	in = slices.Compact(slices.Sorted(slices.Values(in)))
	c.Input, c.Column, c.Keep = keep(n.Input, in), rank(in, n.Column), ranks(c.Keep, in)
	return &c
}
