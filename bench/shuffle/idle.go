package shuffle

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/bench/machine"
	"github.com/tidemill/tidemill/core/failure"
)

// Open is what streams hold while nothing is sent, both ends together, once each of
// them has passed a batch of one row.
type Open struct {
	Path       string  `json:"path"`
	Transport  string  `json:"transport"`
	Streams    int     `json:"streams"`
	RSSMegas   float64 `json:"rss_mb"`
	HeapMegas  float64 `json:"heap_mb"`
	StackMegas float64 `json:"stack_mb"`
	Goroutines float64 `json:"goroutines_per_stream"`
	Error      string  `json:"error,omitempty"`
}

// Latency is how long a batch of one row takes from before it is sent to when its
// consumer has it, on one stream that is idle otherwise.
type Latency struct {
	Path      string  `json:"path"`
	Transport string  `json:"transport"`
	Median    float64 `json:"median_us"`
	P99       float64 `json:"p99_us"`
	Error     string  `json:"error,omitempty"`
}

var errBroken = failure.Errorf(failure.Internal, "a stream ended early")

// held is what this process holds.
type held struct {
	rss, heap, stack float64 // MiB
	goroutines       int
}

// holding counts after garbage was given back to the kernel.
func holding() held {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return held{machine.RSSMegas(), float64(m.HeapAlloc) / (1 << 20), float64(m.StackInuse) / (1 << 20), runtime.NumGoroutine()}
}

// open measures one opener's streams.
func (o opener) idle(ctx context.Context, streams int) (Open, error) {
	result := Open{Path: o.kind.String(), Transport: o.transport.String(), Streams: streams}
	b := oneRow()
	defer b.Release()
	before := holding()
	var arrived atomic.Int64
	all := make(chan struct{})
	at, err := o.open(ctx, o.transport, streams, func() {
		if arrived.Add(1) == int64(streams) {
			close(all)
		}
	})
	if err != nil {
		return result, err
	}
	for s := range streams {
		if err := at.send(s, b); err != nil {
			return result, errors.Join(err, at.stop())
		}
	}
	select {
	case <-all:
	case <-at.broken:
		return result, errors.Join(errBroken, at.stop())
	case <-ctx.Done():
		return result, errors.Join(ctx.Err(), at.stop())
	}
	after := holding()
	result.RSSMegas, result.HeapMegas, result.StackMegas = after.rss-before.rss, after.heap-before.heap, after.stack-before.stack
	result.Goroutines = float64(after.goroutines-before.goroutines) / float64(streams)
	return result, at.stop()
}

// warmBatches are sent before latency is measured.
const warmBatches = 200

// latency measures n batches, one after the other.
func (o opener) latency(ctx context.Context, n int) (Latency, error) {
	result := Latency{Path: o.kind.String(), Transport: o.transport.String()}
	b := oneRow()
	defer b.Release()
	arrived := make(chan time.Time, 1)
	at, err := o.open(ctx, o.transport, 1, func() { arrived <- time.Now() })
	if err != nil {
		return result, err
	}
	taken := make([]float64, 0, n)
	for i := range n + warmBatches {
		start := time.Now()
		if err := at.send(0, b); err != nil {
			return result, errors.Join(err, at.stop())
		}
		select {
		case then := <-arrived:
			if i >= warmBatches {
				taken = append(taken, float64(then.Sub(start))/float64(time.Microsecond))
			}
		case <-at.broken:
			return result, errors.Join(errBroken, at.stop())
		case <-ctx.Done():
			return result, errors.Join(ctx.Err(), at.stop())
		}
	}
	slices.Sort(taken)
	result.Median, result.P99 = taken[len(taken)/2], taken[len(taken)*99/100]
	return result, at.stop()
}

func oneRow() arrow.RecordBatch {
	whole := wholeBatch(schema(), 1)
	defer whole.Release()
	return whole.NewSlice(0, 1)
}

// still measures what is open and how fast a batch passes, on all openers.
func (o Options) still(ctx context.Context, r *report) error {
	var bad []error
	for _, way := range openers() {
		if !o.wants(way.kind.String(), way.transport) {
			continue
		}
		if o.Open > 0 {
			figures, err := way.idle(ctx, o.Open)
			if err != nil {
				figures.Error = err.Error()
				bad = append(bad, fmt.Errorf("%v by %v, %d streams: %w", way.kind, way.transport, o.Open, err))
			}
			r.Open = append(r.Open, figures)
		}
		if o.Pings > 0 {
			figures, err := way.latency(ctx, o.Pings)
			if err != nil {
				figures.Error = err.Error()
				bad = append(bad, fmt.Errorf("%v by %v, latency: %w", way.kind, way.transport, err))
			}
			r.Latency = append(r.Latency, figures)
		}
	}
	return errors.Join(append(bad, r.still())...)
}
