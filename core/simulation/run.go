package simulation

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
	"time"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// patience is how long a statement may take, in fake time.
const patience = 10 * time.Minute

// Report is what came of a plan.
type Report struct {
	Right, Failed int      // statements
	Happened      []string // faults
	Runs          []string // jobs of a stream, one after the other
}

// system is the engine of one plan.
type system struct {
	plan    Plan
	faults  *faults
	disk    *memfs.FileSystem
	flaky   *faultfs.FileSystem
	cluster *cluster
	session client.Session
	tmp     string
	// registry is what jobs read and write with, sessions those of streams.
	registry *tidemill.Registry
	sessions []client.Session
	passed   []id.Job // of a stream, that were stopped, cancelled or failed
	// folders is what each written table holds: by partition, a line of Statement.check.
	folders map[string]map[string]string
	// unknown are the tables of which nobody could look what a failed write has left.
	unknown map[string]bool
	broken  error // of killing and replacing workers
}

// Run runs a plan, in the bubble of the caller, with spilled data below tmp. Its error
// tells which invariant does not hold.
func Run(ctx context.Context, p Plan, tmp string) (report Report, err error) {
	s := &system{plan: p, faults: newFaults(p.Faults), disk: memfs.New(memfs.Options{}), tmp: tmp, folders: map[string]map[string]string{}, unknown: map[string]bool{}}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.start(ctx); err != nil {
		return report, s.acceptable(err)
	}
	if p.Stream != nil {
		return s.stream(ctx)
	}
	for _, statement := range p.Statements {
		err := s.statement(ctx, statement)
		switch {
		case err == nil:
			report.Right++
		case s.acceptable(err) == nil && !errors.Is(err, errWrong):
			report.Failed++
		default:
			return report, fmt.Errorf("%s: %w", statement, err)
		}
	}
	report.Happened = s.heal()
	for _, statement := range p.Statements {
		if err := s.statement(ctx, statement); err != nil {
			return report, fmt.Errorf("%s, when the faults were over: %w", statement, err)
		}
	}
	return report, nil
}

func (s *system) heal() []string {
	s.flaky.Heal()
	happened := s.faults.heal()
	if s.cluster != nil {
		s.broken = errors.Join(s.broken, s.cluster.calm())
	}
	return happened
}

func (s *system) start(ctx context.Context) error {
	s.flaky = s.faults.files(s.disk)
	registry, err := tidemill.Builtins(nil)
	if err != nil {
		return err
	}
	s.registry = registry
	if err := errors.Join(registry.FileSystems.Register("sim", s.flaky), registry.Register(flaky{faults: s.faults})); err != nil {
		return err
	}
	settings := maps.Clone(s.plan.Process)
	settings["io.tmp.dir"] = filepath.Join(s.tmp, "spill")
	if err := os.Mkdir(settings["io.tmp.dir"], 0o700); err != nil {
		return err
	}
	if s.cluster, err = startCluster(ctx, s.plan, settings, registry, s.faults, filepath.Join(s.tmp, "blobs")); err != nil {
		return err
	}
	s.session, err = s.cluster.gateway.Open(ctx, s.plan.Job)
	return err
}

// errWrong marks what no fault excuses.
var errWrong = errors.New("wrong")

// acceptable returns nil for an error that a fault of the plan has caused and that
// says so.
func (s *system) acceptable(err error) error {
	switch class := failure.Of(err); {
	case errors.Is(err, errWrong):
		return err
	case !s.faults.happened() && !s.filesFailed():
		return fmt.Errorf("an error without a fault: %w", err)
	case class == failure.Unclassified, class == failure.Internal:
		return fmt.Errorf("an error of class %v: %w", class, err)
	default:
		return nil
	}
}

// filesFailed tells that a file operation may have failed by plan.
func (s *system) filesFailed() bool {
	for _, p := range s.plan.Faults {
		if p.Kind != FailFile && p.Kind != FailAfter {
			continue
		}
		for _, op := range operations() {
			if op.String() == p.Site && s.flaky.Count(op) >= p.Nth {
				return true
			}
		}
	}
	return false
}

// statement runs one and compares what comes of it.
func (s *system) statement(ctx context.Context, q Statement) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := s.define(ctx, q); err != nil {
		return err
	}
	rows, err := s.execute(ctx, q.text())
	if ctx.Err() != nil {
		return fmt.Errorf("%w: it has not ended within %v: %w", errWrong, patience, err)
	}
	if q.fails() {
		if err == nil {
			return fmt.Errorf("%w: division by zero gives %v", errWrong, rows)
		}
		if strings.Contains(err.Error(), "zero") {
			return nil
		}
		return err
	}
	if q.Kind == Write {
		return s.written(ctx, q, err)
	}
	if err != nil {
		return err
	}
	if q.Kind != Sort {
		slices.Sort(rows)
	}
	if want := q.answer(); !slices.Equal(rows, want) {
		return fmt.Errorf("%w: have %d rows %v, want %d rows %v", errWrong, len(rows), short(rows), len(want), short(want))
	}
	return nil
}

