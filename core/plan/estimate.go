package plan

import (
	"math"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
)

// Guesses where nothing is known. They order plans; they promise nothing.
const (
	unknownRows       = 1e6
	equalSelectivity  = 0.1
	rangeSelectivity  = 0.33
	likeSelectivity   = 0.2
	otherSelectivity  = 0.5
	nullSelectivity   = 0.1
	groupExponent     = 0.75 // groups of n rows: n to this power, per key at most
	unknownWidthBytes = 24
)

// Rows estimates how many rows a bounded node yields; of an unbounded one, how
// many of each million.
func Rows(n Node) float64 {
	switch n := n.(type) {
	case *Scan:
		return scanRows(n)
	case *Values:
		return float64(len(n.Rows))
	case *Filter:
		return math.Max(1, Rows(n.Input)*filterSelectivity(n))
	case *Aggregate:
		return groups(Rows(n.Input), len(n.Keys))
	case *WindowAggregate:
		return groups(Rows(n.Input), len(n.Keys)+1)
	case *WindowTVF:
		return Rows(n.Input) * panes(n.Window)
	case *Join:
		return joinRows(n)
	case *Limit:
		return limited(Rows(n.Input), n.Offset, n.Count)
	case *TopN:
		return limited(Rows(n.Input), n.Offset, n.Count)
	case *Union:
		sum := 0.0
		for _, in := range n.All {
			sum += Rows(in)
		}
		return sum
	default:
		return Rows(n.Inputs()[0])
	}
}

// Bytes estimates the size of a node's output.
func Bytes(n Node) float64 {
	width := 0.0
	for _, f := range n.Schema() {
		width += widthOf(f.Type)
	}
	return Rows(n) * math.Max(width, 1)
}

func scanRows(n *Scan) float64 {
	rows := unknownRows
	switch {
	case n.Known.Rows >= 0:
		rows = float64(n.Known.Rows)
	case n.Known.Bytes >= 0:
		width := 0.0
		for _, f := range n.Known.Schema {
			width += widthOf(f.Type)
		}
		rows = float64(n.Known.Bytes) / math.Max(width, 1)
	}
	return limited(rows, 0, limitOrAll(n.Limit))
}

func limitOrAll(limit int64) int64 {
	if limit == 0 {
		return -1
	}
	return limit
}

func limited(rows float64, offset, count int64) float64 {
	rows = math.Max(0, rows-float64(offset))
	if count >= 0 {
		rows = math.Min(rows, float64(count))
	}
	return rows
}

func groups(rows float64, keys int) float64 {
	if keys == 0 {
		return 1
	}
	return math.Max(1, math.Pow(rows, groupExponent))
}

func panes(w Window) float64 {
	if w.Kind == Tumble || w.SlideMillis <= 0 {
		return 1
	}
	return math.Max(1, float64(w.SizeMillis)/float64(w.SlideMillis))
}

// joinRows assumes that the keys of the smaller side are unique and that every
// row of the larger finds its partner with the probability that filters left.
func joinRows(n *Join) float64 {
	left, right := Rows(n.Left), Rows(n.Right)
	rows := left * right
	if len(n.LeftKeys) > 0 {
		small, unfiltered := right, unfilteredRows(n.Right)
		if left < right {
			small, unfiltered = left, unfilteredRows(n.Left)
		}
		rows = math.Max(left, right) * math.Min(1, small/math.Max(unfiltered, 1))
	}
	for _, c := range Conjuncts(n.Residual) {
		rows *= Selectivity(c)
	}
	switch n.Kind {
	case Left:
		rows = math.Max(rows, left)
	case Right:
		rows = math.Max(rows, right)
	case Full:
		rows = math.Max(rows, math.Max(left, right))
	case Semi, Anti:
		rows = left * otherSelectivity
	}
	return math.Max(1, rows)
}

// unfilteredRows is how many rows a side would have without filters.
func unfilteredRows(n Node) float64 {
	switch n := n.(type) {
	case *Filter:
		return unfilteredRows(n.Input)
	case *Project:
		return unfilteredRows(n.Input)
	default:
		return Rows(n)
	}
}

func filterSelectivity(n *Filter) float64 {
	s := 1.0
	for _, c := range Conjuncts(n.Cond) {
		s *= Selectivity(c)
	}
	return s
}

// Selectivity guesses the share of rows for which a condition is true.
func Selectivity(e expr.Expr) float64 {
	switch e := e.(type) {
	case *expr.Literal:
		if e.Value == true {
			return 1
		}
		return 0
	case *expr.Call:
		return callSelectivity(e)
	}
	return otherSelectivity
}

func callSelectivity(e *expr.Call) float64 {
	switch e.Function {
	case "AND":
		s := 1.0
		for _, a := range e.Args {
			s *= Selectivity(a)
		}
		return s
	case "OR":
		miss := 1.0
		for _, a := range e.Args {
			miss *= 1 - Selectivity(a)
		}
		return 1 - miss
	case "NOT":
		return 1 - Selectivity(e.Args[0])
	case "=":
		return equalSelectivity
	case "<>":
		return 1 - equalSelectivity
	case "<", "<=", ">", ">=":
		return rangeSelectivity
	case "IN":
		return math.Min(otherSelectivity, equalSelectivity*float64(len(e.Args)-1))
	case "LIKE":
		return likeSelectivity
	case "IS NULL":
		return nullSelectivity
	case "IS NOT NULL":
		return 1 - nullSelectivity
	}
	return otherSelectivity
}

// widthOf is the size of a value in a batch; of varying ones a guess.
func widthOf(t datatype.Type) float64 {
	switch t.Kind {
	case datatype.Null:
		return 0
	case datatype.Boolean, datatype.TinyInt:
		return 1
	case datatype.SmallInt:
		return 2
	case datatype.Int, datatype.Float, datatype.Date, datatype.IntervalMonth:
		return 4
	case datatype.Decimal:
		if t.Precision > datatype.MaxDecimal64Precision {
			return 16
		}
		return 8
	case datatype.BigInt, datatype.Double, datatype.Time, datatype.Timestamp, datatype.TimestampLTZ, datatype.IntervalSecond:
		return 8
	}
	return unknownWidthBytes
}
