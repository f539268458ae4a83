package execgraph

import (
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// restart is a set of regions that begin again together, after all their
// attempts are over and a delay.
type restart struct {
	regions   []*region
	action    ScheduleRestart
	scheduled bool
	cause     error
	unreached id.Worker // nobody answered there; empty: it is another failure
}

func (g *Graph) taskFailed(ev TaskFailed) {
	x := g.current(ev.Attempt)
	if x == nil {
		return
	}
	expected := x.state == AttemptCanceling
	g.moveAttempt(x, AttemptFailed)
	if expected { // its region is being stopped anyway
		g.quiet(x.region)
		return
	}
	cause := fmt.Errorf("task %v: %w", ev.Attempt, ev.Cause)
	if len(ev.Lost) == 0 && !ev.Unreached && g.restartAlone(x, cause) {
		return
	}
	unreached := id.Worker("")
	if ev.Unreached {
		unreached = x.slot.Worker
	}
	g.failed([]*region{x.region}, ev.Lost, cause, unreached)
}

func (g *Graph) canceled(a id.Attempt) {
	x := g.current(a)
	if x == nil {
		return
	}
	if x.state != AttemptCanceling { // the worker stopped it by itself
		g.taskFailed(TaskFailed{Attempt: a, Cause: failure.Errorf(failure.Transient, "canceled by its worker")})
		return
	}
	g.moveAttempt(x, AttemptCanceled)
	g.quiet(x.region)
}

// workerLost fails what ran on a worker, as one failure.
func (g *Graph) workerLost(ev WorkerLost) {
	var hit, stopping []*region
	for _, r := range g.regions {
		for _, x := range r.tasks {
			if x.slot.Worker != ev.Worker || x.state < AttemptDeploying || x.state.Terminal() {
				continue
			}
			g.moveAttempt(x, AttemptFailed)
			into := &hit
			if r.state == RegionStopping {
				into = &stopping
			}
			if !slices.Contains(*into, r) {
				*into = append(*into, r)
			}
		}
	}
	if g.alone.on(ev.Worker) && !slices.Contains(hit, g.alone.region) && g.alone.region.state == RegionRunning {
		hit = append(hit, g.alone.region) // what it would read is gone
	}
	if len(hit) > 0 {
		unreached := id.Worker("")
		if ev.Unreached {
			unreached = ev.Worker
		}
		g.failed(hit, nil, failure.Errorf(failure.Transient, "worker %s is lost: %w", ev.Worker, ev.Cause), unreached)
	}
	for _, r := range stopping {
		g.quiet(r)
	}
}

// failed decides what a failure of regions, or of exchanges' data, means. Where it is that
// nobody answered at a worker, that one is named.
func (g *Graph) failed(regions []*region, lost []Lost, cause error, unreached id.Worker) {
	if g.state != JobRunning && g.state != JobRestarting {
		return // everything is being stopped, or nothing was started
	}
	affected := g.affected(regions, lost)
	if len(affected) == 0 {
		return // lost data that nobody reads any more
	}
	if !failure.Of(cause).Retryable() || slices.ContainsFunc(affected, func(r *region) bool { return r.read && r.state != RegionRequested }) {
		g.fail(cause)
		return
	}
	delay, err := g.again(unreached != "", cause)
	if err != nil {
		g.fail(err)
		return
	}
	g.begin(affected, cause, delay, unreached)
}

// begin begins the restart of regions.
func (g *Graph) begin(affected []*region, cause error, delay time.Duration, unreached id.Worker) {
	g.serial++
	g.record(affected, cause)
	g.pending[g.serial] = &restart{
		regions: affected,
		action:  ScheduleRestart{Restart: g.serial, Delay: delay},
		cause:   cause, unreached: unreached,
	}
	if g.state == JobRunning {
		g.moveJob(JobRestarting)
	}
	g.stop(affected)
}

// again says after which delay a restart follows, or with which error the job ends.
func (g *Graph) again(unreached bool, cause error) (time.Duration, error) {
	strategy, past := g.strategy, &g.restarts
	if unreached && strategy.Kind != RestartNone {
		strategy, past = searching, &g.searches
	}
	next, delay, ok := strategy.next(*past, g.at)
	switch {
	case ok:
		*past = next
		return delay, nil
	case strategy.Kind == RestartNone:
		return 0, cause
	case past == &g.searches:
		return 0, fmt.Errorf("workers did not answer %d times in a row: %w", strategy.Attempts, cause)
	default:
		return 0, fmt.Errorf("restarts are used up (%v): %w", strategy, cause)
	}
}

// affected returns the regions that have to begin again: the failed ones, the
// producers of lost data that is still needed, and its readers that are not
// finished. Regions that are restarting already are left out.
func (g *Graph) affected(regions []*region, lost []Lost) []*region {
	set := map[*region]bool{}
	var add func(r *region)
	add = func(r *region) {
		if set[r] || (r.state != RegionRequested && r.state != RegionRunning && r.state != RegionFinished) {
			return
		}
		set[r] = true
		for _, b := range r.inputs { // lost while nobody needed them
			if !b.complete && b.from.state == RegionFinished {
				g.missed(b)
				add(b.from)
			}
		}
	}
	for _, r := range regions {
		add(r)
	}
	for _, l := range lost {
		b, ok := g.borders[l.Exchange]
		if !ok {
			continue // pipelined: its two ends fail by themselves
		}
		g.lose(b, l.Lanes)
		if b.to != nil && b.to.state == RegionFinished {
			continue // everybody has read it
		}
		if finished := g.missed(b); finished || b.from.state != RegionRequested {
			add(b.from)
		}
		if b.to == nil {
			continue
		}
		if !b.replayable {
			g.repeat(b.to, func(*execution) bool { return true })
		}
		add(b.to)
	}
	g.together(set)
	var affected []*region
	for _, r := range g.regions {
		if set[r] {
			affected = append(affected, r)
		}
	}
	return affected
}

// lose marks data as gone, all of it where no lanes are named. A producer that is
// about to run again needs an empty exchange; later ones get it when they restart.
func (g *Graph) lose(b *border, lanes []uint32) {
	if lanes == nil {
		if b.complete && (b.from.state == RegionWaiting || b.from.state == RegionRequested) {
			g.do(ResetExchange{Exchange: b.exchange})
		}
		clear(b.lanes)
	}
	for _, l := range lanes {
		delete(b.lanes, l)
	}
	b.complete = false
}

// missed has those subtasks run again whose lanes are gone, and reports whether there
// are any.
func (g *Graph) missed(b *border) bool {
	gone := map[uint32]bool{}
	for _, x := range b.from.tasks {
		if s := x.attempt.Subtask; s.Vertex == b.producer && !b.lanes[s.Index] {
			gone[s.Index] = true
		}
	}
	return g.repeat(b.from, func(x *execution) bool { return gone[x.attempt.Subtask.Index] })
}

// repeat has finished attempts of a region run again when it restarts, or, in a region
// that waits, as soon as it runs. It reports whether there are any.
func (g *Graph) repeat(r *region, which func(*execution) bool) (any bool) {
	for _, x := range r.tasks {
		if x.state == AttemptFinished && (which(x) || r.atOnce()) {
			x.again, any = true, true
		}
	}
	if any && r.state == RegionWaiting {
		g.renew(r)
	}
	return any
}

// atOnce reports whether the region can only run again as a whole.
func (r *region) atOnce() bool { return !r.slices || r.whole }

// renew makes the next attempts of a region that is about to run again: of all its
// subtasks, or, where they run by themselves, of those that have not finished or have
// lost what they wrote. What is incomplete and written anew as a whole is emptied.
func (g *Graph) renew(r *region) {
	kept := map[id.Vertex]bool{}
	for _, x := range r.tasks {
		switch {
		case x.state == AttemptCreated:
		case !r.atOnce() && x.state == AttemptFinished && !x.again:
			kept[x.attempt.Subtask.Vertex] = true
		default:
			x.attempt.N++
			x.state, x.slot, x.again = AttemptInvalid, id.Slot{}, false
			g.moveAttempt(x, AttemptCreated)
		}
	}
	r.whole = false
	for _, b := range r.outputs {
		if !b.complete && !kept[b.producer] && r.slots > 0 { // what is complete has readers
			clear(b.lanes)
			g.do(ResetExchange{Exchange: b.exchange})
		}
	}
}

// enumeratorsLost restarts the sources that are at work. What the others were given is
// forgotten: from here on they run again as a whole.
func (g *Graph) enumeratorsLost(cause error) {
	var hit []*region
	for _, r := range g.regions {
		if !slices.ContainsFunc(r.vertices, func(v Vertex) bool { return v.Source }) {
			continue
		}
		begun := slices.ContainsFunc(r.tasks, func(x *execution) bool { return x.attempt.N > g.topology.FirstAttempt || x.state >= AttemptDeploying })
		r.whole = begun
		switch {
		case !begun || r.state == RegionFinished:
		case r.state == RegionWaiting:
			g.repeat(r, func(*execution) bool { return true })
		case r.state == RegionRunning, r.state == RegionRequested:
			hit = append(hit, r)
		}
	}
	if len(hit) > 0 {
		g.failed(hit, nil, cause, "")
	}
}

func (g *Graph) record(affected []*region, cause error) {
	if len(g.history) == maxHistory {
		g.history = slices.Delete(g.history, 0, 1)
	}
	g.history = append(g.history, Failure{At: g.at, Regions: indexes(affected), Cause: cause})
}

// stop ends all attempts of regions.
func (g *Graph) stop(regions []*region) {
	if g.alone != nil && slices.Contains(regions, g.alone.region) {
		g.alone = nil
	}
	for _, r := range regions {
		if r.state == RegionRequested {
			g.do(ReleaseSlots{Region: r.index})
		}
		if r.state != RegionStopping {
			g.moveRegion(r, RegionStopping)
		}
		for _, x := range r.tasks {
			switch x.state {
			case AttemptCreated, AttemptScheduled:
				g.moveAttempt(x, AttemptCanceled)
			case AttemptDeploying, AttemptInitializing, AttemptRunning:
				g.moveAttempt(x, AttemptCanceling)
				g.do(CancelAttempt{Attempt: x.attempt})
			}
		}
	}
	for _, r := range regions {
		g.quiet(r)
	}
}

// quiet goes on when the last attempt of a stopping region is over.
func (g *Graph) quiet(r *region) {
	g.aloneQuiet()
	if r.state != RegionStopping || r.live > 0 {
		return
	}
	g.release(r)
	if g.state == JobFailing || g.state == JobCancelling {
		g.moveRegion(r, RegionEnded)
		g.settle()
		return
	}
	g.moveRegion(r, RegionDelayed)
	for _, p := range g.pending {
		if slices.Contains(p.regions, r) && !p.scheduled && allDelayed(p.regions) {
			p.scheduled = true
			g.do(p.action)
		}
	}
}

func allDelayed(regions []*region) bool {
	for _, r := range regions {
		if r.state != RegionDelayed {
			return false
		}
	}
	return true
}

// restart begins the next attempts of a restart's regions.
func (g *Graph) restart(ev RestartDelayElapsed) {
	if g.Alone(ev.Restart) {
		g.aloneAgain()
		return
	}
	p, ok := g.pending[ev.Restart]
	if !ok {
		return // the job is ending
	}
	delete(g.pending, ev.Restart)
	g.resize(p.regions, ev.Parallelism)
	for _, r := range p.regions {
		g.moveRegion(r, RegionWaiting)
	}
	for _, r := range p.regions {
		g.renew(r)
	}
	if g.topology.Checkpointed {
		g.do(RestoreFromCheckpoint{Regions: indexes(p.regions)})
	}
	if len(g.pending) == 0 {
		g.moveJob(JobRunning)
	}
	g.schedule()
}

// fail ends the job with a cause.
func (g *Graph) fail(cause error) {
	if g.state == JobFailing || g.state == JobCancelling {
		return
	}
	g.cause = cause
	g.record(nil, cause)
	g.moveJob(JobFailing)
	g.stopAll()
}

func (g *Graph) cancel() {
	if g.state == JobCancelling {
		return
	}
	g.moveJob(JobCancelling)
	g.stopAll()
}

// stopAll stops every region and forgets pending restarts.
func (g *Graph) stopAll() {
	clear(g.pending)
	var running []*region
	for _, r := range g.regions {
		if r.state != RegionFinished && r.state != RegionEnded {
			running = append(running, r)
		}
	}
	g.stop(running)
	g.settle() // there may have been nothing to stop
}

// suspend stops at once, without waiting for answers: whoever leads now fences
// what is left.
func (g *Graph) suspend() {
	g.alone = nil
	for _, r := range g.regions {
		for _, x := range r.tasks {
			if x.state >= AttemptDeploying && !x.state.Terminal() {
				g.do(CancelAttempt{Attempt: x.attempt})
			}
		}
		if r.state == RegionRequested {
			g.do(ReleaseSlots{Region: r.index})
		}
		g.release(r)
	}
	g.end(JobSuspended, nil)
}
