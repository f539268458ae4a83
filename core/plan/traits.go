package plan

import "github.com/tidemill/tidemill/core/expr"

// Changelog is the kinds of changes that a node may emit.
type Changelog uint8

// The changelog modes.
const (
	ChangelogInvalid Changelog = iota
	InsertOnly                 // every row is final
	Retract                    // rows may be taken back
)

// String is the mode as EXPLAIN shows it.
func (c Changelog) String() string { return name(c, "insert-only", "retract") }

// Bounded reports whether the node's output ends: whether all its sources do.
func Bounded(n Node) bool {
	if scan, ok := n.(*Scan); ok {
		return scan.Known.Bounded || scan.Limit > 0
	}
	for _, in := range n.Inputs() {
		if !Bounded(in) {
			return false
		}
	}
	return true
}

// ChangelogOf returns what a node emits. An unbounded input makes operators
// without an end of their own take back earlier results.
func ChangelogOf(n Node) Changelog {
	switch n := n.(type) {
	case *Aggregate, *Over, *Sort, *TopN:
		if !Bounded(n) {
			return Retract
		}
	case *Join:
		if n.Kind != Inner && n.Kind != Semi && !Bounded(n) {
			return Retract
		}
	}
	for _, in := range n.Inputs() {
		if ChangelogOf(in) == Retract {
			return Retract
		}
	}
	return InsertOnly
}

// EventTime reports whether column i of n is an event time: it comes with a
// watermark, declared below and not lost on the way.
func EventTime(n Node, i int) bool {
	switch n := n.(type) {
	case *Watermark:
		return i == n.Column || EventTime(n.Input, i)
	case *Filter, *Limit:
		return EventTime(n.Inputs()[0], i)
	case *Project:
		c, ok := n.Exprs[i].(*expr.Column)
		return ok && EventTime(n.Input, c.Index)
	case *Unnest:
		return i < len(n.Keep) && EventTime(n.Input, n.Keep[i])
	case *WindowTVF:
		width := len(n.Input.Schema())
		if i < width {
			return EventTime(n.Input, i)
		}
		return Property(i-width)+WindowStart == WindowTime && EventTime(n.Input, n.Time)
	case *WindowAggregate:
		at := i - len(n.Keys) - len(n.Calls)
		return at >= 0 && n.Properties[at] == WindowTime && EventTime(n.Input, n.Time)
	case *Union:
		for _, in := range n.All {
			if !EventTime(in, i) {
				return false
			}
		}
		return true
	}
	return false
}
