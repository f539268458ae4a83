package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tidemill/tidemill/bench/tpch"
)

// TPCHOptions are what TPCH measures.
type TPCHOptions struct {
	// Dir holds TABLE.parquet; a path, or a URL without peers.
	Dir string
	// Queries are those to run; empty means all 22.
	Queries []int
	// Binary is our command; it is started once, as a server.
	Binary string
	// Peers are duckdb and polars, run by Python with those packages.
	Peers  []string
	Python string
	// Runs is how many are counted, after one that is not; zero means 5.
	Runs int
	// Parallelism of every engine; zero means 2.
	Parallelism int
	// Memory, if given, is the limit of ours and DuckDB's ("500 mb"; Polars has none).
	Memory string
	// JSON prints the report as JSON instead of a table.
	JSON bool
	Out  io.Writer
}

func (o TPCHOptions) complete() (TPCHOptions, error) {
	if o.Dir == "" {
		return o, errors.New("run TPC-H: no directory of data is given")
	}
	for _, name := range o.Peers {
		if name != "duckdb" && name != "polars" {
			return o, fmt.Errorf("peer %q: want duckdb or polars", name)
		}
	}
	if o.Runs <= 0 {
		o.Runs = 5
	}
	if o.Parallelism <= 0 {
		o.Parallelism = 2
	}
	if len(o.Queries) == 0 {
		for n := 1; n <= tpch.Count; n++ {
			o.Queries = append(o.Queries, n)
		}
	}
	for _, n := range o.Queries {
		if _, err := tpch.Query(n); err != nil {
			return o, err
		}
	}
	return o, nil
}

// TPCH runs queries of TPC-H over o.Dir and prints times, CPU times and memory.
// Every engine is one warm process, so nobody's start counts, and the engines take
// turns. With peers every answer is compared with each peer's; a query that fails
// or differs has its line say so, the others still run, and TPCH returns an error.
func TPCH(ctx context.Context, o TPCHOptions) (err error) {
	o, err = o.complete()
	if err != nil {
		return err
	}
	views := map[string]string{}
	for _, t := range tpch.Tables() {
		views[t] = strings.TrimSuffix(o.Dir, "/") + "/" + t + ".parquet"
	}
	engines, err := o.engines(ctx, views)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := closeAll(engines); err == nil {
			err = closeErr
		}
	}()
	report := newReport(engines, o)
	var bad []error
	for _, n := range o.Queries {
		line, err := o.query(ctx, engines, n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			line.Error = err.Error()
			bad = append(bad, fmt.Errorf("query q%d: %w", n, err))
		}
		report.add(line)
	}
	return errors.Join(append(bad, report.finish())...)
}

// query runs one query on every engine in turn. A repetition which others
// disturbed is repeated, at most as often again as there are runs.
func (o TPCHOptions) query(ctx context.Context, engines []*engine, n int) (line Line, err error) {
	line.Query = n
	text, err := tpch.Query(n)
	if err != nil {
		return line, err
	}
	samples := make([][]sample, len(engines))
	spare := o.Runs
	for run := 0; run <= o.Runs; run++ {
		answers, round, quiet, err := measure(ctx, engines, text)
		if err != nil {
			return line, err
		}
		for i := range answers[1:] {
			if err := tpch.SameAnswer(n, answers[0], answers[i+1]); err != nil {
				return line, fmt.Errorf("against %s: %w", engines[i+1].name, err)
			}
		}
		if run == 0 { // reads files and compiles for the first time
			continue
		}
		if !quiet && spare > 0 {
			spare--
			line.Repeated++
			run--
			continue
		}
		if !quiet {
			line.Disturbed++
		}
		for i := range engines {
			samples[i] = append(samples[i], round[i])
		}
	}
	for i := range engines {
		m := median(samples[i])
		line.Engines = append(line.Engines, Figures{Engine: engines[i].name, WallMillis: m.wall, CPUMillis: m.cpu, RSSMegas: m.rss})
	}
	return line, nil
}

// quietShare is the part of the machine that others may take while a repetition
// counts as undisturbed, in percent of one core.
const quietShare = 15

// measure runs a statement once on each engine.
func measure(ctx context.Context, engines []*engine, text string) (answers []string, round []sample, quiet bool, err error) {
	before, known := busy()
	start, own := time.Now(), cpuTime()
	var theirs float64
	for _, e := range engines {
		r, err := e.ask(Request{SQL: text})
		if err != nil {
			return nil, nil, false, errors.Join(ctx.Err(), err)
		}
		answers = append(answers, r.CSV)
		round = append(round, sample{wall: r.WallMillis, cpu: r.CPUMillis, rss: r.RSSMegas})
		theirs += r.CPUMillis
	}
	after, _ := busy()
	others := millis(after-before) - millis(cpuTime()-own) - theirs
	// Writing and reading answers is not in the engines' figures, and the kernel
	// counts in ticks: allow for a few.
	allowed := millis(time.Since(start))*quietShare/100 + 5*millis(tick)
	return answers, round, !known || others <= allowed, nil
}
