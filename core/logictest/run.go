package logictest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	// checkpointDir is where files that say `streaming` keep their checkpoints.
	checkpointDir = "${dir}/.checkpoints"
	modeKey       = "execution.runtime-mode"
)

// recordTimeout bounds one record, so that a statement that hangs is named.
const recordTimeout = 3 * time.Minute

// Options say how files are run.
type Options struct {
	// Open starts an engine with settings, and with around between it and its connectors;
	// Run closes it.
	Open func(settings map[string]string, around *Around) (client.Engine, error)
	// Apart starts one of several workers; nil: variations that ask for it are left out.
	Apart func(settings map[string]string, around *Around) (client.Engine, error)
	// Variations are the ways in which each file runs. The first is the straight
	// one: it is what Rewrite stores and what the oracle sees. None means
	// Variations().
	Variations []Variation
	// Rewrite stores the rows that came as the wanted ones.
	Rewrite bool
	// DuckDB is the path of the oracle's binary; empty compares with the files
	// alone.
	DuckDB string
}

// Variation is a way to run a file that must not change its results.
type Variation struct {
	Name      string
	Settings  map[string]string // ${dir} in values is replaced
	Streaming bool              // for files that say `streaming` only
	Apart     bool              // on several workers
	// Lives kill the job of each INSERT and query in the middle, and restore it from its
	// newest checkpoint in a new engine: the parallelism of each life. The lists take turns.
	// The rows of a query are what its changes leave in a sink. The settings have to take
	// checkpoints.
	Lives [][]string
}

// Variations are the usual ones.
func Variations() []Variation {
	stream := map[string]string{modeKey: "streaming"}
	with := func(m map[string]string, more ...string) map[string]string {
		m = maps.Clone(m)
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	checkpoints := with(stream, "execution.checkpointing.interval", "20 ms", "state.checkpoints.dir", checkpointDir)
	killed := with(checkpoints, "execution.batch-rows", "64", "worker.slots", "3")
	return []Variation{
		{Name: "straight"},
		{Name: "parallelism-1", Settings: map[string]string{"parallelism.default": "1"}},
		{Name: "parallelism-4", Settings: map[string]string{"parallelism.default": "4", "worker.slots": "4"}},
		{Name: "batch-1", Settings: map[string]string{"execution.batch-rows": "1"}},
		{Name: "batch-3", Settings: map[string]string{"execution.batch-rows": "3"}},
		{Name: "retention-job", Settings: map[string]string{"exchange.batch-retention": "job"}},
		{Name: "workers-2", Apart: true},
		{Name: "workers-2-stored", Apart: true, Settings: map[string]string{"exchange.batch-retention": "job"}},
		{Name: "streaming-fold", Settings: with(stream, "sql-client.execution.result-mode", "changelog")},
		{Name: "batch", Settings: map[string]string{modeKey: "batch"}},
		{Name: "mini-batch", Streaming: true, Settings: with(stream, "table.exec.mini-batch.enabled", "true", "table.exec.mini-batch.allow-latency", "1 s")},
		{Name: "checkpoints", Streaming: true, Settings: checkpoints},
		{Name: "restored", Streaming: true, Lives: [][]string{{"2", "2"}}, Settings: killed},
		{Name: "rescaled", Streaming: true, Lives: [][]string{{"1", "2"}, {"2", "3", "1"}}, Settings: killed},
		{Name: "state-on-disk", Streaming: true, Lives: [][]string{{"2", "2"}}, Settings: with(killed,
			"state.backend.type", "pebble", "state.backend.pebble.memory.fixed-per-operator", "1 kb")},
		{Name: "state-tiered", Streaming: true, Lives: [][]string{{"2", "3", "1"}, {"1", "1"}}, Settings: with(killed,
			"state.backend.type", "tiered", "state.backend.pebble.memory.fixed-per-operator", "1 kb")},
	}
}

// Run runs every file in every variation, each as a subtest.
func Run(t *testing.T, files []string, o Options) {
	if len(files) == 0 {
		t.Fatal("no files")
	}
	if o.Variations == nil {
		o.Variations = Variations()
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".slt"), func(t *testing.T) {
			s, err := readScript(file)
			if err != nil {
				t.Fatal(err)
			}
			o.file(t, s)
		})
	}
}

