package window

import (
	"fmt"
	"math"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/stream"
)

// slicing divides time into slices and groups them into windows. All times are
// in milliseconds; a slice or window is called by its end, which it excludes.
type slicing struct {
	kind   jobgraph.WindowKind
	size   int64 // of the (largest) window
	every  int64 // between ends of windows
	slice  int64
	offset int64
}

func newSlicing(w *jobgraph.Window) (slicing, error) {
	s := slicing{kind: w.GetKind(), size: w.GetSizeMillis(), every: w.GetSlideMillis(), offset: w.GetOffsetMillis()}
	switch s.kind {
	case jobgraph.WindowKind_WINDOW_TUMBLE:
		s.every, s.slice = s.size, s.size
	case jobgraph.WindowKind_WINDOW_HOP:
		if s.every > 0 {
			s.slice = gcd(s.size, s.every)
		}
	case jobgraph.WindowKind_WINDOW_CUMULATE:
		if s.slice = s.every; s.every > 0 && s.size%s.every != 0 {
			return s, fmt.Errorf("window: size %d ms is not a multiple of step %d ms", s.size, s.every)
		}
	default:
		return s, fmt.Errorf("window: %v cannot be computed from slices", s.kind)
	}
	if s.size <= 0 || s.every <= 0 {
		return s, fmt.Errorf("window: size %d ms, slide %d ms", s.size, s.every)
	}
	return s, nil
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// floor is the largest multiple of step, shifted by offset, that is at most t.
func floor(t, step, offset int64) int64 {
	r := (t - offset) % step
	if r < 0 {
		r += step
	}
	return t - r
}

// sliceEnd is the end of the slice that time t falls in.
func (s slicing) sliceEnd(t int64) int64 { return floor(t, s.slice, s.offset) + s.slice }

// start is the start of the window that ends at end.
func (s slicing) start(end int64) int64 {
	if s.kind == jobgraph.WindowKind_WINDOW_CUMULATE {
		return floor(end-1, s.size, s.offset)
	}
	return end - s.size
}

// lastWindow is the end of the last window that a slice belongs to.
func (s slicing) lastWindow(slice int64) int64 {
	first := slice - s.slice // when the slice starts
	if s.kind == jobgraph.WindowKind_WINDOW_CUMULATE {
		return floor(first, s.size, s.offset) + s.size
	}
	return floor(first, s.every, s.offset) + s.size // the last to start at or before the slice
}

// windows appends the ends of the windows that a slice belongs to and that end
// after the watermark after and at or before upTo.
func (s slicing) windows(ends []int64, slice int64, after, upTo stream.Watermark) []int64 {
	last := s.lastWindow(slice)
	for end := s.firstWindow(slice); end <= last; end += s.every {
		if passed(end, upTo) && !passed(end, after) {
			ends = append(ends, end)
		}
	}
	return ends
}

// firstWindow is the end of the first window that a slice belongs to.
func (s slicing) firstWindow(slice int64) int64 {
	if s.kind == jobgraph.WindowKind_WINDOW_CUMULATE {
		return slice
	}
	return floor(slice+s.every-1, s.every, s.offset+s.size)
}

// passed reports whether watermark w says that a window's or slice's time is
// over: its last millisecond is before end.
func passed(end int64, w stream.Watermark) bool {
	return end == math.MinInt64 || end-1 <= int64(w)
}
