package keyfilter_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/keyfilter"
)

func words(values ...string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.AppendValues(values, nil)
	return b.NewArray()
}

// every is so many integers with the same distance.
func every(distance int64, n int) arrow.Array {
	values := make([]int64, n)
	for i := range values {
		values[i] = 7 + distance*int64(i)
	}
	return column(values...)
}

// Two processes that share their parts have the filter that one would have made of
// both, in each way in which keys are laid out.
func TestPartsAreShared(t *testing.T) {
	for name, c := range map[string]struct {
		parts   [2]arrow.Array
		integer bool
	}{
		"few, close":    {[2]arrow.Array{column(3, 0, 64), column(9000, -5)}, true},
		"many, close":   {[2]arrow.Array{every(2, 5000), every(3, 5000)}, true},
		"far apart":     {[2]arrow.Array{column(1, 1<<40), column(5, 1<<60)}, true},
		"close and far": {[2]arrow.Array{column(1, 2), column(5, 1<<60)}, true},
		"one is empty":  {[2]arrow.Array{column(), column(5, 6)}, true},
		"nulls only":    {[2]arrow.Array{column(0), column(0)}, true},
		"texts":         {[2]arrow.Array{words("a", "b"), words("c")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var sets [3]*keyfilter.Set
			for i := range sets {
				sets[i] = keyfilter.NewSet(&account{left: 64 << 20})
				defer sets[i].Close()
			}
			for i := range 2 {
				sets[i].Share(func(p keyfilter.Part) {
					if err := sets[1-i].Take(p); err != nil {
						t.Error(err)
					}
				})
			}
			for i, part := range c.parts {
				keys := keyfilter.Of([][]arrow.Array{{part}}, c.integer)
				sets[2].Put(1, i, 2, keys)
				sets[i].Put(1, i, 2, keys)
			}
			probe := every(1, 20000)
			if !c.integer {
				probe = words("a", "x", "c", "y")
			}
			whole, _ := sets[2].Get(1)
			want := keep(whole, probe)
			for i, s := range sets[:2] {
				if got, _ := s.Get(1); got == nil || got.Exact() != whole.Exact() || !slices.Equal(keep(got, probe), want) {
					t.Errorf("process %d: %v", i, got)
				}
			}
		})
	}
}

// What is whole, given up or too large stays where it is.
func TestPartsThatAreNotShared(t *testing.T) {
	s := keyfilter.NewSet(&account{left: 64 << 20})
	defer s.Close()
	s.Share(func(p keyfilter.Part) { t.Errorf("filter %d is shared", p.ID) })
	s.Put(1, 0, 1, of(column(1)))
	s.Put(2, 0, 2, nil)
	s.Put(3, 0, 2, of(every(1<<40, keyfilter.MostEncoded/8)))
	s.Share(nil)
	s.Put(4, 0, 2, of(column(1)))
	var none *keyfilter.Set
	none.Share(nil)
	if err := none.Take(keyfilter.Part{}); err != nil {
		t.Error(err)
	}
}

// encoded are parts as they travel.
func encoded() (all [][]byte) {
	s := keyfilter.NewSet(&account{left: 64 << 20})
	defer s.Close()
	s.Share(func(p keyfilter.Part) { all = append(all, p.EncodedKeys) })
	for i, c := range []arrow.Array{column(1, 77), every(2, 1000), every(1<<40, 9), column()} {
		s.Put(uint32(i), 0, 2, of(c))
	}
	return all
}

// Bytes that are cut off, or that say something else than they hold, are refused.
func TestDamagedParts(t *testing.T) {
	s := keyfilter.NewSet(&account{left: 64 << 20})
	defer s.Close()
	bad := map[string][]byte{
		"nothing": nil, "too long": make([]byte, keyfilter.MostEncoded+1), "other form": {9, 0, 0},
		"no flag": {1, 7, 0}, "rows of none": {1, 0, 5}, "endless": {4, 0, 0x80, 0x80, 0x80},
		"gaps of texts": {2, 0, 1, 1}, "wide gaps": {2, 1, 1, 0, 2, 1, 99},
	}
	for i, whole := range encoded() {
		if i < 3 { // of no keys there is nothing to cut off
			bad[fmt.Sprintf("cut %d", i)] = whole[:len(whole)-1]
		}
		bad[fmt.Sprintf("longer %d", i)] = append(slices.Clone(whole), 0xff)
	}
	if err := s.Take(keyfilter.Part{ID: 1, Index: 2, Of: 2, EncodedKeys: encoded()[0]}); err == nil {
		t.Error("a third part of two is taken")
	}
	for name, keys := range bad {
		if err := s.Take(keyfilter.Part{ID: 1, Of: 1, EncodedKeys: keys}); err == nil {
			t.Errorf("%s: taken", name)
		}
		if k, settled := s.Get(1); k != nil || settled {
			t.Fatalf("%s: changed the set", name)
		}
	}
}

// Whatever arrives is refused or can be asked.
func FuzzTake(f *testing.F) {
	for _, whole := range encoded() {
		f.Add(whole)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := keyfilter.NewSet(&account{left: 64 << 20})
		defer s.Close()
		if err := s.Take(keyfilter.Part{ID: 1, Of: 1, EncodedKeys: data}); err != nil {
			return
		}
		if k, _ := s.Get(1); k != nil {
			keep(k, column(1, -1, 1<<62))
			k.Between(-5, 1<<40)
		}
	})
}
