package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/order"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/merge"
	"github.com/tidemill/tidemill/shuffle/route"
)

// Result is the Result of a statement with a job.
type Result struct {
	gateway   *Gateway
	session   *Session
	schema    datatype.Schema
	live      bool
	changelog bool
	settings  config.Config // of the job
	query     bool
	undo      func() // takes back what the job was to fill; more than once is once

	graph     *jobgraph.Graph
	unwatch   func() bool   // stops cancelling the job with its context
	cancelled chan struct{} // closed when that was done
	again     int           // how often the job was started again
	delivered bool          // some rows were: the job cannot be started again

	mu       sync.Mutex
	running  *job // the last one that was started
	canceled bool // so is each that is started from now on

	exchange *jobgraph.Exchange
	opened   bool                    // the exchange is known to the shuffle service
	placed   bool                    // in other processes
	reader   shuffle.Reader          // nil: there are no rows, or not yet
	stop     context.CancelCauseFunc // ends a merging reader's waiting; nil: there is none
	watch    sync.WaitGroup          // what calls stop
	limited  bool                    // the rows may end before the job's inputs do
	ended    bool                    // the last row was read
	closed   bool
}

var _ client.Result = (*Result)(nil)

// progressTimeout bounds the question in Progress.
const progressTimeout = 2 * time.Second

// firstPause is the one before a query is started again; later ones are twice as long
// each. Together they are longer than it takes to notice that a worker is dead.
const firstPause = 500 * time.Millisecond

// start submits the job. ctx ending cancels the job.
func (r *Result) start(ctx context.Context, g *jobgraph.Graph) (err error) {
	if r.settings, err = config.FromMap(g.GetOptions(), "job"); err != nil {
		return err
	}
	for _, x := range g.GetExchanges() {
		if x.GetResult() {
			r.exchange = x
		}
	}
	if r.query && r.exchange == nil {
		return failure.Errorf(failure.Internal, "a query's job has no result exchange")
	}
	for _, v := range g.GetVertices() {
		for _, op := range v.GetChain() {
			r.limited = r.limited || op.GetLimit() != nil
		}
	}
	r.graph = g
	if err := r.submit(ctx); err != nil {
		return err
	}
	r.cancelled = make(chan struct{})
	r.unwatch = context.AfterFunc(ctx, func() {
		defer close(r.cancelled)
		r.mu.Lock()
		r.canceled = true
		r.mu.Unlock()
		r.job().cancel()
	})
	return nil
}

// submit starts the job.
func (r *Result) submit(ctx context.Context) error {
	j, err := r.gateway.submit(ctx, r.graph)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.running = j
	canceled := r.canceled
	r.mu.Unlock()
	if canceled {
		j.cancel()
	}
	return nil
}

// job is the one that was started last.
func (r *Result) job() *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running
}

// open opens the result as soon as it can be read; without an error there may be no
// reader, if the job was over before.
func (r *Result) open(ctx context.Context) error {
	s, err := r.job().result(ctx)
	if err != nil || s == nil {
		return err
	}
	if err := r.declare(ctx, s); err != nil {
		return err
	}
	if shuffle.Distribution(r.exchange.GetDistribution()) == shuffle.Merge {
		return r.openMerged(ctx, int(s.GetResult().GetPeers()))
	}
	r.reader, err = r.gateway.opts.Shuffle.Reader(ctx, r.job().id, id.Exchange(r.exchange.GetId()), 0, 0)
	return err
}

// declare makes the exchange known to the shuffle service.
func (r *Result) declare(ctx context.Context, s *rpc.JobStatus) error {
	distribution, lanes := shuffle.Distribution(r.exchange.GetDistribution()), int(s.GetResult().GetPeers())
	placement, err := s.GetResult().GetPlacement().Shuffle()
	if err != nil {
		return err
	}
	err = r.gateway.opts.Shuffle.Open(ctx, shuffle.Spec{
		Job: r.job().id, Exchange: id.Exchange(r.exchange.GetId()), Schema: r.schema, Lanes: lanes,
		Partitions: route.Partitions(distribution, lanes, 1), Paired: distribution.Paired(),
		BudgetBytes: config.ExchangeBudget.Get(r.settings), Retention: shuffle.Retention(r.exchange.GetRetention()),
		Term: id.Term(s.GetTerm()), Placement: placement,
	})
	r.opened, r.placed = err == nil, !placement.Local()
	return err
}

// openMerged reads the lanes in their common order. A poll of such a reader waits
// inside, so the job's failure has to end it: a goroutine, which Close waits for,
// sees to that.
func (r *Result) openMerged(ctx context.Context, lanes int) (err error) {
	keys, err := order.SortKeys(r.exchange.GetOrder(), r.schema)
	if err != nil {
		return err
	}
	inner, stop := context.WithCancelCause(ctx)
	r.stop = stop
	r.watch.Go(func() {
		select {
		case <-r.job().done:
			if err := r.outcome(); err != nil {
				stop(err)
			}
		case <-inner.Done():
		}
	})
	r.reader, err = merge.Open(inner, r.gateway.opts.Shuffle, merge.Options{
		Job: r.job().id, Exchange: id.Exchange(r.exchange.GetId()), Lanes: lanes, Keys: keys, Alloc: memory.DefaultAllocator,
		BatchRows: config.BatchRows.Get(r.settings),
	})
	return err
}

// Schema implements client.Result.
func (r *Result) Schema() datatype.Schema { return r.schema }

// Live implements client.Result.
func (r *Result) Live() bool { return r.live }

// Zone implements client.Result.
func (r *Result) Zone() *time.Location { return config.LocalTimeZone.Get(r.settings) }

