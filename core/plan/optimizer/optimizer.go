package optimizer

import (
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/predicate"
)

// Refresh asks again what is known of a scan, now that its predicate is. It
// returns what was known before where it cannot tell.
type Refresh func(s *plan.Scan, pred *predicate.Predicate) connector.Description

// Options say what a plan is optimised for.
type Options struct {
	Functions *function.Catalog
	// Refresh may be nil: scans keep what they know.
	Refresh Refresh
	// Streaming plans emit results as event time advances, also where their inputs
	// end.
	Streaming bool
	// Zone is the session's time zone; nil means UTC.
	Zone *time.Location
}

// Optimize returns a plan with the same rows as n.
func Optimize(n plan.Node, o Options) plan.Node {
	n = merge(n) // casts meet the literals that they are of
	n = fold(n, o.Functions, o.Zone)
	n = windows(n, o.Streaming)
	n = averages(n)
	n = distinct(n)
	n = pushDown(n, nil)
	n = groupTop(n)
	n = scanPredicates(n, o.Refresh)
	n = orderJoins(n)
	n = keys(n)
	n = prune(n)
	n = limits(n)
	return merge(n)
}
