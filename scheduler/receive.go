package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// Register implements rpc.MasterClient.
func (m *Master) Register(_ context.Context, r *rpc.RegisterRequest) (*rpc.RegisterReply, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	if err := sameWire(r.GetVersion()); err != nil {
		return nil, fmt.Errorf("register %s: %w", r.GetWorker(), err)
	}
	who := resource.Member{
		ID: id.Worker(r.GetWorker()), Slots: int(r.GetSlots()), Memory: r.GetMemoryBytes(),
		Server: r.GetShuffle().Server(), Daemon: r.GetDaemon(),
		Drains: r.GetDraining(), Address: addressOf(r.GetWorker()),
	}
	if err := m.resources.Register(who); err != nil {
		return nil, err
	}
	m.opts.Log.Info("member has registered", "member", who.ID, "slots", who.Slots)
	reply := &rpc.RegisterReply{Term: uint64(m.term), HeartbeatMillis: m.opts.Heartbeat.Milliseconds(), TicketKey: m.key}
	for _, k := range r.GetRunning() {
		if k.GetAttempt() != nil { // it has counted as lost since before the call, or is of an older term
			reply.Unwanted = append(reply.Unwanted, k)
		}
	}
	return reply, nil
}

// addressOf is where the process of that name is called; empty: its name does not say.
func addressOf(name string) string {
	if at := rpc.AddressOf(name); strings.Contains(at, ":") {
		return at
	}
	return ""
}

// Leave implements rpc.MasterClient.
func (m *Master) Leave(_ context.Context, r *rpc.LeaveRequest) (*rpc.LeaveReply, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	m.resources.Lose(id.Worker(r.GetWorker()), failure.Errorf(failure.Transient, "it has signed off: %s", r.GetReason()))
	return &rpc.LeaveReply{}, nil
}

// alive is NotLeader once the leadership is over.
func (m *Master) alive() error {
	if m.root.Err() != nil {
		return rpc.NotLeader("")
	}
	return nil
}

// sameWire refuses programs of another major version of the wire; one that does not
// say is of this one.
func sameWire(version string) error {
	theirs, _, _ := strings.Cut(version, ".")
	ours, _, _ := strings.Cut(rpc.WireVersion, ".")
	if version == "" || theirs == ours {
		return nil
	}
	return failure.Errorf(failure.Usage, "it speaks version %s of the protocol, and the masters %s: run the same release everywhere", version, rpc.WireVersion)
}

// Heartbeat implements rpc.MasterClient.
func (m *Master) Heartbeat(ctx context.Context, r *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	if !m.resources.Heartbeat(id.Worker(r.GetWorker()), r.GetMemoryUsed(), r.GetDraining()) {
		return &rpc.HeartbeatReply{Unknown: true}, nil
	}
	m.resources.NoteFull(id.Worker(r.GetWorker()), r.GetFull())
	for _, p := range r.GetTasks() {
		if j, err := m.master(p.GetJob()); err == nil {
			j.Progress(p)
		}
	}
	return &rpc.HeartbeatReply{Over: m.overOf(ctx, r.GetJobs()), Drained: r.GetDraining() && m.released(ctx, r)}, nil
}

// overOf are those of the jobs that nobody needs. A master that was deposed without
// knowing it does not know the jobs of its successor, so it makes sure first.
func (m *Master) overOf(ctx context.Context, jobs [][]byte) (over [][]byte) {
	for _, b := range jobs {
		if len(b) == len(id.Job{}) && m.dispatcher.Over(id.Job(b), m.opts.ResultGrace) {
			over = append(over, b)
		}
	}
	if len(over) == 0 || !m.leads(ctx) {
		return nil
	}
	return over
}

// leads makes sure that this master was not deposed without knowing it.
func (m *Master) leads(ctx context.Context) bool {
	_, err := m.opts.Store.Get(ctx, bucket, keyTicket)
	return err == nil
}

// Report implements rpc.MasterClient.
func (m *Master) Report(_ context.Context, r *rpc.TaskReport) (*rpc.TaskReply, error) {
	j, err := m.master(r.GetJob())
	if err != nil {
		return nil, err
	}
	j.Report(r)
	return &rpc.TaskReply{}, nil
}

// Acknowledge implements rpc.MasterClient.
func (m *Master) Acknowledge(_ context.Context, r *rpc.AckRequest) (*rpc.AckReply, error) {
	j, err := m.master(r.GetJob())
	if err != nil {
		return nil, err
	}
	j.Acknowledge(r)
	return &rpc.AckReply{}, nil
}

// Decline implements rpc.MasterClient.
func (m *Master) Decline(_ context.Context, r *rpc.DeclineRequest) (*rpc.DeclineReply, error) {
	j, err := m.master(r.GetJob())
	if err != nil {
		return nil, err
	}
	j.Decline(r)
	return &rpc.DeclineReply{}, nil
}

// master finds the job master that a message is for; one of another term is
// refused, for its job belongs to another master. A message of a higher term says that
// this master was deposed and does not know it yet.
func (m *Master) master(r *rpc.JobRef) (*jobmaster.Master, error) {
	jobID, err := r.ID()
	if err != nil {
		return nil, err
	}
	switch term := id.Term(r.GetTerm()); {
	case term > m.term || m.root.Err() != nil:
		return nil, rpc.NotLeader("")
	case term < m.term:
		return nil, failure.Wrap(failure.Conflict, fmt.Errorf("job %v: term %d, here is %d: %w", jobID, term, m.term, rpc.ErrFenced))
	}
	j, err := m.dispatcher.Master(jobID)
	if err != nil {
		return nil, errors.Join(failure.Wrap(failure.Conflict, rpc.ErrGone), err)
	}
	return j, nil
}
