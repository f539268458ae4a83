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
	// Stopped, which may be nil, is asked before each rule; once it reports true the
	// plan is returned as it is by then.
	Stopped func() bool
}

// Optimize returns a plan with the same rows as n.
func Optimize(n plan.Node, o Options) plan.Node {
	streaming := func(then, otherwise func(plan.Node) plan.Node) func(plan.Node) plan.Node {
		if o.Streaming {
			return then
		}
		return otherwise
	}
	same := func(n plan.Node) plan.Node { return n }
	for _, rule := range []func(plan.Node) plan.Node{
		merge, // casts meet the literals that they are of
		func(n plan.Node) plan.Node { return fold(n, o.Functions, o.Zone) },
		func(n plan.Node) plan.Node { return windows(n, o.Streaming) },
		averages,
		streaming(same, distinct), // streaming group-bys know different values
		nestedKeys,
		func(n plan.Node) plan.Node { return pushDown(n, nil) },
		groupTop,
		func(n plan.Node) plan.Node { return scanPredicates(n, o.Refresh) },
		prune, // what nobody reads has no weight in the order of joins
		orderJoins,
		keys,
		streaming(same, eager), // it would make updates of inserts
		prune,
		limits,
		outerSides,
		merge,
		narrowRows,
		streaming(updating, same),
		streaming(lastFilters, same),
	} {
		if o.Stopped != nil && o.Stopped() {
			return n
		}
		n = rule(n)
	}
	return n
}
