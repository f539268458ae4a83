package task_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
	"github.com/tidemill/tidemill/shuffle/local"
)

// flow is a job with little credit and slow sinks. What the sinks have published is
// changes; folded they must be counts and sums by key.
//
//	numbers 0 --hash--+
//	                  +--> union, group by --last--> sink
//	numbers 1 --hash--+
type flow struct {
	*cluster
	*numbers
	t     *testing.T
	last  jobgraph.Distribution
	delay func() time.Duration // of a write
	most  int64                // in flight to a task
	run   []*task.Task
	spec  []task.Descriptor
	wait  func() []error
	// published is what complete checkpoints and the end have.
	published []string
	complete  map[id.Checkpoint]bool
}

const flowVertices = 4

func newFlow(t *testing.T, last jobgraph.Distribution, delay func() time.Duration) *flow {
	c := newCluster(t)
	c.service = local.New(local.Options{Alloc: c.ledger.Child("service", 0).Allocator(), LaneGuarantee: 512})
	c.numbers.keys = 20
	return &flow{cluster: c, numbers: c.numbers, t: t, last: last, delay: delay, complete: map[id.Checkpoint]bool{}}
}

// Writer implements connector.Connector.
func (f *flow) Writer(context.Context, connector.SinkSpec, connector.WriterEnv) (connector.Writer, error) {
	return &slowWriter{flow: f}, nil
}

type slowWriter struct {
	flow *flow
	rows []string
}

func (w *slowWriter) Write(ctx context.Context, b *stream.Batch) error {
	defer b.Release()
	if d := w.flow.delay(); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	k, n, s := ints(b, 0), ints(b, 1), ints(b, 2)
	for i := range k {
		w.rows = append(w.rows, fmt.Sprint(b.Kind(i), k[i], n[i], s[i]))
	}
	return nil
}

func (w *slowWriter) Prepare(context.Context) ([]connector.Committable, error) {
	if len(w.rows) == 0 {
		return nil, nil
	}
	text := strings.Join(w.rows, "\n")
	w.rows = nil
	return []connector.Committable{{Data: []byte(text)}}, nil
}
func (w *slowWriter) Snapshot() ([]byte, error) { return nil, nil }
func (w *slowWriter) Close() error              { return nil }

func (f *flow) graph() ([]*jobgraph.Vertex, []*jobgraph.Exchange) {
	kv, out := columns("k", "v"), columns("k", "n", "s")
	source := func(uid string) *jobgraph.Operator {
		return &jobgraph.Operator{Uid: uid, Name: uid, Output: kv, Spec: &jobgraph.Operator_Source{
			Source: &jobgraph.Source{Connector: "numbers", Table: "numbers", Columns: kv, Bounded: true},
		}}
	}
	union := &jobgraph.Operator{Uid: "union", Name: "union", Output: kv, Spec: &jobgraph.Operator_Union{Union: &jobgraph.Union{}}}
	group := &jobgraph.Operator{Uid: "group", Name: "group", Output: out, Spec: &jobgraph.Operator_UpdatingAggregate{
		UpdatingAggregate: &jobgraph.UpdatingAggregate{
			Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, UpdateBefore: true, Calls: []*jobgraph.AggregateCall{
				{Function: "COUNT", Filter: -1, Type: "BIGINT NOT NULL", Name: "n"},
				{Function: "SUM", Args: []uint32{1}, ArgTypes: []string{"BIGINT"}, Filter: -1, Type: "BIGINT", Name: "s"},
			},
		},
	}}
	sink := &jobgraph.Operator{Uid: "sink", Name: "sink", Spec: &jobgraph.Operator_Sink{
		Sink: &jobgraph.Sink{Connector: "numbers", Table: "out", Columns: out},
	}}
	vertices := []*jobgraph.Vertex{
		{Id: 0, Uid: "a", Name: "a", Chain: []*jobgraph.Operator{source("a")}, Outputs: []uint32{0}},
		{Id: 1, Uid: "b", Name: "b", Chain: []*jobgraph.Operator{source("b")}, Outputs: []uint32{1}},
		{Id: 2, Uid: "group", Name: "group", Chain: []*jobgraph.Operator{union, group}, Inputs: []uint32{0, 1}, Outputs: []uint32{2}},
		{Id: 3, Uid: "sink", Name: "sink", Chain: []*jobgraph.Operator{sink}, Inputs: []uint32{2}},
	}
	hash, none := jobgraph.Distribution_DISTRIBUTION_HASH, jobgraph.Retention_RETENTION_NONE
	return vertices, []*jobgraph.Exchange{
		{Id: 0, Producer: 0, Consumer: 2, Distribution: hash, Retention: none, Keys: []uint32{0}, Schema: kv},
		{Id: 1, Producer: 1, Consumer: 2, Distribution: hash, Retention: none, Keys: []uint32{0}, Schema: kv},
		{Id: 2, Producer: 2, Consumer: 3, Distribution: f.last, Retention: none, Keys: []uint32{0}, Schema: out},
	}
}

