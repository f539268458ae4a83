package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// DistinctSplit says which group-bys with distinct calls are computed in two.
type DistinctSplit uint8

// The choices.
const (
	// SplitHot is for those that one subtask would have most rows of at a time, if a row
	// has more to do there than here.
	SplitHot DistinctSplit = iota
	SplitAll               // that can be
	SplitNone
)

// String is the choice in a word.
func (d DistinctSplit) String() string { return []string{"hot", "all", "none"}[min(d, SplitNone)] }

// fewGroups are so few that they may well be all in one subtask.
const fewGroups = 8

// hot reports whether the rows of some time have one key, or a few: there are no keys, or
// all are said by the time, or known to have few values.
func hot(agg *plan.Aggregate) bool {
	rest := slices.DeleteFunc(slices.Clone(agg.Keys), func(k int) bool { return ofTime(agg.Input, k) })
	if len(rest) == 0 {
		return true
	}
	groups := plan.KnownGroups(agg.Input, rest)
	return groups > 0 && groups <= fewGroups
}

// ofTime reports whether rows that come together have mostly one value of a column: what a
// clock shows, in days or minutes, or a window of time.
func ofTime(n plan.Node, column int) bool {
	switch in := n.(type) {
	case *plan.Project:
		switch e := in.Exprs[column].(type) {
		case *expr.Column:
			return ofTime(in.Input, e.Index)
		case *expr.Call:
			return shown(e)
		}
	case *plan.Filter, *plan.Watermark:
		return ofTime(n.Inputs()[0], column)
	case *plan.WindowTVF:
		return column >= len(in.Input.Schema()) || ofTime(in.Input, column)
	}
	return false
}

// shown reports whether a call is what a clock shows of a time.
func shown(e *expr.Call) bool {
	switch e.Function {
	case "DATE_FORMAT", "EXTRACT", "FLOOR", "CEIL", "YEAR", "QUARTER", "MONTH", "WEEK", "DAYOFYEAR", "DAYOFMONTH", "DAYOFWEEK",
		"HOUR", "MINUTE", "$TUMBLE_START", "$TUMBLE_END", "CAST":
	default:
		return false
	}
	times := 0
	for _, a := range e.Args {
		switch a := a.(type) {
		case *expr.Literal:
		case *expr.Call:
			if !shown(a) {
				return false
			}
			times++
		default:
			if !a.Type().IsTemporal() {
				return false
			}
			times++
		}
	}
	return times > 0 && (e.Function != "CAST" || e.T.IsTemporal() && !e.T.IsTimestamp())
}
