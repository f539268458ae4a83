package execgraph

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/invariant"
)

// Graph is the execution of one job. One goroutine owns it.
type Graph struct {
	topology Topology
	strategy RestartStrategy
	regions  []*region
	subtasks map[id.Subtask]*execution
	borders  map[id.Exchange]*border

	state    JobState
	cause    error // why the job fails
	history  []Failure
	restarts restarts
	pending  map[int]*restart // by number
	serial   int              // the last restart's number

	at      time.Duration // the time of the event being handled
	actions []Action      // the answer to the event being handled
}

// region is a set of vertices that run together.
type region struct {
	index   int
	state   RegionState
	slots   int          // how many it needs
	granted []id.Slot    // what it holds
	tasks   []*execution // by vertex, then index
	live    int          // how many attempts are not over
	inputs  []*border
	outputs []*border
}

// border is a blocking edge between regions.
type border struct {
	exchange id.Exchange
	from, to *region
	complete bool // all lanes are there, as far as is known
}

func (r *region) String() string { return fmt.Sprintf("region %d", r.index) }

// execution is the current attempt of a subtask.
type execution struct {
	attempt id.Attempt
	region  *region
	share   int // which of the region's slots it takes
	state   AttemptState
	slot    id.Slot
	since   time.Duration
}

// Failure is one entry of the job's failure history.
type Failure struct {
	At      time.Duration
	Regions []int // that it restarts; none if it ends the job
	Cause   error
}

// maxHistory bounds the failure history; the oldest entries go first.
const maxHistory = 64

// New returns the execution graph of a job that has not started.
func New(t Topology, s RestartStrategy) (*Graph, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, failure.Wrap(failure.Usage, err)
	}
	g := &Graph{
		topology: t,
		strategy: s,
		subtasks: map[id.Subtask]*execution{},
		borders:  map[id.Exchange]*border{},
		pending:  map[int]*restart{},
	}
	g.moveJob(JobInitializing)
	g.build()
	return g, nil
}

// build expands the topology to regions and executions.
func (g *Graph) build() {
	regionOf := map[id.Vertex]*region{}
	for i, n := range g.topology.cut() {
		v := g.topology.Vertices[i]
		if n == len(g.regions) {
			r := &region{index: n}
			moveRegion(r, RegionWaiting)
			g.regions = append(g.regions, r)
		}
		r := g.regions[n]
		r.slots = max(r.slots, v.Parallelism)
		regionOf[v.ID] = r
	}
	for _, v := range g.topology.Vertices {
		r := regionOf[v.ID]
		for i := range v.Parallelism {
			x := &execution{region: r, share: i * r.slots / v.Parallelism}
			x.attempt.Subtask = id.Subtask{Vertex: v.ID, Index: uint32(i)}
			g.moveAttempt(x, AttemptCreated)
			r.tasks = append(r.tasks, x)
			g.subtasks[x.attempt.Subtask] = x
		}
	}
	for _, e := range g.topology.Edges {
		if from, to := regionOf[e.From], regionOf[e.To]; from != to {
			b := &border{exchange: e.ID, from: from, to: to}
			to.inputs = append(to.inputs, b)
			from.outputs = append(from.outputs, b)
			g.borders[e.ID] = b
		}
	}
}

// Handle takes an event that happened at a time since the job began, and
// returns what to do. The result is the caller's.
func (g *Graph) Handle(at time.Duration, ev Event) []Action {
	g.at, g.actions = at, nil
	late, isGrant := ev.(SlotsGranted)
	switch {
	case !g.state.Terminal():
		g.dispatch(ev)
	case isGrant:
		g.do(ReleaseSlots{Region: late.Region, Slots: late.Slots})
	}
	return g.actions
}

func (g *Graph) dispatch(ev Event) {
	switch ev := ev.(type) {
	case Start:
		g.start(ev)
	case SlotsGranted:
		g.granted(g.region(ev.Region), ev.Slots)
	case SlotsUnavailable:
		if r := g.region(ev.Region); r.state == RegionRequested {
			g.failed([]*region{r}, nil, ev.Cause)
		}
	case Deployed:
		g.advance(ev.Attempt, AttemptInitializing)
	case Running:
		g.advance(ev.Attempt, AttemptRunning)
	case TaskFinished:
		g.finished(ev.Attempt)
	case TaskFailed:
		g.taskFailed(ev)
	case TaskCanceled:
		g.canceled(ev.Attempt)
	case WorkerLost:
		g.workerLost(ev)
	case PartitionsLost:
		g.failed(nil, []id.Exchange{ev.Exchange}, ev.Cause)
	case RestartDelayElapsed:
		g.restart(ev.Restart)
	case Fail:
		g.fail(ev.Cause)
	case Cancel:
		g.cancel()
	case Suspend:
		g.suspend()
	default:
		invariant.Broken("execution graph: unknown event %T", ev)
	}
}

