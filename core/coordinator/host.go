package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/endpoint"
	"github.com/tidemill/tidemill/core/rpc"
)

// Connectors finds a connector by the value of its 'connector' option.
type Connectors func(name string) (connector.Connector, error)

// Gatherer copies the files of a checkpoint, which its manifest names by URIs, into a
// directory; core/checkpoint/storage.Gather is one.
type Gatherer func(ctx context.Context, m *checkpoint.Manifest, dir string) (*checkpoint.Manifest, error)

// Host runs the coordinator tasks of a worker.
type Host struct {
	connectors Connectors
	gatherer   Gatherer

	mu    sync.Mutex
	terms rpc.Terms
	tasks map[id.Job]*task
}

var _ rpc.CoordinatorClient = (*Host)(nil)

// New returns a host without tasks. Without a Gatherer no job can take savepoints.
func New(c Connectors, g Gatherer) *Host {
	return &Host{connectors: c, gatherer: g, tasks: map[id.Job]*task{}}
}

// task is the coordinator task of one job.
type task struct {
	job     id.Job
	origin  id.Job // what committers know the job by
	sources map[id.Vertex]*source
	sinks   map[string]*sink // by the operator's uid
}

// Start starts a job's task, and ends the one that ran before.
func (h *Host) Start(ctx context.Context, r *rpc.CoordinatorRequest) error {
	job, _, err := h.terms.Admit(r.GetJob())
	if err != nil {
		return err
	}
	t, err := h.build(ctx, job, r)
	if err != nil {
		return errors.Join(fmt.Errorf("start coordinator of job %v: %w", job, err), t.close(context.WithoutCancel(ctx)))
	}
	h.mu.Lock()
	if err := ctx.Err(); err != nil { // another start may have come since
		h.mu.Unlock()
		return errors.Join(fmt.Errorf("start coordinator of job %v: %w", job, err), t.close(context.WithoutCancel(ctx)))
	}
	old := h.tasks[job]
	h.tasks[job] = t
	h.mu.Unlock()
	return old.close(ctx)
}

func (h *Host) build(ctx context.Context, job id.Job, r *rpc.CoordinatorRequest) (*task, error) {
	t := &task{job: job, origin: job, sources: map[id.Vertex]*source{}, sinks: map[string]*sink{}}
	if len(r.GetOrigin()) == len(t.origin) {
		t.origin = id.Job(r.GetOrigin())
	}
	for _, v := range r.GetVertices() {
		for _, op := range v.GetVertex().GetChain() {
			var err error
			switch {
			case op.GetSource() != nil:
				err = h.addSource(ctx, t, v, op)
			case op.GetSink() != nil:
				err = h.addSink(ctx, t, v, op)
			}
			if err != nil {
				return t, err
			}
		}
	}
	return t, nil
}

func (h *Host) addSource(ctx context.Context, t *task, v *rpc.CoordinatedVertex, op *jobgraph.Operator) error {
	c, err := h.connectors(op.GetSource().GetConnector())
	if err != nil {
		return err
	}
	spec, err := endpoint.SourceSpec(op.GetSource(), int(v.GetParallelism()))
	if err != nil {
		return err
	}
	restored := &rpc.EnumeratorState{}
	var position []byte
	if v.Restored != nil {
		if err := proto.Unmarshal(v.GetRestored(), restored); err != nil {
			return failure.Errorf(failure.BadData, "position of source %s: %w", spec.Table.Name, err)
		}
		if position = restored.GetEnumerator(); position == nil {
			position = []byte{} // nil would be a fresh start
		}
	}
	enum, err := c.Enumerator(ctx, spec, position)
	if err != nil {
		return err
	}
	var back []connector.Split
	for _, split := range restored.GetUnreceived() {
		back = append(back, split.Connector())
	}
	for _, part := range restored.GetParts() {
		splits, err := endpoint.Splits(part)
		if err != nil {
			return errors.Join(fmt.Errorf("source %s: %w", spec.Table.Name, err), enum.Close())
		}
		back = append(back, splits...)
	}
	if len(back) > 0 {
		enum.Return(back)
	}
	t.sources[id.Vertex(v.GetVertex().GetId())] = newSource(spec.Table.Name, enum, v.GetBounded(), int(v.GetParallelism()), v.GetFirstAttempt())
	return nil
}

func (h *Host) addSink(ctx context.Context, t *task, v *rpc.CoordinatedVertex, op *jobgraph.Operator) error {
	c, err := h.connectors(op.GetSink().GetConnector())
	if err != nil {
		return err
	}
	spec, err := endpoint.SinkSpec(t.origin, op.GetSink(), v.GetBounded())
	if err != nil {
		return err
	}
	committer, err := c.Committer(ctx, spec)
	if err != nil {
		return err
	}
	t.sinks[op.GetUid()] = newSink(spec.Table.Name, committer)
	return nil
}

// Stop ends a job's task and forgets the job; without one it does nothing.
func (h *Host) Stop(ctx context.Context, job id.Job) error {
	h.mu.Lock()
	t := h.tasks[job]
	delete(h.tasks, job)
	h.mu.Unlock()
	h.terms.Forget(job)
	return t.close(ctx)
}

// Close ends all tasks.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	tasks := h.tasks
	h.tasks = map[id.Job]*task{}
	h.mu.Unlock()
	var all error
	for _, t := range tasks {
		all = errors.Join(all, t.close(ctx))
	}
	return all
}

func (t *task) close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	var all error
	for _, s := range t.sources {
		all = errors.Join(all, s.close(ctx))
	}
	for _, s := range t.sinks {
		all = errors.Join(all, s.close(ctx))
	}
	if all != nil {
		return fmt.Errorf("end coordinator of job %v: %w", t.job, all)
	}
	return nil
}

// find admits a request and returns the task of its job.
func (h *Host) find(r *rpc.JobRef) (*task, error) {
	job, _, err := h.terms.Admit(r)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.tasks[job]
	if !ok {
		h.terms.Forget(job)
		return nil, failure.Wrap(failure.Conflict, fmt.Errorf("coordinator of job %v: %w", job, rpc.ErrGone))
	}
	return t, nil
}
