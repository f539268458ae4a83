package keyfilter_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/keyfilter"
)

// account is a ledger of so many bytes.
type account struct{ left int64 }

func (a *account) Grow(n int64) error {
	if n > a.left {
		return errors.New("no memory")
	}
	a.left -= n
	return nil
}

func (a *account) Shrink(n int64) { a.left += n }

// column is made of values; 0 is null.
func column(values ...int64) arrow.Array {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for _, v := range values {
		if v == 0 {
			b.AppendNull()
		} else {
			b.Append(v)
		}
	}
	return b.NewArray()
}

// of are the keys in columns of integers.
func of(columns ...arrow.Array) *keyfilter.Keys {
	var batches [][]arrow.Array
	for _, c := range columns {
		batches = append(batches, []arrow.Array{c})
	}
	return keyfilter.Of(batches, true)
}

func keep(k *keyfilter.Keys, columns ...arrow.Array) []int32 {
	return keyfilter.NewProbe(k).Keep(columns)
}

// Rows are kept by value: not outside the bounds, not in a gap, and never nulls.
func TestKeep(t *testing.T) {
	k := of(column(-70, 3), column(0, 64))
	probe := column(-71, -70, 0, 3, 4, 64, 65, 1<<62, -1<<63)
	if got := keep(k, probe); !slices.Equal(got, []int32{1, 3, 5}) {
		t.Errorf("kept %v", got)
	}
	if got := keep(of(), probe); len(got) != 0 {
		t.Errorf("no keys kept %v", got)
	}
}

// Bounds exclude what has no key between them, on both sides of the words' borders.
func TestBetween(t *testing.T) {
	keys := []int64{-70, -3, 3, 64, 127, 400}
	k := of(column(keys...))
	for low := int64(-90); low < 420; low++ {
		for _, width := range []int64{0, 1, 5, 60, 64, 130, 300} {
			want := slices.ContainsFunc(keys, func(v int64) bool { return v >= low && v <= low+width })
			if got := k.Between(low, low+width); got != want {
				t.Fatalf("%d to %d: got %v", low, low+width, got)
			}
		}
	}
	if k.Between(5, 4) || !k.Between(math.MinInt64, math.MaxInt64) || of().Between(math.MinInt64, math.MaxInt64) {
		t.Error("bounds that are empty or all there is")
	}
}

// A filter is there with its last part, which may come again; a part missing or
// given up, and memory that does not suffice, mean none.
func TestSet(t *testing.T) {
	a := &account{left: 4 << 20}
	s := keyfilter.NewSet(a)
	one, two := of(column(1)), of(column(130))
	s.Put(1, 0, 2, one)
	s.Put(1, 0, 2, one)
	if k, settled := s.Get(1); k != nil || settled {
		t.Errorf("half a filter: %v, %v", k, settled)
	}
	s.Put(1, 1, 2, two)
	k, _ := s.Get(1)
	if k == nil || !slices.Equal(keep(k, column(1, 2, 130)), []int32{0, 2}) {
		t.Errorf("both parts: %v", k)
	}
	s.Put(2, 0, 2, nil)
	if k, settled := s.Get(2); k != nil || !settled {
		t.Errorf("given up: %v, %v", k, settled)
	}
	if a.left != 4<<20-k.Bytes() {
		t.Errorf("%d bytes charged for a filter of %d", 4<<20-a.left, k.Bytes())
	}
	a.left = 0
	s.Put(3, 0, 1, one)
	if k, settled := s.Get(3); k != nil || !settled {
		t.Errorf("without memory: %v, %v", k, settled)
	}
	s.Close()
	s.Put(4, 0, 1, one)
	if k, settled := s.Get(4); k != nil || !settled || a.left == 0 {
		t.Errorf("closed: %v, %v, %d bytes", k, settled, a.left)
	}
}
