package over_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/operatortest"
)

// The naive twin: for each row it looks at all rows of the partition and asks of
// each whether it is in the frame.

// The columns of the tests' rows.
const (
	colG = iota // partition
	colO        // order
	colV        // values
	colX
	colD
	colN // small numbers from 1
)

var schema = operatortest.ParseSchema("g STRING, o INT, v BIGINT, x DOUBLE, d DECIMAL(10, 2), n INT NOT NULL")

// table makes rows with repeated orders, most of them in one partition.
func table(n int, seed uint64) operatortest.Table {
	r := rand.New(rand.NewPCG(seed, 3))
	t := operatortest.Table{Schema: schema}
	for range n {
		row := []any{
			strings.Repeat("p", max(r.IntN(9)-6, 0)), int64(r.IntN(n * 2 / 3)), int64(r.IntN(100)), float64(r.IntN(100)) / 4, int64(r.IntN(1000)), int64(1 + r.IntN(3)),
		}
		t.Steps = append(t.Steps, operatortest.Step{Row: row})
	}
	return t
}

// key is the order of a twin.
type key struct {
	column                 int
	descending, nullsFirst bool
}

// frame reads such as "ROWS 2 PRECEDING, CURRENT ROW".
func frame(text string) *jobgraph.Frame {
	unit, rest, _ := strings.Cut(text, " ")
	from, to, _ := strings.Cut(rest, ", ")
	f := &jobgraph.Frame{Unit: jobgraph.FrameUnit_FRAME_ROWS, From: bound(from), To: bound(to)}
	if unit == "RANGE" {
		f.Unit = jobgraph.FrameUnit_FRAME_RANGE
	}
	return f
}

func bound(text string) *jobgraph.FrameBound {
	switch text {
	case "CURRENT ROW":
		return &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_CURRENT_ROW}
	case "UNBOUNDED PRECEDING":
		return &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING}
	case "UNBOUNDED FOLLOWING":
		return &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING}
	}
	n, kind, _ := strings.Cut(text, " ")
	b := &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_PRECEDING}
	if kind == "FOLLOWING" {
		b.Kind = jobgraph.BoundKind_BOUND_FOLLOWING
	}
	b.Real, _ = strconv.ParseFloat(n, 64)
	b.Offset = int64(b.Real)
	return b
}

// twin is the window over rows.
type twin struct {
	order key
	calls []*jobgraph.OverCall
	part  [][]any // the partition
}

func (w *twin) rows(in [][][]any) [][]any {
	rows := slices.Clone(in[0])
	slices.SortStableFunc(rows, func(a, b []any) int {
		if c := w.compare(a[colG], b[colG], key{nullsFirst: true}); c != 0 {
			return c
		}
		return w.compare(a[w.order.column], b[w.order.column], w.order)
	})
	var out [][]any
	for from := 0; from < len(rows); {
		to := from
		for to < len(rows) && rows[to][colG] == rows[from][colG] {
			to++
		}
		w.part = rows[from:to]
		for i := range w.part {
			row := slices.Clone(w.part[i])
			for _, c := range w.calls {
				row = append(row, w.call(c, i))
			}
			out = append(out, row)
		}
		from = to
	}
	return out
}

func (w *twin) compare(a, b any, k key) int {
	c := 0
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil || b == nil:
		c = 1
		if (a == nil) == k.nullsFirst {
			c = -1
		}
		return c
	}
	switch a := a.(type) {
	case string:
		c = cmp.Compare(a, b.(string))
	case int64:
		c = cmp.Compare(a, b.(int64))
	case float64:
		c = cmp.Compare(a, b.(float64))
	}
	if k.descending {
		return -c
	}
	return c
}

func (w *twin) orderOf(i int) any   { return w.part[i][w.order.column] }
func (w *twin) peers(i, j int) bool { return w.compare(w.orderOf(i), w.orderOf(j), w.order) == 0 }

// inside reports whether row j is in row i's frame.
func (w *twin) inside(f *jobgraph.Frame, i, j int) bool {
	return w.within(f, f.From, i, j, 1) && w.within(f, f.To, i, j, -1)
}

