package scheduler_test

// Masters' stores that share their content in memory, workers that do what they are told
// at once or when a test lets them, and clients that look for the leading master.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler"
)

// replicas is the state that stores share: what a majority has.
type replicas struct {
	mu      sync.Mutex
	entries map[string]raftmeta.Entry // by bucket/key
	blobs   map[raftmeta.BlobName][]byte
	rev     raftmeta.Revision
	leader  string
	term    id.Term
	changed chan struct{}
	members []raftmeta.Member
	agree   chan struct{}              // a master that joins is a member, and Join returns when it is closed; nil: at once
	fault   func(t raftmeta.Txn) error // asked before each transaction
	after   func(t raftmeta.Txn) error // asked after it has happened, without the lock
}

func newReplicas() *replicas {
	return &replicas{entries: map[string]raftmeta.Entry{}, blobs: map[raftmeta.BlobName][]byte{}, changed: make(chan struct{})}
}

// elect has a master lead; "" deposes the one that does.
func (r *replicas) elect(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leader = name
	r.term++
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *replicas) setFault(f func(t raftmeta.Txn) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

func (r *replicas) setAfter(f func(t raftmeta.Txn) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = f
}

// replica is the store of one master.
type replica struct {
	*replicas
	name string
}

var (
	_ raftmeta.Cluster = replica{}
	_ raftmeta.Blobs   = blobs{}
)

func (s replica) check(term id.Term) error {
	if s.leader != s.name {
		return failure.Wrap(failure.Transient, raftmeta.ErrNotLeader)
	}
	if term != 0 && term != s.term {
		return failure.Wrap(failure.Conflict, raftmeta.ErrFenced)
	}
	return nil
}

func (s replica) Get(_ context.Context, b raftmeta.Bucket, key string) (raftmeta.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(0); err != nil {
		return raftmeta.Entry{}, err
	}
	e, ok := s.entries[string(b)+"/"+key]
	if !ok {
		return raftmeta.Entry{}, failure.Wrap(failure.NotFound, raftmeta.ErrNotFound)
	}
	return e, nil
}

func (s replica) List(_ context.Context, b raftmeta.Bucket, prefix string) ([]raftmeta.Entry, raftmeta.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(0); err != nil {
		return nil, 0, err
	}
	var out []raftmeta.Entry
	for _, e := range s.entries {
		if e.Bucket == b && strings.HasPrefix(e.Key, prefix) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b raftmeta.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out, s.rev, nil
}

func (s replica) Apply(ctx context.Context, t raftmeta.Txn) (raftmeta.Revision, error) {
	rev, err := s.apply(ctx, t)
	s.mu.Lock()
	after := s.after
	s.mu.Unlock()
	if err == nil && after != nil {
		err = after(t)
	}
	return rev, err
}

func (s replica) apply(ctx context.Context, t raftmeta.Txn) (raftmeta.Revision, error) {
	if err := (raftmeta.Limits{}).Complete().Check(t); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := s.check(t.Term); err != nil {
		return 0, err
	}
	if s.fault != nil {
		if err := s.fault(t); err != nil {
			return 0, err
		}
	}
	for _, op := range t.Ops {
		if now := s.entries[string(op.Bucket)+"/"+op.Key].Revision; op.Expect != raftmeta.Any && op.Expect != now {
			return 0, failure.Wrap(failure.Conflict, &raftmeta.ConflictError{Bucket: op.Bucket, Key: op.Key, Expected: op.Expect, Actual: now})
		}
	}
	s.rev++
	for _, op := range t.Ops {
		switch at := string(op.Bucket) + "/" + op.Key; op.Kind {
		case raftmeta.OpPut:
			s.entries[at] = raftmeta.Entry{Bucket: op.Bucket, Key: op.Key, Value: slices.Clone(op.Value), Revision: s.rev}
		case raftmeta.OpDelete:
			delete(s.entries, at)
		}
	}
	return s.rev, nil
}

func (s replica) Watch(context.Context, raftmeta.Bucket, string, raftmeta.Revision) (raftmeta.Watcher, error) {
	return nil, errors.New("nobody watches here")
}

func (s replica) Leadership(ctx context.Context, known raftmeta.Leadership) (raftmeta.Leadership, error) {
	for {
		s.mu.Lock()
		now, changed := raftmeta.Leadership{Leader: s.leader}, s.changed
		if s.leader == s.name {
			now.Leading, now.Term = true, s.term
		}
		s.mu.Unlock()
		if now != known {
			return now, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return raftmeta.Leadership{}, ctx.Err()
		}
	}
}

func (s replica) Close() error { return nil }

func (s replica) Members(context.Context) ([]raftmeta.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.members), nil
}

func (s replica) Join(_ context.Context, m raftmeta.Member) error {
	s.mu.Lock()
	s.members = append(s.members, m)
	agree := s.agree
	s.mu.Unlock()
	if agree != nil {
		<-agree
	}
	return nil
}

func (s replica) Remove(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = slices.DeleteFunc(s.members, func(m raftmeta.Member) bool { return m.ID == name })
	return nil
}

// lose has a master not have been heard of for some time.
func (r *replicas) lose(name string, ago time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.members {
		if r.members[i].ID == name {
			r.members[i].Lost = time.Now().Add(-ago)
		}
	}
}

// blobs are what a majority keeps.
type blobs struct{ *replicas }

func (b blobs) Put(_ context.Context, data []byte) (raftmeta.BlobName, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := raftmeta.NameOf(data)
	b.blobs[name] = slices.Clone(data)
	return name, nil
}

func (b blobs) Get(_ context.Context, name raftmeta.BlobName) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.blobs[name]
	if !ok {
		return nil, failure.Wrap(failure.NotFound, raftmeta.ErrNotFound)
	}
	return data, nil
}