func (o Options) file(t *testing.T, s *script) {
	for i, v := range o.Variations {
		open := o.Open
		if v.Apart {
			open = o.Apart
		}
		if s.has(v.Settings) || v.Streaming && !s.streaming || open == nil || slices.Contains(s.without, v.Name) {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			r := run{script: s, dir: t.TempDir(), rewrite: o.Rewrite && i == 0, labels: map[string]labelled{}, open: open, lives: v.Lives}
			r.all(t, v.Settings)
			if r.rewrite && !t.Failed() {
				if err := s.rewrite(); err != nil {
					t.Fatal(err)
				}
			}
			if i == 0 && o.DuckDB != "" {
				for _, problem := range askOracle(t.Context(), o.DuckDB, s, r.dir) {
					t.Error(problem)
				}
			}
		})
	}
}

// has reports whether the script sets all of these anyway. Over tables that end, the mode
// is batch where none is set.
func (s *script) has(settings map[string]string) bool {
	for key, value := range settings {
		if s.settings[key] != value && (key != modeKey || value != "batch" || s.settings[key] != "") {
			return false
		}
	}
	return len(settings) > 0
}

// run is one file in one variation.
type run struct {
	script   *script
	dir      string
	rewrite  bool
	lives    [][]string
	open     func(map[string]string, *Around) (client.Engine, error)
	around   Around
	killed   int // jobs so far
	settings map[string]string
	engine   client.Engine
	session  client.Session
	labels   map[string]labelled
}

// labelled is the first query of a label.
type labelled struct {
	place string
	rows  []string
}

func (r *run) all(t *testing.T, settings map[string]string) {
	r.settings = maps.Clone(r.script.settings)
	for key, value := range settings {
		r.settings[key] = expand(value, r.script, r.dir)
	}
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, rec := range r.script.records {
		ctx, cancel := context.WithTimeout(t.Context(), recordTimeout)
		err := r.record(ctx, rec)
		cancel()
		if err == nil {
			continue
		}
		t.Errorf("%s: %v\n%s", rec.place(), err, rec.text)
		if rec.kind != queryRecord {
			t.Fatal("the rest depends on it")
		}
	}
}

// start opens the engine and the session.
func (r *run) start(ctx context.Context) (err error) {
	if r.engine, err = r.open(r.settings, &r.around); err != nil {
		return fmt.Errorf("open engine: %w", err)
	}
	if r.session, err = r.engine.Open(ctx, r.settings); err != nil {
		return errors.Join(fmt.Errorf("open session: %w", err), r.stop())
	}
	return nil
}

// stop closes what start has opened.
func (r *run) stop() (err error) {
	if r.session != nil {
		err = r.session.Close()
	}
	if r.engine != nil {
		err = errors.Join(err, r.engine.Close())
	}
	r.session, r.engine = nil, nil
	if err != nil {
		return fmt.Errorf("close session and engine: %w", err)
	}
	return nil
}

func (r *run) record(ctx context.Context, rec *record) error {
	if rec.kind == fileRecord {
		return writeFile(r.dir, rec.name, expand(rec.text, r.script, r.dir))
	}
	text := expand(rec.text, r.script, r.dir)
	if k := r.kills(rec, text); k != nil {
		return r.kill(ctx, k)
	}
	rows, schema, err := r.execute(ctx, text)
	switch {
	case rec.failure != nil:
		return rec.failure.check(err)
	case err != nil:
		return err
	case rec.kind == queryRecord:
		return r.compare(rec, rows, schema)
	default:
		return nil
	}
}

