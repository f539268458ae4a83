package metric

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/core/invariant"
)

// Label is one dimension of a series, such as job or subtask.
type Label struct {
	// Name is of small letters, digits and underscores and does not begin with a digit.
	Name string
	// Value is any text.
	Value string
}

// L returns a label.
func L(name, value string) Label { return Label{Name: name, Value: value} }

// Scope creates instruments that share labels and a life. All methods may be called concurrently. A nil
// scope creates instruments that work and that nobody sees.
type Scope struct {
	registry *Registry
	labels   []Label // sorted by name

	mu     sync.Mutex
	shown  []*series
	hidden int
	closed bool
}

// With returns a scope that has the labels of s and the given ones. It has a life of its own: its owner
// closes it, closing s does not. Label names must be valid and distinct.
func (s *Scope) With(labels ...Label) *Scope {
	if s == nil {
		return nil
	}
	all := slices.Concat(s.labels, labels)
	slices.SortFunc(all, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	for i, label := range all {
		if !validName(label.Name) {
			invariant.Broken("metric label %q is not of a-z, 0-9 and _", label.Name)
		}
		if i > 0 && all[i-1].Name == label.Name {
			invariant.Broken("metric label %s is given twice", label.Name)
		}
	}
	return &Scope{registry: s.registry, labels: all}
}

// Counter returns the counter of that name with the scope's labels. The help is one sentence; the first one
// given for a name is shown.
func (s *Scope) Counter(name, help string) *Counter {
	counter := new(Counter)
	return s.create(&series{family: newFamily(name, help, CounterKind, Plain), counter: counter}).counter
}

// Gauge returns the gauge of that name with the scope's labels.
func (s *Scope) Gauge(name, help string) *Gauge {
	gauge := new(Gauge)
	return s.create(&series{family: newFamily(name, help, GaugeKind, Plain), gauge: gauge}).gauge
}

// GaugeFunc shows what read returns as a gauge. read is called by readers, concurrently, until some time
// after the scope is closed; it must be quick and not wait. Of two functions for one series the first one
// stays.
func (s *Scope) GaugeFunc(name, help string, read func() float64) {
	s.create(&series{family: newFamily(name, help, GaugeFuncKind, Plain), gaugeFunc: read})
}

// Histogram returns the histogram of that name with the scope's labels, whose values have the given unit.
func (s *Scope) Histogram(name, help string, unit Unit) *Histogram {
	histogram := new(Histogram)
	return s.create(&series{family: newFamily(name, help, HistogramKind, unit), histogram: histogram}).histogram
}

// Close takes the scope's instruments out of the registry. They still work, unseen. A second Close does
// nothing; instruments created after it are not shown.
func (s *Scope) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.give(s.shown, s.hidden)
	s.shown, s.hidden, s.closed = nil, 0, true
}

// create enters candidate, or finds the series that has its name and labels already.
func (s *Scope) create(candidate *series) *series {
	if s == nil {
		return candidate
	}
	candidate.labels = s.labels
	candidate.key = seriesKey(candidate.family.name, s.labels)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return candidate
	}
	taken, shown := s.registry.take(candidate)
	if shown {
		s.shown = append(s.shown, taken)
	} else {
		s.hidden++
	}
	return taken
}

func newFamily(name, help string, kind Kind, unit Unit) *family {
	if !validName(name) {
		invariant.Broken("metric name %q is not of a-z, 0-9 and _", name)
	}
	return &family{name: name, help: help, kind: kind, unit: unit}
}

// seriesKey is different for different names or labels, because values are quoted.
func seriesKey(name string, labels []Label) string {
	var key strings.Builder
	key.WriteString(name)
	for _, label := range labels {
		key.WriteByte(' ')
		key.WriteString(label.Name)
		key.WriteByte('=')
		key.WriteString(strconv.Quote(label.Value))
	}
	return key.String()
}

func validName(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c == '_'
		if digit := c >= '0' && c <= '9'; !letter && (!digit || i == 0) {
			return false
		}
	}
	return name != ""
}