func (b blobs) Collect(_ context.Context, used func(raftmeta.BlobName) bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.blobs {
		if !used(name) {
			delete(b.blobs, name)
		}
	}
	return nil
}

// cluster is masters, workers and the transport between them, in a bubble of fake time.
type cluster struct {
	*testing.T
	*rpc.Local
	store   *replicas
	running sync.WaitGroup
	root    context.Context

	mu      sync.Mutex
	masters map[string]*scheduler.Candidate
	kill    map[string]context.CancelFunc
	ran     map[id.Job][]run
	commits map[id.Job][]string
	swept   map[id.Job]bool // of what nobody knows of
	// task is what each attempt does between RUNNING and FINISHED; nil: nothing.
	task func(r *rpc.DeployRequest) error
	// commit is asked before a publication.
	commit func(r *rpc.CommitRequest) error
}

// run is an attempt that was started.
type run struct {
	term    uint64
	attempt uint32
	worker  id.Worker
}

// newCluster starts masters, of which the first leads.
func newCluster(t *testing.T, o scheduler.Options, names ...string) *cluster {
	root, stop := context.WithCancel(t.Context())
	c := &cluster{
		T: t, Local: rpc.NewLocal(rpc.LocalOptions{Serialize: true}), store: newReplicas(), root: root,
		masters: map[string]*scheduler.Candidate{}, kill: map[string]context.CancelFunc{},
		ran: map[id.Job][]run{}, commits: map[id.Job][]string{}, swept: map[id.Job]bool{},
	}
	t.Cleanup(func() {
		stop()
		c.running.Wait()
	})
	for _, name := range names {
		c.start(name, o)
	}
	c.ServeMaster(leading{c})
	c.store.elect(names[0])
	return c
}

// start starts a master.
func (c *cluster) start(name string, o scheduler.Options) {
	o.Store, o.Blobs, o.Dialer, o.Name = replica{c.store, name}, blobs{c.store}, c.Local, name
	m := scheduler.NewCandidate(scheduler.CandidateOptions{
		Master: o, AddressOf: func(l raftmeta.Leadership) string { return "addr-of-" + l.Leader },
	})
	ctx, kill := context.WithCancel(c.root)
	c.mu.Lock()
	c.masters[name], c.kill[name] = m, kill
	c.mu.Unlock()
	c.running.Go(func() {
		if err := m.Run(ctx); err != nil {
			c.Errorf("master %s: %v", name, err)
		}
	})
}

