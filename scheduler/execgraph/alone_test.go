package execgraph

import (
	"errors"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// A restart whose attempts another one took over is not waited for any more.
func TestAwaits(t *testing.T) {
	g, err := New(Topology{
		Streaming: true, Checkpointed: true,
		Vertices: []Vertex{{ID: 0, Parallelism: 1, Source: true}, {ID: 1, Parallelism: 1}},
		Edges:    []Edge{{From: 0, To: 1, Replayed: true}},
	}, RestartStrategy{Kind: RestartFixedDelay, Attempts: 9})
	if err != nil {
		t.Fatal(err)
	}
	source, reader := id.Attempt{}, id.Attempt{Subtask: id.Subtask{Vertex: 1}}
	g.Handle(0, Start{})
	g.Handle(0, SlotsGranted{Slots: []id.Slot{{Worker: "w"}}})
	g.Handle(0, Running{source})
	g.Handle(0, Running{reader})
	g.Handle(0, TaskFailed{Attempt: reader, Cause: failure.Wrap(failure.Transient, errors.New("boom"))})
	if !g.Awaits(1) || !g.Alone(1) || g.Awaits(2) {
		t.Fatal("the task's restart is not waited for")
	}
	g.Handle(0, Rescale{Cause: errors.New("asked for")})
	g.Handle(0, TaskCanceled{source})
	if g.Awaits(1) || g.Alone(1) || !g.Awaits(2) {
		t.Fatal("it is waited for, not the restart of all")
	}
	g.Handle(0, RestartDelayElapsed{Restart: 2})
	if g.Awaits(2) {
		t.Fatal("a restart that has begun is waited for")
	}
}
