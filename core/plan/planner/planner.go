package planner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/plan/optimizer"
	"github.com/tidemill/tidemill/core/plan/physical"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/binder"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
	"github.com/tidemill/tidemill/fs"
)

// Kind says what a Result holds.
type Kind uint8

// The kinds of results.
const (
	InvalidKind Kind = iota
	Done             // the statement was carried out; there is nothing to show
	Rows             // Schema and Rows
	Query            // Graph with one result exchange, of columns Schema
	Insert           // Graph with sinks
)

// String is the kind in a word.
func (k Kind) String() string {
	names := []string{"invalid", "done", "rows", "query", "insert"}
	if int(k) < len(names) {
		return names[k]
	}
	return names[0]
}

// Result is what a statement means.
type Result struct {
	Kind   Kind
	Graph  *jobgraph.Graph
	Schema datatype.Schema
	// Rows hold values in physical form (core/predicate), nil for NULL.
	Rows [][]any
	// Unbounded is set where the job does not end by itself.
	Unbounded bool
	// Plans are the optimised plans behind Graph.
	Plans []plan.Node
	// Analyze is set where the job's rows are not wanted but what Analyzed returns
	// once the job has finished.
	Analyze bool
	// Undo is set where planning has changed the catalog for a job: it takes that back,
	// for a job that does not succeed.
	Undo func()
	// Keep is set where the one row that the job yields is not for the client but for
	// the catalog: it takes the row in physical form.
	Keep func(row []any) error
	// Store is set where a plan is to be written to a file, before its job, if there is
	// one, is submitted. Errors are as those of Plan.
	Store    func(ctx context.Context) error
	written  []written
	late     *plan.Rejects // what becomes of late rows; nil: nothing
	emitters physical.Emitters
}

// Options are what a statement is planned for. Settings that were SET in the
// session win over Settings.
type Options struct {
	// Settings are read for mode, parallelism, key groups and the like.
	Settings config.Config
	// Slots that the job may use; 0: as many as it needs.
	Slots uint32
	// Files are where compiled plans are; nil: nowhere.
	Files *fs.Registry
	// Version of the program, which compiled plans name; may be empty.
	Version string
}

// Planner plans the statements of one session. It holds no state besides the
// session's and may be used concurrently as far as the session is.
type Planner struct {
	session    *catalog.Session
	connectors catalog.Connectors
	functions  *function.Catalog
}

// New returns a planner.
func New(session *catalog.Session, connectors catalog.Connectors, functions *function.Catalog) *Planner {
	return &Planner{session: session, connectors: connectors, functions: functions}
}

// Session is the session whose statements are planned.
func (p *Planner) Session() *catalog.Session { return p.session }

// Plan carries out a statement, or makes the job of it. Errors of the statement
// are *sqlerr.Error without the text, which the caller attaches.
func (p *Planner) Plan(ctx context.Context, s ast.Statement, o Options) (*Result, error) {
	r, err := p.run(ctx, o)
	if err != nil {
		return nil, err
	}
	return r.statement(s)
}

// Explain returns the plan of a statement as text. It changes nothing.
func (p *Planner) Explain(ctx context.Context, s ast.Statement, o Options) (string, error) {
	r, err := p.run(ctx, o)
	if err != nil {
		return "", err
	}
	return r.explain(s)
}

// run is the planning of one statement.
type run struct {
	*Planner
	ctx      context.Context //nolint:containedctx // a run is one call; its callbacks need the call's context
	settings config.Config
	slots    uint32
	files    *fs.Registry
	version  string
	analyze  bool // the statement is to run to its end
	// later is set for a plan that is executed later, perhaps with another parallelism and
	// other checkpoints.
	later  bool
	binder *binder.Binder
	// functions are the built-in ones and what the session calls them besides.
	functions *function.Catalog
}

