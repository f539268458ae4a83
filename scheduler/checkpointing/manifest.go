package checkpointing

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
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
	// LeftOut names the vertices whose state the job has no place for.
	LeftOut []string
	// Origin is the first job of those that were restored from each other.
	Origin id.Job
}

// Restore says what each part of a job restores from a manifest, its own or another's. State
// of vertices that the job does not have is an error that names them, unless it is to be left
// out; a vertex without state starts afresh.
func Restore(job id.Job, m *checkpoint.Manifest, vertices []Vertex, groups int, leaveOut bool) (*Restored, error) {
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
	r := &Restored{Manifest: m, Origin: origin(m, job), Positions: map[id.Vertex][]byte{}, Subtasks: map[id.Subtask]*checkpoint.Restore{}}
	for _, state := range m.GetVertices() {
		part := &rpc.CoordinatorState{}
		if err := proto.Unmarshal(state.GetCoordinator(), part); err != nil {
			return nil, failure.Errorf(failure.BadData, "checkpoint %d, vertex %s: %w", m.GetCheckpoint(), state.GetName(), err)
		}
		r.Committables = append(r.Committables, part.GetCommittables()...)
		i, ok := index[state.GetUid()]
		if !ok {
			if keeps(state, part) {
				r.LeftOut = append(r.LeftOut, fmt.Sprintf("%s (%s)", state.GetName(), state.GetUid()))
			}
			continue
		}
		all, err := checkpoint.Assign(state, vertices[i].Parallelism, groups)
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", m.GetCheckpoint(), err)
		}
		if position := part.GetSource(); position != nil {
			if source := vertices[i].Source; source != "" && len(all) != len(state.GetSubtasks()) {
				if position, err = spread(state, all, source, position); err != nil {
					return nil, fmt.Errorf("checkpoint %d: %w", m.GetCheckpoint(), err)
				}
			}
			r.Positions[id.Vertex(i)] = position
		}
		if err := checkpoint.AssignInFlight(state, all, groups, vertices[i].Inputs); err != nil {
			return nil, failure.Wrap(failure.Conflict, fmt.Errorf("checkpoint %d: %w", m.GetCheckpoint(), err))
		}
		for n, one := range all {
			one.Checkpoint = m.GetCheckpoint()
			for _, o := range one.Operators {
				o.Foreign = !bytes.Equal(m.GetJob(), job[:])
			}
			r.Subtasks[id.Subtask{Vertex: id.Vertex(i), Index: uint32(n)}] = one
		}
	}
	if len(r.LeftOut) > 0 && !leaveOut {
		return nil, unclaimed(m, r.LeftOut, vertices)
	}
	return r, nil
}

// keeps says whether something would be lost with the state of a vertex.
func keeps(v *checkpoint.VertexState, part *rpc.CoordinatorState) bool {
	return part.GetSource() != nil || slices.ContainsFunc(v.GetSubtasks(), func(s *checkpoint.SubtaskState) bool {
		return len(s.GetInFlight()) > 0 || slices.ContainsFunc(s.GetOperators(), func(o *checkpoint.OperatorState) bool {
			return len(o.GetState()) > 0 || len(o.GetHandles()) > 0
		})
	})
}

// mostNamed bounds how many vertices an error names.
const mostNamed = 8

// unclaimed is why a job does not start from what another plan has kept.
func unclaimed(m *checkpoint.Manifest, left []string, vertices []Vertex) error {
	of := ""
	if len(left) == len(m.GetVertices()) || !slices.ContainsFunc(m.GetVertices(), func(v *checkpoint.VertexState) bool {
		return slices.ContainsFunc(vertices, func(own Vertex) bool { return own.UID == v.GetUid() })
	}) {
		of = ": it is of another job, or of another plan of this one"
	}
	if n := len(left); n > mostNamed {
		left = append(slices.Clone(left[:mostNamed]), fmt.Sprintf("%d more", n-mostNamed))
	}
	return failure.Errorf(failure.Conflict, "checkpoint %d of job %x has state of %s, which this job does not have%s; run the script and plan that it was taken of, or leave that state out with --allow-non-restored-state (execution.state-recovery.ignore-unclaimed-state)",
		m.GetCheckpoint(), m.GetJob(), strings.Join(left, ", "), of)
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
