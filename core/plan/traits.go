package plan

import "github.com/tidemill/tidemill/core/expr"

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

// EventTime reports whether column i of n is an event time: it comes with a
// watermark, declared below and not lost on the way.
func EventTime(n Node, i int) bool {
	after, ok := Closing(n, i)
	return ok && after <= 0 && !bound(n, i)
}

// TimeAttribute reports whether column i of n is an event time, or was one below a join
// that waits for partners: its values come no more some time after the watermark.
func TimeAttribute(n Node, i int) bool {
	_, ok := Closing(n, i)
	return ok && !bound(n, i)
}

// bound reports whether column i is the start or the end of a window, which is a time
// but not the one that rows come in.
func bound(n Node, i int) bool {
	switch n := n.(type) {
	case *Filter, *Limit, *Watermark, *Over, *GroupTop, *Materialize:
		in := n.Inputs()[0]
		return i < len(in.Schema()) && bound(in, i)
	case *Project:
		switch e := n.Exprs[i].(type) {
		case *expr.Column:
			return bound(n.Input, e.Index)
		case *expr.Call:
			return e.Function == "$TUMBLE_START" || e.Function == "$TUMBLE_END"
		}
	case *WindowTVF:
		if width := len(n.Input.Schema()); i >= width {
			return Property(i-width)+WindowStart != WindowTime
		}
		return bound(n.Input, i)
	case *WindowAggregate:
		if at := i - len(n.Keys) - len(n.Calls); at >= 0 {
			return n.Properties[at] != WindowTime
		}
	case *Aggregate:
		return i < len(n.Keys) && bound(n.Input, n.Keys[i])
	case *Unnest:
		return i < len(n.Keep) && bound(n.Input, n.Keep[i])
	case *Join:
		if width := len(n.Left.Schema()); i >= width {
			return bound(n.Right, i-width)
		}
		return bound(n.Left, i)
	case *LookupJoin, *TemporalJoin:
		in := n.Inputs()[0]
		return i < len(in.Schema()) && bound(in, i)
	case *Union:
		return bound(n.All[0], i)
	}
	return false
}

// InTime reports whether the rows of a streaming plan's window are final and come by the
// time that it is over. Where there is no event time windows close at the end.
func InTime(n *WindowTVF) bool {
	if ChangelogOf(n.Input) == Retract {
		return false
	}
	timed := false
	Walk(n.Input, func(n Node) {
		_, ok := n.(*Watermark)
		timed = timed || ok
	})
	return !timed || EventTime(n.Input, n.Time)
}
