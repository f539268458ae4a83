package checkpointing

import (
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

// maxHistory is how many checkpoints are remembered.
const maxHistory = 100

// The states of a remembered checkpoint, by Flink's names.
const (
	inProgress = "IN_PROGRESS"
	completed  = "COMPLETED"
	failed     = "FAILED"
)

// History remembers a job's newest checkpoints and counts all. A Coordinator writes it;
// anybody may read it at any time.
type History struct {
	mu        sync.Mutex
	all       []*rpc.CheckpointStatus // oldest first
	completed uint64
	failed    uint64
	restored  string
}

// List returns the newest checkpoints first, most of them, or all that are remembered.
func (h *History) List(most int) *rpc.CheckpointsReply {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := &rpc.CheckpointsReply{Completed: h.completed, Failed: h.failed, RestoredFrom: h.restored}
	for _, s := range slices.Backward(h.all) {
		if most > 0 && len(out.Checkpoints) == most {
			break
		}
		out.Checkpoints = append(out.Checkpoints, proto.CloneOf(s))
	}
	return out
}

// Last counts the checkpoints and has the newest that is complete, if one is remembered.
func (h *History) Last() *rpc.CheckpointsReply {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := &rpc.CheckpointsReply{Completed: h.completed, Failed: h.failed, RestoredFrom: h.restored}
	for _, s := range slices.Backward(h.all) {
		if s.GetState() == completed {
			out.Checkpoints = append(out.Checkpoints, proto.CloneOf(s))
			break
		}
	}
	return out
}

// Placed says where the manifest of a checkpoint lies, or of a savepoint the directory.
func (h *History) Placed(n id.Checkpoint, path string) {
	h.change(n, func(s *rpc.CheckpointStatus) { s.Path = path })
}

// RestoredFrom says what the job has started from.
func (h *History) RestoredFrom(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.restored = path
}

func (h *History) begun(b stream.Barrier, subtasks int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == maxHistory {
		h.all = slices.Delete(h.all, 0, 1)
	}
	h.all = append(h.all, &rpc.CheckpointStatus{
		Checkpoint: uint64(b.Checkpoint), Kind: b.Kind.String(), State: inProgress, TriggeredAt: b.TriggeredAt, Subtasks: uint32(subtasks),
	})
}

// change changes what is remembered of a checkpoint, if anything is.
func (h *History) change(n id.Checkpoint, change func(s *rpc.CheckpointStatus)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range slices.Backward(h.all) {
		if s.GetCheckpoint() == uint64(n) {
			change(s)
			return
		}
	}
}

// acknowledged adds a subtask's part; nil: it has finished.
func (h *History) acknowledged(n id.Checkpoint, r *rpc.AckRequest) {
	h.change(n, func(s *rpc.CheckpointStatus) {
		s.Acknowledged++
		s.WroteBytes += r.GetWroteBytes()
		s.InFlightBytes += r.GetInFlightBytes()
		if r.GetOvertaken() {
			s.Overtaken++
		}
		s.AlignedNanos = max(s.AlignedNanos, r.GetAlignedNanos())
		s.PausedNanos = max(s.PausedNanos, r.GetPausedNanos())
		s.WroteNanos = max(s.WroteNanos, r.GetWroteNanos())
	})
}

// saved says that the files of a checkpoint are complete, which all but savepoints are then.
func (h *History) saved(n id.Checkpoint, m *checkpoint.Manifest, now time.Time) {
	h.change(n, func(s *rpc.CheckpointStatus) { s.Bytes, s.Kept = checkpoint.Bytes(m), true })
	if !stream.BarrierKind(m.GetKind()).Savepoint() {
		h.ended(n, nil, now)
	}
}

func (h *History) ended(n id.Checkpoint, cause error, now time.Time) {
	h.change(n, func(s *rpc.CheckpointStatus) {
		if s.State != inProgress {
			return
		}
		s.EndedAt, s.State = now.UnixMilli(), completed
		if cause == nil {
			h.completed++
			return
		}
		h.failed++
		s.State, s.Failure = failed, rpc.ToFailure(cause)
	})
}

// gone says that the files of a checkpoint are removed.
func (h *History) gone(n id.Checkpoint) {
	h.change(n, func(s *rpc.CheckpointStatus) { s.Kept = false })
}
