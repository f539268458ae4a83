package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Figures are one engine's on one trial: medians of the runs, but the largest
// memory of any.
type Figures struct {
	Engine     string  `json:"engine"`
	WallMillis float64 `json:"wall_ms"`
	CPUMillis  float64 `json:"cpu_ms"`
	RSSMegas   float64 `json:"rss_mb"`
	// EventsPerSecond are those of each core that was busy, where events are counted.
	EventsPerSecond float64 `json:"events_per_core_second,omitempty"`
	// Requests and ReadBytes are what it asked of servers of files.
	Requests  uint64 `json:"requests,omitempty"`
	ReadBytes uint64 `json:"read_bytes,omitempty"`
	// Error is why a peer has no figures.
	Error string `json:"error,omitempty"`
}

// Line is one trial on every engine, ours first.
type Line struct {
	Name    string    `json:"name"`
	Engines []Figures `json:"engines,omitempty"`
	// Repeated counts runs thrown away because other processes took much CPU;
	// Disturbed those that count nevertheless.
	Repeated  int    `json:"repeated,omitempty"`
	Disturbed int    `json:"disturbed,omitempty"`
	Error     string `json:"error,omitempty"`
}

// Total is one engine over all trials that it finished.
type Total struct {
	Engine     string  `json:"engine"`
	WallMillis float64 `json:"wall_ms_geometric_mean"`
	CPUMillis  float64 `json:"cpu_ms_geometric_mean"`
	RSSMegas   float64 `json:"largest_rss_mb"`
	Requests   uint64  `json:"requests,omitempty"`
	ReadBytes  uint64  `json:"read_bytes,omitempty"`
}

// Ratio sums up one engine beside the base, over the trials that ran on both. In
// a report of speed-ups Wall is the base's time to the engine's, and Worst the
// least.
type Ratio struct {
	Engine     string  `json:"engine"`
	Base       string  `json:"base"`
	Wall       float64 `json:"wall_geometric_mean"`
	CPU        float64 `json:"cpu_geometric_mean"`
	Worst      float64 `json:"worst_wall"`
	WorstTrial string  `json:"worst_trial"`
}

// layout is what a report compares and how it is printed.
type layout struct {
	Title string // what ran, and under which limits
	// Base is the engine that ratios are to; -1: none.
	Base int
	// SpeedUp turns ratios of wall time over: base to engine.
	SpeedUp bool
	// Events that each trial reads; zero: they are not counted.
	Events int64
	// Storage shows requests and bytes read of the first engine.
	Storage bool
	JSON    bool
	Out     io.Writer
}

// report is printed line by line as a table, or at the end as JSON.
type report struct {
	Title    string            `json:"title"`
	Lines    []Line            `json:"trials"`
	Totals   []Total           `json:"totals"`
	Ratios   []Ratio           `json:"ratios,omitempty"`
	Versions map[string]string `json:"versions"`

	names  []string
	runs   int
	layout `json:"-"`
}

func newReport(engines []*engine, runs int, l layout) *report {
	r := &report{Title: l.Title, layout: l, runs: runs, Versions: map[string]string{}}
	for _, e := range engines {
		r.names = append(r.names, e.name)
		r.Versions[e.name] = e.version
	}
	if r.JSON {
		return r
	}
	fmt.Fprintf(r.Out, "%s\n\n%-12s", l.Title, "")
	for i := range r.names {
		fmt.Fprintf(r.Out, " | %*s %8s %7s", r.wide(i), r.names[i]+" ms", "cpu ms", "rss MB")
		if r.Events > 0 {
			fmt.Fprintf(r.Out, " %13s", "K ev/s a core")
		}
		if r.Storage && i == 0 {
			fmt.Fprintf(r.Out, " %8s %9s", "requests", "MB read")
		}
		if r.compares(i) {
			fmt.Fprintf(r.Out, " %8s %6s", r.ratioName(), "x cpu")
		}
	}
	fmt.Fprintln(r.Out)
	return r
}

func (r *report) wide(engine int) int { return max(9, len(r.names[engine])+3) }

func (r *report) compares(engine int) bool { return r.Base >= 0 && engine != r.Base }

func (r *report) ratioName() string {
	if r.SpeedUp {
		return "speed-up"
	}
	return "x wall"
}

// quotient is an engine's wall time beside the base's.
func (r *report) quotient(f, base Figures) float64 {
	if r.SpeedUp {
		f, base = base, f
	}
	return f.WallMillis / max(base.WallMillis, 0.001)
}

