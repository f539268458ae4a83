package shuffle

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// Line is one path in a table: medians of the runs.
type Line struct {
	Path        string  `json:"path"`
	Transport   string  `json:"transport"`
	Hops        int     `json:"hops"`
	Compression string  `json:"compression"`
	Rate        float64 `json:"gb_per_s"`
	Cost        float64 `json:"cpu_s_per_gb"`
	Allocations float64 `json:"allocations_per_message"`
	// ToFrames and ToCopy are rates divided by those of opaque frames and of the raw
	// copy over the same transport and hops: medians of rounds.
	ToFrames float64 `json:"rate_to_frames,omitempty"`
	ToCopy   float64 `json:"rate_to_copy,omitempty"`
	// CostToFrames is the CPU time divided by that of opaque frames.
	CostToFrames float64 `json:"cost_to_frames,omitempty"`
	// Ceiling is what the design computed for two cores, in GB/s.
	Ceiling float64 `json:"ceiling_gb_per_s,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// Table is one load on every path.
type Table struct {
	Rows       int   `json:"rows"`
	BatchBytes int64 `json:"batch_bytes"`
	Streams    int   `json:"streams"`
	// OthersBusy is how many CPUs other processes have used meanwhile.
	OthersBusy float64 `json:"others_busy_cpus"`
	Lines      []Line  `json:"paths"`
}

// newTable takes medians of the rounds, by path.
func newTable(l *load, all []path, rounds [][]sample, failed []error, others float64) Table {
	t := Table{Rows: l.rows, BatchBytes: l.sizes[0], Streams: l.streams, OthersBusy: max(others, 0)}
	base := func(i int, k kind) []sample {
		if all[i].kind == k {
			return nil
		}
		for j, p := range all {
			if p.kind == k && p.transport == all[i].transport && p.hops == all[i].hops {
				return rounds[j]
			}
		}
		return nil
	}
	for i, p := range all {
		line := Line{Path: p.kind.String(), Transport: p.transport.String(), Hops: p.hops, Compression: p.codec.String(), Ceiling: p.ceiling}
		if failed[i] != nil {
			line.Error = failed[i].Error()
		} else {
			line.Rate = median(rounds[i], sample.rate)
			line.Cost = median(rounds[i], sample.cost)
			line.Allocations = median(rounds[i], func(s sample) float64 { return s.allocated })
			line.ToFrames = ratio(rounds[i], base(i, opaqueFrames), sample.rate)
			line.ToCopy = ratio(rounds[i], base(i, rawCopy), sample.rate)
			line.CostToFrames = ratio(rounds[i], base(i, opaqueFrames), sample.cost)
		}
		t.Lines = append(t.Lines, line)
	}
	return t
}

func median(rounds []sample, of func(sample) float64) float64 {
	all := make([]float64, len(rounds))
	for i, s := range rounds {
		all[i] = of(s)
	}
	return middle(all)
}

// ratio is the median of what rounds are to the base's; zero without a base.
func ratio(rounds, base []sample, of func(sample) float64) float64 {
	all := make([]float64, min(len(rounds), len(base)))
	for i := range all {
		all[i] = of(rounds[i]) / of(base[i])
	}
	return middle(all)
}

func middle(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// report prints tables as they come, or everything as JSON at the end.
type report struct {
	Title   string    `json:"title"`
	Open    []Open    `json:"open,omitempty"`
	Latency []Latency `json:"latency,omitempty"`
	Tables  []Table   `json:"tables"`

	json bool
	out  *printer
}

// printer writes until writing fails.
type printer struct {
	to  io.Writer
	err error
}

func (p *printer) print(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format, args...)
	}
}

func newReport(o Options) *report {
	title := fmt.Sprintf("shuffle: %d MiB a run, %d runs, %d CPUs; both ends in this process", o.Bytes>>20, o.Runs, runtime.GOMAXPROCS(0))
	return &report{Title: title, json: o.JSON, out: &printer{to: o.Out}}
}

// still prints what was measured before the tables.
func (r *report) still() error {
	if r.json {
		return nil
	}
	r.out.print("%s\n", r.Title)
	if len(r.Open) > 0 {
		r.out.print("\n%d open streams, both ends\n\n%-33s %8s %8s %9s %18s\n", r.Open[0].Streams, "", "RSS MB", "heap MB", "stack MB", "goroutines/stream")
	}
	for _, l := range r.Open {
		if l.Error != "" {
			r.out.print("%-8s %-24s %s\n", l.Transport, l.Path, l.Error)
			continue
		}
		r.out.print("%-8s %-24s %8.1f %8.1f %9.1f %18.1f\n", l.Transport, l.Path, l.RSSMegas, l.HeapMegas, l.StackMegas, l.Goroutines)
	}
	if len(r.Latency) > 0 {
		r.out.print("\none way of a batch of one row, microseconds\n\n%-33s %8s %8s\n", "", "median", "p99")
	}
	for _, l := range r.Latency {
		if l.Error != "" {
			r.out.print("%-8s %-24s %s\n", l.Transport, l.Path, l.Error)
			continue
		}
		r.out.print("%-8s %-24s %8.1f %8.1f\n", l.Transport, l.Path, l.Median, l.P99)
	}
	return r.out.err
}

func (r *report) add(t Table) error {
	r.Tables = append(r.Tables, t)
	if r.json {
		return nil
	}
	streams := fmt.Sprintf("%d streams", t.Streams)
	if t.Streams == 1 {
		streams = "1 stream"
	}
	r.out.print("\nbatches of %d KiB (%d rows), %s; others used %.1f CPUs\n\n", t.BatchBytes>>10, t.Rows, streams, t.OthersBusy)
	r.out.print("%-33s %7s %9s %11s %9s %10s %7s %8s\n", "", "GB/s", "CPU-s/GB", "allocs/msg", "x frames", "x its CPU", "x copy", "ceiling")
	for _, l := range t.Lines {
		if l.Error != "" {
			r.out.print("%-8s %-24s %s\n", l.Transport, l.name(), l.Error)
			continue
		}
		r.out.print("%-8s %-24s %7.2f %9.2f %11.1f %9s %10s %7s %8s\n", l.Transport, l.name(), l.Rate, l.Cost, l.Allocations,
			known(l.ToFrames), known(l.CostToFrames), known(l.ToCopy), known(l.Ceiling))
	}
	return r.out.err
}

// name is that of the path, for people.
func (l Line) name() string { return named(l.Path, l.Hops, l.Compression) }

// known prints a figure, and nothing if there is none.
func known(figure float64) string {
	if figure == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", figure)
}

func (r *report) finish() error {
	if !r.json {
		return nil
	}
	e := json.NewEncoder(r.out.to)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
