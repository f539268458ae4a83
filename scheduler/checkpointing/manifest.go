package checkpointing

import (
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

// manifest assembles what the checkpoint under way is made of. Committables stand
// with the first vertex: their operators' uids say whose they are.
func (c *Coordinator) manifest(by map[id.Vertex][]byte) *checkpoint.Manifest {
	b := c.current.barrier
	m := &checkpoint.Manifest{
		Job: c.job[:], Checkpoint: uint64(b.Checkpoint), Kind: uint32(b.Kind), TriggeredAt: b.TriggeredAt, KeyGroups: uint32(c.groups),
		Plan: c.opts.Plan,
	}
	for i, v := range c.vertices {
		state := &checkpoint.VertexState{Uid: v.UID, Name: v.Name, Parallelism: uint32(v.Parallelism), Operators: v.Operators}
		for n := range v.Parallelism {
			s := c.current.states[id.Subtask{Vertex: id.Vertex(i), Index: uint32(n)}]
			if s == nil {
				s = &checkpoint.SubtaskState{Index: uint32(n), Finished: true}
			}
			state.Subtasks = append(state.Subtasks, s)
		}
		part := &rpc.CoordinatorState{Source: by[id.Vertex(i)]}
		if i == 0 {
			part.Committables, part.Origin = committables(c.current.committables), c.origin[:]
		}
		// A message of plain fields always encodes.
		state.Coordinator, _ = proto.Marshal(part)
		m.Vertices = append(m.Vertices, state)
	}
	return m
}

// origin is the first job of those that a job was restored from; nothing connects it with
// the job of a savepoint.
func origin(m *checkpoint.Manifest, job id.Job) id.Job {
	for _, v := range m.GetVertices() {
		part := &rpc.CoordinatorState{}
		if proto.Unmarshal(v.GetCoordinator(), part) == nil && len(part.GetOrigin()) == len(id.Job{}) {
			return id.Job(part.GetOrigin())
		}
	}
	if !stream.BarrierKind(m.GetKind()).Savepoint() {
		copy(job[:], m.GetJob())
	}
	return job
}

// Detached is a manifest, all of whose committables are published, without them: a job that
// starts from it needs nothing but its files, and is the first of its own.
func Detached(m *checkpoint.Manifest) *checkpoint.Manifest {
	m = proto.CloneOf(m)
	for _, v := range m.GetVertices() {
		part := &rpc.CoordinatorState{}
		if proto.Unmarshal(v.GetCoordinator(), part) != nil {
			continue // Restore says so
		}
		part.Committables, part.Origin = nil, nil
		v.Coordinator, _ = proto.Marshal(part) // plain fields always encode
	}
	return m
}
