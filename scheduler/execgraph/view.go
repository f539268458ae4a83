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
	// Slots is how many slots it needs.
	Slots int
	Tasks []Task
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
		regions[i] = Region{Index: i, State: r.state, Slots: r.slots, Tasks: make([]Task, len(r.tasks))}
		for j, x := range r.tasks {
			regions[i].Tasks[j] = Task{Attempt: x.attempt, State: x.state, Slot: x.slot, Since: x.since}
		}
	}
	return regions
}
