package simulation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/core/datastream/ledger"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/fs"
)

// Where streams keep what they write.
const (
	checkpointsURI = "sim:///checkpoints"
	booksURI       = "sim:///books"
	booksPath      = "/books"
)

const (
	// mostRuns is how many jobs may go on from each other: each but the last one was stopped
	// by an order or ended by a fault.
	mostRuns = mostOrders + 2
	look     = 20 * time.Millisecond // between looks at a job
	// orderPatience is how long somebody waits for a savepoint before he leaves it.
	orderPatience = time.Minute
	maxBook       = 1 << 20 // bytes of a file
)

// program has the functions and sources of a plan's ledger.
func (p Plan) program() *datastream.Env {
	env := datastream.New(datastream.Options{Name: "ledger"})
	ledger.Build(env, p.Stream.ledger(booksURI))
	return env
}

// run is one of the jobs that go on from each other until the stream has ended.
type run struct {
	*system
	id     id.Job
	result client.Result // of a statement
	orders []Order       // of which none was tried
	next   int           // parallelism of the run that follows
	told   []string      // what became of runs
}

// stream runs a streaming job to its end, through all orders and faults, and looks at what
// it has written.
func (s *system) stream(ctx context.Context) (report Report, err error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	r := &run{system: s, orders: s.plan.Stream.Orders, next: s.plan.Stream.Parallelism}
	defer func() { report.Runs = r.told }()
	from := ""
	for range mostRuns {
		next, ended, err := r.once(ctx, from)
		if ctx.Err() != nil {
			return report, fmt.Errorf("%w: it has not ended within %v: %w", errWrong, patience, err)
		}
		switch {
		case err == nil && ended:
			report.Happened = s.heal()
			report.Right++
			return report, s.checkBooks(ctx)
		case err == nil:
			from = next
			continue
		}
		if err := s.acceptable(err); err != nil {
			return report, err
		}
		report.Failed++
		report.Happened = s.heal()
		if from, err = r.latest(ctx, from); err != nil {
			return report, err
		}
	}
	return report, fmt.Errorf("%w: it has failed after all faults were over", errWrong)
}

// once runs a job until it is over: the stream has ended, or the next one goes on from what
// it returns.
func (r *run) once(ctx context.Context, from string) (next string, ended bool, err error) {
	if err := r.begin(ctx, from); err != nil {
		return "", false, err
	}
	if r.result != nil {
		defer func() { err = errors.Join(err, r.result.Close()) }()
	}
	cancelled, err := r.obey(ctx)
	if err != nil {
		return "", false, err
	}
	status, err := r.wait(ctx)
	if err != nil {
		return "", false, err
	}
	defer func() {
		if !ended {
			r.passed = append(r.passed, r.id)
		}
	}()
	r.told = append(r.told, fmt.Sprintf("job %v from %q: %s %s, %d restarts, %d checkpoints",
		r.id, from, status.GetState(), status.GetCause().GetText(), status.GetRestarts(), status.GetCheckpoints()))
	switch {
	case status.GetState() == "CANCELED" && cancelled:
		next, err = r.latest(ctx, from)
		return next, false, err
	case status.GetState() != "FINISHED":
		return "", false, fmt.Errorf("the job ended as %s: %w", status.GetState(), status.GetCause().Err())
	}
	reply, err := r.cluster.Client().Savepoint(ctx, &rpc.SavepointRequest{Job: r.id[:], Stop: true})
	switch {
	case err == nil:
		return reply.GetPath(), false, nil
	case failure.Of(err) == failure.Conflict: // it has ended by itself
		return "", true, nil
	default:
		return "", false, fmt.Errorf("%w: ask what a job that is over was stopped with: %w", errWrong, err)
	}
}

// begin starts the job, at a checkpoint or savepoint if there is one.
func (r *run) begin(ctx context.Context, from string) error {
	r.id, r.result = id.Job{}, nil
	settings := maps.Clone(r.plan.Job)
	settings["parallelism.default"] = fmt.Sprint(r.next)
	if from != "" {
		settings["execution.state-recovery.path"] = from
	}
	if r.plan.Stream.Kind != Ledger {
		return r.insert(ctx, settings)
	}
	env := r.plan.program()
	env.Configure(datastream.Options{Settings: settings})
	graph, err := env.Graph(ctx, r.registry.Connector)
	if err != nil {
		return err
	}
	job, err := datastream.Submit(ctx, r.cluster.Client(), graph)
	if err == nil {
		r.id = job.ID
	}
	return err
}

