package metric

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	subBits = 5
	subs    = 1 << subBits // buckets of an octave
	octaves = 64 - subBits // octave 0 holds 0..31; the last one ends at the largest int64
)

type octave [subs]atomic.Uint64

// Histogram counts values that are not negative by size. All methods may be called concurrently.
type Histogram struct {
	sum     atomic.Int64
	max     atomic.Int64
	octaves [octaves]atomic.Pointer[octave]
}

// Record counts the value v once; a negative v counts as 0.
func (h *Histogram) Record(v int64) { h.RecordN(v, 1) }

// RecordDuration counts d in nanoseconds, for histograms with the unit [Nanoseconds].
func (h *Histogram) RecordDuration(d time.Duration) { h.RecordN(int64(d), 1) }

// RecordN counts the value v n times, as when every row of a batch has the same latency.
func (h *Histogram) RecordN(v int64, n uint64) {
	if n == 0 {
		return
	}
	v = max(v, 0)
	high, low := bucketOf(v)
	buckets := h.octaves[high].Load()
	if buckets == nil {
		buckets = h.openOctave(high)
	}
	buckets[low].Add(n)
	h.sum.Add(v * int64(n))
	for seen := h.max.Load(); v > seen && !h.max.CompareAndSwap(seen, v); {
		seen = h.max.Load()
	}
}

func (h *Histogram) openOctave(high int) *octave {
	fresh := new(octave)
	if h.octaves[high].CompareAndSwap(nil, fresh) {
		return fresh
	}
	return h.octaves[high].Load()
}

// Snapshot copies what was recorded so far. Values recorded while it runs may be in it or not; its count
// and quantiles always agree with each other, its sum and maximum may be ahead of them.
func (h *Histogram) Snapshot() HistogramSnapshot {
	var s HistogramSnapshot
	for high := range h.octaves {
		buckets := h.octaves[high].Load()
		if buckets == nil {
			continue
		}
		for low := range buckets {
			if n := buckets[low].Load(); n > 0 {
				s.buckets = append(s.buckets, bucket{index: high<<subBits | low, count: n})
				s.Count += n
			}
		}
	}
	s.Sum, s.Max = h.sum.Load(), h.max.Load()
	return s
}

// bucketOf finds the octave of v and the bucket in it.
func bucketOf(v int64) (high, low int) {
	if v < subs {
		return 0, int(v)
	}
	shift := bits.Len64(uint64(v)) - subBits - 1
	return shift + 1, int(v>>shift) - subs
}

// bucketRange is the first and last value that the bucket with this index counts.
func bucketRange(index int) (first, last int64) {
	high, low := index>>subBits, index&(subs-1)
	if high == 0 {
		return int64(low), int64(low)
	}
	first = int64(subs+low) << (high - 1)
	return first, first + (1<<(high-1) - 1)
}