// Changelog implements client.Result.
func (r *Result) Changelog() bool { return r.changelog }

// AsTable is set where changes are to be shown as the table that they make, as far as that
// can be done (`sql-client.execution.result-mode`).
func (r *Result) AsTable() bool { return config.ResultMode.Get(r.settings) != "changelog" }

// Job implements client.Result.
func (r *Result) Job() (id.Job, bool) { return r.job().id, true }

// Next implements client.Result. A query whose processes died before any of its rows was
// seen is started again.
func (r *Result) Next(ctx context.Context) (*stream.Batch, error) {
	if r.closed {
		return nil, failure.Errorf(failure.Internal, "result of job %v: read after close", r.job().id)
	}
	for {
		b, err := r.next(ctx)
		if err == nil {
			r.delivered = true
			return b, nil
		}
		if !r.query || r.live || r.delivered || r.again >= r.gateway.opts.Again || !failure.Of(err).Retryable() || ctx.Err() != nil {
			return nil, err
		}
		r.again++
		if again := r.restart(ctx); again != nil {
			return nil, errors.Join(err, again)
		}
	}
}

// restart starts the job again, after a pause in which the dead are noticed.
func (r *Result) restart(ctx context.Context) error {
	r.gateway.opts.Log.Warn("a query is started again", "job", r.job().id, "time", r.again)
	if err := r.end(); err != nil {
		return err
	}
	select {
	case <-time.After(firstPause << (r.again - 1)):
	case <-ctx.Done():
		return ctx.Err()
	}
	r.reader, r.stop, r.opened, r.ended = nil, nil, false, false
	return r.submit(ctx)
}

// next is Next for the present job.
func (r *Result) next(ctx context.Context) (*stream.Batch, error) {
	if r.query && !r.opened {
		if err := r.open(ctx); err != nil {
			return nil, r.broken(ctx, err)
		}
	}
	done, over := r.job().done, false
	for r.reader != nil && !r.ended {
		e, ok, err := r.reader.Poll()
		switch {
		case err != nil:
			return nil, r.broken(ctx, err)
		case ok && e.Kind == stream.DataElement && e.Batch.Len() > 0:
			return e.Batch, nil
		case ok:
			r.ended = e.Kind == stream.EndOfInput
			e.Release()
			if r.ended && r.limited {
				r.job().cancel() // the rows are complete; what still reads its input does so for nobody
			}
			continue
		case over && !r.placed:
			return nil, failure.Errorf(failure.Internal, "job %v has finished and its result has no end", r.job().id)
		}
		select {
		case <-r.reader.Ready():
		case <-done:
			if err := r.outcome(); err != nil {
				return nil, err
			}
			done, over = nil, true // what was written is there now, or on its way from elsewhere
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, r.conclude(ctx)
}

// conclude waits for the job after the last row.
func (r *Result) conclude(ctx context.Context) error {
	select {
	case <-r.job().done:
		if err := r.outcome(); err != nil && !(r.ended && r.limited && failure.Of(err) == failure.Cancelled) {
			return err
		}
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
}

// broken explains a failed read: by the job's failure, if that is why.
func (r *Result) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // its end cancels the job, which drops the exchange
	}
	r.job().cancel() // nothing more will be read
	select {
	case <-r.job().done:
		if cause := r.outcome(); cause != nil && failure.Of(cause) != failure.Cancelled {
			return cause
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	err = fmt.Errorf("read the result of job %v: %w", r.job().id, err)
	// Nobody runs the job's tasks again: its user may. One that failed under a leader that died
	// before it said so was dropped, and is cancelled now.
	if failure.Of(err) == failure.LostPartition || errors.Is(err, shuffle.ErrReleased) {
		err = failure.Wrap(failure.Transient, err)
	}
	return err
}

// outcome is why a job that is over did not finish, or nil.
func (r *Result) outcome() error {
	err := r.job().outcome()
	if err != nil {
		r.undo()
	}
	return err
}

// Progress implements client.Result.
func (r *Result) Progress() client.Progress {
	ctx, stop := context.WithTimeout(context.Background(), progressTimeout)
	defer stop()
	return r.job().progress(ctx)
}

// Close implements client.Result. The second call does nothing.
func (r *Result) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	interrupted := !r.unwatch()
	if interrupted {
		<-r.cancelled
	}
	r.session.forget(r)
	if !r.query {
		if interrupted { // the job is being cancelled: what follows shall not meet its table
			<-r.job().done
			_ = r.outcome()
		}
		return nil
	}
	return r.end()
}

// end cancels the job, waits for it and forgets its result. That nobody needs a job any
// more that is over is said on the side: nobody waits for that.
func (r *Result) end() error {
	select {
	case <-r.job().done:
		r.gateway.following.Go(r.job().cancel)
	default:
		r.job().cancel()
	}
	var err error
	if r.reader != nil {
		err = r.reader.Close() // a task that waits for room is let go
	}
	<-r.job().done
	if r.stop != nil {
		r.stop(nil)
		r.watch.Wait()
	}
	return errors.Join(err, r.drop())
}

// drop forgets the result exchange, also where nobody has looked at it. That of a job
// that did not finish is dropped with the job.
func (r *Result) drop() error {
	ctx, stop := context.WithTimeout(context.Background(), callTimeout)
	defer stop()
	if last := r.job().last; !r.opened && last.GetState() == finished && last.GetResult() != nil {
		if err := r.declare(ctx, last); err != nil {
			return err
		}
	}
	if !r.opened {
		return nil
	}
	return r.gateway.opts.Shuffle.Drop(ctx, r.job().id, id.Exchange(r.exchange.GetId()))
}
