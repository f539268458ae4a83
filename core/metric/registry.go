package metric

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/core/invariant"
)

// DefaultMaxSeries is the limit of a registry whose options do not name one.
const DefaultMaxSeries = 100_000

// Options are the settings of a registry.
type Options struct {
	// MaxSeries limits how many instruments the registry shows; 0 means DefaultMaxSeries.
	MaxSeries int
}

// Registry knows the instruments of a process (of one role, where several share a process). All methods may
// be called concurrently.
type Registry struct {
	maxSeries int

	mu       sync.Mutex
	series   map[string]*series
	families map[string]*family
	hidden   int
}

// family is what all series of one name share.
type family struct {
	name, help string
	kind       Kind
	unit       Unit
	series     int
}

// series is one instrument with its name and labels.
type series struct {
	family *family
	key    string
	labels []Label
	users  int // scopes that hold it

	counter   *Counter
	gauge     *Gauge
	gaugeFunc func() float64
	histogram *Histogram
}

// NewRegistry returns a registry without instruments.
func NewRegistry(options Options) *Registry {
	return &Registry{
		maxSeries: cmp.Or(options.MaxSeries, DefaultMaxSeries),
		series:    map[string]*series{},
		families:  map[string]*family{},
	}
}

// Scope returns a scope with the given labels; its owner closes it. Label names must be valid and distinct.
func (r *Registry) Scope(labels ...Label) *Scope {
	return (&Scope{registry: r}).With(labels...)
}

// Hidden returns how many instruments now live that All does not show because of Options.MaxSeries.
func (r *Registry) Hidden() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hidden
}

// Sample is the state of one series at one moment.
type Sample struct {
	// Name, Help, Kind and Unit are the same for all series of one name.
	Name, Help string
	Kind       Kind
	Unit       Unit
	// Labels are sorted by name; they belong to the registry and must not be changed.
	Labels []Label
	// Value is that of a counter or gauge; a histogram has Histogram instead.
	Value     float64
	Histogram HistogramSnapshot
}

// All yields a sample of every series, sorted by name, then by labels. It sees the series that exist when
// it starts and reads each when its turn comes; the loop's body may use the registry.
func (r *Registry) All() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		r.mu.Lock()
		all := make([]*series, 0, len(r.series))
		for _, s := range r.series {
			all = append(all, s)
		}
		r.mu.Unlock()

		slices.SortFunc(all, func(a, b *series) int {
			return cmp.Or(strings.Compare(a.family.name, b.family.name), strings.Compare(a.key, b.key))
		})
		for _, s := range all {
			if !yield(s.sample()) {
				return
			}
		}
	}
}

func (s *series) sample() Sample {
	sample := Sample{Name: s.family.name, Help: s.family.help, Kind: s.family.kind, Unit: s.family.unit, Labels: s.labels}
	switch {
	case s.counter != nil:
		sample.Value = float64(s.counter.Value())
	case s.gauge != nil:
		sample.Value = float64(s.gauge.Value())
	case s.gaugeFunc != nil:
		sample.Value = s.gaugeFunc()
	case s.histogram != nil:
		sample.Histogram = s.histogram.Snapshot()
	}
	return sample
}

// take returns the series that has candidate's name and labels, candidate itself if there is none yet, and
// counts one more user of it. shown is false for a series that the limit keeps out.
func (r *Registry) take(candidate *series) (taken *series, shown bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	want := candidate.family
	known := r.families[want.name]
	if known != nil && (known.kind != want.kind || known.unit != want.unit) {
		invariant.Broken("metric %s is a %s in %s and a %s in %s", want.name, known.kind, known.unit, want.kind, want.unit)
	}
	if present := r.series[candidate.key]; present != nil {
		present.users++
		return present, true
	}
	if len(r.series) >= r.maxSeries {
		r.hidden++
		return candidate, false
	}
	if known == nil {
		known = want
		r.families[want.name] = known
	}
	candidate.family, candidate.users = known, 1
	known.series++
	r.series[candidate.key] = candidate
	return candidate, true
}

// give ends one use of each of the shown series and of as many hidden ones.
func (r *Registry) give(shown []*series, hidden int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hidden -= hidden
	for _, s := range shown {
		if s.users--; s.users > 0 {
			continue
		}
		delete(r.series, s.key)
		if s.family.series--; s.family.series == 0 {
			delete(r.families, s.family.name)
		}
	}
}
