package worker

import (
	"time"

	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/task"
)

// stander is a task that says where it stands.
type stander interface{ Standing() task.Standing }

// paceSpan is the time that pace looks back, or up to twice as much.
const paceSpan = 2 * time.Second

// pace is which part of its time a task was idle and blocked lately.
type pace struct {
	// The last span began at from, when the task had been idle and blocked for so long.
	from           time.Time
	idle, blocked  time.Duration
	idling, giving uint32 // per mille, of the last whole span
	// pressed is since when it has been blocked for half of each span; zero: it has not.
	pressed time.Time
	edge    int // that it was seen blocked on last
}

// see takes where the task stands now.
func (p *pace) see(s task.Standing, now time.Time) {
	for _, w := range s.Waits {
		if w.Kind == task.WaitForCredit {
			p.edge = w.Edge
		}
	}
	span := now.Sub(p.from)
	if !p.from.IsZero() && span < paceSpan {
		return
	}
	if !p.from.IsZero() {
		share := func(part time.Duration) uint32 { return uint32(min(1000, max(0, 1000*part/span))) }
		p.idling, p.giving = share(s.Idle-p.idle), share(s.Blocked-p.blocked)
		switch {
		case p.giving < mostlyBlocked:
			p.pressed = time.Time{}
		case p.pressed.IsZero():
			p.pressed = p.from
		}
	}
	p.from, p.idle, p.blocked = now, s.Idle, s.Blocked
}

// mostlyBlocked is the part of a thousand from which a task counts as one that waits for
// its consumers.
const mostlyBlocked = 500

// kinds are core/task's as they travel.
var kinds = [...]rpc.TaskWait_Kind{
	task.WaitForCredit: rpc.TaskWait_CREDIT, task.WaitForBarrier: rpc.TaskWait_BARRIER, task.WaitForRows: rpc.TaskWait_ROWS,
}

// tell adds to m where a task stands. Waits for credit are told of a task that they have
// most of its time lately, with the time since which that is so.
func tell(m *rpc.TaskProgress, s task.Standing, p *pace, now time.Time) {
	p.see(s, now)
	m.LateRows, m.FutureRows, m.RejectedRecords = s.Late, s.Future, s.Rejected
	m.Standing = &rpc.TaskStanding{
		InputWatermark: int64(s.Input), OutputWatermark: int64(s.Output), EventIdle: s.EventIdle,
		IdlePermille: p.idling, BlockedPermille: p.giving, IdleNanos: uint64(s.Idle), BlockedNanos: uint64(s.Blocked),
		StateBytes: s.StateBytes, StateAsked: s.Asked, StateHits: s.Hits,
	}
	wait := func(w task.Wait, since time.Duration) {
		m.Standing.Waits = append(m.Standing.Waits, &rpc.TaskWait{
			Kind: kinds[w.Kind], Edge: uint32(w.Edge), Checkpoint: uint64(w.Checkpoint), Split: w.Split, Nanos: int64(since),
		})
	}
	if !p.pressed.IsZero() {
		wait(task.Wait{Kind: task.WaitForCredit, Edge: p.edge}, now.Sub(p.pressed))
	}
	for _, w := range s.Waits {
		if w.Kind != task.WaitForCredit {
			wait(w, w.For)
		}
	}
}
