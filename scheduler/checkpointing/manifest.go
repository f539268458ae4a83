package checkpointing

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// manifest assembles what the checkpoint under way is made of. Committables stand
// with the first vertex: their operators' uids say whose they are.
func (c *Coordinator) manifest(by map[id.Vertex][]byte) *checkpoint.Manifest {
	b := c.current.barrier
	m := &checkpoint.Manifest{
		Job: c.job[:], Checkpoint: uint64(b.Checkpoint), Kind: uint32(b.Kind), TriggeredAt: b.TriggeredAt, KeyGroups: uint32(c.groups),
	}
	for i, v := range c.vertices {
		state := &checkpoint.VertexState{Uid: v.UID, Name: v.Name, Parallelism: uint32(v.Parallelism)}
		for n := range v.Parallelism {
			s := c.current.states[id.Subtask{Vertex: id.Vertex(i), Index: uint32(n)}]
			if s == nil {
				s = &checkpoint.SubtaskState{Index: uint32(n), Finished: true}
			}
			state.Subtasks = append(state.Subtasks, s)
		}
		part := &rpc.CoordinatorState{Source: by[id.Vertex(i)]}
		if i == 0 {
			part.Committables, part.Origin = c.current.committables, c.origin[:]
		}
		// A message of plain fields always encodes.
		state.Coordinator, _ = proto.Marshal(part)
		m.Vertices = append(m.Vertices, state)
	}
	return m
}

// Restored is what a job starts from.
type Restored struct {
	Manifest *checkpoint.Manifest
	// Positions are the enumerators' by vertex; Subtasks what each subtask restores.
	Positions map[id.Vertex][]byte
	Subtasks  map[id.Subtask]*checkpoint.Restore
	// Committables may not have been published yet.
	Committables []*rpc.Committable
	// Origin is the first job of those that were restored from each other.
	Origin id.Job
}

// Restore says what each part of a job restores from a manifest, its own or another's. State of a vertex
// that the job does not have is an error that names it; a vertex without state
// starts afresh.
func Restore(job id.Job, m *checkpoint.Manifest, vertices []Vertex, groups int) (*Restored, error) {
	if m == nil {
		return nil, nil
	}
	if int(m.GetKeyGroups()) != groups {
		return nil, failure.Errorf(failure.Usage, "checkpoint %d has %d key groups and the job %d: set pipeline.max-parallelism to what it was", m.GetCheckpoint(), m.GetKeyGroups(), groups)
	}
	index := map[string]int{}
	for i, v := range vertices {
		index[v.UID] = i
	}
	r := &Restored{Manifest: m, Origin: origin(m), Positions: map[id.Vertex][]byte{}, Subtasks: map[id.Subtask]*checkpoint.Restore{}}
	for _, state := range m.GetVertices() {
		part := &rpc.CoordinatorState{}
		if err := proto.Unmarshal(state.GetCoordinator(), part); err != nil {
			return nil, failure.Errorf(failure.BadData, "checkpoint %d, vertex %s: %w", m.GetCheckpoint(), state.GetName(), err)
		}
		r.Committables = append(r.Committables, part.GetCommittables()...)
		i, ok := index[state.GetUid()]
		if !ok {
			return nil, failure.Errorf(failure.Conflict, "checkpoint %d has state of %s (%s), which this job does not have", m.GetCheckpoint(), state.GetName(), state.GetUid())
		}
		if part.GetSource() != nil {
			r.Positions[id.Vertex(i)] = part.GetSource()
		}
		all, err := checkpoint.Assign(state, vertices[i].Parallelism, groups)
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", m.GetCheckpoint(), err)
		}
		for n, one := range all {
			one.Checkpoint = m.GetCheckpoint()
			for _, o := range one.Operators {
				o.Foreign = !bytes.Equal(m.GetJob(), job[:])
			}
			r.Subtasks[id.Subtask{Vertex: id.Vertex(i), Index: uint32(n)}] = one
		}
	}
	return r, nil
}

// origin is the first job of those that the manifest's was restored from.
func origin(m *checkpoint.Manifest) id.Job {
	for _, v := range m.GetVertices() {
		part := &rpc.CoordinatorState{}
		if proto.Unmarshal(v.GetCoordinator(), part) == nil && len(part.GetOrigin()) == len(id.Job{}) {
			return id.Job(part.GetOrigin())
		}
	}
	var job id.Job
	copy(job[:], m.GetJob())
	return job
}
