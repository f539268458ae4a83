package verify

import (
	"testing"

	"github.com/tidemill/tidemill/scheduler/rest"
)

// A kill counts as one in a rescale only while one is under way, and as one in the end only
// when transfers have come to theirs.
func TestMomentsThatAreSeen(t *testing.T) {
	decided := func(all ...rest.Decision) rest.Job { return rest.Job{Decisions: all} }
	begun := rest.Decision{Rule: "rescale", Effect: "a checkpoint, and from it parallelism 2"}
	givenUp := rest.Decision{Rule: "rescale", Effect: "given up: the job goes on as it is"}
	done := rest.Decision{Rule: "rescaled"}
	for i, c := range []struct {
		job  rest.Job
		want bool
	}{
		{decided(), false}, {decided(begun), true}, {decided(begun, done), false}, {decided(begun, givenUp), false}, {decided(begun, done, begun), true},
	} {
		if got := rescales(c.job); got != c.want {
			t.Errorf("case %d: have %v", i, got)
		}
	}
	vertices := []rest.Vertex{{Name: "rules", Subtasks: map[string]uint32{"FINISHED": 4}}, {Name: "transfers -> time", Subtasks: map[string]uint32{"RUNNING": 4}}}
	if someFinished(rest.Job{Vertices: vertices}) {
		t.Error("no transfers have ended")
	}
	vertices[1].Subtasks = map[string]uint32{"RUNNING": 3, "FINISHED": 1}
	if !someFinished(rest.Job{Vertices: vertices}) {
		t.Error("some transfers have ended")
	}
}

// What is written by hand stays when a page is written anew.
func TestMeasuredIsKept(t *testing.T) {
	if got := measured("# Page\n\ncounted\n\n## Measured\n\nby hand\n"); got != "\n## Measured\n\nby hand\n" {
		t.Errorf("have %q", got)
	}
	if got := measured("# Page\n"); got != "" {
		t.Errorf("have %q", got)
	}
}
