package jobmaster

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tidemill/tidemill/adaptive"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// rescaling is what Run knows of the parallelism of a streaming job.
type rescaling struct {
	required Requirements
	freed    <-chan struct{} // closed when slots become free
	// started is when the job last began or began again; growing since when there have
	// been slots to grow into, zero: there are none; asked since when a request has not
	// come true, zero: there is none.
	started, growing, asked time.Duration
	looking                 bool   // a timer is out
	why                     string // what it waits for; empty: nothing
	failures                int    // of checkpoints for it, one after the other
	steps
	standby
	published id.Checkpoint // what the last one went on from
}

// steps are when the rescaling under way came to its steps; zero: it has not.
type steps struct {
	triggered time.Duration
	ahead     time.Duration // what is to be restored ahead was; zero: also where nothing was
	saved     time.Duration
	over      time.Duration
}

// errRescale is why a job that is rescaled stops.
var errRescale = errors.New("the job goes on with another parallelism")

// retryRescale is the pause after a checkpoint for a rescaling has failed.
const retryRescale = 500 * time.Millisecond

func (m *Master) reactive() bool { return config.SchedulerMode.Get(m.config) == "reactive" }

// Rescale has the job run within other bounds, which were checked and stored. It returns at
// once.
func (m *Master) Rescale(r Requirements) {
	m.post(func() {
		m.required, m.failures = r, 0
		m.asked = max(time.Since(m.begun), 1)
		m.consider()
	})
}

// scales says whether the job may be rescaled now.
func (m *Master) scales() bool {
	return m.checkpoints != nil && !m.stopped && m.final == nil && m.triggered == 0 &&
		m.graph.State() == execgraph.JobRunning && m.graph.Rescalable()
}

// slots is how many slots each region of the job can have: those that it holds and those
// that are free.
func (m *Master) slots() int {
	total, free := m.opts.Resources.Slots()
	if m.opts.Resources.Fixed() {
		free = total
	} else {
		held := map[id.Slot]bool{}
		for _, r := range m.graph.Regions() {
			for _, t := range r.Tasks {
				held[t.Slot] = r.State == execgraph.RegionRunning && t.Slot.Worker != ""
			}
		}
		maps.DeleteFunc(held, func(_ id.Slot, mine bool) bool { return !mine })
		free += len(held)
	}
	return free / max(len(m.graph.Regions()), 1)
}

// aim is the parallelism that the job is to have with so many slots.
func (m *Master) aim(slots int) ([]int, adaptive.Decision) {
	return adaptive.Streaming(m.layout.scalables(m.required, m.reactive()), slots)
}

// consider looks whether the job should run with another parallelism.
func (m *Master) consider() {
	if !m.scales() {
		return
	}
	slots := m.slots()
	n, d := m.aim(slots)
	if m.why = ""; slices.Equal(n, m.layout.parallelism) {
		m.asked, m.growing = 0, 0
		return
	}
	now := max(time.Since(m.begun), 1)
	if width, could := slices.Max(m.layout.parallelism), slices.Max(n); m.asked == 0 {
		if m.growing == 0 {
			m.growing = now
		}
		g := adaptive.Growth{
			Cooldown: config.RescaleCooldown.Get(m.config), Settle: config.RescaleSettle.Get(m.config), Increase: config.RescaleIncrease.Get(m.config),
		}
		wait, why, worth := g.Wait(now, m.growing, m.started, width, could)
		switch {
		case !worth:
			m.growing = 0
			return
		case wait > 0:
			m.why = why
			m.lookAgain(wait)
			return
		}
	}
	m.record(adaptive.Decision{Rule: "rescale", Subject: "job", Inputs: d.Inputs, Effect: "a checkpoint, and from it " + d.Effect})
	m.triggered = now
	m.checkpointNow(func(n id.Checkpoint, cause error) {
		m.post(func() { m.standBy(n, cause) })
	})
}

// lookAgain considers again after a while.
func (m *Master) lookAgain(after time.Duration) {
	if m.looking {
		return
	}
	m.looking = true
	m.after(after, func() {
		m.looking = false
		m.consider()
	})
}

