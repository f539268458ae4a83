package metric

import (
	"cmp"
	"iter"
	"math"
	"slices"
)

// HistogramSnapshot is what a histogram held at one moment. It is a value that nobody changes any more.
type HistogramSnapshot struct {
	// Count is the number of recorded values.
	Count uint64
	// Sum is the sum of the recorded values, exact up to overflow.
	Sum int64
	// Max is the largest value recorded, exact. After Sub it is the largest since the histogram began.
	Max int64

	buckets []bucket // those that are not empty, by index
}

type bucket struct {
	index int
	count uint64
}

// Mean returns the average value, 0 if there is none.
func (s HistogramSnapshot) Mean() float64 {
	if s.Count == 0 {
		return 0
	}
	return float64(s.Sum) / float64(s.Count)
}

// Quantile returns a value that is within 1.6 percent of the smallest recorded one that at least q of all
// recorded values do not exceed; q is cut to [0, 1]. It is 0 if nothing was recorded.
func (s HistogramSnapshot) Quantile(q float64) int64 {
	rank := uint64(math.Ceil(min(max(q, 0), 1) * float64(s.Count)))
	rank = max(rank, 1)
	var seen uint64
	for _, b := range s.buckets {
		if seen += b.count; seen >= rank {
			first, last := bucketRange(b.index)
			return min(first+(last-first)/2, s.Max)
		}
	}
	return s.Max
}

// Buckets yields, in ascending order, the largest value of each bucket that is not empty and how many
// values it counts, itself alone.
func (s HistogramSnapshot) Buckets() iter.Seq2[int64, uint64] {
	return func(yield func(int64, uint64) bool) {
		for _, b := range s.buckets {
			if _, last := bucketRange(b.index); !yield(last, b.count) {
				return
			}
		}
	}
}

// Merge returns the snapshot of what both recorded, as for all subtasks of a vertex.
func (s HistogramSnapshot) Merge(other HistogramSnapshot) HistogramSnapshot {
	merged := HistogramSnapshot{
		Count: s.Count + other.Count, Sum: s.Sum + other.Sum, Max: max(s.Max, other.Max),
		buckets: make([]bucket, 0, max(len(s.buckets), len(other.buckets))),
	}
	a, b := s.buckets, other.buckets
	for len(a) > 0 && len(b) > 0 {
		switch cmp.Compare(a[0].index, b[0].index) {
		case -1:
			merged.buckets, a = append(merged.buckets, a[0]), a[1:]
		case +1:
			merged.buckets, b = append(merged.buckets, b[0]), b[1:]
		default:
			merged.buckets = append(merged.buckets, bucket{a[0].index, a[0].count + b[0].count})
			a, b = a[1:], b[1:]
		}
	}
	merged.buckets = slices.Concat(merged.buckets, a, b)
	return merged
}

// Sub returns what was recorded after earlier, a snapshot of the same histogram.
func (s HistogramSnapshot) Sub(earlier HistogramSnapshot) HistogramSnapshot {
	since := HistogramSnapshot{Sum: s.Sum - earlier.Sum, Max: s.Max}
	old := earlier.buckets
	for _, b := range s.buckets {
		for len(old) > 0 && old[0].index < b.index {
			old = old[1:]
		}
		if len(old) > 0 && old[0].index == b.index {
			b.count -= min(b.count, old[0].count)
		}
		if b.count > 0 {
			since.buckets = append(since.buckets, b)
			since.Count += b.count
		}
	}
	return since
}
