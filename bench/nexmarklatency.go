package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/bench/nexmark"
	"github.com/tidemill/tidemill/core/connector/blackhole"
)

// Latency is what a query's rows took to the sink from when they could come: from their
// event, or from when the watermark may have passed the end of their window.
type Latency struct {
	Query string `json:"query"`
	// Sustained is the highest rate found, in events a second, at which the query kept up;
	// Rate the one at which latencies were taken.
	Sustained int64 `json:"sustained"`
	Rate      int64 `json:"rate"`
	Rows      int64 `json:"rows"`
	// The latencies, to a millisecond.
	P50Millis  int64  `json:"p50_ms"`
	P99Millis  int64  `json:"p99_ms"`
	P999Millis int64  `json:"p999_ms"`
	Error      string `json:"error,omitempty"`
}

const (
	// keptUp is the most that the slowest hundredth of the rows may take for a rate to
	// count as sustained.
	keptUp = time.Second
	// rateTries bounds the search for that rate, each of which takes 15 % less, half where
	// memory was exhausted.
	rateTries = 6
	// exhausted is what an engine, another process, says that lacks memory.
	exhausted = "memory exhausted"
	// trialEvents are those of the run at full speed that the search begins with.
	trialEvents = 5_000_000
)

// latencies measures the latencies of queries: it finds the highest rate that each keeps up
// with for the time that is to be measured, and then runs it at half of that.
func (o NexmarkOptions) latencies(e *engine, scratch string) error {
	var all []Latency
	var bad []error
	if !o.JSON {
		fmt.Fprintf(o.Out, "Nexmark, latencies over %v each at half of the highest rate sustained as long; %s\n\n%-10s | %14s %10s %10s | %8s %8s %8s\n",
			o.Latency, o.limits(o.Parallelism, 1), "", "sustained ev/s", "at", "rows", "p50 ms", "p99 ms", "p99.9 ms")
	}
	for _, name := range o.Queries {
		query, err := nexmark.Lookup(name)
		if err != nil {
			continue
		}
		if query, err = query.Beside(filepath.Join(scratch, "beside")); err != nil {
			return err
		}
		if query.Timed == "" {
			if !o.JSON {
				fmt.Fprintf(o.Out, "%-10s | its rows are of no one time\n", name)
			}
			continue
		}
		l, err := o.latency(e, query, scratch)
		if err != nil {
			l.Error = err.Error()
			bad = append(bad, fmt.Errorf("%s: %w", name, err))
		}
		all = append(all, l)
		switch {
		case o.JSON:
		case err != nil:
			fmt.Fprintf(o.Out, "%-10s | %v\n", name, err)
		default:
			fmt.Fprintf(o.Out, "%-10s | %14d %10d %10d | %8d %8d %8d\n", name, l.Sustained, l.Rate, l.Rows, l.P50Millis, l.P99Millis, l.P999Millis)
		}
	}
	if o.JSON {
		out := json.NewEncoder(o.Out)
		out.SetIndent("", "  ")
		bad = append(bad, out.Encode(all))
	}
	return errors.Join(bad...)
}

func (o NexmarkOptions) latency(e *engine, q nexmark.Query, scratch string) (l Latency, err error) {
	l.Query = q.Name
	_, took, err := o.paced(e, q, scratch, trialEvents, 0)
	if err != nil {
		return l, err
	}
	rate := int64(float64(trialEvents) / took.Seconds())
	for range rateTries {
		seen, _, err := o.paced(e, q, scratch, o.during(rate), rate)
		switch {
		case err != nil && strings.Contains(err.Error(), exhausted): // state grows with the rate
			rate /= 2
			continue
		case err != nil:
			return l, err
		}
		if seen.Quantile(0.99) <= keptUp {
			l.Sustained = rate
			break
		}
		rate = rate * 85 / 100
	}
	if l.Sustained == 0 {
		return l, fmt.Errorf("it does not keep up with %d events a second", rate)
	}
	l.Rate = l.Sustained / 2
	seen, _, err := o.paced(e, q, scratch, o.during(l.Rate), l.Rate)
	if l.Rows = seen.Count(); err == nil && l.Rows == 0 {
		err = errors.New("no row came in its time: the time measured is shorter than a window")
	}
	l.P50Millis, l.P99Millis, l.P999Millis = seen.Quantile(0.5).Milliseconds(), seen.Quantile(0.99).Milliseconds(), seen.Quantile(0.999).Milliseconds()
	return l, err
}

// during are the events of the time that is measured.
func (o NexmarkOptions) during(rate int64) int64 {
	return max(int64(float64(rate)*o.Latency.Seconds()), 1)
}

// paced runs a query over events that come at a rate by the clock; 0: as fast as can be.
func (o NexmarkOptions) paced(e *engine, q nexmark.Query, scratch string, events, rate int64) (seen blackhole.Latencies, took time.Duration, err error) {
	reports := filepath.Join(scratch, "latencies")
	if err := errors.Join(os.RemoveAll(reports), os.MkdirAll(reports, 0o755)); err != nil {
		return seen, 0, err
	}
	source := nexmark.Options{"events.num": strconv.FormatInt(events, 10), "base-time": "now"}
	if rate > 0 {
		source["tps"], source["event-rate"] = strconv.FormatInt(rate, 10), strconv.FormatInt(rate, 10)
	}
	statements := []string{"DROP TABLE IF EXISTS paced", q.After}
	for _, kind := range nexmark.Kinds() {
		statements = append(statements, "DROP VIEW IF EXISTS "+kind)
	}
	statements = append(append(append(statements, "DROP TABLE IF EXISTS events"), nexmark.Source(source)...), q.Before)
	if err := askAll(e, statements...); err != nil {
		return seen, 0, err
	}
	r, err := e.ask(Request{SQL: fmt.Sprintf("CREATE TABLE paced WITH ('connector' = 'blackhole', 'latency.column' = %s, 'latency.report' = %s) AS %s",
		quote(nexmark.Due), quote(reports), q.Timed)})
	if err != nil {
		return seen, 0, err
	}
	files, err := filepath.Glob(filepath.Join(reports, "*.json"))
	if err != nil {
		return seen, 0, err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return seen, 0, err
		}
		var part blackhole.Latencies
		if err := json.Unmarshal(data, &part); err != nil {
			return seen, 0, fmt.Errorf("read %s: %w", file, err)
		}
		seen.Merge(part)
	}
	return seen, time.Duration(r.WallMillis * float64(time.Millisecond)), nil
}