func (p *Planner) run(ctx context.Context, o Options) (*run, error) {
	settings := o.Settings
	for key, value := range p.session.Options() {
		var err error
		if settings, err = settings.With(key, value, "SET"); err != nil {
			return nil, err
		}
	}
	r := &run{Planner: p, ctx: ctx, settings: settings, slots: o.Slots, files: o.Files, version: o.Version, functions: p.functions.With(p.session.Functions())}
	r.binder = binder.New(binder.Environment{
		Session: p.session, Connectors: p.connectors, Functions: r.functions,
		IdleMillis: config.IdleTimeout.Get(settings).Milliseconds(), FutureMillis: config.FutureLimit.Get(settings).Milliseconds(),
		RejectsTable: config.RejectsTable.Get(settings),
		LateTable:    config.LateRowsTable.Get(settings), LateMax: int64(config.LateRowsMax.Get(settings)),
		Zone: config.LocalTimeZone.Get(settings),
		Describe: func(t connector.Table) (connector.Description, error) {
			return r.describe(t, nil)
		},
	})
	return r, nil
}

func (r *run) describe(t connector.Table, pred *predicate.Predicate) (connector.Description, error) {
	c, ok := r.connectors.Lookup(t.Options[catalog.OptionConnector])
	if !ok {
		return connector.Description{}, failure.Errorf(failure.InvalidSQL, "unknown connector %q", t.Options[catalog.OptionConnector])
	}
	d, err := c.Describe(r.ctx, t, pred)
	if r.ctx.Err() != nil { // some callers do without an answer
		err = r.stopped()
	}
	return d, err
}

// stopped is why planning goes no further, or nil.
func (r *run) stopped() error {
	if err := r.ctx.Err(); err != nil {
		return fmt.Errorf("plan the statement: %w", err)
	}
	return nil
}

func (r *run) statement(s ast.Statement) (*Result, error) {
	switch s := s.(type) {
	case ast.Query:
		node, err := r.binder.Query(s)
		if err != nil {
			return nil, err
		}
		return r.job(s, node)
	case *ast.Insert, *ast.StatementSet:
		sinks, _, err := r.sinks(s)
		if err != nil {
			return nil, err
		}
		return r.publishing(r.job(s, sinks...))
	case *ast.CreateTable:
		if s.Query != nil {
			return r.createAs(s)
		}
		return r.createTable(s)
	case *ast.Execute:
		return r.statement(s.Statement)
	case *ast.CompilePlan:
		return r.compile(s)
	case *ast.ExecutePlan:
		return r.publishing(r.executePlan(s.Path))
	case *ast.Explain:
		return r.explained(s)
	case *ast.AnalyzeTable:
		return r.analyzeTable(s)
	}
	return r.command(s)
}

// sinks binds an INSERT or all of a statement set. made are the tables that
// CREATE TABLE AS would make.
func (r *run) sinks(s ast.Statement) (sinks []plan.Node, made []*catalog.Table, err error) {
	switch s := s.(type) {
	case *ast.Insert:
		sink, err := r.binder.Insert(s)
		if err != nil {
			return nil, nil, err
		}
		return []plan.Node{sink}, nil, nil
	case *ast.CreateTable:
		table, sink, err := r.binder.CreateAs(s, func(q datatype.Schema) (*catalog.Table, error) { return r.definer().Define(s, q) })
		if err != nil {
			return nil, nil, err
		}
		return []plan.Node{sink}, []*catalog.Table{table}, nil
	case *ast.StatementSet:
		return r.statementSet(s)
	}
	return nil, nil, sqlerr.New(sqlerr.Unsupported, s, "this statement is not supported here")
}

// createAs stores the table once the job is planned, so that a mistake in the
// query leaves none behind.
func (r *run) createAs(c *ast.CreateTable) (*Result, error) {
	if c.IfNotExists {
		if path, err := r.session.Path(c.Name); err == nil {
			if _, ok := r.session.Lookup(path); ok {
				return &Result{Kind: Done}, nil
			}
		}
	}
	sinks, made, err := r.sinks(c)
	if err != nil {
		return nil, err
	}
	result, err := r.publishing(r.job(c, sinks...))
	if err != nil {
		return nil, err
	}
	before := r.session.Replaced(made[0])
	if _, err := r.session.Create(c.Name, made[0], c.IfNotExists, c.Replace); err != nil {
		return nil, err
	}
	result.Undo = func() { r.session.Restore(made[0], before) }
	return result, nil
}

