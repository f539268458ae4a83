package execgraph

import (
	"slices"

	"github.com/tidemill/tidemill/core/id"
)

// Rescalable says that a job can be stopped and go on with another parallelism: it
// restarts from checkpoints, and nobody reads along what it writes.
func (g *Graph) Rescalable() bool {
	return g.topology.Streaming && g.topology.Checkpointed && !slices.ContainsFunc(g.regions, func(r *region) bool { return r.read })
}

// rescale restarts a job that runs, as a whole and without delay.
func (g *Graph) rescale(cause error) {
	if g.state != JobRunning || !g.Rescalable() {
		return // a restart that is under way comes to the same
	}
	g.serial++
	g.pending[g.serial] = &restart{regions: slices.Clone(g.regions), action: ScheduleRestart{Restart: g.serial}, cause: cause}
	g.moveJob(JobRestarting)
	g.stop(slices.Clone(g.regions))
}

// resize gives vertices of regions, no attempt of which is at work, another parallelism.
// Attempts of a subtask that there is no more are over for good; one that comes, or comes
// again, has a number that none of its vertex had.
func (g *Graph) resize(regions []*region, parallelism map[id.Vertex]int) {
	for _, r := range regions {
		changed := false
		for i := range r.vertices {
			v := &r.vertices[i]
			if p := parallelism[v.ID]; p > 0 && p != v.Parallelism {
				v.Parallelism, changed = p, true
			}
		}
		if changed {
			g.spread(r)
		}
	}
}

// spread makes the executions of a region anew.
func (g *Graph) spread(r *region) {
	last := map[id.Vertex]uint32{}
	for s, x := range g.subtasks {
		last[s.Vertex] = max(last[s.Vertex], x.attempt.N)
	}
	r.slots = 0
	for _, v := range r.vertices {
		r.slots = max(r.slots, v.Parallelism)
	}
	before := r.tasks
	r.tasks = nil
	kept := map[*execution]bool{}
	for _, v := range r.vertices {
		for i := range v.Parallelism {
			s := id.Subtask{Vertex: v.ID, Index: uint32(i)}
			x := g.subtasks[s]
			if x == nil {
				x = &execution{region: r, attempt: id.Attempt{Subtask: s}, state: AttemptInvalid}
				g.subtasks[s] = x
			}
			x.share, x.attempt.N = shareOf(i, v.Parallelism, r.slots), last[v.ID]
			if x.state == AttemptInvalid && g.state == JobInitializing { // nothing renews it
				g.moveAttempt(x, AttemptCreated)
			}
			kept[x] = true
			r.tasks = append(r.tasks, x)
		}
	}
	for _, x := range before {
		if !kept[x] && !x.state.Terminal() {
			g.moveAttempt(x, AttemptCanceled)
		}
	}
}

// Width is how many slots a region can use with such a parallelism, by vertex.
func (g *Graph) Width(region int, parallelism []int) (slots int) {
	for _, v := range g.region(region).vertices {
		slots = max(slots, parallelism[v.ID])
	}
	return slots
}

// Places says where the subtasks of a region run if it begins again with such a parallelism,
// by vertex, and is granted these slots.
func (g *Graph) Places(region int, parallelism []int, slots []id.Slot) map[id.Subtask]id.Slot {
	out, width := map[id.Subtask]id.Slot{}, g.Width(region, parallelism)
	for _, v := range g.region(region).vertices {
		for i := range parallelism[v.ID] {
			if len(slots) > 0 {
				out[id.Subtask{Vertex: v.ID, Index: uint32(i)}] = slotOf(shareOf(i, parallelism[v.ID], width), width, slots)
			}
		}
	}
	return out
}

// together adds to regions that are to begin again all others, where they begin from one
// checkpoint.
func (g *Graph) together(set map[*region]bool) {
	if !g.topology.Checkpointed || len(set) == 0 {
		return
	}
	for _, r := range g.regions {
		if r.state == RegionRequested || r.state == RegionRunning || r.state == RegionFinished {
			set[r] = true
		}
	}
}
