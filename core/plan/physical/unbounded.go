package physical

import (
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// refuseUnbounded refuses what waits for an end that does not come.
func refuseUnbounded(root plan.Node) error {
	var refused error
	plan.Walk(root, func(n plan.Node) {
		if refused == nil {
			refused = refuse(n)
		}
	})
	return refused
}

func refuse(n plan.Node) error {
	if plan.Bounded(n) {
		return nil
	}
	const bounded = "or run it on bounded tables with --mode batch"
	switch n := n.(type) {
	case *plan.Sink:
		if n.Overwrite {
			return sqlerr.New(sqlerr.NotBounded, n.At(), "INSERT OVERWRITE replaces a table once its input has ended, and this one does not end").Suggest("write INSERT INTO, %s", bounded)
		}
	case *plan.Sort:
		if sortsByTime(n) {
			return nil
		}
		return sqlerr.New(sqlerr.NotBounded, n.At(), "ORDER BY needs all rows, and an unbounded table has no last one").Suggest("begin with an event time that ascends, ORDER BY ts, add LIMIT, or leave ORDER BY out, %s", bounded)
	case *plan.TopN, *plan.Limit:
		if plan.ChangelogOf(n.Inputs()[0]) == plan.Retract {
			return sqlerr.New(sqlerr.NotBounded, n.At(), "OFFSET without LIMIT over rows that are updated has no end").Suggest("add LIMIT, %s", bounded)
		}
	}
	return nil
}

// sortsByTime reports whether rows that do not end can be told in order as time goes on.
func sortsByTime(n *plan.Sort) bool {
	return !plan.Bounded(n) && plan.ClosingOrder(&plan.Over{Input: n.Input, Order: n.Keys})
}
