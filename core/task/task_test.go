package task_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
)

// numbers is a source of two columns, k = i % keys and v = i, for i in the range
// that its splits give; a split is its first and last number. The sink of the
// same name counts.
type numbers struct {
	keys int64
	// fail is called before each batch; it may return an error or panic.
	fail func(next int64) error
	// limit, where set, is the number at which readers wait until told to go on.
	gate *gate
}

// gate holds readers at a number until it is opened.
type gate struct {
	at   int64
	mu   sync.Mutex
	open bool
	wake []chan struct{}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
	for _, w := range g.wake {
		w <- struct{}{}
	}
}

// moveTo has readers go on to another number.
func (g *gate) moveTo(at int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at = at
	for _, w := range g.wake {
		w <- struct{}{}
	}
}

func (n *numbers) Name() string { return "numbers" }
func (n *numbers) Describe(context.Context, connector.Table, *predicate.Predicate) (connector.Description, error) {
	return connector.Description{}, nil
}

func (n *numbers) Enumerator(context.Context, connector.SourceSpec, []byte) (connector.Enumerator, error) {
	return nil, errors.New("no enumerator")
}

func (n *numbers) Writer(context.Context, connector.SinkSpec, connector.WriterEnv) (connector.Writer, error) {
	return &counting{}, nil
}

func (n *numbers) Committer(context.Context, connector.SinkSpec) (connector.Committer, error) {
	return nil, errors.New("no committer")
}

func (n *numbers) Reader(_ context.Context, _ connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	r := &numberReader{numbers: n, env: env, ready: make(chan struct{}, 1)}
	if n.gate != nil {
		n.gate.mu.Lock()
		n.gate.wake = append(n.gate.wake, r.ready)
		n.gate.mu.Unlock()
	}
	return r, nil
}

type numberReader struct {
	numbers *numbers
	env     connector.ReaderEnv
	splits  []connector.Split
	ready   chan struct{}
}

func span(from, to int64) connector.Split {
	data := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(from)), uint64(to))
	return connector.Split{ID: fmt.Sprint(from), Data: data}
}

func (r *numberReader) Add(s connector.Split) error {
	r.splits = append(r.splits, s)
	return nil
}
func (r *numberReader) Ready() <-chan struct{}               { return r.ready }
func (r *numberReader) Snapshot() ([]connector.Split, error) { return r.splits, nil }
func (r *numberReader) Close() error                         { return nil }
func (r *numberReader) Poll(context.Context) (*stream.Batch, connector.Wait, error) {
	if len(r.splits) == 0 {
		return nil, connector.ForSplit, nil
	}
	from, to := int64(binary.BigEndian.Uint64(r.splits[0].Data)), int64(binary.BigEndian.Uint64(r.splits[0].Data[8:]))
	if g := r.numbers.gate; g != nil {
		g.mu.Lock()
		shut := !g.open && from >= g.at
		g.mu.Unlock()
		if shut {
			return nil, connector.ForData, nil
		}
	}
	if r.numbers.fail != nil {
		if err := r.numbers.fail(from); err != nil {
			return nil, connector.NoWait, err
		}
	}
	end := min(to, from+int64(r.env.BatchRows))
	if end == to {
		r.splits = r.splits[1:]
	} else {
		r.splits[0] = span(end, to)
	}
	b := array.NewRecordBuilder(r.env.Alloc, numberSchema())
	defer b.Release()
	for i := from; i < end; i++ {
		b.Field(0).(*array.Int64Builder).Append(i % r.numbers.keys)
		b.Field(1).(*array.Int64Builder).Append(i)
	}
	return stream.NewBatch(b.NewRecordBatch()), connector.NoWait, nil
}

func numberSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: "k", Type: arrow.PrimitiveTypes.Int64}, {Name: "v", Type: arrow.PrimitiveTypes.Int64}}, nil)
}

type counting struct{ rows int64 }

func (c *counting) Write(_ context.Context, b *stream.Batch) error {
	c.rows += int64(b.Len())
	b.Release()
	return nil
}

