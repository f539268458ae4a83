package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/plan/planner"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// Session is one client's: its catalog position, its settings, its queries.
type Session struct {
	gateway  *Gateway
	settings config.Config
	planner  *planner.Planner

	mu   sync.Mutex
	open map[*Result]bool // queries
}

var _ client.Session = (*Session)(nil)

// options asks how many slots there are: plans depend on it.
func (s *Session) options(ctx context.Context) (planner.Options, error) {
	nodes, err := s.gateway.opts.Cluster.Nodes(ctx, &rpc.NodesRequest{})
	if err != nil {
		return planner.Options{}, fmt.Errorf("ask for the slots of the cluster: %w", err)
	}
	slots := uint32(0)
	for _, n := range nodes.GetNodes() {
		slots += n.GetSlots()
	}
	return planner.Options{Settings: s.settings, Slots: slots, Files: s.gateway.opts.Files, Version: s.gateway.opts.Version}, nil
}

// plan plans a statement, which stands in source.
func (s *Session) plan(ctx context.Context, source string, statement ast.Statement) (*planner.Result, error) {
	o, err := s.options(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.planner.Plan(ctx, statement, o)
	return p, sqlerr.Attach(err, source)
}

// Execute implements client.Session.
func (s *Session) Execute(ctx context.Context, source string, statement ast.Statement) (client.Result, error) {
	if r, ok, err := s.aboutJobs(ctx, statement); ok {
		return r, sqlerr.Attach(err, source)
	}
	p, err := s.plan(ctx, source, statement)
	if err != nil {
		return nil, err
	}
	if p.Store != nil {
		if err := p.Store(ctx); err != nil {
			return nil, sqlerr.Attach(err, source)
		}
	}
	switch p.Kind {
	case planner.Done:
		return &rows{}, nil
	case planner.Rows:
		return newRows(p.Schema, p.Rows)
	case planner.Query, planner.Insert:
		r, err := s.submit(ctx, p)
		switch {
		case err != nil:
			return nil, err
		case p.Analyze:
			return &analysis{Result: r, planned: p}, nil
		case p.Keep != nil:
			return &keeping{Result: r, source: source, keep: p.Keep}, nil
		}
		return r, nil
	default:
		return nil, failure.Errorf(failure.Internal, "the planner returned %v", p.Kind)
	}
}

func (s *Session) submit(ctx context.Context, p *planner.Result) (*Result, error) {
	r := &Result{gateway: s.gateway, session: s, schema: p.Schema, live: p.Graph.GetMode() == jobgraph.Mode_MODE_STREAMING, query: p.Kind == planner.Query}
	r.undo = sync.OnceFunc(func() {
		if p.Undo != nil {
			p.Undo()
		}
	})
	r.changelog = r.live && slices.ContainsFunc(p.Plans, func(n plan.Node) bool { return plan.ChangelogOf(n) == plan.Retract })
	if err := r.start(ctx, p.Graph); err != nil {
		r.undo()
		return nil, err
	}
	if p.Undo != nil {
		s.gateway.following.Go(func() {
			<-r.job().done
			_ = r.outcome() // takes the table back if it is a failure
		})
	}
	if r.query {
		s.mu.Lock()
		s.open[r] = true
		s.mu.Unlock()
	}
	return r, nil
}

func (s *Session) forget(r *Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, r)
}

// aboutJobs carries out the statements about jobs, which are the cluster's.
func (s *Session) aboutJobs(ctx context.Context, statement ast.Statement) (client.Result, bool, error) {
	switch x := statement.(type) {
	case *ast.Show:
		if x.Kind != ast.ShowJobs {
			return nil, false, nil
		}
		r, err := s.showJobs(ctx)
		return r, true, err
	case *ast.StopJob:
		job, err := id.ParseJob(x.Job.Value)
		if err != nil {
			return nil, true, sqlerr.New(sqlerr.CommandRejected, x.Job, "%v", err)
		}
		if x.Savepoint || x.Drain {
			r, err := s.stop(ctx, job, x)
			return r, true, err
		}
		if _, err := s.gateway.opts.Cluster.CancelJob(ctx, &rpc.CancelJobRequest{Job: job[:]}); err != nil {
			return nil, true, sqlerr.New(sqlerr.CommandRejected, x.Job, "%v", err)
		}
		return &rows{}, true, nil
	}
	return nil, false, nil
}

// stop stops a job with a savepoint and shows where that is.
func (s *Session) stop(ctx context.Context, job id.Job, x *ast.StopJob) (client.Result, error) {
	if !x.Savepoint {
		return nil, sqlerr.New(sqlerr.CommandRejected, x, "only a job that is stopped with a savepoint can be drained: STOP JOB '%v' WITH SAVEPOINT WITH DRAIN", job)
	}
	r, err := rpc.AwaitSavepoint(ctx, s.gateway.opts.Cluster, &rpc.SavepointRequest{Job: job[:], Stop: true, Drain: x.Drain, Directory: config.SavepointDir.Get(s.settings)})
	if err != nil {
		return nil, sqlerr.New(sqlerr.CommandRejected, x.Job, "%v", err)
	}
	return newRows(datatype.Schema{{Name: "savepoint path", Type: datatype.Of(datatype.Varchar)}}, [][]any{{r.GetPath()}})
}

func (s *Session) showJobs(ctx context.Context) (client.Result, error) {
	text := datatype.Of(datatype.Varchar)
	schema := datatype.Schema{{Name: "job id", Type: text}, {Name: "job name", Type: text}, {Name: "status", Type: text}}
	list, err := s.gateway.opts.Cluster.ListJobs(ctx, &rpc.ListJobsRequest{})
	if err != nil {
		return nil, err
	}
	var all [][]any
	for _, j := range list.GetJobs() {
		job, err := (&rpc.JobRef{Job: j.GetJob()}).ID()
		if err != nil {
			return nil, err
		}
		all = append(all, []any{job.String(), j.GetName(), j.GetState()})
	}
	slices.SortFunc(all, func(a, b []any) int { return strings.Compare(a[0].(string), b[0].(string)) })
	return newRows(schema, all)
}

// Check implements client.Session.
func (s *Session) Check(ctx context.Context, source string, statement ast.Statement) error {
	_, err := s.plan(ctx, source, statement)
	return err
}

// Explain implements client.Session.
func (s *Session) Explain(ctx context.Context, source string, statement ast.Statement) (string, error) {
	o, err := s.options(ctx)
	if err != nil {
		return "", err
	}
	text, err := s.planner.Explain(ctx, statement, o)
	return text, sqlerr.Attach(err, source)
}

// Words implements client.Session.
func (s *Session) Words() []string {
	session := s.planner.Session()
	words := session.Objects(session.Current())
	for _, kind := range []function.Kind{function.Scalar, function.Aggregate, function.Window} {
		words = append(words, s.gateway.opts.Functions.Names(kind)...)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// Close implements client.Session.
func (s *Session) Close() error {
	s.mu.Lock()
	open := make([]*Result, 0, len(s.open))
	for r := range s.open {
		open = append(open, r)
	}
	s.mu.Unlock()
	var all error
	for _, r := range open {
		all = errors.Join(all, r.Close())
	}
	if all != nil {
		return fmt.Errorf("close session: %w", all)
	}
	return nil
}
