package rowsort

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/compute"
)

// Key is a column to sort by.
type Key struct {
	Column int
	Order  compute.Order
}

// entry is a row with the prefix of its keys.
type entry struct {
	prefix uint64
	row    int32
}

// Permutation returns the rows of record in the order of keys. Equal rows keep
// their order. It fails for columns without an order.
func Permutation(record arrow.RecordBatch, keys []Key) ([]int32, error) {
	n := int(record.NumRows())
	rows := make([]int32, n)
	if len(keys) == 0 || n == 0 {
		for i := range rows {
			rows[i] = int32(i)
		}
		return rows, nil
	}
	ties, err := Comparers(record, record, keys)
	if err != nil {
		return nil, err
	}
	entries, spare := make([]entry, n), make([]entry, n)
	decided := pack(entries, spare, record, keys)
	radix(entries, spare)
	if ties = ties[decided:]; len(ties) > 0 {
		sortRuns(entries, ties)
	}
	for i, e := range entries {
		rows[i] = e.row
	}
	return rows, nil
}

// Comparers returns a comparer for each key of rows of a with rows of b.
func Comparers(a, b arrow.RecordBatch, keys []Key) ([]compute.Comparer, error) {
	out := make([]compute.Comparer, len(keys))
	for i, k := range keys {
		c, err := compute.NewComparer(a.Column(k.Column), b.Column(k.Column), k.Order)
		if err != nil {
			return nil, fmt.Errorf("sort by column %s: %w", a.ColumnName(k.Column), err)
		}
		out[i] = c
	}
	return out, nil
}

// Compare compares row i of the comparers' first record with row j of the second.
func Compare(comparers []compute.Comparer, i, j int) int {
	for _, c := range comparers {
		if d := c.Compare(i, j); d != 0 {
			return d
		}
	}
	return 0
}

// sortRuns orders each run of equal prefixes.
func sortRuns(entries []entry, ties []compute.Comparer) {
	for from := 0; from < len(entries); {
		to := from + 1
		for to < len(entries) && entries[to].prefix == entries[from].prefix {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(entries[from:to], func(a, b entry) int {
				if d := Compare(ties, int(a.row), int(b.row)); d != 0 {
					return d
				}
				return cmp.Compare(a.row, b.row)
			})
		}
		from = to
	}
}

// prefixes returns an entry a row, and whether equal prefixes mean equal keys.
func prefixes(a arrow.Array, o compute.Order) ([]entry, bool) {
	out := make([]entry, a.Len())
	exact := fill(out, a, o)
	return out, placeNulls(out, a, o) && exact
}

// fill writes an entry a row, in which nulls have any prefix, and says whether
// values with equal prefixes are equal.
func fill(out []entry, a arrow.Array, o compute.Order) bool {
	exact := true
	switch a.DataType().ID() {
	case arrow.NULL, arrow.LIST, arrow.STRUCT, arrow.MAP:
		for i := range out {
			out[i] = entry{row: int32(i)}
		}
		return false
	case arrow.STRING, arrow.BINARY, arrow.DICTIONARY:
		texts := compute.NewTexts(a)
		for i := range out {
			out[i] = entry{row: int32(i)}
			if a.IsValid(i) {
				out[i].prefix = textPrefix(texts.At(i))
			}
		}
		exact = false
	case arrow.FLOAT32, arrow.FLOAT64:
		v, _ := compute.Reals(a, nil, nil)
		for i, x := range v {
			out[i] = entry{prefix: realPrefix(x), row: int32(i)}
		}
	case arrow.DECIMAL128:
		v, _ := compute.Wides(a, nil, nil)
		for i, x := range v {
			out[i] = entry{prefix: widePrefix(x), row: int32(i)}
		}
		exact = false
	default:
		v, _ := compute.Integers(a, nil, nil)
		for i, x := range v {
			out[i] = entry{prefix: uint64(x) ^ 1<<63, row: int32(i)}
		}
	}
	if o.Descending {
		for i := range out {
			out[i].prefix = ^out[i].prefix
		}
	}
	return exact
}

// placeNulls gives nulls the prefix of their end of the order, and says whether
// there are none.
func placeNulls(out []entry, a arrow.Array, o compute.Order) bool {
	if a.NullN() == 0 {
		return true
	}
	end := uint64(math.MaxUint64)
	if o.NullsFirst {
		end = 0
	}
	for i := range out {
		if a.IsNull(i) {
			out[i].prefix = end
		}
	}
	return false
}

func textPrefix(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var full [8]byte
	copy(full[:], b)
	return binary.BigEndian.Uint64(full[:])
}

// realPrefix orders as numbers do, with NaN last and -0.0 as 0.0.
func realPrefix(x float64) uint64 {
	switch {
	case x != x:
		return math.MaxUint64
	case x == 0:
		return 1 << 63
	}
	b := math.Float64bits(x)
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

// widePrefix is the value above 64 bits, or all of it where that says nothing.
func widePrefix(x decimal128.Num) uint64 {
	high := x.HighBits()
	switch low := x.LowBits(); {
	case high == 0 && low < 1<<62:
		return 1<<63 + low
	case high == -1 && low >= 1<<63+1<<62:
		return 1<<63 - -low
	case high >= 0:
		return 1<<63 + 1<<62 + uint64(high)>>2
	default:
		return 1<<62 - uint64(-(high+1))>>2 - 1
	}
}
