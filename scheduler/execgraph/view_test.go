package execgraph

import (
	"testing"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// An exchange is done when its reader has finished, and what that one wrote is done: until
// then it may have to be read again.
func TestDone(t *testing.T) {
	g, err := New(Topology{
		Vertices: []Vertex{{ID: 0, Parallelism: 1}, {ID: 1, Parallelism: 1}, {ID: 2, Parallelism: 1}, {ID: 3, Parallelism: 1}},
		Edges: []Edge{
			{ID: 0, From: 0, To: 1, Blocking: true, Replayable: true},
			{ID: 1, From: 1, To: 2, Blocking: true, Replayable: true},
			{ID: 2, From: 3, Result: true, Blocking: true},
		},
	}, RestartStrategy{Kind: RestartFixedDelay, Attempts: 9})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when string, want ...bool) {
		t.Helper()
		for x, done := range want {
			if got := g.Done(id.Exchange(x)); got != done {
				t.Errorf("%s: exchange %d is done: %v", when, x, got)
			}
		}
	}
	run := func(v id.Vertex, n uint32) {
		g.Handle(0, SlotsGranted{Region: int(v), Slots: []id.Slot{{Worker: "w"}}})
		g.Handle(0, TaskFinished{Attempt: id.Attempt{Subtask: id.Subtask{Vertex: v}, N: n}})
	}
	g.Handle(0, Start{})
	run(0, 0)
	run(1, 0)
	expect("the last reader has not finished", false, false, false)
	// What the reader of exchange 0 wrote is lost: it reads it again.
	g.Handle(0, PartitionsLost{Lost: []Lost{{Exchange: 1}}, Cause: failure.Errorf(failure.LostPartition, "gone")})
	g.Handle(0, RestartDelayElapsed{Restart: 1})
	expect("it is read again", false, false, false)
	run(1, 1)
	run(2, 1)
	expect("all have read", true, true, false)
	if g.Done(9) || g.State() != JobRunning {
		t.Errorf("an exchange that there is not is done, or the job is %v", g.State())
	}
	run(3, 0)
	expect("the result is complete", true, true, false)
}