func (c *counting) Prepare(context.Context) ([]connector.Committable, error) {
	rows := c.rows
	c.rows = 0
	if rows == 0 {
		return nil, nil
	}
	return []connector.Committable{{Rows: rows}}, nil
}
func (c *counting) Snapshot() ([]byte, error) { return nil, nil }
func (c *counting) Close() error              { return nil }

// cluster is what tasks are lent: a real shuffle service, memory and storage.
type cluster struct {
	t         *testing.T
	job       id.Job
	numbers   *numbers
	ledger    *memory.Ledger
	spill     *spill.Directory
	service   shuffle.Service
	snapshots *storage.Store
	home      *pebblestate.Home // of tiered state; nil: it is in memory
	standby   *task.Standby
	reading   *reading // in place of snapshots; nil: these

	mu     sync.Mutex
	splits map[id.Vertex][]connector.Split
	states map[id.Attempt][]task.State
	done   map[id.Attempt]*task.Done
	causes map[id.Attempt]error
	acks   map[id.Checkpoint]map[id.Subtask]task.Ack
	acked  chan struct{}
	denied []error
}

func newCluster(t *testing.T) *cluster {
	ledger, err := memory.New(memory.Options{Limit: 1 << 28})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := spill.Open(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	alloc := ledger.Child("test", 0).Allocator()
	c := &cluster{
		t: t, job: id.Job{1}, ledger: ledger, spill: dir, numbers: &numbers{keys: 100},
		service:   local.New(local.Options{Alloc: alloc}),
		snapshots: storage.New(memfs.New(memfs.Options{}), "/ckpt", alloc),
		splits:    map[id.Vertex][]connector.Split{},
	}
	c.forget()
	t.Cleanup(func() {
		for ex := range id.Exchange(4) {
			if err := c.service.Drop(context.Background(), c.job, ex); err != nil {
				t.Error(err)
			}
		}
		if n := ledger.Used(); n != 0 {
			t.Errorf("%d bytes are still charged", n)
		}
	})
	return c
}

func (c *cluster) forget() {
	c.states, c.done, c.causes = map[id.Attempt][]task.State{}, map[id.Attempt]*task.Done{}, map[id.Attempt]error{}
	c.acks, c.acked = map[id.Checkpoint]map[id.Subtask]task.Ack{}, make(chan struct{}, 100)
}

func (c *cluster) NextSplit(_ context.Context, _ id.Job, to id.Attempt) (connector.Split, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.splits[to.Subtask.Vertex]
	if len(left) == 0 {
		return connector.Split{}, false, nil
	}
	c.splits[to.Subtask.Vertex] = left[1:]
	return left[0], true, nil
}

func (c *cluster) State(_ id.Job, a id.Attempt, s task.State, done *task.Done, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[a] = append(c.states[a], s)
	c.done[a], c.causes[a] = done, cause
}

func (c *cluster) Acknowledge(_ id.Job, a id.Attempt, ack task.Ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.acks[ack.Barrier.Checkpoint]
	if of == nil {
		of = map[id.Subtask]task.Ack{}
		c.acks[ack.Barrier.Checkpoint] = of
	}
	of[a.Subtask] = ack
	c.acked <- struct{}{}
}

func (c *cluster) Decline(_ id.Job, _ id.Attempt, _ id.Checkpoint, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied = append(c.denied, cause)
	c.acked <- struct{}{}
}

func (c *cluster) env() task.Env {
	env := task.Env{
		Shuffle: c.service, Splits: c, Reporter: c, Snapshots: c.snapshots, Memory: c.ledger.Child("job", 0), Spill: c.spill, State: c.home,
		Connectors: func(string) (connector.Connector, error) { return c.numbers, nil }, Standby: c.standby,
	}
	if c.reading != nil {
		env.Snapshots = c.reading
	}
	return env
}

// Vertex 0 reads numbers and sends them by k; vertex 1 counts and sums by k and
// gives the client the result.
func columns(names ...string) (out []*jobgraph.Field) {
	for _, n := range names {
		out = append(out, &jobgraph.Field{Name: n, Type: "BIGINT"})
	}
	return out
}

func sumGraph(retention jobgraph.Retention) ([]*jobgraph.Vertex, []*jobgraph.Exchange) {
	source := &jobgraph.Operator{Uid: "src", Name: "source", Output: columns("k", "v"), Spec: &jobgraph.Operator_Source{
		Source: &jobgraph.Source{Connector: "numbers", Table: "numbers", Columns: columns("k", "v"), Bounded: true},
	}}
	sum := &jobgraph.Operator{Uid: "sum", Name: "aggregate", Output: columns("k", "n", "s"), Spec: &jobgraph.Operator_Aggregate{
		Aggregate: &jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, Calls: []*jobgraph.AggregateCall{
			{Function: "COUNT", Filter: -1, Type: "BIGINT NOT NULL", Name: "n"},
			{Function: "SUM", Args: []uint32{1}, ArgTypes: []string{"BIGINT"}, Filter: -1, Type: "BIGINT", Name: "s"},
		}},
	}}
	vertices := []*jobgraph.Vertex{
		{Id: 0, Uid: "src", Name: "source", Chain: []*jobgraph.Operator{source}, Outputs: []uint32{0}},
		{Id: 1, Uid: "sum", Name: "aggregate", Chain: []*jobgraph.Operator{sum}, Inputs: []uint32{0}, Outputs: []uint32{1}},
	}
	exchanges := []*jobgraph.Exchange{
		{Id: 0, Producer: 0, Consumer: 1, Distribution: jobgraph.Distribution_DISTRIBUTION_HASH, Retention: retention, Keys: []uint32{0}, Schema: columns("k", "v")},
		{Id: 1, Producer: 1, Result: true, Distribution: jobgraph.Distribution_DISTRIBUTION_SINGLETON, Retention: jobgraph.Retention_RETENTION_NONE, Schema: columns("k", "n", "s")},
	}
	return vertices, exchanges
}

