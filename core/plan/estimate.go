package plan

import (
	"math"

	"github.com/tidemill/tidemill/core/datatype"
)

// Guesses where nothing is known. They order plans; they promise nothing.
const (
	unknownRows       = 1e6
	equalSelectivity  = 0.05
	namesRows         = 100 // a table of so few has a row for each text
	rangeSelectivity  = 0.33
	havingSelectivity = 0.05
	anyLike           = 0.3 // of a pattern of no characters
	eachLike          = 0.7 // that each character leaves of it
	leastLike         = 0.02
	otherSelectivity  = 0.5
	nullSelectivity   = 0.1
	groupExponent     = 0.75 // groups of n rows: n to this power, per key at most
	unknownWidthBytes = 24
	offsetBytes       = 4 // that a text takes in a batch beside its bytes
	unnestElements    = 4 // of a collection
)

// BroadcastBytes is the estimated size up to which the built side of a join is
// sent whole to every subtask, unless an option says otherwise.
const BroadcastBytes = 10 << 20

// Rows estimates how many rows a bounded node yields; of an unbounded one, how
// many of each million.
func Rows(n Node) float64 { return newEstimates().rowsOf(n) }

// Bytes estimates the size of a node's output.
func Bytes(n Node) float64 {
	e := newEstimates()
	width := 0.0
	for i, f := range n.Schema() {
		fixed := widthOf(f.Type)
		if fixed == unknownWidthBytes {
			if length := e.column(n, i).Length; length > 0 {
				fixed = length + offsetBytes
			}
		}
		width += fixed
	}
	return e.rowsOf(n) * math.Max(width, 1)
}

// estimates remember what was estimated of a plan's nodes while one question is
// answered: rows depend on columns and columns on rows of what is below, at every
// level, so that in deep plans the same would be asked without end.
type estimates struct {
	rows    map[Node]float64
	columns map[columnOf]Statistics
}

type columnOf struct {
	node   Node
	column int
}

func newEstimates() *estimates {
	return &estimates{rows: map[Node]float64{}, columns: map[columnOf]Statistics{}}
}

func (e *estimates) rowsOf(n Node) float64 {
	rows, known := e.rows[n]
	if !known {
		rows = e.estimate(n)
		e.rows[n] = rows
	}
	return rows
}

func (e *estimates) estimate(n Node) float64 {
	switch n := n.(type) {
	case *Scan:
		return scanRows(n)
	case *Values:
		return float64(len(n.Rows))
	case *Filter:
		return math.Max(1, e.rowsOf(n.Input)*e.selectivity(n.Input, Conjuncts(n.Cond)))
	case *Aggregate:
		return e.groups(n.Input, n.Keys)
	case *WindowAggregate:
		return guessedGroups(e.rowsOf(n.Input), len(n.Keys)+1)
	case *Expand:
		return e.rowsOf(n.Input) * float64(len(n.Sets))
	case *Unnest:
		return e.rowsOf(n.Input) * unnestElements
	case *WindowTVF:
		return e.rowsOf(n.Input) * panes(n.Window)
	case *Join:
		return e.join(n)
	case *Limit:
		return limited(e.rowsOf(n.Input), n.Offset, n.Count)
	case *GroupTop:
		return e.rowsOf(n.Input)
	case *Materialize:
		return e.rowsOf(n.Input)
	case *TopN:
		return limited(e.rowsOf(n.Input), n.Offset, n.Count)
	case *Union:
		sum := 0.0
		for _, in := range n.All {
			sum += e.rowsOf(in)
		}
		return sum
	default:
		return e.rowsOf(n.Inputs()[0])
	}
}

func scanRows(n *Scan) float64 {
	rows := unknownRows
	switch {
	case n.Known.Rows >= 0:
		rows = float64(n.Known.Rows)
	case n.analyzed() != nil:
		rows = n.analyzedRows()
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

// groups is at most the product of what the keys can be.
func (e *estimates) groups(in Node, keys []int) float64 {
	rows := e.rowsOf(in)
	known := 1.0
	for _, k := range keys {
		distinct := e.column(in, k).Distinct
		if distinct == 0 {
			return guessedGroups(rows, len(keys))
		}
		known *= distinct
	}
	return math.Max(1, math.Min(rows, known))
}

// KnownGroups is at most how many groups rows of a node make by keys, by what is known of
// its columns; 0 where of one of them nothing is.
func KnownGroups(in Node, keys []int) float64 {
	e, known := newEstimates(), 1.0
	for _, k := range keys {
		known *= e.column(in, k).Distinct
	}
	return known
}

func guessedGroups(rows float64, keys int) float64 {
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

// join takes each pair of rows to be equal in a key with the probability that
// one value of the key's domain has; keys of two columns and more have at most as
// many values as the smaller table has rows.
func (e *estimates) join(n *Join) float64 {
	left, right := e.rowsOf(n.Left), e.rowsOf(n.Right)
	domain, base := 1.0, math.Inf(1)
	for i := range n.LeftKeys {
		l, r := e.column(n.Left, n.LeftKeys[i]), e.column(n.Right, n.RightKeys[i])
		domain *= Domain(l, r)
		base = math.Min(base, math.Min(l.Base, r.Base))
	}
	if len(n.LeftKeys) > 1 {
		domain = math.Max(1, math.Min(domain, base))
	}
	rows := left * right / domain
	if n.Residual != nil {
		rows *= e.selectivity(n, Conjuncts(n.Residual))
	}
	switch n.Kind {
	case Left:
		rows = math.Max(rows, left)
	case Right:
		rows = math.Max(rows, right)
	case Full:
		rows = math.Max(rows, math.Max(left, right))
	case Semi:
		rows = left * MatchShare(right, domain)
	case Anti:
		rows = left * (1 - MatchShare(right, domain))
	}
	return math.Max(1, rows)
}

// MatchShare estimates the share of rows that find a partner among the given
// number of rows whose keys are of a domain. It is never all and never none.
func MatchShare(rows, domain float64) float64 {
	return math.Min(0.9, math.Max(leastSelectivity, rows/math.Max(domain, 1)))
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
