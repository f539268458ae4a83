package optimizer

import (
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/predicate"
)

// Refresh asks again what is known of a scan, now that its predicate is. It
// returns what was known before where it cannot tell.
type Refresh func(s *plan.Scan, pred *predicate.Predicate) connector.Description

// Optimize returns a plan with the same rows as n. A nil refresh keeps what the
// scans know. A streaming plan emits results as event time advances, also where
// its inputs end.
func Optimize(n plan.Node, functions *function.Catalog, refresh Refresh, streaming bool) plan.Node {
	n = merge(n) // casts meet the literals that they are of
	n = fold(n, functions)
	n = windows(n, streaming)
	n = distinct(n)
	n = pushDown(n, nil)
	n = scanPredicates(n, refresh)
	n = orderJoins(n)
	n = keys(n)
	n = prune(n)
	n = limits(n)
	return merge(n)
}
