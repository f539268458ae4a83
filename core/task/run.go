package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/eventtime"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// tickEvery is how often operators that act on processing time are asked.
const tickEvery = 200 * time.Millisecond

// Task is one attempt of a subtask. Run is called once; Trigger, Completed and
// Cancel may be called by any goroutine at any time.
type Task struct {
	d       Descriptor
	env     Env
	log     *slog.Logger
	account *memory.Account
	mailbox *mailbox
	ctx     context.Context // the task's root; cancel ends it
	cancel  context.CancelCauseFunc
	metrics metrics
	// standing is written by Run's goroutine, read by all.
	standing standing

	// What follows belongs to Run's goroutine.
	chain     *chain
	source    operator.Source // nil: the head has inputs
	selector  operator.InputSelector
	gates     []*gate
	next      int // the gate to look at first
	open      int // gates that have not ended
	time      *eventtime.Combiner
	alignment *checkpoint.Alignment
	// alignedSince is when the first barrier of a pending alignment came.
	alignedSince time.Time
	taken        id.Checkpoint // the newest that the task has taken its part of
	homes        []string      // directories of state outside of checkpoints
	capture      *capture      // nil: no checkpoint has overtaken what is in flight
	copying      *frozen       // a snapshot of which not all is copied yet; nil: there is none
	prepared     []Committable // by sinks, for the next acknowledgement
	ended        bool          // the lanes are finished
	satisfied    bool          // an operator needs no more input
	silent       id.Checkpoint // the savepoint that stops the job: the source emits nothing after it; zero: none
	late         uint64        // rows that metrics.late knows of
	future       uint64        // and metrics.future
	rejected     uint64        // and metrics.rejected
	flush, tick  *time.Timer   // nil channels while not armed
	flushArmed   bool

	pressed chan struct{} // somebody waits for memory that an operator might spill
	writing chan struct{} // a token for each snapshot that is being written
	written chan struct{} // closed when the last of them has been; nil: there was none
	writers sync.WaitGroup
	reports sync.Mutex // one report of the attempt at a time
	// returned was made ready to publish in checkpoints that were declined: it belongs to
	// the next one that is acknowledged. Under reports.
	returned []Committable
}

type metrics struct {
	rowsIn, rowsOut, bytesIn *metric.Counter
	idle, blocked            *metric.Counter
	late, future, rejected   *metric.Counter
	spill                    spill.Counters
}

// errCancelled is the cause of a context that Cancel ended.
var errCancelled = failure.Wrap(failure.Cancelled, errors.New("task was cancelled"))

