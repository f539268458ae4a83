package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	// RewriteOptional, if given, is a directory: DuckDB writes the tables there anew,
	// all columns optional, unless they are there, and those files are measured.
	RewriteOptional string
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
// turns. With peers every answer is compared with each peer's, without them and on
// data of scale 1 with the one that is checked in; a query that fails
// or differs has its line say so, the others still run, and TPCH returns an error.
func TPCH(ctx context.Context, o TPCHOptions) (err error) {
	o, err = o.complete()
	if err != nil {
		return err
	}
	views := tpchFiles(o.Dir)
	if o.RewriteOptional != "" {
		if err := o.rewrite(ctx, views); err != nil {
			return fmt.Errorf("rewrite files with optional columns: %w", err)
		}
		views = tpchFiles(o.RewriteOptional)
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
	official := len(o.Peers) == 0 && scaleOne(engines[0])
	report := newReport(engines, o)
	var bad []error
	for _, n := range o.Queries {
		line, err := o.query(ctx, engines, n, official)
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

// scaleOne reports the official data of scale 1, whose lineitem has its own count.
func scaleOne(e *engine) bool {
	r, err := e.ask(Request{SQL: "SELECT COUNT(*) FROM lineitem"})
	return err == nil && strings.HasSuffix(strings.TrimSpace(r.CSV), "6001215")
}

func tpchFiles(dir string) map[string]string {
	files := map[string]string{}
	for _, t := range tpch.Tables() {
		files[t] = strings.TrimSuffix(dir, "/") + "/" + t + ".parquet"
	}
	return files
}

// rewrite has DuckDB copy the tables that are not there yet.
func (o TPCHOptions) rewrite(ctx context.Context, views map[string]string) (err error) {
	if err := os.MkdirAll(o.RewriteOptional, 0o755); err != nil {
		return err
	}
	e, err := startPeer(ctx, o.Python, "duckdb", o.Parallelism, "", views)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	for t, file := range tpchFiles(o.RewriteOptional) {
		if _, err := os.Stat(file); err == nil {
			continue
		}
		if _, err := e.ask(Request{SQL: fmt.Sprintf("COPY %s TO %s (FORMAT parquet)", t, quote(file+".part"))}); err != nil {
			return err
		}
		if err := os.Rename(file+".part", file); err != nil {
			return err
		}
	}
	return nil
}

// quote makes a literal that both dialects read.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// query runs one query on every engine in turn. A repetition which others
// disturbed is repeated, at most as often again as there are runs.
func (o TPCHOptions) query(ctx context.Context, engines []*engine, n int, official bool) (line Line, err error) {
	line.Query = n
	text, err := tpch.Query(n)
	if err != nil {
		return line, err
	}
	line.Engines = make([]Figures, len(engines))
	for i, e := range engines {
		line.Engines[i].Engine = e.name
	}
	samples := make([][]sample, len(engines))
	spare := o.Runs
	for run := 0; run <= o.Runs; {
		answers, round, quiet, err := measure(ctx, engines, line.Engines, text)
		if err != nil {
			return line, err
		}
		if official {
			if err := tpch.OfficialAnswer(n, answers[0]); err != nil {
				return line, err
			}
		}
		for i := range engines[1:] {
			if line.Engines[i+1].Error != "" {
				continue
			}
			if err := tpch.SameAnswer(n, answers[0], answers[i+1]); err != nil {
				return line, fmt.Errorf("against %s: %w", engines[i+1].name, err)
			}
		}
		if run > 0 && !quiet && spare > 0 { // the first reads files and counts nothing
			spare--
			line.Repeated++
			continue
		}
		if run > 0 && !quiet {
			line.Disturbed++
		}
		for i := range engines {
			if run > 0 {
				samples[i] = append(samples[i], round[i])
			}
		}
		run++
	}
	for i := range engines {
		m := median(samples[i])
		f := &line.Engines[i]
		f.WallMillis, f.CPUMillis, f.RSSMegas = m.wall, m.cpu, m.rss
	}
	return line, nil
}

// quietShare is the part of the machine that others may take while a repetition
// counts as undisturbed, in percent of one core.
const quietShare = 15

// measure runs a statement once on each engine but for peers that failed before;
// one that fails now (of too little memory, say) is marked and ours goes on.
func measure(ctx context.Context, engines []*engine, marks []Figures, text string) (answers []string, round []sample, quiet bool, err error) {
	before, known := busy()
	start, own := time.Now(), cpuTime()
	var theirs float64
	for i, e := range engines {
		var r Reply
		if marks[i].Error == "" {
			r, err = e.ask(Request{SQL: text})
		}
		if err != nil && (i == 0 || ctx.Err() != nil) {
			return nil, nil, false, errors.Join(ctx.Err(), err)
		}
		if err != nil {
			marks[i].Error, err = err.Error(), nil
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