// start runs both vertices at a parallelism; the returned function waits.
func (c *cluster) start(parallelism int, streaming bool, restore map[id.Vertex][]*checkpoint.Restore) (tasks []*task.Task, wait func() []error) {
	c.t.Helper()
	vertices, exchanges := sumGraph(jobgraph.Retention_RETENTION_NONE)
	var wg sync.WaitGroup
	errs := make([]error, 2*parallelism)
	for v, vertex := range vertices {
		for i := range parallelism {
			d := task.Descriptor{
				Job: c.job, Attempt: id.Attempt{Subtask: id.Subtask{Vertex: id.Vertex(v), Index: uint32(i)}}, Vertex: vertex,
				Parallelism: parallelism, KeyGroups: 64, Streaming: streaming, Options: task.Options{BatchRows: 256, StateOnDisk: c.home != nil, StateBudget: 1 << 10},
			}
			if restore != nil {
				d.Restore = restore[id.Vertex(v)][i]
			}
			if v == 0 {
				d.Out = []task.Edge{{Exchange: exchanges[0], Peers: parallelism}}
			} else {
				d.In = []task.Edge{{Exchange: exchanges[0], Peers: parallelism}}
				d.Out = []task.Edge{{Exchange: exchanges[1], Peers: 1}}
			}
			one, err := task.New(d, c.env())
			if err != nil {
				c.t.Fatal(err)
			}
			tasks = append(tasks, one)
			at := len(tasks) - 1
			wg.Go(func() { errs[at] = one.Run(context.Background()) })
		}
	}
	return tasks, func() []error { wg.Wait(); return errs }
}

// result reads the rows of the result exchange: k, n, s.
func (c *cluster) result(ctx context.Context) (rows map[int64][2]int64, err error) {
	rows = map[int64][2]int64{}
	err = c.read(ctx, 1, func(b *stream.Batch) {
		k, n, s := ints(b, 0), ints(b, 1), ints(b, 2)
		for i := range k {
			switch b.Kind(i) {
			case stream.Insert, stream.UpdateAfter:
				rows[k[i]] = [2]int64{n[i], s[i]}
			}
		}
	})
	return rows, err
}