// written is a table that a job writes, and where the statement says so.
type written struct {
	table connector.Table
	at    ast.Node
}

// publishing refuses a job whose output nobody would ever see: it does not end, takes no
// checkpoints, and writes to a table that is published with either.
func (r *run) publishing(result *Result, err error) (*Result, error) {
	if err != nil || r.later || !result.Unbounded || config.CheckpointInterval.Get(r.settings) > 0 {
		return result, err
	}
	for _, w := range result.written {
		c, _ := r.connectors.Lookup(w.table.Options[catalog.OptionConnector])
		if p, ok := c.(connector.Publisher); ok && p.Publishes(w.table) {
			return nil, sqlerr.New(sqlerr.InvalidOption, w.at, "table %s shows what is written once a checkpoint is complete, and this job, which does not end, takes none", w.table.Name).
				Suggest("SET '%s' = '10 s', and '%s'", config.CheckpointInterval.Key(), config.CheckpointDir.Key())
		}
	}
	return result, nil
}

// job optimises bound plans and makes their job graph.
func (r *run) job(at ast.Node, roots ...plan.Node) (*Result, error) {
	if err := r.stopped(); err != nil { // binding a sink does without an answer
		return nil, err
	}
	streaming, err := r.streaming(at, roots)
	if err != nil {
		return nil, err
	}
	disabled, err := r.disabledRules()
	if err != nil {
		return nil, err
	}
	if !streaming {
		roots = ending(roots)
	}
	roots = optimizer.Optimize(roots, optimizer.Options{
		Functions: r.functions, Refresh: r.refresh, Streaming: streaming, Zone: config.LocalTimeZone.Get(r.settings),
		Stopped: func() bool { return r.ctx.Err() != nil }, Disabled: disabled,
		Split: r.distinctSplit(), LateRows: config.LateRowsTable.Get(r.settings) != "",
	})
	if err := r.stopped(); err != nil {
		return nil, err
	}
	result := &Result{Kind: Query, Analyze: r.analyze}
	if streaming {
		if result.late, err = r.binder.LateRows(at); err != nil {
			return nil, err
		}
	}
	for _, root := range roots {
		if sink, ok := root.(*plan.Sink); ok {
			result.Kind, result.written = Insert, append(result.written, written{sink.Table, sink.At()})
		}
		if streaming {
			if root, err = physical.Settle(root, config.ResultMode.Get(r.settings) == "changelog"); err != nil {
				return nil, err
			}
		}
		if result.Kind == Query {
			result.Schema = root.Schema() // a rule may have found out what cannot be null
		}
		result.Plans = append(result.Plans, root)
		result.Unbounded = result.Unbounded || !plan.Bounded(root)
	}
	if r.analyze && result.Unbounded {
		return nil, sqlerr.New(sqlerr.NotBounded, at, "EXPLAIN ANALYZE runs a statement to its end, and this one does not end").
			Suggest("write EXPLAIN without ANALYZE, or bound the tables by their options")
	}
	result.Graph, result.emitters, err = physical.Build(result.Plans, physical.Options{
		Name: r.jobName(result.Plans), Streaming: streaming, Slots: r.slots, Settings: r.settings.Map(),
		Parallelism: r.parallelism(streaming), KeyGroups: uint32(config.MaxParallelism.Get(r.settings)),
		Blocking: config.ExchangeRetention.Get(r.settings) == "job", BroadcastBytes: config.BroadcastLimit.Get(r.settings),
		NoRuntimeFilters: !config.RuntimeFilter.Get(r.settings),
		Late:             result.late, HoldMillis: r.holdMillis(), KeepMillis: millis(config.StateTTL.Get(r.settings)), MaxPartialMatches: int64(config.MaxPartialMatches.Get(r.settings)),
	})
	return result, err
}