// define makes the statement's tables, unless an earlier one has.
func (s *system) define(ctx context.Context, q Statement) error {
	text := strings.ReplaceAll(q.tables(), "CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
	_, err := s.execute(ctx, text)
	return err
}

// written looks at what a write has left in its folder: all of it, or, if it failed,
// all or nothing of it. A publication that was begun and not finished is the next
// writer's to finish.
func (s *system) written(ctx context.Context, q Statement, failed error) error {
	if failed != nil && s.journal(ctx, q) {
		s.unknown[q.Format] = true
		return failed
	}
	rows, err := s.execute(ctx, q.check())
	if err != nil {
		s.unknown[q.Format] = true
		return errors.Join(failed, err)
	}
	have := map[string]string{}
	for _, l := range rows {
		p, _, _ := strings.Cut(l, " ")
		have[p] = l
	}
	before := s.folders[q.Format]
	if s.unknown[q.Format] { // what a write that failed meant to replace is seen in the rest
		before = have
	}
	after := q.written(before)
	delete(s.unknown, q.Format)
	switch {
	case maps.Equal(have, after):
		s.folders[q.Format] = after
		return failed
	case failed != nil && maps.Equal(have, before):
		s.folders[q.Format] = before
		return failed
	default:
		return fmt.Errorf("%w: the folder holds %v, before it were %v, the statement writes %v, and ended with %w", errWrong, have, before, after, failed)
	}
}

// journal tells that a publication is under way.
func (s *system) journal(ctx context.Context, q Statement) bool {
	found := false
	err := s.disk.List(ctx, "/"+q.Format, fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		found = found || strings.Contains(i.Path, "_tidemill-")
		return nil
	})
	return err == nil && found
}

// execute returns the lines of a script's last statement.
func (s *system) execute(ctx context.Context, text string) (lines []string, err error) {
	statements, err := parser.ParseScript(text)
	if err != nil {
		return nil, err
	}
	for _, statement := range statements {
		r, err := s.session.Execute(ctx, text, statement)
		if err != nil {
			return nil, err
		}
		lines, err = read(ctx, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

func read(ctx context.Context, r client.Result) (lines []string, err error) {
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		lines = appendLines(lines, b, r.Schema())
		b.Release()
	}
}

func appendLines(lines []string, b *stream.Batch, schema datatype.Schema) []string {
	row := func(i int) {
		var values []any
		for c := range schema {
			if b.Column(c).IsNull(i) {
				values = append(values, "NULL")
				continue
			}
			values = append(values, string(datatype.AppendText(nil, b.Column(c), i, schema[c].Type, time.UTC)))
		}
		lines = append(lines, line(values...))
	}
	if b.Sel == nil {
		for i := range b.PhysicalRows() {
			row(i)
		}
	}
	for _, i := range b.Sel {
		row(int(i))
	}
	return lines
}

func short(lines []string) []string { return lines[:min(len(lines), 5)] }

// close ends the system and looks at what it leaves.
func (s *system) close(ctx context.Context) error {
	s.heal()
	var err error
	if s.session != nil {
		err = s.session.Close()
	}
	for _, session := range s.sessions {
		err = errors.Join(err, session.Close())
	}
	if s.cluster != nil {
		err = errors.Join(err, s.cluster.close())
	}
	err = errors.Join(err, s.broken)
	left, readErr := os.ReadDir(filepath.Join(s.tmp, "spill"))
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %s is left of spilled data", errWrong, left[0].Name()))
	}
	if errors.Is(readErr, os.ErrNotExist) {
		readErr = nil
	}
	return errors.Join(err, readErr, s.tidy(ctx))
}

// tidy wants no file but those of tables and their manifests.
func (s *system) tidy(ctx context.Context) error {
	return s.disk.List(ctx, "/", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		if strings.Contains(i.Path, "/.tm-") && (s.undiscarded() || s.passedOn(i.Path)) {
			return nil
		}
		base := i.Path[strings.LastIndex(i.Path, "/")+1:]
		if base == "_SUCCESS" || !strings.HasPrefix(base, ".") && !strings.HasPrefix(base, "_") {
			return nil
		}
		return fmt.Errorf("%w: %s is left", errWrong, i.Path)
	})
}

// passedOn tells of a staged file of a job that did not end by itself and whose leader was
// deposed: the next one does not know whether somebody who goes on is to publish it.
func (s *system) passedOn(path string) bool {
	return slices.ContainsFunc(s.plan.Faults, Fault.deposes) &&
		slices.ContainsFunc(s.passed, func(j id.Job) bool { return strings.Contains(path, "part-"+j.String()[:8]) })
}

// undiscarded tells that staged files may be left, because to discard them may have
// failed by plan.
func (s *system) undiscarded() bool {
	return slices.ContainsFunc(s.plan.Faults, func(f Fault) bool { return f.Site == faultfs.Discard.String() || f.Site == faultfs.Abort.String() })
}
