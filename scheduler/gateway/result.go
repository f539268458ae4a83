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
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
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
	zone      *time.Location
	query     bool
	undo      func() // takes back what the job was to fill; more than once is once

	job      id.Job
	master   *jobmaster.Master
	done     <-chan struct{} // closed when the job is over
	unwatch  func() bool     // stops cancelling the job with its context
	exchange *jobgraph.Exchange
	reader   shuffle.Reader          // nil: there are no rows
	stop     context.CancelCauseFunc // ends a merging reader's waiting; nil: there is none
	watch    sync.WaitGroup          // what calls stop
	limited  bool                    // the rows may end before the job's inputs do
	ended    bool                    // the last row was read
	closed   bool
}

var _ client.Result = (*Result)(nil)

// splitsTimeout bounds the question for splits in Progress.
const splitsTimeout = 50 * time.Millisecond

// start submits the job and opens its result. ctx ending cancels the job.
func (r *Result) start(ctx context.Context, g *jobgraph.Graph) (err error) {
	c, err := config.FromMap(g.GetOptions(), "job")
	if err != nil {
		return err
	}
	r.zone = config.LocalTimeZone.Get(c)
	d := r.gateway.opts.Dispatcher
	if r.job, err = d.Submit(ctx, g); err != nil {
		return err
	}
	if r.master, err = d.Master(r.job); err != nil {
		return err
	}
	if r.done, err = d.Done(r.job); err != nil {
		return err
	}
	master := r.master
	r.unwatch = context.AfterFunc(ctx, master.Cancel)
	for _, x := range g.GetExchanges() {
		if x.GetResult() {
			r.exchange = x
		}
	}
	for _, v := range g.GetVertices() {
		for _, op := range v.GetChain() {
			r.limited = r.limited || op.GetLimit() != nil
		}
	}
	if r.query {
		if err := r.openResult(ctx, c); err != nil {
			return errors.Join(fmt.Errorf("open the result of job %v: %w", r.job, err), r.Close())
		}
	}
	return nil
}

func (r *Result) openResult(ctx context.Context, c config.Config) (err error) {
	if r.exchange == nil {
		return failure.Errorf(failure.Internal, "a query's job has no result exchange")
	}
	distribution := shuffle.Distribution(r.exchange.GetDistribution())
	lanes := r.master.Parallelism(id.Vertex(r.exchange.GetProducer()))
	spec := shuffle.Spec{
		Job: r.job, Exchange: id.Exchange(r.exchange.GetId()), Schema: r.schema, Lanes: lanes,
		Partitions: route.Partitions(distribution, lanes, 1), Paired: distribution.Paired(),
		BudgetBytes: config.ExchangeBudget.Get(c), Retention: shuffle.Retention(r.exchange.GetRetention()),
	}
	if err := r.gateway.opts.Shuffle.Open(ctx, spec); err != nil {
		return err
	}
	if distribution == shuffle.Merge {
		return r.openMerged(ctx, lanes, config.BatchRows.Get(c))
	}
	r.reader, err = r.gateway.opts.Shuffle.Reader(ctx, r.job, spec.Exchange, 0, 0)
	return err
}

// openMerged reads the lanes in their common order. A poll of such a reader waits
// inside, so the job's failure has to end it: a goroutine, which Close waits for,
// sees to that.
func (r *Result) openMerged(ctx context.Context, lanes, batchRows int) (err error) {
	keys, err := order.SortKeys(r.exchange.GetOrder(), r.schema)
	if err != nil {
		return err
	}
	inner, stop := context.WithCancelCause(ctx)
	r.stop = stop
	r.watch.Go(func() {
		select {
		case <-r.done:
			if err := r.outcome(); err != nil {
				stop(err)
			}
		case <-inner.Done():
		}
	})
	r.reader, err = merge.Open(inner, r.gateway.opts.Shuffle, merge.Options{
		Job: r.job, Exchange: id.Exchange(r.exchange.GetId()), Lanes: lanes, Keys: keys, Alloc: memory.DefaultAllocator, BatchRows: batchRows,
	})
	return err
}