// die ends a master at once: nothing that it does from now on is heard.
func (c *cluster) die(name string) {
	c.store.elect("")
	c.mu.Lock()
	kill := c.kill[name]
	delete(c.masters, name)
	c.mu.Unlock()
	kill()
}

// find is the master that leads.
func (c *cluster) find() (*scheduler.Master, error) {
	c.mu.Lock()
	all := make([]*scheduler.Candidate, 0, len(c.masters))
	for _, m := range c.masters {
		all = append(all, m)
	}
	c.mu.Unlock()
	err := failure.Wrap(failure.Transient, rpc.ErrUnreachable)
	for _, m := range all {
		var found *scheduler.Master
		if found, err = m.Leading(); err == nil {
			return found, nil
		}
	}
	return nil, err
}

// ask calls the leading master until one answers otherwise than with Transient.
func ask[R any](c *cluster, call func(m *scheduler.Master) (R, error)) (R, error) {
	for range 600 {
		m, err := c.find()
		var r R
		if err == nil {
			r, err = call(m)
		}
		if err == nil || failure.Of(err) != failure.Transient {
			return r, err
		}
		<-time.After(50 * time.Millisecond)
	}
	var none R
	return none, errors.New("no master answers")
}

// leading is the leading master as workers see it.
type leading struct{ c *cluster }

func (l leading) Register(ctx context.Context, r *rpc.RegisterRequest) (*rpc.RegisterReply, error) {
	return tell(l.c, func(m *scheduler.Master) (*rpc.RegisterReply, error) { return m.Register(ctx, r) })
}

func (l leading) Heartbeat(ctx context.Context, r *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	return tell(l.c, func(m *scheduler.Master) (*rpc.HeartbeatReply, error) { return m.Heartbeat(ctx, r) })
}

func (l leading) Report(ctx context.Context, r *rpc.TaskReport) (*rpc.TaskReply, error) {
	return tell(l.c, func(m *scheduler.Master) (*rpc.TaskReply, error) { return m.Report(ctx, r) })
}

func (l leading) Acknowledge(ctx context.Context, r *rpc.AckRequest) (*rpc.AckReply, error) {
	return tell(l.c, func(m *scheduler.Master) (*rpc.AckReply, error) { return m.Acknowledge(ctx, r) })
}

func (l leading) Leave(ctx context.Context, r *rpc.LeaveRequest) (*rpc.LeaveReply, error) {
	return tell(l.c, func(m *scheduler.Master) (*rpc.LeaveReply, error) { return m.Leave(ctx, r) })
}

func (l leading) Decline(ctx context.Context, r *rpc.DeclineRequest) (*rpc.DeclineReply, error) {
	return tell(l.c, func(m *scheduler.Master) (*rpc.DeclineReply, error) { return m.Decline(ctx, r) })
}

func tell[R any](c *cluster, call func(m *scheduler.Master) (R, error)) (R, error) {
	m, err := c.find()
	if err != nil {
		var none R
		return none, err
	}
	return call(m)
}

// worker is a worker, and its coordinator tasks.
type worker struct {
	rpc.WorkerClient
	rpc.CoordinatorClient
	c    *cluster
	name id.Worker
	stop context.CancelFunc

	mu      sync.Mutex
	terms   rpc.Terms
	dropped map[id.Job]int
	lines   []*rpc.LogLine
}

// join starts a worker.
func (c *cluster) join(name string, slots uint32) *worker {
	ctx, stop := context.WithCancel(c.root)
	w := &worker{c: c, name: id.Worker(name), stop: stop, dropped: map[id.Job]int{}}
	c.ServeWorker(w.name, w, coordinatorOf{w})
	c.running.Go(func() { w.beat(ctx, &rpc.RegisterRequest{Worker: name, Slots: slots}) })
	return w
}