// within reports whether j is at the frame's side of a bound; side is 1 for the
// bound at which the frame begins, -1 for the other.
func (w *twin) within(f *jobgraph.Frame, b *jobgraph.FrameBound, i, j, side int) bool {
	distance := b.Offset
	switch b.Kind {
	case jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING, jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING:
		return true
	case jobgraph.BoundKind_BOUND_PRECEDING:
		distance = -distance
	case jobgraph.BoundKind_BOUND_CURRENT_ROW:
		distance = 0
	}
	if f.Unit == jobgraph.FrameUnit_FRAME_ROWS {
		return (j-(i+int(distance)))*side >= 0
	}
	mine, other := w.orderOf(i), w.orderOf(j)
	if w.peers(i, j) && (mine == nil || b.Kind == jobgraph.BoundKind_BOUND_CURRENT_ROW) {
		return true
	}
	if mine == nil || other == nil || b.Kind == jobgraph.BoundKind_BOUND_CURRENT_ROW {
		return (j-i)*side > 0
	}
	gap := 0.0 // from mine to other in the order's direction
	switch m := mine.(type) {
	case int64:
		gap = float64(other.(int64) - m)
	case float64:
		gap = other.(float64) - m
	}
	if w.order.descending {
		gap = -gap
	}
	if _, ok := mine.(float64); ok {
		if b.Kind == jobgraph.BoundKind_BOUND_PRECEDING {
			return (gap+b.Real)*float64(side) >= 0
		}
		return (gap-b.Real)*float64(side) >= 0
	}
	return (gap-float64(distance))*float64(side) >= 0
}

func (w *twin) call(c *jobgraph.OverCall, i int) any {
	size := len(w.part)
	first, after, dense := 0, size, int64(1)
	for w.compare(w.orderOf(first), w.orderOf(i), w.order) != 0 {
		if !w.peers(first, first+1) {
			dense++
		}
		first++
	}
	for !w.peers(after-1, i) {
		after--
	}
	switch c.Call.Function {
	case "ROW_NUMBER":
		return int64(i + 1)
	case "RANK":
		return int64(first + 1)
	case "DENSE_RANK":
		return dense
	case "PERCENT_RANK":
		if size == 1 {
			return 0.0
		}
		return float64(first) / float64(size-1)
	case "CUME_DIST":
		return float64(after) / float64(size)
	case "NTILE":
		return w.tile(int(w.part[i][colN].(int64)), i)
	case "LAG", "LEAD":
		return w.neighbour(c, i)
	}
	var seen []any
	for j := range w.part {
		if !w.inside(c.Frame, i, j) {
			continue
		}
		v := any(int64(1))
		if len(c.Call.Args) > 0 {
			v = w.part[j][c.Call.Args[0]]
		}
		if c.Call.Function != "FIRST_VALUE" && c.Call.Function != "LAST_VALUE" && c.Call.Function != "NTH_VALUE" || c.IgnoreNulls {
			if v == nil {
				continue
			}
		}
		seen = append(seen, v)
	}
	return w.fold(c, seen, i)
}

func (w *twin) tile(n, i int) any {
	var sizes []int
	for k := range n {
		sizes = append(sizes, len(w.part)/n)
		if k < len(w.part)%n {
			sizes[k]++
		}
	}
	k := 0
	for i >= sizes[k] {
		i -= sizes[k]
		k++
	}
	return int64(k + 1)
}

func (w *twin) neighbour(c *jobgraph.OverCall, i int) any {
	n, step := int64(1), 1
	if len(c.Call.Args) > 1 {
		n = w.part[i][c.Call.Args[1]].(int64)
	}
	if c.Call.Function == "LAG" {
		step = -1
	}
	for j := i; n > 0; {
		if j += step; j < 0 || j >= len(w.part) {
			if len(c.Call.Args) > 2 {
				return w.part[i][c.Call.Args[2]]
			}
			return nil
		}
		v := w.part[j][c.Call.Args[0]]
		if v == nil && c.IgnoreNulls {
			continue
		}
		if n--; n == 0 {
			return v
		}
	}
	return nil
}

func (w *twin) fold(c *jobgraph.OverCall, seen []any, i int) any {
	at := 0
	switch c.Call.Function {
	case "COUNT":
		return int64(len(seen))
	case "LISTAGG":
		text := make([]string, len(seen))
		for i, v := range seen {
			text[i] = v.(string)
		}
		if len(seen) == 0 {
			return nil
		}
		return strings.Join(text, ",")
	case "LAST_VALUE":
		at = len(seen) - 1
	case "NTH_VALUE":
		at = int(w.part[i][c.Call.Args[1]].(int64)) - 1
	}
	if at < 0 || at >= len(seen) {
		return nil
	}
	switch c.Call.Function {
	case "MIN":
		return slices.MinFunc(seen, func(a, b any) int { return w.compare(a, b, key{}) })
	case "MAX":
		return slices.MaxFunc(seen, func(a, b any) int { return w.compare(a, b, key{}) })
	case "SUM", "AVG":
		return total(c.Call, seen)
	}
	return seen[at]
}

func total(c *jobgraph.AggregateCall, seen []any) any {
	ints, reals := int64(0), 0.0
	for _, v := range seen {
		switch v := v.(type) {
		case int64:
			ints += v
		case float64:
			reals += v
		}
	}
	switch t, _ := datatype.Parse(c.ArgTypes[0]); {
	case c.Function == "AVG":
		return reals / float64(len(seen))
	case t.Kind == datatype.Double:
		return reals
	case t.Kind == datatype.Decimal:
		return decimal128.FromI64(ints)
	}
	return ints
}
