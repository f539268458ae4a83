package updatejoin

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// An index by time gives each row out once, when it is due, whatever became of the
// numbers in between: compared with a map.

type ledger struct{ used int64 }

func (l *ledger) Grow(n int64) error { l.used += n; return nil }
func (l *ledger) Shrink(n int64)     { l.used -= n }

func TestExpiry(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := &ledger{}
		e := newExpiry(l)
		twin, now := map[int32]int64{}, int64(-500)
		for range 2000 {
			switch r.IntN(4) {
			case 0:
				now += r.Int64N(1 << (2 * (seed % 8)))
				var want []int32
				for row, at := range twin {
					if at <= now {
						want = append(want, row)
						delete(twin, row)
					}
				}
				got := e.take(now)
				slices.Sort(got)
				if slices.Sort(want); !slices.Equal(got, want) {
					t.Fatalf("at %d: %v, want %v", now, got, want)
				}
			case 1:
				for row := range twin {
					delete(twin, row)
					e.forget([]int32{row})
					break
				}
			default:
				row := r.Int32N(500)
				if _, ok := twin[row]; ok {
					continue
				}
				twin[row] = now + 1 + r.Int64N(1<<(2*(seed%10)))
				if err := e.add([]int32{row}, []int64{twin[row]}); err != nil {
					t.Fatal(err)
				}
			}
			if len(e.buckets) > maxBuckets {
				t.Fatalf("%d buckets", len(e.buckets))
			}
		}
		if got := e.take(math.MaxInt64); len(got) != len(twin) || len(e.buckets) > 0 {
			t.Fatalf("at the end: %d rows, want %d; %d buckets", len(got), len(twin), len(e.buckets))
		}
		if e.release(); l.used != 0 {
			t.Fatalf("%d bytes stay charged", l.used)
		}
	}
}
