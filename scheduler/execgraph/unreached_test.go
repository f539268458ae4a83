package execgraph

import (
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// A job that finds nobody who answers does not look for ever, nor without pauses.
func TestSearchHasAnEnd(t *testing.T) {
	g, err := New(Topology{Vertices: []Vertex{{ID: 0, Parallelism: 1}}}, RestartStrategy{Kind: RestartFixedDelay, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	g.Handle(0, Start{})
	at, tries := time.Duration(0), 0
	for ; g.State() != JobFailed; tries++ {
		g.Handle(at, SlotsGranted{Region: 0, Slots: []id.Slot{{Worker: "w"}}})
		now := g.Regions()[0].Tasks[0].Attempt
		cause := failure.Errorf(failure.Transient, "connection refused")
		for _, a := range g.Handle(at, TaskFailed{Attempt: now, Cause: cause, Unreached: true}) {
			if later, ok := a.(ScheduleRestart); ok {
				if r := g.Regions()[0]; r.Unreached != "w" || r.Cause == nil {
					t.Fatalf("%+v", r)
				}
				at += later.Delay
				g.Handle(at, RestartDelayElapsed{Restart: later.Restart})
			}
		}
	}
	if tries != 37 || at < 4*time.Minute || at > 6*time.Minute {
		t.Fatalf("%d tries in %v", tries, at)
	}
	if text := g.Cause().Error(); !strings.Contains(text, "workers did not answer 36 times in a row: task 0.0#36: connection refused") {
		t.Fatal(text)
	}
}
