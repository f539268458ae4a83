package execgraph

import (
	"slices"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// alone is the restart of some attempts of a region that runs: one that has failed and all
// that lies downstream of it. What they read from others is kept since the checkpoint that
// they begin from, so the others go on.
type alone struct {
	region    *region
	tasks     []*execution // in the order of the region
	action    ScheduleRestart
	scheduled bool
}

// restartAlone restarts a failed attempt with what is downstream of it, and reports whether
// it does: else its region restarts as a whole.
func (g *Graph) restartAlone(x *execution, cause error) bool {
	if g.state != JobRunning || g.alone != nil || len(g.pending) > 0 || !failure.Of(cause).Retryable() {
		return false
	}
	set := g.downstream(x)
	if set == nil {
		return false
	}
	delay, err := g.again(false, cause)
	if err != nil {
		g.fail(err)
		return true
	}
	g.serial++
	g.record([]*region{x.region}, cause)
	g.alone = &alone{region: x.region, tasks: set, action: ScheduleRestart{Restart: g.serial, Delay: delay}}
	for _, y := range set {
		if y.state >= AttemptDeploying && y.state < AttemptFinished {
			g.moveAttempt(y, AttemptCanceling)
			g.do(CancelAttempt{Attempt: y.attempt})
		}
	}
	g.aloneQuiet()
	return true
}

// downstream is the attempt's subtask and all that read, directly or not, what it writes;
// nil if they cannot begin again by themselves: something that one of them reads is not
// kept, or they write what outlives them.
func (g *Graph) downstream(x *execution) []*execution {
	r := x.region
	if !g.topology.Streaming || !g.topology.Checkpointed || r.read || r.state != RegionRunning {
		return nil
	}
	set := map[*execution]bool{x: true}
	for todo := []*execution{x}; len(todo) > 0; todo = todo[1:] {
		s := todo[0].attempt.Subtask
		inputs := 0
		for _, e := range g.topology.Edges {
			if e.To == s.Vertex && !e.Result {
				if !e.Replayed {
					return nil
				}
				inputs++
			}
			if e.From != s.Vertex {
				continue
			}
			if e.Result || e.Blocking || e.Feedback {
				return nil
			}
			for _, y := range r.tasks {
				if to := y.attempt.Subtask; to.Vertex == e.To && (!e.Forward || to.Index == s.Index) && !set[y] {
					set[y] = true
					todo = append(todo, y)
				}
			}
		}
		if inputs == 0 {
			return nil // nobody knows which splits it was given since
		}
	}
	var tasks []*execution
	for _, y := range r.tasks {
		if set[y] {
			tasks = append(tasks, y)
		}
	}
	return tasks
}

// aloneQuiet goes on when the attempts to be replaced are over.
func (g *Graph) aloneQuiet() {
	a := g.alone
	if a == nil || a.scheduled || slices.ContainsFunc(a.tasks, func(x *execution) bool { return !x.state.Terminal() }) {
		return
	}
	a.scheduled = true
	g.do(a.action)
}

// aloneAgain makes the next attempts, which are deployed when what they read was rewound.
func (g *Graph) aloneAgain() {
	rewind := Rewind{Restart: g.alone.action.Restart}
	for _, x := range g.alone.tasks {
		x.attempt.N++
		x.state = AttemptInvalid
		g.moveAttempt(x, AttemptCreated)
		rewind.Attempts = append(rewind.Attempts, x.attempt)
	}
	g.do(rewind)
}

// rewound deploys attempts to the slots of those that they replace: what they read is kept
// there.
func (g *Graph) rewound(ev Rewound) {
	a := g.alone
	if a == nil || a.action.Restart != ev.Restart {
		return // its region was stopped meanwhile
	}
	g.alone = nil
	if ev.Cause != nil {
		g.begin(g.affected([]*region{a.region}, nil), ev.Cause, 0, "")
		return
	}
	for _, x := range a.tasks {
		g.moveAttempt(x, AttemptScheduled)
		g.moveAttempt(x, AttemptDeploying)
		g.do(Deploy{Attempt: x.attempt, Slot: x.slot})
	}
}

// on reports whether one of the attempts was, or is to be, at a worker.
func (a *alone) on(w id.Worker) bool {
	return a != nil && slices.ContainsFunc(a.tasks, func(x *execution) bool { return x.slot.Worker == w })
}

// Alone says whether a restart is one of some attempts of a region, which goes on.
func (g *Graph) Alone(restart int) bool { return g.alone != nil && g.alone.action.Restart == restart }

// Awaits says whether a restart's delay is still waited for: not if another one has taken its
// attempts over, or the job ends.
func (g *Graph) Awaits(restart int) bool {
	_, whole := g.pending[restart]
	return whole || g.Alone(restart)
}
