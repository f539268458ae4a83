package plan

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
)

// Closing reports by how much a column of n closes: its value v comes no more, in a row
// or in one that is taken back, once the watermark of n's output is at v + afterMillis.
// False: nothing is known.
func Closing(n Node, column int) (afterMillis int64, ok bool) {
	t := newInference().timesOf(n)[column]
	return t.after, t.ok
}

// closing is what is known of a column.
type closing struct {
	ok    bool
	after int64 // milliseconds
	// moment names the instant at which a value closes: columns of one moment close
	// together in each row, as the start and the end of a window do.
	moment string
}

// timesOf is what is known of each column of n's output.
func (f *inference) timesOf(n Node) []closing {
	times, known := f.times[n]
	if !known {
		times = f.findTimes(n)
		f.times[n] = times
	}
	return slices.Clone(times)
}

func (f *inference) findTimes(n Node) []closing {
	switch n := n.(type) {
	case *Watermark:
		out := f.timesOf(n.Input)
		for i := range out { // what was known is of the watermark below
			out[i] = closing{}
		}
		out[n.Column] = closing{ok: true, moment: fmt.Sprintf("%p", n)}
		return out
	case *Filter, *Limit:
		return f.timesOf(n.Inputs()[0])
	case *Project:
		return f.projectTimes(n)
	case *Expand:
		return f.expandTimes(n)
	case *Unnest:
		return withNone(picked(f.timesOf(n.Input), n.Keep), len(n.Schema()))
	case *WindowTVF:
		in := f.timesOf(n.Input)
		return append(in, n.Window.times(in[n.Time])...)
	case *WindowAggregate:
		return f.windowTimes(n)
	case *Aggregate:
		return f.keyTimes(n.Input, n.Keys, len(n.Schema()))
	case *GroupTop:
		return f.topTimes(n)
	case *Over:
		return f.overTimes(n)
	case *Match:
		return f.matchTimes(n)
	case *Join:
		return f.joinTimes(n)
	case *LookupJoin:
		return withNone(f.timesOf(n.Input), len(n.Schema()))
	case *TemporalJoin:
		return f.temporalTimes(n)
	case *Union:
		return f.unionTimes(n)
	}
	return make([]closing, len(n.Schema()))
}

// expandTimes are of columns that no grouping set makes null.
func (f *inference) expandTimes(n *Expand) []closing {
	out := withNone(f.timesOf(n.Input), len(n.Schema()))
	for i, k := range n.Keys {
		for _, set := range n.Sets {
			if !slices.Contains(set, i) {
				out[k] = closing{}
			}
		}
	}
	return out
}

func picked(times []closing, columns []int) []closing {
	out := make([]closing, len(columns))
	for i, c := range columns {
		out[i] = times[c]
	}
	return out
}

func withNone(times []closing, width int) []closing {
	return append(times, make([]closing, width-len(times))...)
}

// times are those of a window's start, end and time, over what its time column has.
func (w Window) times(of closing) []closing {
	if !of.ok {
		return make([]closing, 3)
	}
	moment := fmt.Sprintf("%s/%d/%d/%d/%d", of.moment, w.Kind, w.SizeMillis, w.SlideMillis, w.OffsetMillis)
	start := closing{ok: true, after: of.after + w.SizeMillis - 1, moment: moment}
	if w.Kind == Cumulate { // windows of one start end at several times
		start.moment += "/start"
	}
	return []closing{start, {ok: true, after: of.after - 1, moment: moment}, {ok: true, after: of.after, moment: moment}}
}

// windowTimes are of the properties alone: rows come when their window closes.
func (f *inference) windowTimes(n *WindowAggregate) []closing {
	var out []closing
	in := f.timesOf(n.Input)[n.Time]
	of := closing{ok: in.ok && in.after <= 0, moment: fmt.Sprintf("%p", n)}
	window := n.Window.times(of)
	if n.Window.Kind == Session {
		window[0] = closing{}
	}
	for range len(n.Keys) + len(n.Calls) {
		out = append(out, closing{})
	}
	for _, p := range n.Properties {
		out = append(out, window[p-WindowStart])
	}
	return out
}