// New checks d and env and returns a task that has not begun: nothing is opened
// before Run.
func New(d Descriptor, env Env) (*Task, error) {
	switch {
	case d.Vertex == nil || len(d.Vertex.Chain) == 0:
		return nil, failure.Errorf(failure.Internal, "task %v: a vertex without operators", d.Attempt)
	case len(d.In) != len(d.Vertex.Inputs) || len(d.Out) != len(d.Vertex.Outputs):
		return nil, failure.Errorf(failure.Internal, "task %v: %d inputs and %d outputs, the vertex has %d and %d",
			d.Attempt, len(d.In), len(d.Out), len(d.Vertex.Inputs), len(d.Vertex.Outputs))
	case env.Shuffle == nil || env.Connectors == nil || env.Splits == nil || env.Reporter == nil || env.Memory == nil || env.Spill == nil:
		return nil, failure.Errorf(failure.Internal, "task %v: an incomplete environment", d.Attempt)
	case env.Snapshots == nil && len(d.Restore.GetOperators()) > 0:
		return nil, failure.Errorf(failure.Internal, "task %v: no storage to restore from", d.Attempt)
	}
	if d.Options = d.Options.complete(); !d.Streaming {
		d.Options = d.Options.fit(env.Memory.Most(), d.Parallelism, d.widest())
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	t := &Task{
		d: d, env: env, log: env.Log, mailbox: newMailbox(),
		account: env.Memory.Child("task "+d.Attempt.String(), 0),
		writing: make(chan struct{}, maxWrites), pressed: make(chan struct{}, 1),
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.account.Until(t.ctx).Meanwhile(t.yield)
	t.metrics = metrics{
		rowsIn:  env.Metrics.Counter("tidemill_task_rows_in_total", "Rows that the task has read."),
		rowsOut: env.Metrics.Counter("tidemill_task_rows_out_total", "Rows that the task has emitted."),
		bytesIn: env.Metrics.Counter("tidemill_task_bytes_in_total", "Bytes that the task has read."),
		idle:    env.Metrics.Counter("tidemill_task_idle_nanoseconds_total", "Time in which the task had nothing to do."),
		spill: spill.Counters{
			Bytes: env.Metrics.Counter("tidemill_task_spilled_bytes_total", "Bytes that operators wrote to disk because they did not fit memory."),
			Files: env.Metrics.Counter("tidemill_task_spill_files_total", "Files of spilled data."),
		},
		future:   env.Metrics.Counter("tidemill_task_future_rows_total", "Rows whose event time was too far ahead of the clock to advance the watermark."),
		rejected: env.Metrics.Counter("tidemill_task_rejected_records_total", "Records that were left out because they are no rows of their table, or their event time is null or too far ahead of the clock."),
		late:     env.Metrics.Counter("tidemill_task_late_rows_total", "Rows that operators left out because they came after their time was over."),
		blocked:  env.Metrics.Counter("tidemill_task_blocked_nanoseconds_total", "Time in which the task gave batches to exchanges, waiting for credit included."),
	}
	t.standing.input.Store(int64(stream.MinWatermark))
	t.standing.output.Store(int64(stream.MinWatermark))
	t.standing.show(env.Metrics)
	return t, nil
}

// Trigger asks a source task for its part of a checkpoint. Others get barriers
// from their inputs and ignore it.
func (t *Task) Trigger(b stream.Barrier) { t.ask(letter{trigger: &b}) }

// Overtake asks the task for its part of a checkpoint at once, also where the barrier has
// not come on all inputs: what comes before it is in flight and a part of it, too.
func (t *Task) Overtake(b stream.Barrier) { t.ask(letter{trigger: &b, overtake: true}) }

func (t *Task) ask(l letter) {
	if !t.mailbox.post(l) {
		t.reports.Lock()
		defer t.reports.Unlock()
		t.env.Reporter.Decline(t.d.Job, t.d.Attempt, l.trigger.Checkpoint, failure.Errorf(failure.Transient, "the mailbox is full"))
	}
}

// Completed says that a checkpoint is complete for good.
func (t *Task) Completed(c id.Checkpoint) { t.mailbox.post(letter{completed: c}) }

// GivenUp says that a checkpoint will not be complete: a source that was silent after it
// goes on.
func (t *Task) GivenUp(c id.Checkpoint) { t.mailbox.post(letter{givenUp: c}) }

// Cancel ends the task as soon as it looks, wherever it waits. It does not wait
// for it.
func (t *Task) Cancel() { t.cancel(errCancelled) }

// Run runs the task to its end and reports it. It returns what the last report
// says: nil when the task has finished. ctx ending cancels the task.
func (t *Task) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { t.cancel(context.Cause(ctx)) })
	defer stop()
	done, err := t.run()
	t.cancel(errCancelled) // whoever still writes a snapshot of a failed task
	t.writers.Wait()
	cause := context.Cause(t.ctx)
	t.reports.Lock()
	defer t.reports.Unlock()
	switch {
	case err == nil:
		t.env.Reporter.State(t.d.Job, t.d.Attempt, Finished, done, nil)
		return nil
	case errors.Is(err, context.Canceled) && failure.Of(cause) == failure.Cancelled:
		t.env.Reporter.State(t.d.Job, t.d.Attempt, Cancelled, t.counted(), nil)
		return fmt.Errorf("task %v: %w", t.d.Attempt, cause)
	}
	// State in memory may be what has filled it, whichever task is refused.
	if _, ok := errors.AsType[*memory.ExhaustedError](err); ok && t.d.Streaming && !t.d.Options.StateOnDisk {
		err = fmt.Errorf("%w, or keep state on disk: state.backend.type = pebble", err)
	}
	t.log.Error("task failed", "attempt", t.d.Attempt, "vertex", t.d.Vertex.Name, "error", err)
	t.env.Reporter.State(t.d.Job, t.d.Attempt, Failed, nil, err)
	return err
}

