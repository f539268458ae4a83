package groups_test

import (
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/stream"
)

// Groups are due when their bucket has begun, at the latest at their time, and come once.
func TestWaiting(t *testing.T) {
	w := groups.Waiting{}
	for slot, millis := range []int64{-300, -1, 0, 255, 256, 5000} {
		w.Add(millis, int32(slot))
		w.Add(millis, int32(slot))
		w.Add(millis+1, int32(slot))
	}
	for _, c := range []struct {
		at   stream.Watermark
		want []int32
	}{{-513, nil}, {-300, []int32{0}}, {-1, []int32{1}}, {0, []int32{1, 2, 3}}, {256, []int32{3, 4}}, {4000, nil}, {stream.MaxWatermark, []int32{5}}} {
		if got := w.Due(c.at); !slices.Equal(got, c.want) {
			t.Errorf("due at %d: %v, want %v", c.at, got, c.want)
		}
	}
}