func (r *run) compare(rec *record, rows [][]string, schema datatype.Schema) error {
	if got := lettersOf(schema); got != rec.types {
		return fmt.Errorf("columns (%s) are %s, not %s", schema, got, rec.types)
	}
	rows = arrange(rows, rec.types, rec.order)
	if r.rewrite {
		rec.want = joinRows(rows)
	} else if diff := difference(rec.types, rec.order, rec.want, rows); diff != "" {
		return errors.New(diff)
	}
	if rec.name == "" {
		return nil
	}
	first, ok := r.labels[rec.name]
	if !ok {
		r.labels[rec.name] = labelled{place: rec.place(), rows: joinRows(rows)}
	} else if diff := difference(rec.types, rec.order, first.rows, rows); diff != "" {
		return fmt.Errorf("other rows than the query of label %s at %s: %s", rec.name, first.place, diff)
	}
	return nil
}

func lettersOf(schema datatype.Schema) string {
	letters := make([]byte, len(schema))
	for i, f := range schema {
		letters[i] = letterOf(f.Type)
	}
	return string(letters)
}

// execute runs one statement to its end.
func (r *run) execute(ctx context.Context, text string) (rows [][]string, schema datatype.Schema, err error) {
	statement, err := parser.ParseStatement(text)
	if err != nil {
		return nil, nil, err
	}
	result, err := r.session.Execute(ctx, text, statement)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, result.Close()) }()
	schema = result.Schema()
	for {
		b, err := result.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, schema, nil
		}
		if err != nil {
			return nil, nil, err
		}
		rows, err = apply(rows, b, schema)
		b.Release()
		if err != nil {
			return nil, nil, err
		}
	}
}

// printed is row at of a batch.
func printed(b *stream.Batch, at int, schema datatype.Schema) []string {
	row := make([]string, len(schema))
	for i, f := range schema {
		if b.Column(i).IsNull(at) {
			row[i] = null
			continue
		}
		row[i] = string(datatype.AppendText(nil, b.Column(i), at, f.Type, nil))
		if letter := letterOf(f.Type); letter == 'T' || letter == 'L' {
			row[i] = escape(row[i])
		}
	}
	return row
}

// apply does a batch's changes to a table of printed rows.
func apply(table [][]string, b *stream.Batch, schema datatype.Schema) ([][]string, error) {
	for n := range b.Len() {
		at := n
		if b.Sel != nil {
			at = int(b.Sel[n])
		}
		row := printed(b, at, schema)
		if !b.Kind(at).Retracts() {
			table = append(table, row)
			continue
		}
		old := slices.IndexFunc(table, func(r []string) bool { return slices.Equal(r, row) })
		if old < 0 {
			return nil, fmt.Errorf("%s of a row that is not there: %s", b.Kind(at), strings.Join(row, separator))
		}
		table = slices.Delete(table, old, old+1)
	}
	return table, nil
}

// check compares an error with the expected one.
func (w *wantFailure) check(err error) error {
	if err == nil {
		return fmt.Errorf("succeeds, but error %s %s is expected", w.code, w.pattern)
	}
	code := strings.ReplaceAll(failure.Of(err).String(), " ", "-")
	var wrong *sqlerr.Error
	if errors.As(err, &wrong) {
		code = string(wrong.Code)
	}
	if code != w.code {
		return fmt.Errorf("error %s, not %s: %w", code, w.code, err)
	}
	if !w.pattern.MatchString(err.Error()) {
		return fmt.Errorf("error does not match %q: %w", w.pattern, err)
	}
	return nil
}

// expand replaces the variables.
func expand(text string, s *script, dir string) string {
	data, err := filepath.Abs(filepath.Dir(s.path))
	if err != nil {
		data = filepath.Dir(s.path)
	}
	return strings.NewReplacer("${dir}", dir, "${data}", data).Replace(text)
}

func writeFile(dir, name, content string) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("create the directory of a file: %w", err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	return nil
}
