package adaptive

import (
	"fmt"
	"strings"
	"time"
)

// Scalable is one vertex of a streaming job that is about to run.
type Scalable struct {
	Name string
	// Fixed is the parallelism that the plan demands; zero: it may be chosen.
	Fixed int
	// Like is the place of the vertex that it must have the parallelism of (forward
	// edges); -1: none.
	Like int
	// Least and Most are the bounds of what was asked for. Least comes before the slots
	// that there are: subtasks share them.
	Least, Most int
}

// Streaming decides how many subtasks each vertex of a streaming job gets: as many as were
// asked for, but no more than there are slots that the job can have.
func Streaming(vertices []Scalable, slots int) ([]int, Decision) {
	out, effects := make([]int, len(vertices)), make([]string, len(vertices))
	for i, v := range vertices {
		var why string
		switch {
		case v.Like >= 0:
			out[i], why = out[v.Like], "forward"
		case v.Fixed > 0:
			out[i], why = v.Fixed, "given"
		case v.Most <= slots:
			out[i], why = max(v.Most, 1), "asked for"
		default:
			if out[i], why = max(slots, v.Least, 1), "the slots there are"; out[i] > slots {
				why = "the least it may have"
			}
		}
		effects[i] = fmt.Sprintf("%s: %d (%s)", v.Name, out[i], why)
	}
	return out, Decision{
		Rule: "streaming parallelism", Subject: "job", Inputs: fmt.Sprintf("slots that the job can have: %d", slots),
		Effect: strings.Join(effects, ", "),
	}
}

// Growth says when a running streaming job is stopped to use slots that have become free.
type Growth struct {
	Cooldown time.Duration // after a start or a restart nothing changes for so long
	Settle   time.Duration // so long there must have been slots to grow into
	Increase int           // at least so many more subtasks the widest vertex must get
}

// Wait says how long a job of a width, the largest parallelism of its vertices, has to wait
// before it grows to another one, which there have been slots for since a time, and why.
// No reason: it does not wait. False: it is not worth it. Times are since the job began.
func (g Growth) Wait(now, since, started time.Duration, width, could int) (wait time.Duration, why string, worth bool) {
	if could-width < max(g.Increase, 1) {
		return 0, "", false
	}
	cool, settle := started+g.Cooldown-now, since+g.Settle-now
	switch {
	case cool > 0 && cool >= settle:
		return cool, fmt.Sprintf("%v to be over since it was started", g.Cooldown), true
	case settle > 0:
		return settle, fmt.Sprintf("slots to stay free for %v", g.Settle), true
	}
	return 0, "", true
}