// rescale stops the job after the checkpoint that was taken for it, or says why there is
// none. Where that is tried too often the job stays as it is, until slots come or somebody
// asks again.
func (m *Master) rescale(n id.Checkpoint, cause error) {
	if cause == nil {
		m.failures, m.published, m.saved = 0, n, time.Since(m.begun)
		if m.handle(execgraph.Rescale{Cause: errRescale}); m.graph.State() != execgraph.JobRestarting {
			m.steps = steps{}
			m.standDown()
		}
		return
	}
	m.steps = steps{}
	m.standDown()
	if m.graph.State() != execgraph.JobRunning {
		return // the restart decides anew
	}
	if m.failures++; m.failures < config.RescaleFailures.Get(m.config) {
		m.lookAgain(retryRescale)
		return
	}
	m.failures, m.asked, m.growing = 0, 0, 0
	m.record(adaptive.Decision{Rule: "rescale", Subject: "job", Inputs: cause.Error(), Effect: "given up: the job goes on as it is"})
}

// resize decides the parallelism of a job that is about to start or to start again, none of
// whose attempts is at work, and returns it.
func (m *Master) resize() map[id.Vertex]int {
	if !m.layout.streaming() || len(m.graph.Regions()) > 1 && m.graph.State() != execgraph.JobInitializing && !m.checkpointed {
		return nil
	}
	if total, _ := m.opts.Resources.Slots(); m.opts.Resources.Fixed() && m.layout.wanted > total {
		return nil // it is refused
	}
	n, d := m.aim(m.slots())
	m.growing, m.why = 0, ""
	if slices.Equal(n, m.layout.parallelism) {
		return nil
	}
	m.record(d)
	m.mu.Lock()
	copy(m.layout.parallelism, n)
	m.mu.Unlock()
	out := map[id.Vertex]int{}
	for v, p := range n {
		out[id.Vertex(v)] = p
	}
	for x, p := range m.places { // partitions and lanes are others
		m.places[x] = &place{version: p.version + 1}
	}
	if m.checkpoints != nil {
		m.checkpoints.Resize(m.checkpointVertices(m.layout.parallelism))
	}
	return out
}

// restarted notes that a streaming job begins again.
func (m *Master) restarted() {
	m.started = max(time.Since(m.begun), 1)
	if m.saved == 0 {
		m.steps = steps{}
	} else {
		m.over = m.started
	}
}

// rescaled says how a rescaling went, once all attempts are at work again.
func (m *Master) rescaled() {
	underWay := m.triggered > 0 && m.over == 0
	if m.over == 0 && len(m.holders) == 0 || underWay || !m.atWork() {
		return
	}
	if m.standDown(); m.over == 0 {
		return
	}
	now, s := time.Since(m.begun), m.steps
	m.steps = steps{}
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	before, begin := "", s.triggered
	if s.ahead > 0 {
		before, begin = fmt.Sprintf("restored ahead: %v, ", ms(s.ahead-s.triggered)), s.ahead
	}
	m.record(adaptive.Decision{
		Rule: "rescaled", Subject: "job", Inputs: fmt.Sprintf("%scheckpoint: %v, stop: %v, start: %v", before, ms(s.saved-begin), ms(s.over-s.saved), ms(now-s.over)),
		Effect: fmt.Sprintf("it runs with %d subtasks at the widest after %v", slices.Max(m.layout.parallelism), ms(now-s.triggered)),
	})
	m.consider()
}

// rescaleWaits say what the job waits for to have another parallelism.
func (m *Master) rescaleWaits() (out []*rpc.Wait) {
	if !m.checkpointed || m.graph.State().Terminal() {
		return nil
	}
	wanted, _ := m.aim(math.MaxInt32)
	part := fmt.Sprintf("parallelism %d", slices.Max(wanted))
	wait := func(reason, owner string, since time.Duration) {
		out = append(out, &rpc.Wait{Part: part, Reason: reason, Owner: owner, Since: since.Milliseconds()})
	}
	switch width := slices.Max(m.layout.parallelism); {
	case m.triggered > 0 && m.saved == 0 && len(m.holders) > 0 && m.ahead == 0:
		wait("state to be restored where it will be", "workers", m.triggered)
	case m.triggered > 0 && m.saved == 0:
		wait("a checkpoint to go on from", "checkpoints", m.triggered)
	case m.saved > 0 && m.over == 0:
		wait("its attempts to end", "workers", m.saved)
	case m.why != "":
		wait(m.why, "options of the adaptive scheduler", m.growing)
	case width < slices.Max(wanted) && !m.reactive() && m.slots() < slices.Max(wanted):
		wait(fmt.Sprintf("slots: there are %d for the job", m.slots()), "cluster", m.started)
	}
	return out
}