func (g *Graph) do(a Action) { g.actions = append(g.actions, a) }

func (g *Graph) start(ev Start) {
	if g.state != JobInitializing {
		return // cancelled before it began
	}
	g.moveJob(JobCreated)
	g.moveJob(JobRunning)
	if ev.Restore {
		g.do(RestoreFromCheckpoint{Regions: indexes(g.regions)})
	}
	g.schedule()
	g.settle()
}

// schedule requests slots for every region whose inputs are complete.
func (g *Graph) schedule() {
	for _, r := range g.regions {
		if r.state == RegionWaiting && r.fed() {
			moveRegion(r, RegionRequested)
			for _, x := range r.tasks {
				g.moveAttempt(x, AttemptScheduled)
			}
			g.do(RequestSlots{Region: r.index, Count: r.slots})
		}
	}
}

// fed reports whether all inputs of the region are complete.
func (r *region) fed() bool {
	for _, b := range r.inputs {
		if !b.complete {
			return false
		}
	}
	return true
}

// granted deploys a region, producers first.
func (g *Graph) granted(r *region, slots []id.Slot) {
	if r.state != RegionRequested {
		g.do(ReleaseSlots{Region: r.index, Slots: slots})
		return
	}
	if len(slots) != r.slots {
		invariant.Broken("execution graph: %v was granted %d slots and needs %d", r, len(slots), r.slots)
	}
	r.granted = slots
	moveRegion(r, RegionRunning)
	for _, x := range r.tasks {
		x.slot = slots[x.share]
		g.moveAttempt(x, AttemptDeploying)
		g.do(Deploy{Attempt: x.attempt, Slot: x.slot})
	}
}

// current returns the execution that an attempt belongs to, nil if the attempt
// has been replaced or is over: messages about it are late.
func (g *Graph) current(a id.Attempt) *execution {
	x, ok := g.subtasks[a.Subtask]
	if !ok {
		invariant.Broken("execution graph: %v is no subtask of this job", a)
	}
	if x.attempt != a || x.state.Terminal() {
		return nil
	}
	return x
}

// advance moves an attempt towards running. Reports may overtake each other, so
// the states between are passed through, and an attempt never moves back.
func (g *Graph) advance(a id.Attempt, to AttemptState) *execution {
	x := g.current(a)
	if x == nil || x.state == AttemptCanceling {
		return nil
	}
	for x.state < to {
		next := x.state + 1
		if x.state < AttemptDeploying { // nobody was told to run it
			next = to
		}
		g.moveAttempt(x, next)
	}
	return x
}

func (g *Graph) finished(a id.Attempt) {
	if x := g.current(a); x != nil && x.state == AttemptCanceling {
		g.canceled(a) // it ended before the order reached it
		return
	}
	x := g.advance(a, AttemptRunning)
	if x == nil {
		return
	}
	g.moveAttempt(x, AttemptFinished)
	if x.region.live > 0 {
		return
	}
	moveRegion(x.region, RegionFinished)
	for _, b := range x.region.outputs {
		b.complete = true
	}
	g.release(x.region)
	g.schedule()
	g.settle()
}

func (g *Graph) release(r *region) {
	if len(r.granted) > 0 {
		g.do(ReleaseSlots{Region: r.index, Slots: r.granted})
		r.granted = nil
	}
}

// settle ends the job once nothing is left to run or to stop.
func (g *Graph) settle() {
	switch g.state {
	case JobRunning:
		if g.over(RegionFinished) {
			g.end(JobFinished, nil)
		}
	case JobFailing:
		if g.over(RegionEnded) {
			g.end(JobFailed, g.cause)
		}
	case JobCancelling:
		if g.over(RegionEnded) {
			g.end(JobCanceled, nil)
		}
	}
}

// over reports whether every region is finished or in the state given.
func (g *Graph) over(s RegionState) bool {
	for _, r := range g.regions {
		if r.state != s && r.state != RegionFinished {
			return false
		}
	}
	return true
}

func (g *Graph) end(s JobState, cause error) {
	g.moveJob(s)
	g.do(JobEnded{State: s, Cause: cause})
}

func (g *Graph) region(index int) *region {
	if index < 0 || index >= len(g.regions) {
		invariant.Broken("execution graph: no region %d", index)
	}
	return g.regions[index]
}

func (g *Graph) moveJob(to JobState) { move(&g.state, to, jobMoves[:], "the job") }

func (g *Graph) moveAttempt(x *execution, to AttemptState) {
	move(&x.state, to, attemptMoves[:], x.attempt)
	x.since = g.at
	if to == AttemptCreated {
		x.region.live++
	}
	if to.Terminal() {
		x.region.live--
	}
}

func moveRegion(r *region, to RegionState) { move(&r.state, to, regionMoves[:], r) }

func indexes(regions []*region) []int {
	n := make([]int, len(regions))
	for i, r := range regions {
		n[i] = r.index
	}
	return n
}
