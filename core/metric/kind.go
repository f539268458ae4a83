package metric

// Kind tells what a series measures.
type Kind int

// The kinds of series. A reader need not tell GaugeFuncKind from GaugeKind.
const (
	InvalidKind Kind = iota
	CounterKind
	GaugeKind
	GaugeFuncKind
	HistogramKind
)

// String returns the kind as Prometheus names it.
func (k Kind) String() string {
	switch k {
	case CounterKind:
		return "counter"
	case GaugeKind, GaugeFuncKind:
		return "gauge"
	case HistogramKind:
		return "histogram"
	}
	return "invalid"
}

// Unit tells what the number 1 means in a histogram.
type Unit int

// The units of recorded values.
const (
	InvalidUnit Unit = iota
	Plain            // a count: rows, files
	Bytes
	Nanoseconds
)

// String returns the unit's name.
func (u Unit) String() string {
	switch u {
	case Plain:
		return "plain"
	case Bytes:
		return "bytes"
	case Nanoseconds:
		return "nanoseconds"
	}
	return "invalid"
}

// Scale is the factor that turns a recorded value into the base unit that is shown: nanoseconds are shown
// as seconds.
func (u Unit) Scale() float64 {
	if u == Nanoseconds {
		return 1e-9
	}
	return 1
}