// parallelism is that of all vertices which need not have one subtask. A streaming job that
// goes on from checkpoints may get another one while it runs: its plan must not make use of
// the one that it begins with.
func (r *run) parallelism(streaming bool) uint32 {
	if r.later || streaming && config.CheckpointInterval.Get(r.settings) > 0 && config.MaxParallelism.Get(r.settings) > 1 {
		return 0
	}
	return uint32(config.Parallelism.Get(r.settings))
}

// distinctSplit is which group-bys become two: none where state expires, for values that do,
// each by itself, would be counted anew.
func (r *run) distinctSplit() optimizer.DistinctSplit {
	enabled := config.DistinctSplit.Get(r.settings)
	switch {
	case enabled == "false", config.StateTTL.Get(r.settings) > 0:
		return optimizer.SplitNone
	case enabled == "true":
		return optimizer.SplitAll
	}
	return optimizer.SplitHot
}

// disabledRules are the optimizer's rules that are to be left out.
func (r *run) disabledRules() (names []string, err error) {
	known := optimizer.Rules()
	for name := range strings.SplitSeq(config.DisabledRules.Get(r.settings), ";") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !slices.Contains(known, name) {
			return nil, failure.Errorf(failure.Usage, "option %s: there is no rule %s; there are %s", config.DisabledRules.Key(), name, strings.Join(known, ", "))
		}
		names = append(names, name)
	}
	return names, nil
}

// holdMillis is how long changes may be held back.
func (r *run) holdMillis() int64 {
	if !config.MiniBatch.Get(r.settings) {
		return 0
	}
	return millis(config.MiniBatchLatency.Get(r.settings))
}

// millis is d in milliseconds, rounded up: a time below one is not none.
func millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// jobName is the one that was asked for, or what the job does.
func (r *run) jobName(roots []plan.Node) string {
	if name := config.JobName.Get(r.settings); name != "" {
		return name
	}
	var names []string
	for _, root := range roots {
		if sink, ok := root.(*plan.Sink); ok {
			names = append(names, sink.Table.Name)
		}
	}
	if len(names) == 0 {
		return "query"
	}
	return "insert into " + strings.Join(names, ", ")
}

// refresh asks the connector again, with the predicate. The first answer is kept
// where the second fails: it was only to be more exact.
func (r *run) refresh(s *plan.Scan, pred *predicate.Predicate) connector.Description {
	known, err := r.describe(s.Table, pred)
	if err != nil {
		return s.Known
	}
	return known
}

// streaming decides the mode: automatic is batch if every source ends.
func (r *run) streaming(at ast.Node, roots []plan.Node) (bool, error) {
	var endless *plan.Scan
	for _, root := range roots {
		plan.Walk(root, func(n plan.Node) {
			if scan, ok := n.(*plan.Scan); ok && !scan.Known.Bounded && endless == nil {
				endless = scan
			}
		})
	}
	switch config.RuntimeMode.Get(r.settings) {
	case "streaming":
		return true, nil
	case "batch":
		if endless != nil {
			return false, sqlerr.New(sqlerr.NotBounded, endless.At(), "table %s does not end and cannot be read in batch mode", endless.Table.Name).
				Suggest("SET 'execution.runtime-mode' = 'streaming', or bound the table by its options")
		}
	}
	return endless != nil, nil
}

// ending drops event time from plans that need none: every input ends, so windows close
// then, and tables that are told as changes are complete.
func ending(roots []plan.Node) []plan.Node {
	out := make([]plan.Node, len(roots))
	for i, root := range roots {
		out[i] = plan.Transform(root, func(n plan.Node) plan.Node {
			switch n := n.(type) {
			case *plan.Watermark:
				return n.Input
			case *plan.Materialize:
				m := *n
				m.AtEnd = true
				return &m
			}
			return n
		})
	}
	return out
}

// place gives err, which a command made, the place of the statement if it has
// none.
func place(err error, code sqlerr.Code, at ast.Node) error {
	var e *sqlerr.Error
	if err == nil || errors.As(err, &e) || failure.Of(err) == failure.Cancelled {
		return err
	}
	return sqlerr.New(code, at, "%v", err)
}
