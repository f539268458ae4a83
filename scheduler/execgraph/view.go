package execgraph

import (
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/id"
)

// State returns the job's state.
func (g *Graph) State() JobState { return g.state }

// Cause returns why the job fails or failed, or nil.
func (g *Graph) Cause() error { return g.cause }

// Failures returns the latest failures, oldest first.
func (g *Graph) Failures() []Failure { return slices.Clone(g.history) }

// Restarts returns how often regions of the job were restarted.
func (g *Graph) Restarts() int { return g.serial }

// Region describes a region.
type Region struct {
	Index int
	State RegionState
	// Since is when it came into its state.
	Since time.Duration
	// Slots is how many slots it can use; zero: that is not decided.
	Slots int
	// Inputs are the regions that have to finish before it starts and have not.
	Inputs []int
	Tasks  []Task
	// Cause is why it begins again, while it stops or its restart is delayed, and Unreached
	// the worker that did not answer, if it is that.
	Cause     error
	Unreached id.Worker
}

// Task describes the current attempt of a subtask.
type Task struct {
	Attempt id.Attempt
	State   AttemptState
	// Slot is where it was deployed; zero before.
	Slot id.Slot
	// Since is when it came into its state.
	Since time.Duration
}

// Regions describes the whole execution, in the order of regions and vertices.
func (g *Graph) Regions() []Region {
	regions := make([]Region, len(g.regions))
	for i, r := range g.regions {
		regions[i] = Region{Index: i, State: r.state, Since: r.since, Slots: r.slots, Tasks: make([]Task, len(r.tasks))}
		for _, b := range r.inputs {
			if !b.complete && !slices.Contains(regions[i].Inputs, b.from.index) {
				regions[i].Inputs = append(regions[i].Inputs, b.from.index)
			}
		}
		for j, x := range r.tasks {
			regions[i].Tasks[j] = Task{Attempt: x.attempt, State: x.state, Slot: x.slot, Since: x.since}
		}
	}
	for _, p := range g.pending {
		for _, r := range p.regions {
			regions[r.index].Cause, regions[r.index].Unreached = p.cause, p.unreached
		}
	}
	return regions
}

// Members are the vertices of a region.
func (g *Graph) Members(region int) (out []id.Vertex) {
	for _, v := range g.region(region).vertices {
		out = append(out, v.ID)
	}
	return out
}

// Requested says whether a region waits for slots.
func (g *Graph) Requested(region int) bool { return g.region(region).state == RegionRequested }

// Written says whether a lane of a blocking exchange is complete, as far as is known.
func (g *Graph) Written(exchange id.Exchange, lane uint32) bool {
	b := g.borders[exchange]
	return b != nil && b.lanes[lane]
}

// Current is a subtask's present attempt and its state; false: the subtask does not
// exist, or not yet.
func (g *Graph) Current(s id.Subtask) (Task, bool) {
	x, ok := g.subtasks[s]
	if !ok {
		return Task{}, false
	}
	return Task{Attempt: x.attempt, State: x.state, Slot: x.slot, Since: x.since}, true
}

// Done says that nobody can need a blocking exchange any more: its reader has finished, and
// so have, all the way down, the readers of what that one wrote. What a client reads is
// never done.
func (g *Graph) Done(exchange id.Exchange) bool {
	b := g.borders[exchange]
	if b == nil || b.to == nil || b.to.state != RegionFinished {
		return false
	}
	for _, out := range b.to.outputs {
		if !g.Done(out.exchange) {
			return false
		}
	}
	return true
}
