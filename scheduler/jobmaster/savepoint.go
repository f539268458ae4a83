package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

const (
	// savepointWait is how long a request for a savepoint waits for it.
	savepointWait = 20 * time.Second
	// maxSavepoints bounds how many requests are remembered.
	maxSavepoints = 100
	// gatherTries is how often a savepoint is copied, by another worker each time.
	gatherTries = 5
)

// savepoint is one that was asked for.
type savepoint struct {
	request string
	path    string
	done    chan struct{} // closed when the rest is set
	n       id.Checkpoint
	err     error
}

// Savepoint takes a savepoint, or waits on for one of the same request. A job whose master
// ends before answers Transient: another one may lead it.
func (m *Master) Savepoint(ctx context.Context, r *rpc.SavepointRequest) (*rpc.SavepointReply, error) {
	s, err := m.askSavepoint(r)
	if err != nil {
		return nil, fmt.Errorf("savepoint of job %v: %w", m.opts.Job, err)
	}
	wait := savepointWait
	if r.GetAtOnce() {
		wait = 0
	}
	enough := time.NewTimer(wait)
	defer enough.Stop()
	select {
	case <-s.done:
	case <-enough.C:
		return &rpc.SavepointReply{}, nil
	case <-m.done:
		select {
		case <-s.done:
		default:
			return nil, failure.Errorf(failure.Transient, "savepoint of job %v: the job has ended meanwhile", m.opts.Job)
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a savepoint of job %v: %w", m.opts.Job, ctx.Err())
	}
	if s.err != nil {
		return nil, fmt.Errorf("savepoint of job %v: %w", m.opts.Job, s.err)
	}
	return &rpc.SavepointReply{Path: s.path, Checkpoint: uint64(s.n)}, nil
}

// askSavepoint returns what is known of a request, from now on if nothing was.
func (m *Master) askSavepoint(r *rpc.SavepointRequest) (*savepoint, error) {
	dir := r.GetDirectory()
	if dir == "" {
		dir = config.SavepointDir.Get(m.config)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.savepoints {
		if s.request == string(r.GetRequest()) && s.request != "" {
			return s, nil
		}
	}
	switch {
	case r.GetKnown():
		return nil, failure.Errorf(failure.NotFound, "nobody has asked for it here")
	case !m.checkpointed:
		return nil, m.uncheckpointed()
	case dir == "":
		return nil, failure.Errorf(failure.Usage, "name a directory, or set %s", config.SavepointDir.Key())
	case r.GetDrain() && !r.GetStop():
		return nil, failure.Errorf(failure.Usage, "only a job that is stopped can be drained")
	}
	unique := id.NewJob()
	s := &savepoint{
		request: string(r.GetRequest()), done: make(chan struct{}),
		path: fs.Join(dir, fmt.Sprintf("savepoint-%s-%s", m.opts.Job.String()[:8], unique.String()[:12])),
	}
	if len(m.savepoints) == maxSavepoints {
		m.savepoints = m.savepoints[1:]
	}
	m.savepoints = append(m.savepoints, s)
	kind := stream.SavepointKind
	switch {
	case r.GetDrain():
		kind = stream.DrainSavepoint
	case r.GetStop():
		kind = stream.StopSavepoint
	}
	m.post(func() { m.takeSavepoint(kind, s) })
	return s, nil
}

// uncheckpointed is why a job that takes no checkpoints takes no savepoint.
func (m *Master) uncheckpointed() error {
	if !m.layout.streaming() {
		return failure.Errorf(failure.Usage, "it is a batch job, which has no state to keep")
	}
	return failure.Errorf(failure.Usage, "the job takes no checkpoints: set %s and %s", config.CheckpointInterval.Key(), config.CheckpointDir.Key())
}

func (m *Master) takeSavepoint(kind stream.BarrierKind, s *savepoint) {
	done := func(n id.Checkpoint, cause error) {
		s.n, s.err = n, cause
		close(s.done)
	}
	if m.checkpoints == nil { // it looks for what to start from
		done(0, failure.Errorf(failure.Transient, "the job has not begun"))
		return
	}
	m.checkpoint(m.checkpoints.Now(checkpointing.Request{Kind: kind, Directory: s.path, Done: done}))
}

// gather has a worker copy a savepoint to its directory; with one that stops the job it is
// recorded that the job ends so.
func (m *Master) gather(a checkpointing.Gather) {
	n, first := id.Checkpoint(a.Manifest.GetCheckpoint()), m.coordinator
	m.gatherer.add(func(ctx context.Context) {
		err := m.copySavepoint(ctx, first, a)
		if err == nil && a.Request.Kind.Stops() && m.opts.Stopped != nil {
			err = m.opts.Stopped(ctx, a.Request.Directory)
			if errors.Is(err, ErrDeposed) {
				m.suspend(err)
				return
			}
		}
		m.post(func() { m.checkpoint(m.checkpoints.Gathered(n, err)) })
	})
}

// copySavepoint asks a worker, and another one if that may help: what was half copied is
// removed or written again.
func (m *Master) copySavepoint(ctx context.Context, w id.Worker, a checkpointing.Gather) error {
	r := &rpc.GatherRequest{Job: m.ref(), Manifest: m.store.Files.Locate(a.Manifest), Directory: a.Request.Directory}
	pause := commitFirstPause
	for try := 1; ; try++ {
		err := failure.Errorf(failure.Transient, "there is no worker to copy it")
		if w != "" {
			_, err = m.opts.Dialer.Coordinator(w).Gather(ctx, r)
		}
		if err == nil || !failure.Of(err).Retryable() && !gone(err) || try == gatherTries {
			return err
		}
		m.opts.Log.Warn("copying a savepoint is tried again", "job", m.opts.Job, "try", try, "worker", w, "error", err)
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return err
		}
		w = ""
		if workers := m.opts.Resources.Usable(); len(workers) > 0 {
			w = workers[(int(m.opts.Job[0])+try)%len(workers)]
		}
	}
}

// letGoOn lets sources go on that a savepoint has silenced, or restarts the job.
func (m *Master) letGoOn(a checkpointing.Resume) {
	if a.Restart != nil {
		if m.handle(execgraph.EnumeratorsLost{Cause: a.Restart}); m.graph.State() != execgraph.JobRestarting {
			m.handle(execgraph.Fail{Cause: a.Restart})
		}
		return
	}
	for w, attempts := range m.byWorker(a.Attempts) {
		m.tell(w, func(ctx context.Context) {
			r := &rpc.NotifyRequest{Job: m.ref(), Attempts: rpc.FromAttempts(attempts), Checkpoint: uint64(a.Checkpoint), GivenUp: true}
			if _, err := m.opts.Dialer.Worker(w).Notify(ctx, r); err != nil {
				m.opts.Log.Warn("sources go on with the next checkpoint", "job", m.opts.Job, "worker", w, "error", err)
			}
		})
	}
}

// Checkpoints tells what is remembered of the job's checkpoints.
func (m *Master) Checkpoints(most int) *rpc.CheckpointsReply { return m.history.List(most) }

// mostPlanBytes bounds what each manifest has of the graph.
const mostPlanBytes = 64 << 10

// shown is the graph as manifests show it: which vertices there are, of which operators, and
// what lies between them. Nothing that a table's options say, which may be secret, is in it.
func (l *layout) shown() []byte {
	g := &jobgraph.Graph{Name: l.graph.GetName(), KeyGroups: l.graph.GetKeyGroups()}
	for _, v := range l.graph.GetVertices() {
		one := &jobgraph.Vertex{Id: v.GetId(), Uid: v.GetUid(), Name: v.GetName(), Inputs: v.GetInputs(), Outputs: v.GetOutputs()}
		for _, op := range v.GetChain() {
			one.Chain = append(one.Chain, &jobgraph.Operator{Uid: op.GetUid(), Name: op.GetName()})
		}
		g.Vertices = append(g.Vertices, one)
	}
	for _, x := range l.graph.GetExchanges() {
		g.Exchanges = append(g.Exchanges, &jobgraph.Exchange{
			Id: x.GetId(), Producer: x.GetProducer(), Consumer: x.GetConsumer(), Distribution: x.GetDistribution(),
		})
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(g)
	if err != nil || len(data) > mostPlanBytes {
		return nil // it is to be looked at only
	}
	return data
}