// beat keeps the worker registered.
func (w *worker) beat(ctx context.Context, who *rpc.RegisterRequest) {
	known := false
	for ctx.Err() == nil {
		if !known {
			_, err := w.c.Master().Register(ctx, who)
			known = err == nil
		} else if r, err := w.c.Master().Heartbeat(ctx, &rpc.HeartbeatRequest{Worker: who.GetWorker()}); err == nil && r.GetUnknown() {
			known = false
			continue
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// die ends a worker at once.
func (w *worker) die() {
	w.stop()
	w.c.ServeWorker(w.name, nil, nil)
}

func (w *worker) Deploy(_ context.Context, r *rpc.DeployRequest) (*rpc.DeployReply, error) {
	job, _, err := w.terms.Admit(r.GetJob())
	if err != nil {
		return nil, err
	}
	w.c.mu.Lock()
	w.c.ran[job] = append(w.c.ran[job], run{term: r.GetJob().GetTerm(), attempt: r.GetAttempt().GetNumber(), worker: w.name})
	task := w.c.task
	w.c.mu.Unlock()
	w.c.running.Go(func() {
		report := &rpc.TaskReport{Job: r.GetJob(), Attempt: r.GetAttempt(), State: rpc.TaskState_TASK_STATE_RUNNING}
		w.report(report)
		if task != nil {
			if err := task(r); err != nil {
				report = proto.CloneOf(report)
				report.State, report.Failure = rpc.TaskState_TASK_STATE_FAILED, rpc.ToFailure(err)
				w.report(report)
				return
			}
		}
		report = proto.CloneOf(report)
		report.State = rpc.TaskState_TASK_STATE_FINISHED
		report.Committables = []*rpc.Committable{{Operator: "sink", Data: []byte(job.String()), Rows: 7}}
		w.report(report)
	})
	return &rpc.DeployReply{}, nil
}

// report tries again while no master takes it.
func (w *worker) report(r *rpc.TaskReport) {
	for w.c.root.Err() == nil {
		if _, err := w.c.Master().Report(w.c.root, r); err == nil || !failure.Of(err).Retryable() {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (w *worker) Cancel(ctx context.Context, r *rpc.CancelRequest) (*rpc.CancelReply, error) {
	for _, a := range r.GetAttempts() {
		w.c.running.Go(func() {
			w.report(&rpc.TaskReport{Job: r.GetJob(), Attempt: a, State: rpc.TaskState_TASK_STATE_CANCELLED})
		})
	}
	return &rpc.CancelReply{}, nil
}

func (w *worker) StandBy(context.Context, *rpc.StandByRequest) (*rpc.StandByReply, error) {
	return &rpc.StandByReply{}, nil
}

func (w *worker) Rewind(context.Context, *rpc.RewindRequest) (*rpc.RewindReply, error) {
	return &rpc.RewindReply{}, nil
}

func (w *worker) Drop(_ context.Context, r *rpc.DropRequest) (*rpc.DropReply, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped[id.Job(r.GetJob().GetJob())]++
	return &rpc.DropReply{}, nil
}

func (w *worker) StartCoordinator(_ context.Context, r *rpc.CoordinatorRequest) (*rpc.CoordinatorReply, error) {
	_, _, err := w.terms.Admit(r.GetJob())
	return &rpc.CoordinatorReply{}, err
}

func (w *worker) Logs(context.Context, *rpc.LogsRequest) (*rpc.LogsReply, error) {
	return &rpc.LogsReply{Lines: w.lines}, nil
}

// coordinatorOf is the worker as a coordinator: both have methods of one name.
type coordinatorOf struct{ *worker }

func (w coordinatorOf) NextSplit(context.Context, *rpc.SplitRequest) (*rpc.SplitReply, error) {
	return &rpc.SplitReply{Ended: true}, nil
}

func (w coordinatorOf) Reset(context.Context, *rpc.ResetRequest) (*rpc.ResetReply, error) {
	return &rpc.ResetReply{}, nil
}

func (w coordinatorOf) Snapshot(context.Context, *rpc.SnapshotRequest) (*rpc.SnapshotReply, error) {
	return &rpc.SnapshotReply{}, nil
}

func (w coordinatorOf) Progress(context.Context, *rpc.ProgressRequest) (*rpc.ProgressReply, error) {
	return &rpc.ProgressReply{SplitsAssigned: 1, SplitsTotal: 2}, nil
}

func (w coordinatorOf) Abort(_ context.Context, r *rpc.AbortRequest) (*rpc.AbortReply, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.swept[id.Job(r.GetJob().GetJob())] = r.GetSweep()
	return &rpc.AbortReply{}, nil
}

func (w coordinatorOf) Commit(_ context.Context, r *rpc.CommitRequest) (*rpc.CommitReply, error) {
	job, _, err := w.terms.Admit(r.GetJob())
	if err != nil {
		return nil, err
	}
	w.c.mu.Lock()
	before := w.c.commit
	w.c.mu.Unlock()
	if before != nil {
		if err := before(r); err != nil {
			return nil, err
		}
	}
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	var staged []string
	for _, s := range r.GetCommittables() {
		staged = append(staged, string(s.GetData()))
	}
	w.c.commits[job] = append(w.c.commits[job], fmt.Sprint(staged))
	return &rpc.CommitReply{}, nil
}

// insert is a job of one vertex that reads a table and writes one; its graph has about
// so many bytes.
func insert(name string, size int) *jobgraph.Graph {
	text := strings.Repeat(name+" ", size/(len(name)+1)+1)[:size]
	return &jobgraph.Graph{
		Version: 1, Name: name, Mode: jobgraph.Mode_MODE_BATCH, KeyGroups: 128,
		Vertices: []*jobgraph.Vertex{{Id: 0, Name: "all", Parallelism: 1, Chain: []*jobgraph.Operator{
			{Uid: "source", Spec: &jobgraph.Operator_Source{Source: &jobgraph.Source{Connector: "fake", Table: "from"}}},
			{Uid: "sink", Spec: &jobgraph.Operator_Sink{Sink: &jobgraph.Sink{Connector: "fake", Table: "to", Options: map[string]string{"text": text}}}},
		}}},
	}
}

// query is a job whose result a client reads.
func query(name string) *jobgraph.Graph {
	values := &jobgraph.Operator{Uid: "values", Spec: &jobgraph.Operator_Calc{Calc: &jobgraph.Calc{}}}
	return &jobgraph.Graph{
		Version: 1, Name: name, Mode: jobgraph.Mode_MODE_BATCH, KeyGroups: 128,
		Vertices:  []*jobgraph.Vertex{{Id: 0, Name: "all", Parallelism: 1, Chain: []*jobgraph.Operator{values}, Outputs: []uint32{0}}},
		Exchanges: []*jobgraph.Exchange{{Id: 0, Result: true, Distribution: jobgraph.Distribution_DISTRIBUTION_SINGLETON, Retention: jobgraph.Retention_RETENTION_NONE}},
	}
}

// submit is a client's call, with a name of its own; it is repeated until it is answered.
func (c *cluster) submit(g *jobgraph.Graph) id.Job {
	c.Helper()
	call := id.NewJob()
	r, err := ask(c, func(m *scheduler.Master) (*rpc.SubmitReply, error) {
		return m.Submit(c.root, &rpc.SubmitRequest{Graph: g, Request: call[:]})
	})
	if err != nil {
		c.Fatalf("submit %s: %v", g.GetName(), err)
	}
	return id.Job(r.GetJob())
}

// get describes a job.
func (c *cluster) get(job id.Job) *rpc.JobStatus {
	c.Helper()
	s, err := ask(c, func(m *scheduler.Master) (*rpc.JobStatus, error) {
		return m.GetJob(c.root, &rpc.GetJobRequest{Job: job[:]})
	})
	if err != nil {
		c.Fatalf("get %v: %v", job, err)
	}
	return s
}

// wait waits until a job is over.
func (c *cluster) wait(job id.Job) *rpc.JobStatus {
	c.Helper()
	known := ""
	for {
		s, err := ask(c, func(m *scheduler.Master) (*rpc.JobStatus, error) {
			return m.GetJob(c.root, &rpc.GetJobRequest{Job: job[:], KnownState: known})
		})
		if err != nil {
			c.Fatalf("wait for %v: %v", job, err)
		}
		if s.GetOver() {
			return s
		}
		known = s.GetState()
	}
}

// runs lists the terms under which a job's attempts have run.
func (c *cluster) runs(job id.Job) []run {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ran[job])
}

func (c *cluster) published(job id.Job) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.commits[job])
}

func (c *cluster) sweptOf(job id.Job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.swept[job]
}

func (c *cluster) set(task func(*rpc.DeployRequest) error, commit func(*rpc.CommitRequest) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.task, c.commit = task, commit
}
