package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// windows makes a GROUP BY over the bounds of a window table function one
// operator, which assigns rows to windows and aggregates them in one step:
//
//	Aggregate by window_start, window_end, k       Project
//	└─ Project k, v, window_start, window_end  =>  └─ WindowAggregate by k
//	   └─ Filter c                                    └─ Project k, v, time
//	      └─ Window TUMBLE                               └─ Filter c
//
// A TUMBLE that is left, or that is run as batch, where a group-by in two phases is
// cheaper, becomes a projection: see tumble.
func windows(n plan.Node, streaming bool) plan.Node {
	n = plan.Transform(n, func(n plan.Node) plan.Node {
		if agg, ok := n.(*plan.Aggregate); ok {
			if w, ok := windowed(agg, streaming); ok {
				return w
			}
		}
		return n
	})
	return plan.Transform(n, func(n plan.Node) plan.Node {
		if tvf, ok := n.(*plan.WindowTVF); ok && tvf.Window.Kind == plan.Tumble {
			return tumble(tvf)
		}
		return n
	})
}

// overWindow is what stands between an aggregate and a window, as expressions
// over the window's output.
type overWindow struct {
	tvf   *plan.WindowTVF
	exprs []expr.Expr
	conds []expr.Expr
	width int // columns of the window's input
}

func findWindow(n plan.Node) (*overWindow, bool) {
	w := &overWindow{exprs: plan.Columns(n.Schema())}
	for {
		switch in := n.(type) {
		case *plan.Project:
			for i, e := range w.exprs {
				w.exprs[i] = plan.Substitute(e, in.Exprs)
			}
			for i, c := range w.conds {
				w.conds[i] = plan.Substitute(c, in.Exprs)
			}
			n = in.Input
		case *plan.Filter:
			w.conds = append(w.conds, plan.Conjuncts(in.Cond)...)
			n = in.Input
		case *plan.WindowTVF:
			w.tvf, w.width = in, len(in.Input.Schema())
			return w, true
		default:
			return nil, false
		}
	}
}

// property returns which column of the window e is, if it is one.
func (w *overWindow) property(e expr.Expr) (plan.Property, bool) {
	if c, ok := e.(*expr.Column); ok && c.Index >= w.width {
		return plan.WindowStart + plan.Property(c.Index-w.width), true
	}
	return plan.PropertyInvalid, false
}

func (w *overWindow) below(e expr.Expr) bool {
	return plan.OnlyColumns(e, func(i int) bool { return i < w.width })
}

func windowed(agg *plan.Aggregate, streaming bool) (plan.Node, bool) {
	w, ok := findWindow(agg.Input)
	if !ok || w.tvf.Window.Kind == plan.Tumble && !streaming || streaming && !plan.InTime(w.tvf) {
		return nil, false
	}
	session := w.tvf.Window.Kind == plan.Session
	if session && !w.bySessions(agg) {
		return nil, false
	}
	for _, c := range w.conds {
		if !w.below(c) {
			return nil, false
		}
	}
	for _, c := range agg.Calls { // their slices cannot be merged, nor sessions
		if (c.Distinct || c.Function == "APPROX_COUNT_DISTINCT" || c.Function == "SINGLE_VALUE") && w.tvf.Window.Kind != plan.Tumble {
			return nil, false
		}
	}
	out := &plan.WindowAggregate{Place: agg.Place, Window: w.tvf.Window}
	conds := w.conds
	if session {
		conds = append(conds, known(plan.Column(w.tvf.Input.Schema(), w.tvf.Time))...)
	}
	in := &plan.Project{Place: agg.Place, Input: plan.Where(w.tvf.Input, conds)}
	add := func(e expr.Expr, name string) int {
		for i, have := range in.Exprs {
			if expr.Equal(have, e) {
				return i
			}
		}
		in.Exprs, in.Names = append(in.Exprs, e), append(in.Names, name)
		return len(in.Exprs) - 1
	}
	schema := agg.Input.Schema()
	places := make([]int, len(agg.Keys)) // key: its place; property: -1 - place
	bounded := false
	for i, k := range agg.Keys {
		if p, ok := w.property(w.exprs[k]); ok {
			bounded = bounded || p != plan.WindowStart || w.tvf.Window.Kind != plan.Cumulate
			places[i] = -1 - len(out.Properties)
			out.Properties, out.Names = append(out.Properties, p), append(out.Names, schema[k].Name)
			continue
		}
		if !w.below(w.exprs[k]) {
			return nil, false
		}
		places[i] = len(out.Keys)
		out.Keys = append(out.Keys, add(w.exprs[k], schema[k].Name))
	}
	if !bounded || !w.addCalls(agg, out, add) {
		return nil, false
	}
	times := w.tvf.Input.Schema()
	out.Time = add(inMillis(plan.Column(times, w.tvf.Time)), times[w.tvf.Time].Name)
	out.Input = in
	return inOrder(agg, out, places), true
}

// bySessions reports whether the groups are the sessions of a window: by its keys, and
// of all of their rows.
func (w *overWindow) bySessions(agg *plan.Aggregate) bool {
	for _, c := range w.conds {
		if !ofSession(w.tvf, c) {
			return false
		}
	}
	var keys []expr.Expr
	for _, k := range agg.Keys {
		if _, ok := w.property(w.exprs[k]); !ok {
			keys = append(keys, w.exprs[k])
		}
	}
	return allIn(keys, w.tvf.Partition) && allIn(w.tvf.Partition, keys)
}

func allIn(some, all []expr.Expr) bool {
	for _, e := range some {
		if !slices.ContainsFunc(all, func(have expr.Expr) bool { return expr.Equal(have, e) }) {
			return false
		}
	}
	return true
}

func (w *overWindow) addCalls(agg *plan.Aggregate, out *plan.WindowAggregate, add func(expr.Expr, string) int) bool {
	schema := agg.Input.Schema()
	for _, c := range agg.Calls {
		moved := c
		moved.Args = nil
		for _, a := range c.Args {
			if !w.below(w.exprs[a]) {
				return false
			}
			moved.Args = append(moved.Args, add(w.exprs[a], schema[a].Name))
		}
		if c.Filter >= 0 {
			if !w.below(w.exprs[c.Filter]) {
				return false
			}
			moved.Filter = add(w.exprs[c.Filter], schema[c.Filter].Name)
		}
		out.Calls = append(out.Calls, moved)
	}
	return true
}

// inOrder projects the window aggregate to the order of the aggregate's output.
func inOrder(agg *plan.Aggregate, w *plan.WindowAggregate, places []int) plan.Node {
	have := w.Schema()
	p := &plan.Project{Place: agg.Place, Input: w, Names: agg.Schema().Names()}
	for _, at := range places {
		if at < 0 {
			at = len(w.Keys) + len(w.Calls) - 1 - at
		}
		p.Exprs = append(p.Exprs, plan.Column(have, at))
	}
	for i := range w.Calls {
		p.Exprs = append(p.Exprs, plan.Column(have, len(w.Keys)+i))
	}
	return p
}
