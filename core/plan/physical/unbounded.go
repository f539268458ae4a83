package physical

import (
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// refuseUnbounded refuses what would have to take results back, or wait for an
// end that does not come.
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
	case *plan.Aggregate:
		if len(n.Calls) == 0 {
			return sqlerr.New(sqlerr.NotBounded, n.At(), "DISTINCT over an unbounded table keeps every row for ever, which is not supported yet").
				Suggest("make rows distinct per window: FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, ...; %s", bounded)
		}
		return sqlerr.New(sqlerr.NotBounded, n.At(), "GROUP BY over an unbounded table without a window updates its results, and this output takes only inserts").
			Suggest("aggregate per window: FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, ...; %s", bounded)
	case *plan.Over:
		return sqlerr.New(sqlerr.NotBounded, n.At(), "a window function over an unbounded table is not supported yet").Suggest("aggregate per window of time, %s", bounded)
	case *plan.Sort:
		return sqlerr.New(sqlerr.NotBounded, n.At(), "ORDER BY needs all rows, and an unbounded table has no last one").Suggest("leave ORDER BY out, %s", bounded)
	case *plan.TopN:
		return sqlerr.New(sqlerr.NotBounded, n.At(), "ORDER BY with LIMIT over an unbounded table updates its results, and this output takes only inserts").Suggest("leave ORDER BY out, %s", bounded)
	case *plan.Join:
		return sqlerr.New(sqlerr.NotBounded, n.At(), "a join of unbounded tables keeps both sides for ever, which is not supported yet").
			Suggest("aggregate per window before the join, %s", bounded)
	}
	return nil
}