func (r *report) add(l Line) {
	for i, f := range l.Engines {
		if r.Events > 0 && f.CPUMillis > 0 {
			l.Engines[i].EventsPerSecond = float64(r.Events) / f.CPUMillis * 1000
		}
	}
	r.Lines = append(r.Lines, l)
	if r.JSON {
		return
	}
	fmt.Fprintf(r.Out, "%-12s", l.Name)
	if l.Error != "" {
		fmt.Fprintf(r.Out, " | %s\n", l.Error)
		return
	}
	for i, f := range l.Engines {
		if f.Error != "" {
			fmt.Fprintf(r.Out, " | %.60s", f.Error)
			continue
		}
		fmt.Fprintf(r.Out, " | %*.0f %8.0f %7.0f", r.wide(i), f.WallMillis, f.CPUMillis, f.RSSMegas)
		if r.Events > 0 {
			fmt.Fprintf(r.Out, " %13.0f", f.EventsPerSecond/1000)
		}
		if r.Storage && i == 0 {
			fmt.Fprintf(r.Out, " %8d %9.1f", f.Requests, float64(f.ReadBytes)/1e6)
		}
		if r.compares(i) && l.Engines[r.Base].Error == "" {
			b := l.Engines[r.Base]
			fmt.Fprintf(r.Out, " %8.2f %6.2f", r.quotient(f, b), f.CPUMillis/max(b.CPUMillis, 1))
		}
	}
	if l.Disturbed > 0 {
		fmt.Fprintf(r.Out, " | %d of %d disturbed", l.Disturbed, r.runs)
	}
	fmt.Fprintln(r.Out)
}

// finish computes what sums the lines up and prints it.
func (r *report) finish() error {
	for i := range r.names {
		r.Totals = append(r.Totals, r.total(i))
	}
	for i := range r.names {
		if !r.compares(i) {
			continue
		}
		if ratio, ok := r.ratio(i); ok {
			r.Ratios = append(r.Ratios, ratio)
		}
	}
	if r.JSON {
		e := json.NewEncoder(r.Out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintln(r.Out)
	for _, t := range r.Totals {
		fmt.Fprintf(r.Out, "%s %s: geometric mean wall %.0f ms, cpu %.0f ms; largest RSS %.0f MB", t.Engine, r.Versions[t.Engine], t.WallMillis, t.CPUMillis, t.RSSMegas)
		if t.Requests > 0 {
			fmt.Fprintf(r.Out, "; %d requests, %.0f MB read", t.Requests, float64(t.ReadBytes)/1e6)
		}
		fmt.Fprintln(r.Out)
	}
	for _, x := range r.Ratios {
		what := "wall"
		if r.SpeedUp {
			what = "speed-up"
		}
		fmt.Fprintf(r.Out, "%s to %s: geometric mean %s %.2f, cpu %.2f; worst %s %.2f\n", x.Engine, x.Base, what, x.Wall, x.CPU, x.WorstTrial, x.Worst)
	}
	return nil
}

func (r *report) total(engine int) Total {
	t := Total{Engine: r.names[engine]}
	var wall, cpu mean
	for _, l := range r.Lines {
		if l.Error != "" || l.Engines[engine].Error != "" {
			continue
		}
		f := l.Engines[engine]
		wall.add(f.WallMillis)
		cpu.add(f.CPUMillis)
		t.RSSMegas = max(t.RSSMegas, f.RSSMegas)
		t.Requests += f.Requests
		t.ReadBytes += f.ReadBytes
	}
	t.WallMillis, t.CPUMillis = wall.value(), cpu.value()
	return t
}

func (r *report) ratio(engine int) (Ratio, bool) {
	x := Ratio{Engine: r.names[engine], Base: r.names[r.Base]}
	var wall, cpu mean
	for _, l := range r.Lines {
		if l.Error != "" {
			continue
		}
		a, b := l.Engines[engine], l.Engines[r.Base]
		if a.Error != "" || b.Error != "" {
			continue
		}
		quotient := r.quotient(a, b)
		wall.add(quotient)
		cpu.add(max(a.CPUMillis, 1) / max(b.CPUMillis, 1))
		worse := quotient > x.Worst
		if r.SpeedUp {
			worse = quotient < x.Worst
		}
		if worse || wall.n == 1 {
			x.Worst, x.WorstTrial = quotient, l.Name
		}
	}
	x.Wall, x.CPU = wall.value(), cpu.value()
	return x, wall.n > 0
}

// mean is a geometric one.
type mean struct {
	logs float64
	n    int
}

func (m *mean) add(x float64) {
	m.logs += math.Log(max(x, 0.001))
	m.n++
}

func (m *mean) value() float64 {
	if m.n == 0 {
		return 0
	}
	return math.Exp(m.logs / float64(m.n))
}
