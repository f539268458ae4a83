package compute

import (
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/failure"
)

// ErrTooLarge says that the text or the elements of a column are more than the 32-bit
// offsets of one array can count. Fewer rows in one array are the cure: an operator
// that can divide what it holds does; else the user lowers execution.batch-rows.
var ErrTooLarge = errors.New("more than one array can hold; lower execution.batch-rows")

// maxOffset is the largest offset of an array.
const maxOffset = math.MaxInt32

// TooLarge is ErrTooLarge for n of what.
func TooLarge(what string, n int64) error {
	return failure.Wrap(failure.BadData, fmt.Errorf("%d %s: %w", n, what, ErrTooLarge))
}

// RoomFor fails with ErrTooLarge where b, a builder of text, could not take n bytes
// more: its offsets would wrap around.
func RoomFor(b *array.BinaryBuilder, n int) error {
	if total := int64(b.DataLen()) + int64(n); total > maxOffset {
		return TooLarge("bytes of text", total)
	}
	return nil
}

// checkConcat fails with ErrTooLarge where arrs, of one type, cannot be joined to one
// array whose offsets are at most limit.
func checkConcat(arrs []arrow.Array, limit int64) error {
	var sums []int64
	for _, a := range arrs {
		sizes := measure(nil, a.Data(), a.Data().Offset(), a.Len())
		if sums == nil {
			sums = sizes
			continue
		}
		for i := range sums {
			sums[i] += sizes[i]
		}
	}
	for _, n := range sums {
		if n > limit {
			return TooLarge("bytes of text, or elements, in "+arrs[0].DataType().Name(), n)
		}
	}
	return nil
}

// measure appends what each array of offsets within d counts in n rows from row
// from on, parents first.
func measure(sizes []int64, d arrow.ArrayData, from, n int) []int64 {
	count := func() (first, size int) {
		if n == 0 || d.Buffers()[1] == nil {
			return 0, 0
		}
		offsets := arrow.GetData[int32](d.Buffers()[1].Bytes())
		return int(offsets[from]), int(offsets[from+n] - offsets[from])
	}
	switch d.DataType().ID() {
	case arrow.STRING, arrow.BINARY:
		_, size := count()
		return append(sizes, int64(size))
	case arrow.LIST, arrow.MAP:
		first, size := count()
		child := d.Children()[0]
		return measure(append(sizes, int64(size)), child, child.Offset()+first, size)
	case arrow.STRUCT: // children are not sliced with their parent
		for _, child := range d.Children() {
			sizes = measure(sizes, child, child.Offset()+from, n)
		}
	}
	return sizes
}
