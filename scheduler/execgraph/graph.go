package execgraph

import (
	"fmt"
	"slices"
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
	searches restarts         // after failures to reach a worker
	pending  map[int]*restart // by number
	serial   int              // the last restart's number
	alone    *alone           // nil: there is none

	at      time.Duration // the time of the event being handled
	actions []Action      // the answer to the event being handled
}

// region is a set of vertices that run together.
type region struct {
	index    int
	state    RegionState
	since    time.Duration
	vertices []Vertex
	slots    int          // its largest parallelism; 0: not decided
	granted  []id.Slot    // what it holds
	tasks    []*execution // by vertex, then index
	live     int          // how many attempts are not over
	inputs   []*border
	outputs  []*border
	// slices says that subtasks with the same index run by themselves: a finished one
	// stays finished when others of the region run again.
	slices bool
	// whole says that it cannot be so until all of it has run again.
	whole bool
	// read says that somebody may have read what it writes, for good.
	read bool
}

// border is a blocking edge between regions.
type border struct {
	exchange   id.Exchange
	from, to   *region // to nobody: what a client reads
	producer   id.Vertex
	replayable bool
	complete   bool            // all lanes are there, as far as is known
	lanes      map[uint32]bool // those that are
}

func (r *region) String() string { return fmt.Sprintf("region %d", r.index) }

// execution is the current attempt of a subtask.
type execution struct {
	attempt id.Attempt
	region  *region
	share   int  // which of the region's slots it takes, if it has as many as it can use
	again   bool // it has finished, and runs again at the next restart of its region
	state   AttemptState
	slot    id.Slot
	since   time.Duration
}

// Failure is one entry of the job's failure history.
type Failure struct {
	At      time.Duration
	Regions []int // that it restarts, or parts of; none if it ends the job
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
			r := &region{index: n, slices: !g.topology.Streaming && !g.topology.Checkpointed}
			g.moveRegion(r, RegionWaiting)
			g.regions = append(g.regions, r)
		}
		g.regions[n].vertices = append(g.regions[n].vertices, v)
		regionOf[v.ID] = g.regions[n]
	}
	for _, e := range g.topology.Edges {
		from, to := regionOf[e.From], regionOf[e.To]
		if e.Result {
			to = nil
			if from.read = from.read || !e.Blocking; !e.Blocking {
				continue
			}
		}
		if from == to {
			from.slices = from.slices && e.Forward && !e.Blocking
			continue
		}
		b := &border{exchange: e.ID, from: from, to: to, producer: e.From, replayable: e.Replayable, lanes: map[uint32]bool{}}
		if to != nil {
			to.inputs = append(to.inputs, b)
		}
		from.outputs = append(from.outputs, b)
		g.borders[e.ID] = b
	}
	for _, r := range g.regions {
		if !slices.ContainsFunc(r.vertices, func(v Vertex) bool { return v.Parallelism == 0 }) {
			g.expand(r)
		}
	}
}

// expand makes the executions of a region, whose vertices have their parallelism.
func (g *Graph) expand(r *region) {
	for _, v := range r.vertices {
		r.slots = max(r.slots, v.Parallelism)
	}
	for _, v := range r.vertices {
		for i := range v.Parallelism {
			x := &execution{region: r, share: shareOf(i, v.Parallelism, r.slots)}
			x.attempt = id.Attempt{Subtask: id.Subtask{Vertex: v.ID, Index: uint32(i)}, N: g.topology.FirstAttempt}
			g.moveAttempt(x, AttemptCreated)
			r.tasks = append(r.tasks, x)
			g.subtasks[x.attempt.Subtask] = x
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
		g.granted(g.region(ev.Region), ev)
	case SlotsUnavailable:
		if r := g.region(ev.Region); r.state == RegionRequested {
			g.failed([]*region{r}, nil, ev.Cause, "")
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
		g.failed(nil, ev.Lost, ev.Cause, "")
	case EnumeratorsLost:
		g.enumeratorsLost(ev.Cause)
	case RestartDelayElapsed:
		g.restart(ev)
	case Rewound:
		g.rewound(ev)
	case Rescale:
		g.rescale(ev.Cause)
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
	g.resize(g.regions, ev.Parallelism)
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
			g.moveRegion(r, RegionRequested)
			for _, x := range r.tasks {
				if x.state == AttemptCreated {
					g.moveAttempt(x, AttemptScheduled)
				}
			}
			g.do(RequestSlots{Region: r.index, Count: len(r.shares())})
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

// shares are those of the attempts that wait for slots, ascending.
func (r *region) shares() (out []int) {
	for _, x := range r.tasks {
		if x.state == AttemptScheduled {
			out = append(out, x.share)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// shareOf is which of a region's slots a subtask takes, of a vertex of such a parallelism.
func shareOf(index, parallelism, slots int) int { return index * slots / parallelism }

// slotOf is the slot of the share at a place among so many, which share them.
func slotOf(at, shares int, slots []id.Slot) id.Slot { return slots[at*len(slots)/shares] }

// granted deploys a region, producers first.
func (g *Graph) granted(r *region, ev SlotsGranted) {
	if r.state != RegionRequested {
		g.do(ReleaseSlots{Region: r.index, Slots: ev.Slots})
		return
	}
	if r.slots == 0 {
		g.decide(r, ev.Parallelism)
	}
	shares := r.shares()
	if len(ev.Slots) == 0 || len(ev.Slots) > len(shares) {
		invariant.Broken("execution graph: %v was granted %d slots and can use %d", r, len(ev.Slots), len(shares))
	}
	r.granted = ev.Slots
	g.moveRegion(r, RegionRunning)
	for _, x := range r.tasks {
		if x.state != AttemptScheduled {
			continue
		}
		at, _ := slices.BinarySearch(shares, x.share)
		x.slot = slotOf(at, len(shares), ev.Slots)
		g.moveAttempt(x, AttemptDeploying)
		g.do(Deploy{Attempt: x.attempt, Slot: x.slot})
	}
}

// decide gives a region's vertices their parallelism, for good.
func (g *Graph) decide(r *region, parallelism map[id.Vertex]int) {
	for i := range r.vertices {
		v := &r.vertices[i]
		p := parallelism[v.ID]
		if p < 1 || v.Parallelism > 0 && v.Parallelism != p {
			invariant.Broken("execution graph: vertex %d of parallelism %d is given %d", v.ID, v.Parallelism, p)
		}
		v.Parallelism = p
	}
	g.expand(r)
	for _, x := range r.tasks {
		g.moveAttempt(x, AttemptScheduled)
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
	for _, b := range x.region.outputs {
		if b.producer == a.Subtask.Vertex {
			b.lanes[a.Subtask.Index] = true
		}
	}
	if x.region.live > 0 || g.alone != nil && g.alone.region == x.region {
		return
	}
	g.moveRegion(x.region, RegionFinished)
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

func (g *Graph) moveRegion(r *region, to RegionState) {
	move(&r.state, to, regionMoves[:], r)
	r.since = g.at
}

func indexes(regions []*region) []int {
	n := make([]int, len(regions))
	for i, r := range regions {
		n[i] = r.index
	}
	return n
}
