package optimizer

import (
	"slices"
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
	// Split says which group-bys of streaming plans with distinct calls become two.
	Split DistinctSplit
	// LateRows says that a table is to have the rows that come late, as they are.
	LateRows bool
	// Stopped, which may be nil, is asked before each rule; once it reports true the
	// plan is returned as it is by then.
	Stopped func() bool
	// Disabled are names of rules (Rules) that are left out.
	Disabled []string
}

// rule is one rewriting: how it is called, and what it makes of a plan.
type rule struct {
	name string // needed: it cannot be left out
	// mode says for which plans it is.
	mode    mode
	rewrite func(n plan.Node, o Options) plan.Node
	// together is in the place of rewrite: it sees all plans of a job.
	together func(roots []plan.Node, o Options) []plan.Node
}

// needed is the name of rules without which there is no plan.
const needed = ""

type mode uint8

const (
	every mode = iota
	batchOnly
	streamingOnly
)

// always is a rule for all plans that needs no options.
func always(name string, rewrite func(plan.Node) plan.Node) rule {
	return only(every, name, rewrite)
}

func only(m mode, name string, rewrite func(plan.Node) plan.Node) rule {
	return single(name, m, func(n plan.Node, _ Options) plan.Node { return rewrite(n) })
}

func single(name string, m mode, rewrite func(n plan.Node, o Options) plan.Node) rule {
	return rule{name: name, mode: m, rewrite: rewrite}
}

// rules are in the order in which they run; some do twice.
func rules() []rule {
	return []rule{
		always("merge", merge), // casts meet the literals that they are of
		single("fold", every, func(n plan.Node, o Options) plan.Node { return fold(n, o.Functions, o.Zone) }),
		single("window", every, func(n plan.Node, o Options) plan.Node { return windows(n, o.Streaming) }),
		always("averages", averages),
		only(batchOnly, "distinct", distinct), // streaming group-bys know different values
		always("nested-keys", nestedKeys),
		always("push-down", func(n plan.Node) plan.Node { return pushDown(n, nil) }),
		always("group-top", groupTop),
		single("scan-predicate", every, func(n plan.Node, o Options) plan.Node { return scanPredicates(n, o.Refresh) }),
		always("prune", prune), // what nobody reads has no weight in the order of joins
		single(needed, every, func(n plan.Node, o Options) plan.Node { return sessionRows(n, o.Streaming) }),
		always("join-order", orderJoins),
		always("keys", keys),
		only(batchOnly, "eager", eager), // it would make updates of inserts
		always("prune", prune),
		always("limit", limits),
		always("outer-sides", outerSides),
		always("merge", merge),
		{name: "narrow-rows", mode: every, together: narrowRows},
		only(streamingOnly, "updating", updating),
		only(streamingOnly, "last-filters", lastFilters),
		single("split-distinct", streamingOnly, splitDistinct),
	}
}

// Rules are the names of the rules that may be left out, sorted: plans without one yield the
// same rows, some later or with more work.
func Rules() []string {
	var names []string
	for _, r := range rules() {
		if r.name != needed {
			names = append(names, r.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Optimize returns plans of a job with the same rows as roots.
func Optimize(roots []plan.Node, o Options) []plan.Node {
	left := batchOnly
	if !o.Streaming {
		left = streamingOnly
	}
	roots = slices.Clone(roots)
	for _, r := range rules() {
		if r.mode == left || slices.Contains(o.Disabled, r.name) {
			continue
		}
		if o.Stopped != nil && o.Stopped() {
			return roots
		}
		if r.together != nil {
			roots = r.together(roots, o)
			continue
		}
		for i, n := range roots {
			roots[i] = r.rewrite(n, o)
		}
	}
	return roots
}