// read gives the batches of an exchange of one partition to each, to the end.
func (c *cluster) read(ctx context.Context, exchange id.Exchange, each func(*stream.Batch)) (err error) {
	var r shuffle.Reader
	for {
		if r, err = c.service.Reader(ctx, c.job, exchange, 0, 0); err == nil {
			break
		}
		if !errors.Is(err, shuffle.ErrReleased) || ctx.Err() != nil {
			return err
		}
		time.Sleep(time.Millisecond) // the bubble's clock
	}
	defer r.Close()
	for {
		e, ok, err := r.Poll()
		switch {
		case err != nil:
			return err
		case !ok:
			select {
			case <-r.Ready():
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		case e.Kind == stream.EndOfInput:
			return nil
		case e.Kind == stream.DataElement:
			each(e.Batch)
			e.Release()
		}
	}
}

func ints(b *stream.Batch, i int) []int64 { return b.Column(i).(*array.Int64).Int64Values() }

func (c *cluster) wantSums(rows map[int64][2]int64, to int64) {
	c.t.Helper()
	if len(rows) != int(c.numbers.keys) {
		c.t.Errorf("%d keys", len(rows))
	}
	want := map[int64][2]int64{}
	for i := range to {
		w := want[i%c.numbers.keys]
		want[i%c.numbers.keys] = [2]int64{w[0] + 1, w[1] + i}
	}
	for k, w := range want {
		if rows[k] != w {
			c.t.Fatalf("key %d: have %v, want %v", k, rows[k], w)
		}
	}
}

// A bounded job from source to client: every row arrives exactly once, all
// tasks report FINISHED with manifests that add up.
func TestBoundedChainOverHashExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.splits[0] = []connector.Split{span(0, 7000), span(7000, 7001), span(7001, 20_000)}
		_, wait := c.start(2, false, nil)
		rows, err := c.result(t.Context())
		if err := errors.Join(append(wait(), err)...); err != nil {
			t.Fatal(err)
		}
		c.wantSums(rows, 20_000)
		read, sent, taken, emitted := uint64(0), uint64(0), uint64(0), uint64(0)
		for a, done := range c.done {
			if have := fmt.Sprint(c.states[a]); have != "[DEPLOYING RUNNING FINISHED]" {
				t.Errorf("%v: %v", a, have)
			}
			emitted += done.Operators[0].Rows
			if a.Subtask.Vertex == 0 {
				read += done.RowsIn
				for _, p := range done.Manifests[0].Partitions {
					sent += p.Rows
				}
			} else {
				taken += done.RowsIn
			}
		}
		if read != 20_000 || sent != 20_000 || taken != 20_000 || emitted != 20_000+uint64(len(rows)) {
			t.Errorf("read %d, sent %d, taken %d, emitted %d", read, sent, taken, emitted)
		}
	})
}

// A checkpoint in the midst of the stream, everything cancelled, restored at
// another parallelism: the sums are as if nothing had happened.
func TestRestoreAtAnotherParallelism(t *testing.T) {
	for _, to := range []int{2, 3, 1} {
		t.Run(fmt.Sprint(to), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newCluster(t).restoreFrom(2000, 10_000, to, false) })
		})
	}
}

// Rows that come while a task copies its state between them are not in the checkpoint.
func TestRowsBehindTheBarrierAreInNoSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.numbers.keys = 30_000
		c.restoreFrom(60_000, 160_000, 2, true)
	})
}

