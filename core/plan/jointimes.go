package plan

import (
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
)

// JoinBounds are when the rows of a join's sides find no partner any more. A side
// without has Column -1.
type JoinBounds struct {
	Left, Right SideBound
}

// SideBound is a column of a side, of that side's numbering, and by how much after its
// value a row has seen all its partners.
type SideBound struct {
	Column      int
	AfterMillis int64
}

// BoundsOf derives bounds from keys that close on both sides, such as windows, and from
// conditions that hold two times close together.
func BoundsOf(n *Join) JoinBounds {
	p := newInference().provenOf(n)
	return JoinBounds{Left: p.side(0), Right: p.side(1)}
}

// AtClosing reports whether rows without a partner are told once they have seen all of
// them, so that none is taken back: inputs are final, and rows of the sides that an outer
// or anti join keeps are bounded.
func (n *Join) AtClosing() bool { return newInference().atClosing(n) }

func (f *inference) atClosing(n *Join) bool {
	if n.Kind == Inner || n.Kind == Semi || f.changelog(n.Left) == Retract || f.changelog(n.Right) == Retract {
		return false
	}
	p := f.provenOf(n)
	left, right := p.side(0).Column >= 0, p.side(1).Column >= 0
	switch n.Kind {
	case Left, Anti:
		return left
	case Right:
		return right
	case Full:
		return left && right
	}
	return false
}

// proven is what is known of a join's sides.
type proven struct {
	times  [2][]closing
	bounds [2][]closing // by column: as which it bounds the side; not ok: it does not
}

func (f *inference) provenOf(n *Join) *proven {
	p := &proven{times: [2][]closing{f.timesOf(n.Left), f.timesOf(n.Right)}}
	for i := range p.times {
		p.bounds[i] = make([]closing, len(p.times[i]))
	}
	width := len(p.times[0])
	for i, l := range n.LeftKeys {
		p.near(l, n.RightKeys[i], 0)
		p.far(l, n.RightKeys[i], 0)
	}
	for _, term := range Conjuncts(n.Residual) {
		p.term(term, width)
	}
	return p
}

// side is the bound of a side that lets rows go first, as far as that can be told.
func (p *proven) side(s int) SideBound {
	best := SideBound{Column: -1}
	for c, b := range p.bounds[s] {
		if b.ok && (best.Column < 0 || b.after < best.AfterMillis) {
			best = SideBound{Column: c, AfterMillis: b.after}
		}
	}
	return best
}

// near notes that left.l <= right.r + most: a row of the right side with value v has
// seen its partners once left values up to v + most have closed.
func (p *proven) near(l, r int, most int64) {
	p.note(1, r, p.times[0][l], most)
}

// far notes that right.r <= left.l + most.
func (p *proven) far(l, r int, most int64) {
	p.note(0, l, p.times[1][r], most)
}

// note bounds a column of a side by the time of the other one.
func (p *proven) note(side, column int, other closing, most int64) {
	own := p.times[side][column]
	if !own.ok || !other.ok {
		return
	}
	after := max(own.after, most+other.after)
	if b := &p.bounds[side][column]; !b.ok || after < b.after {
		*b = closing{ok: true, after: after, moment: own.moment}
	}
}

// term reads a comparison of a time of each side, each plus a constant.
func (p *proven) term(e expr.Expr, width int) {
	call, ok := e.(*expr.Call)
	if !ok || len(call.Args) != 2 {
		return
	}
	a, da, ok := timeColumn(call.Args[0])
	b, db, ok2 := timeColumn(call.Args[1])
	if !ok || !ok2 || (a < width) == (b < width) {
		return
	}
	// below: a + da <= b + db
	below := func(a, b int, most int64) {
		if a < width {
			p.near(a, b-width, most)
		} else {
			p.far(b, a-width, most)
		}
	}
	switch call.Function {
	case "<", "<=":
		below(a, b, db-da)
	case ">", ">=":
		below(b, a, da-db)
	case "=":
		below(a, b, db-da)
		below(b, a, da-db)
	}
}

// timeColumn reads a time column plus or minus constants.
func timeColumn(e expr.Expr) (column int, byMillis int64, ok bool) {
	switch e := e.(type) {
	case *expr.Column:
		return e.Index, 0, e.T.Kind == datatype.Timestamp || e.T.Kind == datatype.TimestampLTZ
	case *expr.Call:
		if e.Function == "CAST" && e.T.Kind == datatype.Timestamp && e.T.Precision >= 3 && e.Args[0].Type().Kind == datatype.Timestamp {
			column, byMillis, ok = timeColumn(e.Args[0])
			return column, byMillis, ok
		}
		if t, d, isShift := shifted(e); isShift {
			column, byMillis, ok = timeColumn(t)
			return column, byMillis + d, ok
		}
	}
	return 0, 0, false
}

// joinTimes: a row comes when the later one of its two parts does, or, without a partner,
// when its side is bounded. So a column that bounds its side still closes, later, and so
// do those that close with it.
func (f *inference) joinTimes(n *Join) []closing {
	p := f.provenOf(n)
	out := make([]closing, 0, len(n.Schema()))
	out = append(out, p.kept(0, n.Kind == Right || n.Kind == Full)...)
	if n.Kind == Semi || n.Kind == Anti {
		return out
	}
	return append(out, p.kept(1, n.Kind == Left || n.Kind == Full)...)
}

// kept are the times of a side's columns in the join's output; padded says that they may
// be null there, and null does not close.
func (p *proven) kept(side int, padded bool) []closing {
	out := make([]closing, len(p.times[side]))
	if padded {
		return out
	}
	for i, t := range p.times[side] {
		if !t.ok {
			continue
		}
		for c, b := range p.bounds[side] {
			if !b.ok || p.times[side][c].moment != t.moment {
				continue
			}
			later := t.after + b.after - p.times[side][c].after
			if o := &out[i]; !o.ok || later < o.after {
				*o = closing{ok: true, after: later, moment: strconv.Itoa(side) + t.moment}
			}
		}
	}
	return out
}