// start runs everything with so many subtasks a vertex.
func (f *flow) start(parallelism int, restore *checkpoint.Manifest) {
	f.t.Helper()
	vertices, exchanges := f.graph()
	f.run, f.spec = nil, nil
	var errs []error
	var wg sync.WaitGroup
	for v, vertex := range vertices {
		restores := f.assign(restore, v, parallelism)
		for i := range parallelism {
			d := task.Descriptor{
				Job: f.job, Attempt: id.Attempt{Subtask: id.Subtask{Vertex: id.Vertex(v), Index: uint32(i)}}, Vertex: vertex,
				Parallelism: parallelism, KeyGroups: 64, Streaming: true, Restore: restores[i],
				Options: task.Options{BatchRows: 16, ExchangeBudget: 2 << 10, MostInFlight: f.most},
			}
			for _, x := range vertex.Inputs {
				d.In = append(d.In, task.Edge{Exchange: exchanges[x], Peers: parallelism})
			}
			for _, x := range vertex.Outputs {
				d.Out = append(d.Out, task.Edge{Exchange: exchanges[x], Peers: parallelism})
			}
			env := f.env()
			env.Connectors = func(string) (connector.Connector, error) { return f, nil }
			one, err := task.New(d, env)
			if err != nil {
				f.t.Fatal(err)
			}
			f.run, f.spec = append(f.run, one), append(f.spec, d)
		}
	}
	errs = make([]error, len(f.run))
	for i, one := range f.run {
		wg.Go(func() { errs[i] = one.Run(context.Background()) })
	}
	f.wait = func() []error { wg.Wait(); return errs }
}

