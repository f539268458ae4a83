package fs

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/tidemill/tidemill/core/metric"
)

// Stats sum up what a file system asked of its servers since it was made. Each
// try counts, also one that failed.
type Stats struct {
	Requests     uint64 // sent to servers of names or of bytes
	Retries      uint64 // requests that repeat one that failed
	Errors       uint64 // requests that got no answer, or not the service asked for; a missing file is an answer
	BytesRead    uint64 // of files, received, what was read ahead and not used included
	BytesWritten uint64 // of files, sent
}

// Plus adds the counts of two file systems.
func (s Stats) Plus(o Stats) Stats {
	return Stats{
		Requests: s.Requests + o.Requests, Retries: s.Retries + o.Retries, Errors: s.Errors + o.Errors,
		BytesRead: s.BytesRead + o.BytesRead, BytesWritten: s.BytesWritten + o.BytesWritten,
	}
}

// Minus returns what was counted since earlier.
func (s Stats) Minus(earlier Stats) Stats {
	return Stats{
		Requests: s.Requests - earlier.Requests, Retries: s.Retries - earlier.Retries, Errors: s.Errors - earlier.Errors,
		BytesRead: s.BytesRead - earlier.BytesRead, BytesWritten: s.BytesWritten - earlier.BytesWritten,
	}
}

// Meter is the ability of a file system that asks servers to tell how much it did.
// It is a pointer, so that a registry sees which of its schemes are one.
type Meter interface {
	// Stats returns the sums so far. Any goroutine may call it at any time.
	Stats() Stats
}

// Counters are the Stats of a file system while it counts. The zero value is
// ready; any goroutine may add.
type Counters struct {
	Requests, Retries, Errors, BytesRead, BytesWritten atomic.Uint64
}

// Stats returns the sums so far.
func (c *Counters) Stats() Stats {
	return Stats{
		Requests: c.Requests.Load(), Retries: c.Retries.Load(), Errors: c.Errors.Load(),
		BytesRead: c.BytesRead.Load(), BytesWritten: c.BytesWritten.Load(),
	}
}

// Stats returns the sum over all registered file systems that are Meters: what
// this process asked of servers. A benchmark takes it before and after a query.
func (r *Registry) Stats() Stats {
	var sum Stats
	for _, m := range r.meters() {
		sum = sum.Plus(m.Stats())
	}
	return sum
}

// Show has a registry of metrics show the Stats of each file system that is a
// Meter, labelled with its scheme, until stop is called.
func (r *Registry) Show(metrics *metric.Registry) (stop func()) {
	var scopes []*metric.Scope
	for scheme, m := range r.meters() {
		s := metrics.Scope(metric.L("fs", scheme))
		show := func(name, help string, read func(Stats) uint64) {
			s.GaugeFunc("tidemill_fs_"+name, help, func() float64 { return float64(read(m.Stats())) })
		}
		show("requests", "Requests to servers of files, tries that failed included.", func(s Stats) uint64 { return s.Requests })
		show("retries", "Requests to servers of files that repeat one that failed.", func(s Stats) uint64 { return s.Retries })
		show("errors", "Requests to servers of files that failed.", func(s Stats) uint64 { return s.Errors })
		show("read_bytes", "Bytes of files received from servers.", func(s Stats) uint64 { return s.BytesRead })
		show("written_bytes", "Bytes of files sent to servers.", func(s Stats) uint64 { return s.BytesWritten })
		scopes = append(scopes, s)
	}
	return func() {
		for _, s := range scopes {
			s.Close()
		}
	}
}

// meters returns each Meter once, by the first of its schemes.
func (r *Registry) meters() map[string]Meter {
	r.mu.RLock()
	defer r.mu.RUnlock()
	found, seen := map[string]Meter{}, map[Meter]bool{}
	for _, scheme := range slices.Sorted(maps.Keys(r.schemes)) {
		if m, ok := r.schemes[scheme].(Meter); ok && !seen[m] {
			seen[m], found[scheme] = true, m
		}
	}
	return found
}
