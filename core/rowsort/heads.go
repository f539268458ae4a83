package rowsort

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/compute"
)

// head tells the prefix of a key for one row of a record at a time: the numbers that
// prefixes makes, of values where they are.
type head struct {
	ints  []int64
	dates []int32 // also other whole numbers of 32 bits
	reals []float64
	wides []decimal128.Num
	texts compute.Texts
	kind  headKind
	flip  uint64      // all ones where the order descends
	nulls arrow.Array // nil: it has none
	end   uint64      // the prefix of nulls
	exact bool        // equal prefixes are equal keys
}

// headKind is what of head has the values.
type headKind uint8

const (
	noHead headKind = iota // no prefix tells anything
	headInts
	headDates
	headReals
	headWides
	headTexts
)

func newHead(a arrow.Array, o compute.Order) (h head) {
	if o.Descending {
		h.flip = math.MaxUint64
	}
	if a.NullN() > 0 {
		if h.nulls = a; !o.NullsFirst {
			h.end = math.MaxUint64
		}
	}
	h.exact = h.nulls == nil
	switch a.DataType().ID() {
	case arrow.NULL, arrow.LIST, arrow.STRUCT, arrow.MAP:
		h.exact, h.nulls = false, nil
	case arrow.STRING, arrow.BINARY, arrow.DICTIONARY:
		h.kind, h.texts, h.exact = headTexts, compute.NewTexts(a), false
	case arrow.FLOAT32, arrow.FLOAT64:
		h.kind = headReals
		h.reals, _ = compute.Reals(a, nil, nil)
	case arrow.DECIMAL128:
		h.kind, h.exact = headWides, false
		h.wides, _ = compute.Wides(a, nil, nil)
	case arrow.INT32, arrow.DATE32, arrow.TIME32:
		h.kind = headDates
		h.dates = arrow.GetData[int32](a.Data().Buffers()[1].Bytes())[a.Data().Offset():]
	default:
		h.kind = headInts
		h.ints, _ = compute.Integers(a, nil, nil)
	}
	return h
}

// at is the prefix of the key of a row.
func (h *head) at(row int) uint64 {
	if h.nulls != nil && h.nulls.IsNull(row) {
		return h.end
	}
	switch h.kind {
	case headInts:
		return uint64(h.ints[row]) ^ 1<<63 ^ h.flip
	case headDates:
		return uint64(int64(h.dates[row])) ^ 1<<63 ^ h.flip
	case headReals:
		return realPrefix(h.reals[row]) ^ h.flip
	case headWides:
		return widePrefix(h.wides[row]) ^ h.flip
	case headTexts:
		return textPrefix(h.texts.At(row)) ^ h.flip
	default:
		return 0
	}
}
