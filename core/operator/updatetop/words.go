package updatetop

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
)

// words make numbers of rows that order as the rows do: of each leading column of the
// order that has a fixed width a word, or two of the wide ones, behind one that tells
// nulls apart where there may be any.
type words struct {
	columns []wordColumn
	exact   bool // they are the whole order
}

type wordColumn struct {
	column     int
	storage    hashtable.Storage
	descending bool
	nullsFirst bool
	nullable   bool
}

// newWords returns the words of an order.
func newWords(order []*jobgraph.SortKey, in datatype.Schema) *words {
	w := &words{exact: true}
	for _, k := range order {
		t := in[k.Column].Type
		storage := hashtable.StorageOf(t)
		if storage == hashtable.NoStorage || storage == hashtable.Chars {
			w.exact = false
			break
		}
		w.columns = append(w.columns, wordColumn{
			column: int(k.Column), storage: storage, descending: k.Descending, nullsFirst: k.NullsFirst, nullable: t.Nullable,
		})
	}
	return w
}

// ofBatch returns the words of rows of columns (sel nil: of all n), word by word.
func (w *words) ofBatch(columns []arrow.Array, sel []int32, n int) [][]uint64 {
	var out [][]uint64
	for i := range w.columns {
		c := &w.columns[i]
		a := columns[c.column]
		valid := compute.Validity(a, sel, nil)
		switch c.storage {
		case hashtable.Integer:
			v, _ := compute.Integers(a, sel, nil)
			out = c.integers(out, v, valid)
		case hashtable.Real:
			v, _ := compute.Reals(a, sel, nil)
			out = c.reals(out, v, valid)
		default:
			v, _ := compute.Wides(a, sel, nil)
			out = c.wides(out, v, valid)
		}
	}
	return out
}

// ofRows returns the words of rows of a list.
func (w *words) ofRows(columns []*state.Column, rows []int32) [][]uint64 {
	var out [][]uint64
	for i := range w.columns {
		c := &w.columns[i]
		from := columns[c.column]
		valid := make([]bool, len(rows))
		for j, r := range rows {
			valid[j] = from.Valid[r]
		}
		switch c.storage {
		case hashtable.Integer:
			out = c.integers(out, picked(from.Int64, rows), valid)
		case hashtable.Real:
			out = c.reals(out, picked(from.Float64, rows), valid)
		default:
			out = c.wides(out, picked(from.Dec128, rows), valid)
		}
	}
	return out
}

func picked[T any](v []T, rows []int32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = v[r]
	}
	return out
}

func (c *wordColumn) integers(out [][]uint64, v []int64, valid []bool) [][]uint64 {
	word := make([]uint64, len(v))
	for i, x := range v {
		word[i] = uint64(x) ^ 1<<63
	}
	return c.finish(out, valid, len(v), word)
}

// reals order as numbers do, with NaN last and -0.0 as 0.0.
func (c *wordColumn) reals(out [][]uint64, v []float64, valid []bool) [][]uint64 {
	word := make([]uint64, len(v))
	for i, x := range v {
		switch b := math.Float64bits(x); {
		case x != x:
			word[i] = math.MaxUint64
		case x == 0:
			word[i] = 1 << 63
		case b>>63 != 0:
			word[i] = ^b
		default:
			word[i] = b | 1<<63
		}
	}
	return c.finish(out, valid, len(v), word)
}

func (c *wordColumn) wides(out [][]uint64, v []decimal128.Num, valid []bool) [][]uint64 {
	high, low := make([]uint64, len(v)), make([]uint64, len(v))
	for i, x := range v {
		high[i], low[i] = uint64(x.HighBits())^1<<63, x.LowBits()
	}
	return c.finish(out, valid, len(v), high, low)
}

// finish turns words round for a descending order and sets nulls apart; valid is nil
// where there are none.
func (c *wordColumn) finish(out [][]uint64, valid []bool, n int, word ...[]uint64) [][]uint64 {
	if c.descending {
		for _, w := range word {
			for i := range w {
				w[i] = ^w[i]
			}
		}
	}
	if !c.nullable {
		return append(out, word...)
	}
	apart := make([]uint64, n) // values 1, nulls 0 or 2
	null := uint64(2)
	if c.nullsFirst {
		null = 0
	}
	for i := range apart {
		apart[i] = 1
	}
	for i, ok := range valid {
		if !ok {
			apart[i] = null
			for _, w := range word {
				w[i] = 0
			}
		}
	}
	return append(append(out, apart), word...)
}

// compareWords compares row i of a with row j of b.
func compareWords(a [][]uint64, i int, b [][]uint64, j int) int {
	for k, w := range a {
		if x, y := w[i], b[k][j]; x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	return 0
}