// run is Run without reporting the end. A panic of an operator is its error.
func (t *Task) run() (done *Done, err error) {
	defer func() {
		if closeErr := t.closeAll(); err == nil {
			err = closeErr
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			done, err = nil, t.recovered(r)
		}
	}()
	t.report(Deploying)
	if err := t.deploy(); err != nil {
		return nil, unkept(err)
	}
	t.report(Running)
	if t.d.Restore.GetFinished() {
		if err := t.chain.advance(len(t.chain.links), stream.MaxWatermark); err != nil {
			return nil, err
		}
		return t.finishLanes()
	}
	if err := t.work(); err != nil {
		return nil, unkept(err)
	}
	return t.finish()
}

func (t *Task) recovered(r any) error { return memory.Recovered(fmt.Sprintf("job %v", t.d.Job), r) }

func (t *Task) report(s State) {
	t.reports.Lock()
	defer t.reports.Unlock()
	t.env.Reporter.State(t.d.Job, t.d.Attempt, s, nil, nil)
}

// work goes on until the inputs or the source have ended.
func (t *Task) work() error {
	for took := time.Duration(0); ; {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		if err := unlessEnough(t.letters()); err != nil {
			return err
		}
		if t.satisfied {
			return nil
		}
		if err := unlessEnough(t.timers()); err != nil {
			return err
		}
		if err := unlessEnough(t.chain.relieve()); err != nil {
			return err
		}
		t.copySome(took)
		began := t.env.Now()
		progress, end, err := t.step()
		if err != nil || end {
			return unlessEnough(err)
		}
		took = t.env.Now().Sub(began)
		if !progress && t.copying == nil {
			t.wait()
		}
	}
}

// step takes one element, or polls the source once.
func (t *Task) step() (progress, end bool, err error) {
	if t.silent != 0 {
		return false, false, nil
	}
	if t.source != nil {
		former := t.chain.clock.enter(0)
		status, err := t.source.Poll()
		t.chain.clock.enter(former)
		return status == operator.More, status == operator.Finished, t.chain.links[0].wrap(err)
	}
	if t.capture != nil {
		if came, err := t.drain(); came || err != nil || t.capture != nil && !t.capture.quiet(t.env.Now()) {
			return came, false, err
		}
	}
	want := -1
	if t.selector != nil {
		want = t.selector.Wants()
	}
	for range t.gates {
		i := t.next
		t.next = (t.next + 1) % len(t.gates)
		if g := t.gates[i]; g.ended || t.alignment.Blocked(i) || want >= 0 && i != want {
			continue
		}
		e, ok, err := t.poll(i)
		if err != nil {
			return false, false, err
		}
		if ok {
			err = t.take(i, e)
			return true, t.open == 0, err
		}
	}
	return false, t.open == 0, nil
}

// take hands an element of input i on.
func (t *Task) take(i int, e stream.Element) error {
	switch e.Kind {
	case stream.DataElement:
		if len(t.chain.routes) > 0 {
			if err := failpoint.Hit(failpoint.TaskBetween); err != nil {
				e.Release()
				return err
			}
		}
		t.count(e.Batch)
		return t.chain.links[0].process(i, e.Batch)
	case stream.WatermarkElem:
		return t.tell(t.time.Advance(i, e.Watermark))
	case stream.IdleElement, stream.ActiveElement:
		return t.tell(t.time.SetIdle(i, e.Kind == stream.IdleElement))
	case stream.BarrierElement:
		if t.alignment.Pending() == 0 {
			t.alignedSince = t.env.Now()
		}
		return t.align(t.alignment.Barrier(i, e.Barrier))
	case stream.EndOfInput:
		return t.endInput(i)
	default:
		return failure.Errorf(failure.Internal, "element of kind %v", e.Kind)
	}
}

