package groups

import (
	"slices"

	"github.com/tidemill/tidemill/core/stream"
)

// bucketMillis is the time that a bucket of waiting groups is for.
const bucketMillis = 256

// Waiting are groups that are to be looked at when the watermark reaches a time, by
// buckets of time, so that a watermark finds them without a look at the others. A group
// may be in several.
type Waiting map[int64][]int32

// Add has the group of a slot looked at when the watermark is at millis, or before.
func (w Waiting) Add(millis int64, slot int32) {
	b := millis / bucketMillis
	if millis%bucketMillis < 0 {
		b--
	}
	b *= bucketMillis
	if in := w[b]; len(in) == 0 || in[len(in)-1] != slot {
		w[b] = append(in, slot)
	}
}

// Due takes the groups of buckets that have begun at a watermark, each once, ascending.
func (w Waiting) Due(at stream.Watermark) (slots []int32) {
	for b, in := range w {
		if b <= int64(at) {
			slots = append(slots, in...)
			delete(w, b)
		}
	}
	slices.Sort(slots)
	return slices.Compact(slots)
}