// assign is what a vertex restores.
func (f *flow) assign(m *checkpoint.Manifest, v, parallelism int) []*checkpoint.Restore {
	if m == nil {
		return make([]*checkpoint.Restore, parallelism)
	}
	all, err := checkpoint.Assign(m.Vertices[v], parallelism, 64)
	if err == nil {
		inputs := [flowVertices][]checkpoint.Input{2: {{Hashed: true}, {Hashed: true}}, 3: {{Hashed: f.last == jobgraph.Distribution_DISTRIBUTION_HASH}}}
		err = checkpoint.AssignInFlight(m.Vertices[v], all, 64, inputs[v])
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// part is an attempt's part of a checkpoint; false while it has none.
func (f *flow) part(n id.Checkpoint, a id.Attempt) (*checkpoint.SubtaskState, []task.Committable, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ack, ok := f.acks[n][a.Subtask]; ok {
		return ack.State, ack.Committables, true
	}
	if states := f.states[a]; len(states) > 0 && states[len(states)-1] == task.Finished {
		return &checkpoint.SubtaskState{Index: a.Subtask.Index, Finished: true}, f.done[a].Committables, true
	}
	return nil, nil, false
}

// collect waits for all parts of a checkpoint; it is complete then.
func (f *flow) collect(n id.Checkpoint, most time.Duration) *checkpoint.Manifest {
	f.t.Helper()
	m := &checkpoint.Manifest{Job: f.job[:], Checkpoint: uint64(n), KeyGroups: 64}
	for range flowVertices {
		m.Vertices = append(m.Vertices, &checkpoint.VertexState{})
	}
	f.complete[n] = true
	end := time.Now().Add(most)
	for _, d := range f.spec {
		state, ready, ok := f.part(n, d.Attempt)
		for ; !ok; state, ready, ok = f.part(n, d.Attempt) {
			if time.Sleep(10 * time.Millisecond); time.Now().After(end) {
				f.t.Fatalf("%v has no part of checkpoint %d after %v; declined: %v", d.Attempt, n, most, f.denied)
			}
		}
		v := m.Vertices[d.Attempt.Subtask.Vertex]
		v.Uid, v.Parallelism = d.Vertex.Uid, uint32(d.Parallelism)
		v.Subtasks = append(v.Subtasks, state)
		f.late(d.Attempt)
		f.publish(ready)
	}
	name, err := f.snapshots.Save(f.t.Context(), m)
	if err == nil {
		m, err = f.snapshots.Load(f.t.Context(), name)
	}
	if err == nil {
		err = f.snapshots.Sweep(f.t.Context(), f.job, []*checkpoint.Manifest{m})
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// late publishes what was acknowledged for checkpoints that were given up: it belongs to
// the next one.
func (f *flow) late(a id.Attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, acks := range f.acks {
		if ack, ok := acks[a.Subtask]; ok && !f.complete[n] {
			f.publish(ack.Committables)
			delete(acks, a.Subtask)
		}
	}
}

func (f *flow) publish(ready []task.Committable) {
	for _, c := range ready {
		f.published = append(f.published, strings.Split(string(c.Data), "\n")...)
	}
}

// declined is why parts of checkpoints were refused.
func (f *flow) declined() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprint(f.denied)
}

func barrier(n id.Checkpoint) stream.Barrier {
	return stream.Barrier{Checkpoint: n, Kind: stream.CheckpointKind}
}

func (f *flow) trigger(n id.Checkpoint) {
	for i, d := range f.spec {
		if len(d.In) == 0 {
			f.run[i].Trigger(barrier(n))
		}
	}
}

// kill ends everything.
func (f *flow) kill() {
	f.t.Helper()
	for _, one := range f.run {
		one.Cancel()
	}
	for _, err := range f.wait() {
		if err != nil && failure.Of(err) != failure.Cancelled {
			f.t.Fatal(err)
		}
	}
	for ex := range id.Exchange(3) {
		if err := f.service.Drop(f.t.Context(), f.job, ex); err != nil {
			f.t.Fatal(err)
		}
	}
	f.forget()
}

// finish waits for the end.
func (f *flow) finish() {
	f.t.Helper()
	if err := errors.Join(f.wait()...); err != nil {
		f.t.Fatal(err)
	}
	for _, d := range f.spec {
		f.late(d.Attempt)
		f.publish(f.done[d.Attempt].Committables)
	}
}

// check folds what was published.
func (f *flow) check(total int64) {
	f.t.Helper()
	have := map[string]int{}
	for _, row := range f.published {
		kind, text, _ := strings.Cut(row, " ")
		if kind == "-U" || kind == "-D" {
			have[text]--
		} else {
			have[text]++
		}
	}
	want := map[int64][2]int64{}
	for i := range total {
		w := want[i%f.keys]
		want[i%f.keys] = [2]int64{w[0] + 1, w[1] + i}
	}
	for k, w := range want {
		have[fmt.Sprint(k, " ", w[0], " ", w[1])]--
	}
	for row, n := range have {
		if n != 0 {
			f.t.Errorf("%q: %+d times too often", row, n)
		}
	}
}

// give has the sources read [0, total).
func (f *flow) give(total int64, splits int) {
	each := total / 2 / int64(splits)
	for v := range id.Vertex(2) {
		for i := range int64(splits) {
			from := int64(v)*total/2 + i*each
			to := from + each
			if i == int64(splits)-1 {
				to = int64(v+1) * total / 2
			}
			f.splits[v] = append(f.splits[v], span(from, to))
		}
	}
}

// Behind a sink that takes a second for each batch barriers wait for all that is in flight;
// those that overtake it do not.
func TestOvertakingDoesNotWaitForSlowSinks(t *testing.T) {
	for _, overtake := range []bool{false, true} {
		t.Run(fmt.Sprint(overtake), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return time.Second })
				f.give(4000, 2)
				f.start(2, nil)
				time.Sleep(5 * time.Second)
				began := time.Now()
				f.trigger(1)
				if overtake {
					for i, d := range f.spec {
						if len(d.In) > 0 {
							f.run[i].Overtake(barrier(1))
						}
					}
				}
				f.collect(1, time.Hour)
				took := time.Since(began)
				inFlight, overtaken := int64(0), 0
				for _, ack := range f.acks[1] {
					inFlight += ack.InFlight
					if ack.Overtaken {
						overtaken++
					}
				}
				switch {
				case overtake && (took > 3*time.Second || inFlight == 0 || overtaken != 4):
					t.Errorf("overtaking took %v, %d bytes in flight to %d tasks", took, inFlight, overtaken)
				case !overtake && (took < 5*time.Second || inFlight != 0):
					t.Errorf("aligned it took %v, %d bytes in flight", took, inFlight)
				}
				f.kill()
			})
		})
	}
}

// Whatever is slow, whenever barriers overtake, and at whatever parallelism the job goes
// on from there: what is published is that of a run that nothing has happened to.
func TestRestoresOfOvertakenCheckpointsAreExact(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomFlow(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func randomFlow(t *testing.T, r *rand.Rand) {
	lasts := []jobgraph.Distribution{jobgraph.Distribution_DISTRIBUTION_HASH, jobgraph.Distribution_DISTRIBUTION_REBALANCE}
	slowest := []time.Duration{time.Millisecond, 300 * time.Millisecond, 2 * time.Second}[r.IntN(3)]
	random := func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }
	var mu sync.Mutex
	writes := rand.New(rand.NewPCG(r.Uint64(), 2))
	f := newFlow(t, lasts[r.IntN(2)], func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(writes.Int64N(int64(slowest)))
	})
	p := 1 + r.IntN(3)
	total := int64(500 + r.IntN(4000))
	f.give(total, p)
	f.start(p, nil)
	for n := id.Checkpoint(1); n <= 3; n++ {
		time.Sleep(random(5 * time.Second))
		if n == 1 {
			time.Sleep(10 * time.Millisecond) // all splits are given
		}
		f.trigger(n)
		for _, i := range r.Perm(len(f.run)) {
			if len(f.spec[i].In) > 0 && r.IntN(8) > 0 {
				time.Sleep(random(200 * time.Millisecond))
				f.run[i].Overtake(barrier(n))
			}
		}
		m := f.collect(n, time.Hour)
		f.kill()
		if r.IntN(2) == 0 {
			p = 1 + r.IntN(3)
		}
		f.start(p, m)
	}
	f.finish()
	f.check(total)
	if len(f.denied) > 0 {
		t.Errorf("declined: %v", f.denied)
	}
}