// insert starts the job of a statement.
func (r *run) insert(ctx context.Context, settings map[string]string) error {
	session, err := r.cluster.gateway.Open(ctx, settings)
	if err != nil {
		return err
	}
	r.sessions = append(r.sessions, session)
	text := r.plan.Stream.tables() + r.plan.Stream.text()
	statements, err := parser.ParseScript(text)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if r.result, err = session.Execute(ctx, text, statement); err != nil {
			return err
		}
	}
	job, ok := r.result.Job()
	if !ok {
		return fmt.Errorf("%w: the statement has no job", errWrong)
	}
	r.id = job
	return nil
}

func (r *run) status(ctx context.Context, known string) (*rpc.JobStatus, error) {
	return r.cluster.Client().GetJob(ctx, &rpc.GetJobRequest{Job: r.id[:], KnownState: known})
}

// wait waits until the job is over.
func (r *run) wait(ctx context.Context) (*rpc.JobStatus, error) {
	known := ""
	for {
		s, err := r.status(ctx, known)
		if err != nil || s.GetOver() {
			return s, err
		}
		known = s.GetState()
	}
}

// obey has the job do what is left of the orders, until one ends it or it is over. That an
// order is refused or fails while there are faults is no defect.
func (r *run) obey(ctx context.Context) (cancelled bool, err error) {
	for len(r.orders) > 0 {
		o := r.orders[0]
		for begun := time.Now(); time.Since(begun) < o.After; time.Sleep(look) {
			if s, err := r.status(ctx, ""); err != nil || s.GetOver() {
				return false, err
			}
		}
		r.orders = r.orders[1:]
		switch o.Kind {
		case Rescale:
			_, _ = r.cluster.Client().Rescale(ctx, &rpc.RescaleRequest{Job: r.id[:], Parallelism: uint32(o.Parallelism)})
		case Cancel:
			r.next = o.Parallelism
			_, err := r.cluster.Client().CancelJob(ctx, &rpc.CancelJobRequest{Job: r.id[:]})
			return true, err
		default:
			waiting, stop := context.WithTimeout(ctx, orderPatience)
			_, err := rpc.AwaitSavepoint(waiting, r.cluster.Client(), &rpc.SavepointRequest{Job: r.id[:], Stop: o.Kind == Stop})
			stop()
			if o.Kind == Stop && err == nil {
				r.next = o.Parallelism
				return false, nil
			}
		}
	}
	return false, nil
}

// latest is the newest checkpoint of a run that has failed, or what it began with if it had
// completed none: what a person would look for in its directory.
func (r *run) latest(ctx context.Context, from string) (string, error) {
	if r.id == (id.Job{}) { // it has not begun
		return from, nil
	}
	dir := fs.Join(checkpointsURI, r.id.String())
	_, path := fs.SplitURI(dir)
	found := false
	err := r.disk.List(ctx, path, fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		found = found || i.Name() == "MANIFEST"
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !found:
		return from, nil
	case err != nil:
		return "", err
	default:
		return dir, nil
	}
}

// checkBooks compares what the stream has written with what it must write.
func (s *system) checkBooks(ctx context.Context) error {
	if s.plan.Stream.Kind == Ledger {
		books, err := ledger.CheckOn(ctx, s.disk, s.plan.Stream.ledger(booksPath))
		if err == nil && !books.Right() {
			err = fmt.Errorf("%w: %v", errWrong, books)
		}
		return err
	}
	rows, err := s.rows(ctx)
	if err != nil {
		return err
	}
	slices.Sort(rows)
	if want := s.plan.Stream.answer(); !slices.Equal(rows, want) {
		return fmt.Errorf("%w: have %d rows %v, want %d rows %v", errWrong, len(rows), short(rows), len(want), short(want))
	}
	return nil
}

// rows are the lines of what is published of the books, without headers.
func (s *system) rows(ctx context.Context) (rows []string, err error) {
	err = s.disk.List(ctx, booksPath, fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		if strings.HasPrefix(i.Name(), ".") || strings.HasPrefix(i.Name(), "_") {
			return nil
		}
		data, err := fs.ReadFile(ctx, s.disk, i.Path, maxBook)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(data), ",", " ")), "\n")
		rows = append(rows, lines[1:]...)
		return nil
	})
	return rows, err
}
