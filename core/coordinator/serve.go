package coordinator

import (
	"context"
	"errors"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// NextSplit implements rpc.CoordinatorClient. A request that comes again, because its answer
// was lost, is answered as before.
func (h *Host) NextSplit(ctx context.Context, r *rpc.SplitRequest) (*rpc.SplitReply, error) {
	t, err := h.find(r.GetJob())
	if err != nil {
		return nil, err
	}
	a := r.GetAttempt().ID()
	s, ok := t.sources[a.Subtask.Vertex]
	if !ok {
		return nil, failure.Errorf(failure.Internal, "job %v: attempt %v asks for a split, and its vertex has no source", t.job, a)
	}
	split, ok, err := s.next(ctx, a, r.GetSequence())
	if _, later := errors.AsType[*connector.LaterError](err); later {
		return &rpc.SplitReply{Later: true}, nil
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return &rpc.SplitReply{Ended: true}, nil
	}
	return &rpc.SplitReply{Split: rpc.FromSplit(split)}, nil
}

// Reset implements rpc.CoordinatorClient.
func (h *Host) Reset(ctx context.Context, r *rpc.ResetRequest) (*rpc.ResetReply, error) {
	t, err := h.find(r.GetJob())
	if err != nil {
		return nil, err
	}
	for _, at := range r.GetAttempts() {
		a := at.ID()
		if s, ok := t.sources[a.Subtask.Vertex]; ok {
			if err := s.reset(ctx, a); err != nil {
				return nil, err
			}
		}
	}
	return &rpc.ResetReply{}, nil
}

// Snapshot implements rpc.CoordinatorClient.
func (h *Host) Snapshot(ctx context.Context, r *rpc.SnapshotRequest) (*rpc.SnapshotReply, error) {
	t, err := h.find(r.GetJob())
	if err != nil {
		return nil, err
	}
	parts := map[id.Attempt]*rpc.SourcePart{}
	for _, part := range r.GetSources() {
		parts[part.GetAttempt().ID()] = part
	}
	reply := &rpc.SnapshotReply{}
	for v, s := range t.sources {
		state, err := s.snapshot(ctx, parts)
		if err != nil {
			return nil, err
		}
		reply.Vertices = append(reply.Vertices, &rpc.VertexPosition{Vertex: uint32(v), State: state})
	}
	return reply, nil
}

// Commit implements rpc.CoordinatorClient. A final one reaches every sink, also
// those without committables.
func (h *Host) Commit(ctx context.Context, r *rpc.CommitRequest) (*rpc.CommitReply, error) {
	t, err := h.find(r.GetJob())
	if err != nil {
		return nil, err
	}
	bySink, err := t.group(r.GetCommittables())
	if err != nil {
		return nil, err
	}
	if err := failpoint.Hit(failpoint.CheckpointCommit); err != nil {
		return nil, err
	}
	for uid, s := range t.sinks {
		if all := bySink[uid]; len(all) > 0 || r.GetFinal() {
			if err := s.commit(ctx, id.Checkpoint(r.GetCheckpoint()), all, r.GetFinal()); err != nil {
				return nil, err
			}
		}
	}
	return &rpc.CommitReply{}, failpoint.Hit(failpoint.CheckpointCommitted)
}

// Abort implements rpc.CoordinatorClient.
func (h *Host) Abort(ctx context.Context, r *rpc.AbortRequest) (*rpc.AbortReply, error) {
	t, err := h.find(r.GetJob())
	if err != nil {
		return nil, err
	}
	bySink, err := t.group(r.GetCommittables())
	if err != nil {
		return nil, err
	}
	var failed error
	for uid, all := range bySink {
		failed = errors.Join(failed, t.sinks[uid].abort(ctx, all))
	}
	for _, s := range t.sinks {
		if r.GetSweep() && failed == nil { // what could not be undone may need it
			failed = errors.Join(failed, s.sweep(ctx))
		}
	}
	if failed != nil {
		return nil, failed
	}
	return &rpc.AbortReply{}, nil
}

func (t *task) group(all []*rpc.Committable) (map[string][]connector.Committable, error) {
	out := map[string][]connector.Committable{}
	for _, c := range all {
		if t.sinks[c.GetOperator()] == nil {
			return nil, failure.Errorf(failure.Internal, "job %v: committable of operator %s, which is no sink", t.job, c.GetOperator())
		}
		out[c.GetOperator()] = append(out[c.GetOperator()], c.Connector())
	}
	return out, nil
}

// Gather implements rpc.CoordinatorClient.
func (h *Host) Gather(ctx context.Context, r *rpc.GatherRequest) (*rpc.GatherReply, error) {
	job, _, err := h.terms.Admit(r.GetJob())
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	_, runs := h.tasks[job]
	h.mu.Unlock()
	if !runs {
		h.terms.Forget(job)
	}
	if h.gatherer == nil {
		return nil, failure.Errorf(failure.Usage, "this cluster keeps no savepoints")
	}
	m, err := h.gatherer(ctx, r.GetManifest(), r.GetDirectory())
	if errors.Is(err, checkpoint.ErrCorrupt) {
		err = failure.Wrap(failure.BadData, err)
	}
	if err != nil {
		return nil, err
	}
	return &rpc.GatherReply{Manifest: m}, nil
}

// Progress implements rpc.CoordinatorClient.
func (h *Host) Progress(_ context.Context, r *rpc.ProgressRequest) (*rpc.ProgressReply, error) {
	t, err := h.find(r.GetJob())
	if err != nil {
		return nil, err
	}
	reply := &rpc.ProgressReply{}
	for _, s := range t.sources {
		s.addProgress(reply)
	}
	return reply, nil
}
