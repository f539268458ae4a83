package jobmaster

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// Publication is the output that a batch job has decided to publish: its tasks have
// finished, and whoever leads the job brings this to its end instead of running it
// again.
type Publication struct {
	Staged []*rpc.Committable
}

// resume finishes a publication that an earlier job master had decided.
func (m *Master) resume() {
	m.resumed = true
	m.count(m.opts.Decided.Staged, 1)
	m.conclude(execgraph.JobFinished, nil, m.opts.Decided.Staged)
}

// ErrDeposed says that this master does not lead any more: the job goes on, or is
// published, under another one.
var ErrDeposed = errors.New("this master was deposed")

// hand publishes what a batch job has staged, after it has had that recorded, and returns
// the worker with the coordinator task. With ErrDeposed it has published nothing, and
// another job master may.
func (m *Master) hand(ctx context.Context, w id.Worker, staged []*rpc.Committable) (id.Worker, error) {
	if m.opts.Decide != nil && !m.resumed {
		if err := m.opts.Decide(ctx, Publication{Staged: staged}); err != nil {
			return w, fmt.Errorf("record the publication: %w", err)
		}
	}
	if err := failpoint.Hit(failpoint.SinkCommit); err != nil {
		return w, err
	}
	r := &rpc.CommitRequest{Job: m.ref(), Committables: staged, Final: true}
	if w != "" {
		if err := m.commit(ctx, w, r); !gone(err) {
			return w, err
		}
	}
	return m.handElsewhere(ctx, m.opts.Job, r)
}

// gone says that the coordinator task is not where it was.
func gone(err error) bool {
	return errors.Is(err, rpc.ErrUnreachable) || errors.Is(err, rpc.ErrGone)
}

// handElsewhere publishes with a coordinator task of its own on any worker that there
// is, and tries again while workers are away: what was decided is published, if it can
// be. Committers know the job by its origin.
func (m *Master) handElsewhere(ctx context.Context, origin id.Job, r *rpc.CommitRequest) (w id.Worker, err error) {
	err = m.repeat(ctx, "to publish elsewhere", handTries, nil, func() (err error) {
		if w, err = m.startCoordinator(ctx, "", m.layout.committing(), origin); err == nil {
			err = m.commitOnce(ctx, w, r)
		}
		if known := w; known != "" {
			m.post(func() { m.workers[known] = true })
		}
		return err
	})
	return w, err
}

// committing lists the vertices with sinks, without what else their chains have: the
// coordinator task is to publish, not to read again.
func (l *layout) committing() (out []*rpc.CoordinatedVertex) {
	for i, v := range l.graph.GetVertices() {
		var sinks []*jobgraph.Operator
		for _, op := range v.GetChain() {
			if op.GetSink() != nil {
				sinks = append(sinks, op)
			}
		}
		if len(sinks) > 0 {
			only := proto.CloneOf(v)
			only.Chain = sinks
			out = append(out, &rpc.CoordinatedVertex{Vertex: only, Parallelism: uint32(l.parallelism[i]), Bounded: !l.streaming()})
		}
	}
	return out
}
