package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/bench/flink"
	"github.com/tidemill/tidemill/bench/nexmark"
	"github.com/tidemill/tidemill/core/failure"
)

// NexmarkOptions are what Nexmark measures.
type NexmarkOptions struct {
	Programs
	// Queries are those to run, as q0, or generator for the source alone; empty means
	// generator and all queries.
	Queries []string
	// Events are how many the source makes; zero means 10 million.
	Events int64
	// EventRate is their rate in event time; zero means 10 million a second, with
	// Check 1000.
	EventRate int64
	// Runs is how many are counted, after one that is not; zero means 3.
	Runs int
	// Parallelism is the number of slots; zero means 2.
	Parallelism int
	// Checkpoint is the interval of checkpoints, which are exactly once; empty means 10s,
	// and none is without.
	Checkpoint string
	// Data, if given, is a directory for Parquet files of the events, which are written
	// unless they are there: queries read them instead of the generator.
	Data string
	// Peer, if given, is flink: it reads the same files, which are written for it.
	Peer string
	// Latency, if not zero, has the latencies of queries measured instead, each for so long
	// at half of the highest rate that it sustains.
	Latency time.Duration
	// Check compares the rows of each query with DuckDB's instead of measuring.
	Check bool
	// JSON prints the report as JSON instead of a table.
	JSON bool
	Out  io.Writer
}

const noCheckpoints = "none"

// generatorTrial is the name of the trial that has no query.
const generatorTrial = "generator"

func (o NexmarkOptions) complete() (NexmarkOptions, error) {
	if o.Events < 0 || o.EventRate < 0 || o.Parallelism < 0 {
		return o, failure.Errorf(failure.Usage, "--events, --event-rate and --parallelism: want more than 0")
	}
	events, rate := int64(10_000_000), int64(10_000_000)
	if o.Check {
		events, rate = 200_000, 1000
	}
	if o.Peer != "" && (o.Peer != flinkPeer || o.Check || o.Latency > 0) || o.Latency > 0 && (o.Check || o.Data != "") {
		return o, failure.Errorf(failure.Usage, "--check, --peer and --latency go each alone, --latency without --data; --peer is flink")
	}
	o.Events, o.EventRate = cmp.Or(o.Events, events), cmp.Or(o.EventRate, rate)
	o.Parallelism, o.Runs = cmp.Or(o.Parallelism, 2), max(cmp.Or(o.Runs, 3), 1)
	if len(o.Queries) == 0 {
		if o.Queries = nexmark.Names(); o.Data == "" && !o.Check && o.Peer == "" {
			o.Queries = append([]string{generatorTrial}, o.Queries...)
		}
	}
	for _, name := range o.Queries {
		if _, err := nexmark.Lookup(name); err != nil && name != generatorTrial {
			return o, failure.Errorf(failure.Usage, "%w", err)
		}
	}
	o.Settings = maps.Clone(o.Settings)
	if o.Settings == nil {
		o.Settings = map[string]string{}
	}
	o.Settings["execution.runtime-mode"] = "streaming"
	switch o.Checkpoint {
	case "":
		o.Checkpoint = "10s"
	case noCheckpoints:
		o.Checkpoint = ""
	}
	if o.Check {
		return o, o.havePython()
	}
	if o.Peer != "" {
		return o, flink.Installed(o.Flink)
	}
	return o, nil
}

// source are the options of the generator.
func (o NexmarkOptions) source() nexmark.Options {
	return nexmark.Options{"events.num": strconv.FormatInt(o.Events, 10), "event-rate": strconv.FormatInt(o.EventRate, 10)}
}

// Nexmark runs queries of Nexmark in streaming mode over so many events and prints what
// each took: events a second for each core that was busy, times and memory; output is
// counted and dropped, but for q10, which writes files. Of a query that the engine
// refuses, or that fails, the line says so, the others still run, and Nexmark returns an
// error.
func Nexmark(ctx context.Context, o NexmarkOptions) (err error) {
	o, err = o.complete()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "tidemill-nexmark-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if o.Checkpoint != "" {
		o.Settings["execution.checkpointing.interval"] = o.Checkpoint
		o.Settings["state.checkpoints.dir"] = filepath.Join(scratch, "checkpoints")
	}
	if o.Data == "" && (o.Check || o.Peer != "") {
		o.Data = filepath.Join(scratch, "events")
	}
	if o.Data != "" {
		if err := o.writeEvents(ctx); err != nil {
			return fmt.Errorf("write events to %s: %w", o.Data, err)
		}
	}
	contestants := []contestant{{name: "tidemill", slots: o.Parallelism}}
	if o.Check {
		contestants = append(contestants, contestant{name: "duckdb", peer: "duckdb", slots: o.Parallelism, views: nexmarkFiles(o.Data)})
	}
	if o.Peer != "" {
		contestants = append(contestants, contestant{
			name: o.Peer, peer: o.Peer, slots: o.Parallelism, scratch: filepath.Join(scratch, o.Peer), every: o.Checkpoint,
		})
	}
	engines, err := o.start(ctx, contestants)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(engines)) }()
	tables := nexmark.Source(o.source())
	if o.Data != "" && !o.Check {
		tables = nexmark.Tables(o.Data)
	}
	if err := askAll(engines[0], tables...); err != nil {
		return err
	}
	if o.Check {
		return o.check(ctx, scratch, engines[0], engines[1])
	}
	if o.Latency > 0 {
		return o.latencies(engines[0], scratch)
	}
	layout := layout{Title: o.title(), Base: -1, Events: o.Events, JSON: o.JSON, Out: o.Out}
	if o.Peer != "" {
		if err := askAll(engines[1], tables...); err != nil {
			return err
		}
		layout.Base, layout.SpeedUp = 1, true
	}
	var trials []trial
	for _, name := range o.Queries {
		t, err := o.trial(engines, name, scratch)
		if err != nil {
			return err
		}
		trials = append(trials, t)
	}
	return contest{engines: engines, runs: o.Runs, warm: 1, report: newReport(engines, o.Runs, layout)}.all(ctx, trials)
}