// keyTimes are of keys that close with the one that results wait for.
func (f *inference) keyTimes(in Node, keys []int, width int) []closing {
	times := f.timesOf(in)
	out := make([]closing, width)
	at := f.closingKey(in, keys)
	if at < 0 {
		return out
	}
	moment := times[keys[at]].moment
	for i, k := range keys {
		if times[k].ok && times[k].moment == moment {
			out[i] = times[k]
		}
	}
	return out
}

func (f *inference) topTimes(n *GroupTop) []closing {
	out := make([]closing, len(n.Schema()))
	for i, t := range f.keyTimes(n.Input, n.Groups, len(n.Groups)) {
		out[n.Groups[i]] = t
	}
	return out
}

// overTimes: a row comes when its order's time closes; or else whenever another one of
// its partition comes.
func (f *inference) overTimes(n *Over) []closing {
	in := f.timesOf(n.Input)
	out := make([]closing, len(n.Schema()))
	if !f.closingOrder(n) {
		for _, c := range n.Partition {
			out[c] = in[c]
		}
		return out
	}
	for i, t := range in {
		if t.ok && t.moment == in[n.Order[0].Column].moment {
			out[i] = t
		}
	}
	return out
}

func (f *inference) unionTimes(n *Union) []closing {
	out := f.timesOf(n.All[0])
	for _, in := range n.All[1:] {
		for i, t := range f.timesOf(in) {
			o := &out[i]
			if !t.ok || !o.ok {
				*o = closing{}
				continue
			}
			// Of one moment in the union are columns that close together in each input
			// and by the same.
			o.moment += " " + t.moment + " " + strconv.FormatInt(t.after-o.after, 10)
			o.after = max(o.after, t.after)
		}
	}
	return out
}

func (f *inference) projectTimes(n *Project) []closing {
	in := f.timesOf(n.Input)
	out := make([]closing, len(n.Exprs))
	for i, e := range n.Exprs {
		out[i] = exprTime(e, in)
	}
	return out
}

// exprTime is of an expression that follows a time: the time itself, a constant more or
// less, or the bound of its window.
func exprTime(e expr.Expr, in []closing) closing {
	switch e := e.(type) {
	case *expr.Column:
		return in[e.Index]
	case *expr.Call:
		switch e.Function {
		case "$TUMBLE_START", "$TUMBLE_END":
			return tumbleTime(e, in)
		case "CAST":
			from, to := e.Args[0].Type(), e.T
			if from.Kind == to.Kind && from.IsTimestamp() && to.Precision >= 3 {
				return exprTime(e.Args[0], in)
			}
		case "+", "-":
			if t, d, ok := shifted(e); ok {
				of := exprTime(t, in)
				of.after -= d
				return of
			}
		}
	}
	return closing{}
}

func tumbleTime(e *expr.Call, in []closing) closing {
	size, ok := constant(e.Args[1])
	offset, ok2 := constant(e.Args[2])
	if !ok || !ok2 {
		return closing{}
	}
	of := Window{Kind: Tumble, SizeMillis: size, OffsetMillis: offset}.times(exprTime(e.Args[0], in))
	if e.Function == "$TUMBLE_START" {
		return of[0]
	}
	return of[1]
}

// shifted reads a sum or difference of a time and a constant interval.
func shifted(e *expr.Call) (time expr.Expr, byMillis int64, ok bool) {
	if len(e.Args) != 2 || e.T.Kind != datatype.Timestamp && e.T.Kind != datatype.TimestampLTZ {
		return nil, 0, false
	}
	time, by := e.Args[0], e.Args[1]
	if e.Function == "+" && time.Type().Kind == datatype.IntervalSecond {
		time, by = by, time
	}
	if by.Type().Kind != datatype.IntervalSecond {
		return nil, 0, false
	}
	byMillis, ok = constant(by)
	if e.Function == "-" {
		byMillis = -byMillis
	}
	return time, byMillis, ok
}

func constant(e expr.Expr) (int64, bool) {
	lit, ok := e.(*expr.Literal)
	if !ok {
		return 0, false
	}
	v, ok := lit.Value.(int64)
	return v, ok
}