// Schema implements client.Result.
func (r *Result) Schema() datatype.Schema { return r.schema }

// Live implements client.Result.
func (r *Result) Live() bool { return r.live }

// Zone implements client.Result.
func (r *Result) Zone() *time.Location { return r.zone }

// Changelog implements client.Result.
func (r *Result) Changelog() bool { return r.changelog }

// Job implements client.Result.
func (r *Result) Job() (id.Job, bool) { return r.job, true }

// Next implements client.Result.
func (r *Result) Next(ctx context.Context) (*stream.Batch, error) {
	if r.closed {
		return nil, failure.Errorf(failure.Internal, "result of job %v: read after close", r.job)
	}
	over := false
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
				r.master.Cancel() // the rows are complete; what still reads its input does so for nobody
			}
			continue
		case over:
			return nil, failure.Errorf(failure.Internal, "job %v has finished and its result has no end", r.job)
		}
		select {
		case <-r.reader.Ready():
		case <-r.done:
			if err := r.outcome(); err != nil {
				return nil, err
			}
			over = true // what was written is there now
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case <-r.done:
		if err := r.outcome(); err != nil && !(r.ended && r.limited && failure.Of(err) == failure.Cancelled) {
			return nil, err
		}
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// broken explains a failed read: by the job's failure, if that is why.
func (r *Result) broken(ctx context.Context, err error) error {
	r.master.Cancel() // nothing more will be read
	if ctx.Err() != nil {
		return ctx.Err() // its end cancelled the job, which dropped the exchange
	}
	select {
	case <-r.done:
		if cause := r.outcome(); cause != nil && failure.Of(cause) != failure.Cancelled {
			return cause
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	return fmt.Errorf("read the result of job %v: %w", r.job, err)
}

// outcome is why a job that is over did not finish, or nil.
func (r *Result) outcome() error {
	s := r.master.Status()
	if s.State == execgraph.JobFinished {
		return nil
	}
	r.undo()
	if s.State == execgraph.JobFailed {
		return s.Cause
	}
	return failure.Errorf(failure.Cancelled, "job %v was cancelled", r.job)
}

// Progress implements client.Result.
func (r *Result) Progress() client.Progress {
	ctx, stop := context.WithTimeout(context.Background(), splitsTimeout)
	defer stop()
	s, splits := r.master.Status(), r.master.Splits(ctx)
	p := client.Progress{
		State: s.State.String(), Elapsed: s.Running, Restarts: int64(s.Restarts), Checkpoints: int64(s.Checkpoints),
		RowsOut: s.Written.Rows, BytesOut: s.Written.Bytes, FilesOut: s.Written.Files,
		SplitsTotal: int64(splits.GetSplitsTotal()),
	}
	inHand := int64(0) // a reader works on one split at a time
	for _, v := range s.Vertices {
		if v.Source {
			p.RowsIn += int64(v.RowsIn)
			p.BytesIn += int64(v.BytesIn)
			inHand += int64(v.Subtasks[execgraph.AttemptRunning])
		}
		p.SpilledBytes += int64(v.SpilledBytes)
		p.TasksRunning += int64(v.Subtasks[execgraph.AttemptRunning])
		p.TasksTotal += int64(v.Parallelism)
	}
	p.SplitsDone = max(0, int64(splits.GetSplitsAssigned())-inHand)
	return p
}

// Close implements client.Result. The second call does nothing.
func (r *Result) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	interrupted := !r.unwatch()
	r.session.forget(r)
	if !r.query {
		if interrupted { // the job is being cancelled: what follows shall not meet its table
			<-r.done
			_ = r.outcome()
		}
		return nil
	}
	r.master.Cancel()
	var err error
	if r.reader != nil {
		err = r.reader.Close() // a task that waits for room is let go
	}
	<-r.done
	if r.stop != nil {
		r.stop(nil)
		r.watch.Wait()
	}
	return errors.Join(err, r.gateway.opts.Shuffle.Drop(context.Background(), r.job, id.Exchange(r.exchange.GetId())))
}
