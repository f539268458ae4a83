package execgraph

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// A seed makes a job, a world that answers late and out of order, and faults.
// Whatever happens: no two attempts of a subtask live together, no region runs
// before its inputs are complete, slots are neither lost nor used twice, and
// once the faults stop the job ends.
func TestRandomWorlds(t *testing.T) {
	for seed := range uint64(400) {
		w := &world{
			t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 7)),
			live: map[id.Subtask]id.Attempt{}, granted: map[id.Slot]int{}, wanted: map[int]int{},
			parallelism: map[id.Vertex]int{}, have: map[id.Exchange]bool{}, before: map[int]RegionState{},
		}
		w.run()
		if t.Failed() {
			return
		}
	}
}

type world struct {
	t        *testing.T
	seed     uint64
	rand     *rand.Rand
	topology Topology
	g        *Graph
	at       time.Duration

	answers     []Event                   // not yet delivered
	live        map[id.Subtask]id.Attempt // on workers
	granted     map[id.Slot]int           // region that holds it
	wanted      map[int]int               // open requests by region
	have        map[id.Exchange]bool      // complete
	before      map[int]RegionState       // regions' states before the last event
	parallelism map[id.Vertex]int

	slots uint32
	ended bool
}

func (w *world) run() {
	n := 1 + w.rand.IntN(6)
	for i := range n {
		w.topology.Vertices = append(w.topology.Vertices, Vertex{ID: id.Vertex(i), Parallelism: w.rand.IntN(4), Source: w.rand.IntN(3) == 0})
		for j := range i {
			if w.rand.IntN(3) == 0 {
				w.topology.Edges = append(w.topology.Edges, Edge{
					ID: id.Exchange(len(w.topology.Edges)), From: id.Vertex(j), To: id.Vertex(i), Blocking: w.rand.IntN(3) > 0,
					Forward: w.rand.IntN(2) == 0, Replayable: w.rand.IntN(4) > 0,
				})
			}
		}
	}
	g, err := New(w.topology, RestartStrategy{Kind: RestartFixedDelay, Attempts: 1 + w.rand.IntN(12), Delay: time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	w.g, w.answers = g, []Event{Start{}}
	for step := 0; !w.ended || len(w.answers) > 0; step++ {
		w.at += time.Second
		if step < 300 && !w.ended && w.rand.IntN(12) == 0 {
			w.fault()
		}
		if len(w.answers) == 0 && !w.ended {
			w.fail("nothing happens any more, job %v", g.State())
			return
		}
		if len(w.answers) > 0 {
			w.answer()
		}
		if w.t.Failed() {
			return
		}
	}
	if len(w.live) > 0 || len(w.granted) > 0 || len(w.wanted) > 0 {
		w.fail("left: attempts %v, slots %v, requests %v", w.live, w.granted, w.wanted)
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

// answer delivers one of the answers, whichever.
func (w *world) answer() {
	i := w.rand.IntN(len(w.answers))
	ev := w.answers[i]
	w.answers = append(w.answers[:i], w.answers[i+1:]...)
	switch e := ev.(type) {
	case SlotsGranted:
		if w.wanted[e.Region] == 0 {
			return // withdrawn before it was granted
		}
		for range 1 + w.rand.IntN(w.wanted[e.Region]) {
			slot := id.Slot{Worker: id.Worker(fmt.Sprint("w", w.rand.IntN(3))), Index: w.slots}
			w.slots++
			w.granted[slot] = e.Region
			e.Slots = append(e.Slots, slot)
		}
		delete(w.wanted, e.Region)
		e.Parallelism = w.parallelism
		ev = e
	case TaskFinished:
		w.end(e.Attempt)
	case TaskCanceled:
		w.end(e.Attempt)
	case TaskFailed:
		w.end(e.Attempt)
	}
	w.handle(ev)
}

func (w *world) end(a id.Attempt) {
	if w.live[a.Subtask] == a {
		delete(w.live, a.Subtask)
	}
}

func (w *world) fault() {
	cause := failure.Wrap(failure.Transient, errors.New("fault"))
	switch w.rand.IntN(14) {
	case 12:
		w.handle(EnumeratorsLost{Cause: cause})
	case 0:
		w.handle(Cancel{})
	case 1:
		w.handle(Fail{Cause: cause})
	case 2, 3:
		lost := id.Worker(fmt.Sprint("w", w.rand.IntN(3)))
		for _, r := range w.g.Regions() {
			for _, task := range r.Tasks {
				if task.Slot.Worker == lost {
					w.end(task.Attempt)
				}
			}
		}
		w.handle(WorkerLost{Worker: lost, Cause: cause, Unreached: w.rand.IntN(2) == 0})
	case 4:
		if n := len(w.topology.Edges); n > 0 {
			e := id.Exchange(w.rand.IntN(n))
			delete(w.have, e)
			w.handle(PartitionsLost{Lost: []Lost{{Exchange: e, Lanes: w.someLanes(e)}}, Cause: cause})
		}
	default:
		for _, r := range w.g.Regions() {
			for _, task := range r.Tasks {
				if a, ok := w.live[task.Attempt.Subtask]; ok && a == task.Attempt && w.rand.IntN(3) == 0 {
					w.end(task.Attempt)
					w.handle(TaskFailed{Attempt: task.Attempt, Cause: cause, Unreached: w.rand.IntN(3) == 0})
					return
				}
			}
		}
	}
}

func (w *world) handle(ev Event) {
	actions := w.g.Handle(w.at, ev)
	region := w.regionOf()
	for _, e := range w.topology.Edges {
		from := region[e.From]
		if from.State == RegionFinished && w.before[from.Index] != RegionFinished {
			w.have[e.ID] = true
		}
	}
	for _, r := range region {
		w.before[r.Index] = r.State
	}
	for _, a := range actions {
		w.perform(a)
	}
}

func (w *world) perform(a Action) {
	switch a := a.(type) {
	case RequestSlots:
		if w.wanted[a.Region] = a.Count; a.Count == 0 {
			w.wanted[a.Region] = 1 + w.rand.IntN(3)
			w.decide(a.Region, w.wanted[a.Region])
		}
		w.answers = append(w.answers, SlotsGranted{Region: a.Region})
	case ReleaseSlots:
		if len(a.Slots) == 0 {
			delete(w.wanted, a.Region)
		}
		for _, s := range a.Slots {
			if _, ok := w.granted[s]; !ok {
				w.fail("%v was released twice", s)
			}
			delete(w.granted, s)
		}
	case Deploy:
		w.deploy(a)
	case CancelAttempt:
		w.answers = append(w.answers, TaskCanceled{a.Attempt})
	case ScheduleRestart:
		w.answers = append(w.answers, RestartDelayElapsed{Restart: a.Restart})
	case ResetExchange:
		if w.have[a.Exchange] {
			w.fail("exchange %d was reset although it is complete", a.Exchange)
		}
	case JobEnded:
		w.ended = true
	}
}

// decide chooses the parallelism of a region that can use so many slots.
func (w *world) decide(region, slots int) {
	at := w.topology.cut()
	for i, v := range w.topology.Vertices {
		if at[i] != region || w.parallelism[v.ID] > 0 {
			continue
		}
		if w.parallelism[v.ID] = v.Parallelism; v.Parallelism == 0 {
			w.parallelism[v.ID] = slots
		}
	}
}

// someLanes are lanes of an exchange that are lost; nil: all.
func (w *world) someLanes(e id.Exchange) (lanes []uint32) {
	for _, r := range w.g.Regions() {
		for _, task := range r.Tasks {
			if s := task.Attempt.Subtask; s.Vertex == w.topology.Edges[e].From && w.rand.IntN(2) == 0 {
				lanes = append(lanes, s.Index)
			}
		}
	}
	return lanes
}

func (w *world) deploy(a Deploy) {
	if old, ok := w.live[a.Attempt.Subtask]; ok {
		w.fail("%v was deployed while %v lives", a.Attempt, old)
	}
	if _, ok := w.granted[a.Slot]; !ok {
		w.fail("%v was deployed to %v, which nobody granted", a.Attempt, a.Slot)
	}
	w.live[a.Attempt.Subtask] = a.Attempt
	w.answers = append(w.answers, Deployed{a.Attempt}, Running{a.Attempt}, TaskFinished{a.Attempt})
	region := w.regionOf()
	for _, e := range w.topology.Edges {
		if e.To == a.Attempt.Subtask.Vertex && region[e.From].Index != region[e.To].Index && !w.have[e.ID] {
			w.fail("%v was deployed before %v was complete", a.Attempt, e)
		}
	}
}

func (w *world) regionOf() map[id.Vertex]Region {
	of := map[id.Vertex]Region{}
	for _, r := range w.g.Regions() {
		for _, task := range r.Tasks {
			of[task.Attempt.Subtask.Vertex] = r
		}
	}
	return of
}
