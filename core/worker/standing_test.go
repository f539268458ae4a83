package worker

import (
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/task"
)

// Shares are of the last two seconds, however often somebody looks. Who is blocked for half
// of them waits for its consumer, since the beginning of the first such span; one that is
// blocked for an instant does not.
func TestPace(t *testing.T) {
	begun := time.Unix(1000, 0)
	var p pace
	s := task.Standing{Waits: []task.Wait{{Kind: task.WaitForCredit, Edge: 1}, {Kind: task.WaitForRows, Split: "s", For: time.Minute}}}
	look := func(after, idle, blocked time.Duration) *rpc.TaskProgress {
		s.Idle, s.Blocked = idle, blocked
		m := &rpc.TaskProgress{}
		tell(m, s, &p, begun.Add(after))
		return m
	}
	s.Late, s.Future, s.Rejected = 1, 2, 3
	if m := look(0, 0, 0); m.GetLateRows() != 1 || m.GetFutureRows() != 2 || m.GetRejectedRecords() != 3 {
		t.Errorf("%v", m)
	}
	for _, c := range []struct {
		after, idle, blocked time.Duration
		idling, giving       uint32
		since                time.Duration // of the wait for credit; negative: there is none
	}{
		{0, 0, 0, 0, 0, -1},
		{time.Second, 0, time.Second, 0, 0, -1},
		{2 * time.Second, 500 * time.Millisecond, 1500 * time.Millisecond, 250, 750, 2 * time.Second},
		{3 * time.Second, time.Second, 2 * time.Second, 250, 750, 3 * time.Second},
		{4 * time.Second, time.Second, 3 * time.Second, 250, 750, 4 * time.Second},
		{6 * time.Second, 2900 * time.Millisecond, 3100 * time.Millisecond, 950, 50, -1},
		{8 * time.Second, 2900 * time.Millisecond, 5 * time.Second, 0, 950, 2 * time.Second},
	} {
		got := look(c.after, c.idle, c.blocked).GetStanding()
		if got.GetIdlePermille() != c.idling || got.GetBlockedPermille() != c.giving {
			t.Errorf("after %v: idle %d, blocked %d", c.after, got.GetIdlePermille(), got.GetBlockedPermille())
		}
		since := time.Duration(-1)
		for _, w := range got.GetWaits() {
			if w.GetKind() == rpc.TaskWait_CREDIT {
				if since = time.Duration(w.GetNanos()); w.GetEdge() != 1 {
					t.Errorf("after %v: %v", c.after, w)
				}
			}
		}
		if since != c.since {
			t.Errorf("after %v: it waits for %v, want %v", c.after, since, c.since)
		}
		if w := got.GetWaits()[len(got.GetWaits())-1]; w.GetKind() != rpc.TaskWait_ROWS || w.GetSplit() != "s" || w.GetNanos() != int64(time.Minute) {
			t.Errorf("after %v: %v", c.after, w)
		}
	}
}
