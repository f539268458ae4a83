package rpc

import (
	"fmt"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// Ref names a job under a term.
func Ref(job id.Job, term id.Term) *JobRef { return &JobRef{Job: job[:], Term: uint64(term)} }

// ID is the job's id; a malformed one is Internal.
func (r *JobRef) ID() (id.Job, error) {
	if len(r.GetJob()) != len(id.Job{}) {
		return id.Job{}, failure.Errorf(failure.Internal, "job id of %d bytes in a message", len(r.GetJob()))
	}
	return id.Job(r.GetJob()), nil
}

// FromAttempt encodes an attempt.
func FromAttempt(a id.Attempt) *Attempt {
	return &Attempt{Vertex: uint32(a.Subtask.Vertex), Subtask: a.Subtask.Index, Number: a.N}
}

// FromAttempts encodes attempts.
func FromAttempts(all []id.Attempt) []*Attempt {
	out := make([]*Attempt, len(all))
	for i, a := range all {
		out[i] = FromAttempt(a)
	}
	return out
}

// ID decodes an attempt.
func (a *Attempt) ID() id.Attempt {
	return id.Attempt{Subtask: id.Subtask{Vertex: id.Vertex(a.GetVertex()), Index: a.GetSubtask()}, N: a.GetNumber()}
}

// FromBarrier encodes a barrier.
func FromBarrier(b stream.Barrier) *Barrier {
	return &Barrier{Checkpoint: uint64(b.Checkpoint), Kind: uint32(b.Kind), TriggeredAt: b.TriggeredAt}
}

// Stream decodes a barrier.
func (b *Barrier) Stream() stream.Barrier {
	return stream.Barrier{
		Checkpoint: id.Checkpoint(b.GetCheckpoint()), Kind: stream.BarrierKind(b.GetKind()), TriggeredAt: b.GetTriggeredAt(),
	}
}

// FromSplit encodes a split.
func FromSplit(s connector.Split) *Split { return &Split{Id: s.ID, Data: s.Data, Bytes: s.Bytes} }

// Connector decodes a split.
func (s *Split) Connector() connector.Split {
	return connector.Split{ID: s.GetId(), Data: s.GetData(), Bytes: s.GetBytes()}
}

// FromCommittable encodes staged output of the sink operator with that uid.
func FromCommittable(operator string, c connector.Committable) *Committable {
	return &Committable{Operator: operator, Data: c.Data, Rows: c.Rows, Bytes: c.Bytes, Files: c.Files}
}

// Connector decodes staged output.
func (c *Committable) Connector() connector.Committable {
	return connector.Committable{Data: c.GetData(), Rows: c.GetRows(), Bytes: c.GetBytes(), Files: c.GetFiles()}
}

// FromManifest encodes what was written into a lane of an exchange.
func FromManifest(ex id.Exchange, m shuffle.Manifest) *LaneManifest {
	out := &LaneManifest{Exchange: uint32(ex), Lane: m.Lane, Attempt: m.Attempt}
	for _, p := range m.Partitions {
		out.Partitions = append(out.Partitions, &PartitionTotals{Rows: p.Rows, Bytes: p.Bytes, Digest: p.Digest})
	}
	return out
}

// Shuffle decodes what was written into a lane.
func (m *LaneManifest) Shuffle() shuffle.Manifest {
	out := shuffle.Manifest{Lane: m.GetLane(), Attempt: m.GetAttempt()}
	for _, p := range m.GetPartitions() {
		out.Partitions = append(out.Partitions, shuffle.PartitionTotals{Rows: p.GetRows(), Bytes: p.GetBytes(), Digest: p.GetDigest()})
	}
	return out
}

// Describe names a job and attempt in messages to people.
func Describe(job id.Job, a id.Attempt) string { return fmt.Sprintf("job %v attempt %v", job, a) }

// FromServer encodes a shuffle server.
func FromServer(s shuffle.Server) *ShuffleServer {
	return &ShuffleServer{Id: s.ID, Host: s.Host, Socket: s.Socket, Address: s.Address}
}

// Server decodes a shuffle server; nil is the zero one.
func (s *ShuffleServer) Server() shuffle.Server {
	return shuffle.Server{ID: s.GetId(), Host: s.GetHost(), Socket: s.GetSocket(), Address: s.GetAddress()}
}

// FromPlacement encodes a placement; one in this process is nil.
func FromPlacement(p shuffle.Placement) *Placement {
	if p.Local() {
		return nil
	}
	out := &Placement{Version: p.Version, At: p.At, Ticket: p.Ticket}
	for _, s := range p.Servers {
		out.Servers = append(out.Servers, FromServer(s))
	}
	return out
}

// Shuffle decodes a placement. One that names a server which it does not list is
// Internal.
func (p *Placement) Shuffle() (shuffle.Placement, error) {
	out := shuffle.Placement{Version: p.GetVersion(), At: p.GetAt(), Ticket: p.GetTicket()}
	for _, s := range p.GetServers() {
		out.Servers = append(out.Servers, s.Server())
	}
	for i, at := range out.At {
		if int(at) >= len(out.Servers) {
			return shuffle.Placement{}, failure.Errorf(failure.Internal, "placement of %d servers: part %d is at server %d", len(out.Servers), i, at)
		}
	}
	return out, nil
}