func (o NexmarkOptions) title() string {
	from := "generated"
	if o.Data != "" {
		from = "read from " + o.Data
	}
	checkpoints := "no checkpoints"
	if o.Checkpoint != "" {
		checkpoints = "checkpoints every " + o.Checkpoint
	}
	return fmt.Sprintf("Nexmark, %d events %s, %.1f s of event time; %s; %s", o.Events, from,
		float64(o.Events)/float64(o.EventRate), checkpoints, o.limits(o.Parallelism, o.Runs))
}

func askAll(e *engine, statements ...string) error {
	for _, s := range statements {
		if s == "" {
			continue
		}
		if _, err := e.ask(Request{SQL: s}); err != nil {
			return err
		}
	}
	return nil
}

// writeEvents writes the events as files of each kind, in the order of event time.
func (o NexmarkOptions) writeEvents(ctx context.Context) (err error) {
	done := filepath.Join(o.Data, fmt.Sprintf("events-%d-%d", o.Events, o.EventRate))
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	if found, err := os.ReadDir(o.Data); err == nil && len(found) > 0 {
		return failure.Errorf(failure.Usage, "the directory is not empty and has not %d events at %d a second", o.Events, o.EventRate)
	}
	if err := os.MkdirAll(o.Data, 0o755); err != nil {
		return err
	}
	programs := o.Programs
	programs.Settings = maps.Clone(o.Settings)
	programs.Settings["execution.runtime-mode"] = "batch"
	all, err := programs.start(ctx, []contestant{{name: "tidemill", slots: 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(all)) }()
	statements := nexmark.Source(o.source())
	for _, text := range nexmark.Tables(o.Data) {
		statements = append(statements, strings.Replace(text, "CREATE TABLE ", "CREATE TABLE file_", 1))
	}
	for _, kind := range nexmark.Kinds() {
		statements = append(statements, "INSERT INTO file_"+kind+" SELECT * FROM "+kind)
	}
	if err := askAll(all[0], statements...); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o644)
}

func nexmarkFiles(dir string) map[string]string {
	views := map[string]string{}
	for _, kind := range nexmark.Kinds() {
		views[kind] = filepath.Join(dir, kind, "*.parquet")
	}
	return views
}

// trial runs one query into sinks that are made and removed with it.
func (o NexmarkOptions) trial(engines []*engine, name, scratch string) (trial, error) {
	query := nexmark.Query{Name: name, SQL: "SELECT * FROM events"}
	if name != generatorTrial {
		var err error
		if query, err = nexmark.Lookup(name); err == nil {
			query, err = query.Beside(filepath.Join(scratch, "beside"))
		}
		if err != nil {
			return trial{}, err
		}
	}
	dir := func(engine int) string { return filepath.Join(scratch, name, engines[engine].name) }
	prepare := func(engine int) error {
		if err := askAll(engines[engine], "DROP TABLE IF EXISTS out_"+name, query.After, query.Before); err != nil {
			return refused(err)
		}
		if err := os.RemoveAll(dir(engine)); err != nil {
			return err
		}
		if engine > 0 {
			return nil
		}
		_, err := engines[0].ask(Request{SQL: "EXPLAIN " + query.SQL})
		return refused(err)
	}
	text := func(engine int) string {
		with := "WITH ('connector' = 'blackhole')"
		if len(query.Files) > 0 {
			with = fmt.Sprintf("PARTITIONED BY (%s) WITH ('connector' = 'filesystem', 'format' = 'parquet', 'path' = %s)", strings.Join(query.Files, ", "), quote(dir(engine)))
		}
		return fmt.Sprintf("CREATE TABLE out_%s %s AS %s", name, with, query.SQL)
	}
	return trial{name: name, prepare: prepare, text: text}, nil
}

// refused tells an error of planning from one of running.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("refused: %w", err)
}

// check compares the rows that each query leaves with DuckDB's of the same events.
func (o NexmarkOptions) check(ctx context.Context, scratch string, ours, peer *engine) error {
	var bad []error
	for _, name := range o.Queries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rows, err := checkQuery(name, scratch, ours, peer)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", name, err))
			fmt.Fprintf(o.Out, "%-10s | %v\n", name, err)
			continue
		}
		fmt.Fprintf(o.Out, "%-10s | right: %s\n", name, rows)
	}
	return errors.Join(bad...)
}

func checkQuery(name, scratch string, ours, peer *engine) (rows string, err error) {
	query, err := nexmark.Lookup(name)
	if err == nil {
		query, err = query.Beside(filepath.Join(scratch, "beside"))
	}
	if err != nil {
		return "", err
	}
	if err := askAll(ours, query.After, query.Before, "EXPLAIN "+query.Checked); err != nil {
		return "", refused(err)
	}
	a, err := ours.ask(Request{SQL: query.Checked})
	if err != nil {
		return "", err
	}
	changes := strings.HasPrefix(a.CSV, "op,")
	lines := max(strings.Count(a.CSV, "\n")-1, 0)
	if query.DuckDB == "" {
		return fmt.Sprintf("%d lines, which depend on the clock and are not compared", lines), nil
	}
	b, err := peer.ask(Request{SQL: query.DuckDB})
	if err != nil {
		return "", err
	}
	if err := nexmark.SameRows(a.CSV, b.CSV, changes); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d lines", lines), nil
}