// count adds what the task has read.
func (t *Task) count(b *stream.Batch) {
	t.metrics.rowsIn.Add(uint64(b.Len()))
	t.metrics.bytesIn.Add(uint64(b.Bytes()))
}

func (t *Task) align(s checkpoint.Step) error {
	t.tellAlignment()
	if s.Overtaken != 0 {
		t.reports.Lock()
		t.env.Reporter.Decline(t.d.Job, t.d.Attempt, s.Overtaken, errNewer())
		t.reports.Unlock()
	}
	if s.Outcome != checkpoint.Aligned {
		return nil
	}
	return t.snapshot(s.Barrier)
}

func (t *Task) tell(c eventtime.Change) error {
	if c.ToActive {
		if err := t.chain.setIdle(false); err != nil {
			return err
		}
	}
	if c.Advanced {
		t.standing.input.Store(int64(c.Watermark))
		if err := t.chain.advance(0, c.Watermark); err != nil {
			return err
		}
	}
	if c.ToIdle {
		return t.chain.setIdle(true)
	}
	return nil
}

func (t *Task) endInput(i int) error {
	t.gates[i].ended = true
	t.open--
	if err := t.align(t.alignment.Finish(i)); err != nil {
		return err
	}
	if err := t.tell(t.time.Finish(i)); err != nil {
		return err
	}
	return t.chain.links[0].endInput(i)
}

// letters does what others want.
func (t *Task) letters() error {
	for {
		l, ok := t.mailbox.take()
		switch {
		case !ok:
			return nil
		case l.completed != 0:
			for _, link := range t.chain.links {
				if link.snapshotter != nil {
					if err := link.wrap(link.snapshotter.Completed(l.completed)); err != nil {
						return err
					}
				}
			}
		case l.givenUp != 0:
			if l.givenUp == t.silent {
				t.silent = 0
			}
		default:
			if err := t.asked(l); err != nil {
				return err
			}
		}
	}
}

// triggered takes a source's part of a checkpoint. With one that stops the job nothing
// follows, until it is given up: a later one says so, too.
func (t *Task) triggered(b stream.Barrier) error {
	if b.Kind == stream.DrainSavepoint && t.silent == 0 {
		if err := unlessEnough(t.chain.advance(0, stream.MaxWatermark)); err != nil {
			return err
		}
	}
	t.silent = 0
	if b.Kind.Stops() {
		t.silent = b.Checkpoint
	}
	return t.snapshot(b)
}

// asked takes the task's part of a checkpoint that it was asked for.
func (t *Task) asked(l letter) error {
	switch {
	case !t.d.Streaming || t.ended || l.trigger.Checkpoint <= t.taken:
		return nil
	case t.source != nil:
		return t.triggered(*l.trigger)
	case l.overtake:
		return t.overtake(*l.trigger)
	}
	return nil
}

// timers sends rows that have waited long enough, and lets operators see the
// clock.
func (t *Task) timers() error {
	if !t.flushArmed && t.chain.pending() {
		t.flush.Reset(t.d.Options.Flush)
		t.flushArmed = true
	}
	select {
	case <-t.flush.C:
		t.flushArmed = false
		return t.chain.flush()
	case <-t.tick.C:
		t.tick.Reset(tickEvery)
		t.countLate()
		t.tellStanding()
		if t.silent != 0 {
			return nil
		}
		return t.chain.tick(t.env.Now())
	default:
		return nil
	}
}

