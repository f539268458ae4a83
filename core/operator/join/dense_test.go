package join

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A dense index against a map, where values are negative, at the ends of their
// range, null, and asked for far outside of it.
func TestDense(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, base := range []int64{0, -40, math.MinInt64, math.MaxInt64 - 200} {
		var values []int64
		var valid []bool
		for range 100 {
			values, valid = append(values, base+r.Int64N(200)), append(valid, r.IntN(4) > 0)
		}
		var l limits
		l.widen(values[:50], valid[:50])
		l.widen(values[50:], valid[50:])
		d := &dense{least: l.least, words: make([]uint64, l.denseWords(len(values)))}
		d.put(values, valid)
		d.count()
		known := map[int64]bool{}
		for i, v := range values {
			if valid[i] {
				known[v] = true
			}
		}
		asked := []int64{math.MinInt64, math.MaxInt64, 0, -1, base - 1, base + 200, base + 1<<40}
		for i := range int64(200) {
			asked = append(asked, base+i)
		}
		slots := make([]int32, len(asked))
		d.find(asked, slots)
		next := int32(0)
		for i, v := range asked {
			if (slots[i] >= 0) != known[v] {
				t.Fatalf("base %d: %d has slot %d", base, v, slots[i])
			}
			if i >= 7 && known[v] {
				if slots[i] != next {
					t.Fatalf("base %d: %d has slot %d, its rank is %d", base, v, slots[i], next)
				}
				next++
			}
		}
		if d.keys != len(known) || int(next) != d.keys {
			t.Fatalf("base %d: %d keys, %d seen, want %d", base, d.keys, next, len(known))
		}
	}
}

func TestDenseLimits(t *testing.T) {
	for _, c := range []struct {
		l    limits
		rows int
		want int
	}{
		{limits{}, 10, 0}, // only nulls
		{limits{5, 5, true}, 1, 2},
		{limits{0, 63, true}, 1, 3},
		{limits{0, 64 * 10, true}, 9, 0},
		{limits{math.MinInt64, math.MaxInt64, true}, math.MaxInt32, 0},
	} {
		if got := c.l.denseWords(c.rows); got != c.want {
			t.Errorf("%v with %d rows: %d words, want %d", c.l, c.rows, got, c.want)
		}
	}
}