// restoreFrom takes a checkpoint before the readers read row at, cancels the tasks, and
// restores them with another parallelism. goOn: the readers do not wait for it to be
// complete.
func (c *cluster) restoreFrom(at, total int64, to int, goOn bool) {
	c.t.Helper()
	c.numbers.gate = &gate{at: at}
	c.splits[0] = []connector.Split{span(0, total/2), span(total/2, total)}
	tasks, wait := c.start(2, true, nil)
	time.Sleep(time.Second) // of the bubble: until the readers stand at the gate
	for _, one := range tasks {
		one.Trigger(stream.Barrier{Checkpoint: 1, Kind: stream.CheckpointKind})
	}
	if goOn {
		c.numbers.gate.release()
	}
	for range tasks {
		<-c.acked
	}
	if !goOn {
		c.numbers.gate.release()
	}
	for _, one := range tasks {
		one.Cancel()
	}
	for _, err := range wait() {
		if err != nil && failure.Of(err) != failure.Cancelled {
			c.t.Fatal(err)
		}
	}
	restore := c.restores(1, 2, to)
	for ex := range id.Exchange(2) {
		if err := c.service.Drop(c.t.Context(), c.job, ex); err != nil {
			c.t.Fatal(err)
		}
	}
	c.forget()
	c.splits[0] = nil
	c.numbers.gate = nil
	_, wait = c.start(to, true, restore)
	rows, err := c.result(c.t.Context())
	if err := errors.Join(append(wait(), err)...); err != nil {
		c.t.Fatal(err)
	}
	c.wantSums(rows, total)
}

// restores assigns a checkpoint, by way of its manifest's file.
func (c *cluster) restores(at id.Checkpoint, from, to int) map[id.Vertex][]*checkpoint.Restore {
	c.t.Helper()
	m := &checkpoint.Manifest{Job: c.job[:], Checkpoint: uint64(at), KeyGroups: 64}
	for v := range id.Vertex(2) {
		state := &checkpoint.VertexState{Uid: fmt.Sprint(v), Parallelism: uint32(from)}
		for i := range from {
			state.Subtasks = append(state.Subtasks, c.acks[at][id.Subtask{Vertex: v, Index: uint32(i)}].State)
		}
		m.Vertices = append(m.Vertices, state)
	}
	name, err := c.snapshots.Save(c.t.Context(), m)
	if err != nil {
		c.t.Fatal(err)
	}
	if m, err = c.snapshots.Load(c.t.Context(), name); err != nil {
		c.t.Fatal(err)
	}
	out := map[id.Vertex][]*checkpoint.Restore{}
	for v, state := range m.Vertices {
		if out[id.Vertex(v)], err = checkpoint.Assign(state, to, 64); err != nil {
			c.t.Fatal(err)
		}
	}
	return out
}

// Cancel ends a task within 100 ms, before it has begun and while it waits.
func TestCancelEarlyAndIdle(t *testing.T) {
	for _, phase := range []string{"while deploying", "waiting for input"} {
		t.Run(phase, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.splits[0] = []connector.Split{span(0, math.MaxInt64/2)}
				if phase == "waiting for input" {
					c.numbers.gate = &gate{at: 0}
				}
				tasks, wait := c.start(1, true, nil)
				if phase == "waiting for input" {
					time.Sleep(time.Second)
				}
				since := time.Now()
				for _, one := range tasks {
					one.Cancel()
				}
				for _, err := range wait() {
					if failure.Of(err) != failure.Cancelled {
						t.Errorf("have %v", err)
					}
				}
				if took := time.Since(since); took > 100*time.Millisecond {
					t.Errorf("took %v", took)
				}
				for a, states := range c.states {
					if last := states[len(states)-1]; last != task.Cancelled {
						t.Errorf("%v ended %v", a, last)
					}
					if n := len(c.done[a].Operators); phase == "waiting for input" && n != 1 {
						t.Errorf("%v left the counts of %d operators", a, n)
					}
				}
			})
		})
	}
}