// wait sleeps until something may have come. Timers that fire are left to fire
// again at once, for timers to see.
func (t *Task) wait() {
	since := t.env.Now()
	t.standing.idleSince.Store(since.UnixNano())
	defer func() {
		t.standing.idleSince.Store(0)
		t.metrics.idle.Add(uint64(max(0, t.env.Now().Sub(since))))
	}()
	var first, second <-chan struct{}
	switch {
	case t.silent != 0:
	case t.source != nil:
		first = t.source.Ready()
	case len(t.gates) > 2:
		t.waitMany()
		return
	default:
		first = t.gates[0].from.Ready()
		if len(t.gates) == 2 {
			second = t.gates[1].from.Ready()
		}
	}
	select {
	case <-t.ctx.Done():
	case <-t.mailbox.ready:
	case <-t.pressed:
	case <-first:
	case <-second:
	case <-t.flush.C:
		t.flush.Reset(0)
	case <-t.tick.C:
		t.tick.Reset(0)
	}
}

// waitMany is wait for tasks with more than two inputs.
func (t *Task) waitMany() {
	cases := make([]reflect.SelectCase, 0, len(t.gates)+4)
	add := func(c any) {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)})
	}
	add(t.flush.C)
	add(t.tick.C)
	add(t.ctx.Done())
	add(t.mailbox.ready)
	add(t.pressed)
	for _, g := range t.gates {
		add(g.from.Ready())
	}
	switch chosen, _, _ := reflect.Select(cases); chosen {
	case 0:
		t.flush.Reset(0)
	case 1:
		t.tick.Reset(0)
	}
}

// finish ends event time and the operators' inputs, then the lanes.
func (t *Task) finish() (*Done, error) {
	t.abandon(failure.Errorf(failure.Transient, "the task ends")) // its barrier went before what it has emitted since
	t.copyAll()
	for _, g := range t.gates {
		if r, ok := g.from.(shuffle.SatisfiedReader); ok && !g.ended {
			r.Enough()
		}
	}
	drained := t.source != nil || t.satisfied
	if drained {
		if err := unlessEnough(t.chain.advance(0, stream.MaxWatermark)); err != nil {
			return nil, err
		}
	}
	if err := t.chain.end(t.gates); err != nil {
		return nil, err
	}
	return t.finishLanes()
}

func (t *Task) finishLanes() (*Done, error) {
	done := t.counted()
	t.ended = true // no barrier can follow the lanes' end; finishing counts as acknowledging
	for i, r := range t.chain.routes {
		m, err := r.Finish(t.ctx)
		lost := errors.Is(err, shuffle.ErrLostRace)
		if err != nil && !lost {
			return nil, unkept(err)
		}
		if lost {
			m = shuffle.Manifest{Lane: t.d.Attempt.Subtask.Index, Attempt: t.d.Attempt.N}
		}
		done.Manifests = append(done.Manifests, ExchangeManifest{Exchange: id.Exchange(t.d.Out[i].Exchange.Id), Manifest: m, Discarded: lost})
	}
	t.writers.Wait() // a checkpoint that this task has part in is not given up
	if err := t.letters(); err != nil {
		return nil, err
	}
	done.Committables = append(t.returned, t.prepared...) // nobody writes any more
	return done, nil
}

// unkept says of an error that what an exchange held is gone, if that is so.
func unkept(err error) error {
	if errors.Is(err, shuffle.ErrDataLoss) {
		return failure.Wrap(failure.LostPartition, err)
	}
	return err
}

// closeAll closes what deploy opened. A panic of a Close is an error, too.
func (t *Task) closeAll() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.Join(err, t.recovered(r))
		}
	}()
	var errs []error
	if t.capture != nil {
		t.capture.frozen.lose()
	}
	if t.copying != nil {
		t.copying.lose()
	}
	for _, g := range t.gates {
		errs = append(errs, g.close())
	}
	if t.chain != nil {
		errs = append(errs, t.chain.close())
	}
	return errors.Join(errs...)
}
