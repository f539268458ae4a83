package bench

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/fs"
)

// sample is one run of a statement: times in milliseconds, memory in MB.
type sample struct {
	wall, cpu, rss float64
	output         string
	storage        fs.Stats
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median takes each figure's median by itself.
func median(samples []sample) sample {
	pick := func(figure func(sample) float64) float64 {
		all := make([]float64, len(samples))
		for i, s := range samples {
			all[i] = figure(s)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return sample{
		wall: pick(func(s sample) float64 { return s.wall }),
		cpu:  pick(func(s sample) float64 { return s.cpu }),
		rss:  pick(func(s sample) float64 { return s.rss }),
	}
}

func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y), 1)
}