// A source that nobody reads stops for want of credit, and can be cancelled there.
func TestCancelWhileBlockedInSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.splits[0] = []connector.Split{span(0, math.MaxInt64/2)}
		vertices, exchanges := sumGraph(jobgraph.Retention_RETENTION_NONE)
		one, err := task.New(task.Descriptor{
			Job: c.job, Vertex: vertices[0], Out: []task.Edge{{Exchange: exchanges[0], Peers: 2}}, Parallelism: 1, KeyGroups: 64,
		}, c.env())
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- one.Run(t.Context()) }()
		synctest.Wait() // it stands
		one.Cancel()
		synctest.Wait()
		select {
		case err := <-ended:
			if failure.Of(err) != failure.Cancelled {
				t.Error(err)
			}
		default:
			t.Error("still running")
		}
	})
}

// What goes wrong in an operator is the task's error, classified, with the
// operator's name; a panic is an internal error with its stack.
func TestFailuresAreReported(t *testing.T) {
	cases := []struct {
		name  string
		fail  func(int64) error
		class failure.Class
		text  string
	}{
		{"error", func(int64) error { return failure.Errorf(failure.BadData, "row 7 is bad") }, failure.BadData, "source: "},
		{"panic", func(int64) error { panic("no such luck") }, failure.Internal, "internal error: no such luck\ngoroutine"},
		{"memory", func(int64) error { panic(&memory.ExhaustedError{Account: "job/x", Option: "y"}) }, failure.Fatal, "memory exhausted: job/x"},
	}
	for _, one := range cases {
		t.Run(one.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.splits[0] = []connector.Split{span(0, 1000)}
				c.numbers.fail = func(next int64) error {
					if next < 512 {
						return nil
					}
					return one.fail(next)
				}
				tasks, wait := c.start(1, false, nil)
				time.Sleep(time.Second)
				tasks[1].Cancel()
				err := wait()[0]
				if failure.Of(err) != one.class || !strings.Contains(err.Error(), one.text) {
					t.Errorf("have %v, %v", failure.Of(err), err)
				}
				source := id.Attempt{}
				if !errors.Is(c.causes[source], err) || c.states[source][len(c.states[source])-1] != task.Failed {
					t.Errorf("reported %v %v", c.states[source], c.causes[source])
				}
			})
		})
	}
}

// A checkpoint whose state cannot be written is declined, and the task goes on.
func TestUnwritableSnapshotIsDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.numbers.gate = &gate{at: 500}
		c.splits[0] = []connector.Split{span(0, 1000)}
		broken := faultfs.New(memfs.New(memfs.Options{}))
		broken.Inject(faultfs.Rule{Op: faultfs.Create, Err: errors.New("disk is gone")})
		c.snapshots = storage.New(broken, "/ckpt", c.ledger.Child("test", 0).Allocator())
		tasks, wait := c.start(1, true, nil)
		time.Sleep(time.Second)
		tasks[0].Trigger(stream.Barrier{Checkpoint: 1, Kind: stream.CheckpointKind})
		<-c.acked
		<-c.acked
		if len(c.denied) != 1 || !strings.Contains(c.denied[0].Error(), "disk is gone") || len(c.acks[1]) != 1 {
			t.Errorf("declined %v, acknowledged %d", c.denied, len(c.acks[1]))
		}
		c.numbers.gate.release()
		rows, err := c.result(t.Context())
		if err := errors.Join(append(wait(), err)...); err != nil {
			t.Fatal(err)
		}
		c.wantSums(rows, 1000)
	})
}

// The numbers of the job graph's enums are those of the exchange's contract.
func TestEnumsAgree(t *testing.T) {
	for n, name := range jobgraph.Distribution_name {
		if have := strings.TrimPrefix(name, "DISTRIBUTION_"); strings.ToLower(have) != shuffle.Distribution(n).String() {
			t.Errorf("%d is %s and %v", n, name, shuffle.Distribution(n))
		}
	}
	for n, name := range jobgraph.Retention_name {
		if have := strings.ToLower(strings.TrimPrefix(name, "RETENTION_")); n > 0 && have != shuffle.Retention(n).String() {
			t.Errorf("%d is %s and %v", n, name, shuffle.Retention(n))
		}
	}
}
