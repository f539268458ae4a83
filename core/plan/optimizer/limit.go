package optimizer

import "github.com/tidemill/tidemill/core/plan"

// limits moves limits below projections and into unions, tells scans how many
// rows suffice, and makes a sort below a limit a top-n.
func limits(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		if limit, ok := n.(*plan.Limit); ok {
			return lower(limit)
		}
		return n
	})
}

func lower(l *plan.Limit) plan.Node {
	if l.Count < 0 && l.Offset == 0 {
		return l.Input
	}
	if l.Count == 0 {
		return &plan.Values{Place: l.Place, Columns: l.Schema()}
	}
	switch in := l.Input.(type) {
	case *plan.Project:
		if len(in.Input.Schema()) == 0 { // all columns are constants, and the limit's exchange needs one
			return l
		}
		return in.WithInputs(lower(l.WithInputs(in.Input).(*plan.Limit)))
	case *plan.Sort:
		if l.Count < 0 {
			return l
		}
		return &plan.TopN{Place: l.Place, Input: in.Input, Keys: in.Keys, Offset: l.Offset, Count: l.Count}
	case *plan.Union:
		if l.Count >= 0 {
			return l.WithInputs(plan.MapInputs(in, func(side plan.Node) plan.Node {
				return lower(&plan.Limit{Place: l.Place, Input: side, Count: l.Offset + l.Count})
			}))
		}
	case *plan.Scan:
		if l.Count > 0 && (in.Limit == 0 || in.Limit > l.Offset+l.Count) {
			c := *in
			c.Limit = l.Offset + l.Count
			return l.WithInputs(&c)
		}
	}
	return l
}