// A checkpoint whose rows in flight cannot be written is declined, and nothing is lost.
func TestUnwritableInFlightIsDeclined(t *testing.T) {
	for _, op := range []faultfs.Op{faultfs.Create, faultfs.Write, faultfs.Commit} {
		t.Run(fmt.Sprint(op), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return 100 * time.Millisecond })
				broken := faultfs.New(memfs.New(memfs.Options{}))
				broken.Inject(faultfs.Rule{Op: op, Path: "/ckpt/*/state/*.inflight", Err: errors.New("disk is gone")})
				f.snapshots = storage.New(broken, "/ckpt", f.ledger.Child("test", 0).Allocator())
				f.give(2000, 1)
				f.start(1, nil)
				time.Sleep(time.Second)
				f.trigger(1)
				for _, one := range f.run {
					one.Overtake(barrier(1))
				}
				time.Sleep(5 * time.Second)
				if !strings.Contains(f.declined(), "disk is gone") {
					t.Errorf("declined: %s", f.declined())
				}
				f.finish()
				f.check(2000)
			})
		})
	}
}

// More in flight than a task may keep is refused by name, and the job goes on.
func TestTooMuchInFlightIsDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return 100 * time.Millisecond })
		f.most = 500
		f.give(2000, 1)
		f.start(1, nil)
		time.Sleep(time.Second)
		f.trigger(1)
		for _, one := range f.run {
			one.Overtake(barrier(1))
		}
		time.Sleep(time.Second)
		if !strings.Contains(f.declined(), "more than 500 bytes are in flight") {
			t.Errorf("declined: %s", f.declined())
		}
		f.finish()
		f.check(2000)
	})
}

// A newer checkpoint ends one that has overtaken and whose barriers never come; orders
// about older ones, or repeated, change nothing.
func TestNewerCheckpointEndsACapture(t *testing.T) {
	for _, overtakes := range []bool{false, true} {
		t.Run(fmt.Sprint(overtakes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return 50 * time.Millisecond })
				f.give(3000, 2)
				f.numbers.gate = &gate{at: 500}
				f.start(2, nil)
				all := func(n id.Checkpoint) {
					for _, one := range f.run[4:] {
						one.Overtake(barrier(n))
					}
				}
				time.Sleep(time.Second)
				all(1) // whose sources are never triggered
				time.Sleep(time.Second)
				f.trigger(2)
				if overtakes {
					all(2)
				}
				all(1)
				m := f.collect(2, time.Hour)
				all(2)
				f.numbers.gate.release()
				time.Sleep(time.Second)
				if !strings.Contains(f.declined(), "a newer checkpoint overtook it") {
					t.Errorf("declined: %s", f.declined())
				}
				f.kill()
				f.start(3, m)
				f.finish()
				f.check(3000)
			})
		})
	}
}

// A capture that waits for barriers does not keep the task from its work.
func TestCaptureDoesNotHoldTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return 0 })
		f.give(3000, 1)
		f.numbers.gate = &gate{at: 1000}
		f.start(1, nil)
		time.Sleep(time.Second)
		for _, one := range f.run[2:] {
			one.Overtake(barrier(1)) // whose sources are never triggered
		}
		f.numbers.gate.release()
		f.finish()
		f.check(3000)
	})
}

// What is damaged of rows in flight is an error that names the file.
func TestDamagedInFlightIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return time.Second })
		f.give(1000, 1)
		f.start(1, nil)
		time.Sleep(time.Second)
		f.trigger(1)
		for _, one := range f.run {
			one.Overtake(barrier(1))
		}
		m := f.collect(1, time.Hour)
		f.kill()
		for _, flight := range m.Vertices[3].Subtasks[0].InFlight {
			flight.Blocks[0].Crc32C++
		}
		f.start(1, m)
		time.Sleep(time.Second)
		for _, one := range f.run {
			one.Cancel()
		}
		err := errors.Join(f.wait()...)
		if !errors.Is(err, checkpoint.ErrCorrupt) || !strings.Contains(err.Error(), ".inflight, byte 16") {
			t.Error(err)
		}
	})
}
