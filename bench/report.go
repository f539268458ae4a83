package bench

import (
	"encoding/json"
	"fmt"
	"math"
)

// Figures are the medians of one engine on one query.
type Figures struct {
	Engine     string  `json:"engine"`
	WallMillis float64 `json:"wall_ms"`
	CPUMillis  float64 `json:"cpu_ms"`
	RSSMegas   float64 `json:"rss_mb"`
	// Error is why a peer has no figures.
	Error string `json:"error,omitempty"`
}

// Line is one query on every engine, ours first.
type Line struct {
	Query   int       `json:"query"`
	Engines []Figures `json:"engines,omitempty"`
	// Repeated counts repetitions thrown away because other processes took much
	// CPU; Disturbed those that count nevertheless.
	Repeated  int    `json:"repeated,omitempty"`
	Disturbed int    `json:"disturbed,omitempty"`
	Error     string `json:"error,omitempty"`
}

// Ratio sums up one engine beside the base, over the queries that ran on both.
type Ratio struct {
	Engine     string  `json:"engine"`
	Base       string  `json:"base"`
	Wall       float64 `json:"wall_geometric_mean"`
	CPU        float64 `json:"cpu_geometric_mean"`
	Worst      float64 `json:"worst_wall"`
	WorstQuery int     `json:"worst_query"`
}

// report is printed line by line as a table, or at the end as JSON.
type report struct {
	Lines    []Line            `json:"queries"`
	Ratios   []Ratio           `json:"ratios,omitempty"`
	Versions map[string]string `json:"versions"`

	names   []string
	base    int // the engine that ratios are to; -1: alone
	options TPCHOptions
}

func newReport(engines []*engine, o TPCHOptions) *report {
	r := &report{base: -1, options: o, Versions: map[string]string{}}
	for i, e := range engines {
		r.names = append(r.names, e.name)
		r.Versions[e.name] = e.version
		if i > 0 && (r.base < 0 || e.name == "duckdb") {
			r.base = i
		}
	}
	if o.JSON {
		return r
	}
	fmt.Fprintf(o.Out, "%-6s", "query")
	for i := range r.names {
		fmt.Fprintf(o.Out, " | %-9s %8s %7s", r.names[i]+" ms", "cpu ms", "rss MB")
		if r.base >= 0 && i != r.base {
			fmt.Fprintf(o.Out, " %6s %6s", "x wall", "x cpu")
		}
	}
	fmt.Fprintln(o.Out)
	return r
}

func (r *report) add(l Line) {
	r.Lines = append(r.Lines, l)
	if r.options.JSON {
		return
	}
	out := r.options.Out
	fmt.Fprintf(out, "q%-5d", l.Query)
	if l.Error != "" {
		fmt.Fprintf(out, " | %s\n", l.Error)
		return
	}
	for i, f := range l.Engines {
		if f.Error != "" {
			fmt.Fprintf(out, " | %.60s", f.Error)
			continue
		}
		fmt.Fprintf(out, " | %-9.0f %8.0f %7.0f", f.WallMillis, f.CPUMillis, f.RSSMegas)
		if r.base >= 0 && i != r.base && l.Engines[r.base].Error == "" {
			b := l.Engines[r.base]
			fmt.Fprintf(out, " %6.2f %6.2f", f.WallMillis/b.WallMillis, f.CPUMillis/b.CPUMillis)
		}
	}
	if l.Disturbed > 0 {
		fmt.Fprintf(out, " | %d of %d disturbed", l.Disturbed, r.options.Runs)
	}
	fmt.Fprintln(out)
}

// finish computes the ratios and prints what sums the lines up.
func (r *report) finish() error {
	for i := range r.names {
		if r.base >= 0 && i != r.base {
			if ratio, ok := r.ratio(i); ok {
				r.Ratios = append(r.Ratios, ratio)
			}
		}
	}
	if r.options.JSON {
		e := json.NewEncoder(r.options.Out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	for _, x := range r.Ratios {
		fmt.Fprintf(r.options.Out, "%s to %s %s: geometric mean wall %.2f, cpu %.2f; worst q%d %.2f\n",
			x.Engine, x.Base, r.Versions[x.Base], x.Wall, x.CPU, x.WorstQuery, x.Worst)
	}
	return nil
}

func (r *report) ratio(engine int) (Ratio, bool) {
	x := Ratio{Engine: r.names[engine], Base: r.names[r.base]}
	var wall, cpu, n float64
	for _, l := range r.Lines {
		if l.Error != "" {
			continue
		}
		a, b := l.Engines[engine], l.Engines[r.base]
		if a.Error != "" || b.Error != "" {
			continue
		}
		quotient := a.WallMillis / b.WallMillis
		wall += math.Log(quotient)
		cpu += math.Log(max(a.CPUMillis, 1) / max(b.CPUMillis, 1))
		n++
		if quotient > x.Worst {
			x.Worst, x.WorstQuery = quotient, l.Query
		}
	}
	if n == 0 {
		return x, false
	}
	x.Wall, x.CPU = math.Exp(wall/n), math.Exp(cpu/n)
	return x, true
}
