package execgraph

// Each file of testdata tells a job's story: events go in, actions and states
// come out. Commands:
//
//	job [checkpointed]   lines: vertex ID PARALLELISM [source];
//	    [streaming]      edge ID FROM->TO [blocking] [feedback] [forward] [shuffled] [replayed] [result];
//	                     restart none | fixed N DELAY | rate N INTERVAL DELAY | exponential N DELAY MAX MULTIPLIER RESET
//	step [at=SECONDS]    lines: one event each; a panic is printed
//
// In running, finished, canceled: V.* stands for all subtasks of vertex V with
// their current attempts, V.I for one, V.I#N for a given attempt.

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		s := &story{t: t}
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "job":
				return s.job(d)
			case "step":
				return s.step(d)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

type story struct {
	t  *testing.T
	g  *Graph
	at time.Duration
}

func (s *story) scan(line, format string, args ...any) {
	s.t.Helper()
	if _, err := fmt.Sscanf(line, format, args...); err != nil {
		s.t.Fatalf("%q: %v", line, err)
	}
}

func (s *story) job(d *datadriven.TestData) string {
	topology := Topology{Checkpointed: d.HasArg("checkpointed"), Streaming: d.HasArg("streaming")}
	strategy := RestartStrategy{Kind: RestartNone}
	for _, line := range strings.Split(d.Input, "\n") {
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "vertex":
			v := Vertex{Source: strings.Contains(rest, "source")}
			s.scan(rest, "%d %d", &v.ID, &v.Parallelism)
			topology.Vertices = append(topology.Vertices, v)
		case "edge":
			has := func(word string) bool { return strings.Contains(rest, word) }
			e := Edge{Blocking: has("blocking"), Feedback: has("feedback"), Forward: has("forward"), Replayable: !has("shuffled"), Result: has("result"), Replayed: has("replayed")}
			s.scan(rest, "%d %d->%d", &e.ID, &e.From, &e.To)
			topology.Edges = append(topology.Edges, e)
		case "restart":
			strategy = s.strategy(strings.Fields(rest))
		}
	}
	g, err := New(topology, strategy)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	s.g, s.at = g, 0
	return s.states()
}

func (s *story) strategy(f []string) RestartStrategy {
	duration := func(i int) time.Duration {
		v, err := time.ParseDuration(f[i])
		if err != nil {
			s.t.Fatal(err)
		}
		return v
	}
	number := func(i int) float64 {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return v
	}
	switch f[0] {
	case "fixed":
		return RestartStrategy{Kind: RestartFixedDelay, Attempts: int(number(1)), Delay: duration(2)}
	case "rate":
		return RestartStrategy{Kind: RestartFailureRate, Attempts: int(number(1)), Interval: duration(2), Delay: duration(3)}
	case "exponential":
		return RestartStrategy{
			Kind: RestartExponentialDelay, Attempts: int(number(1)),
			Delay: duration(2), MaxDelay: duration(3), Multiplier: number(4), ResetAfter: duration(5),
		}
	case "none":
		return RestartStrategy{Kind: RestartNone}
	}
	return RestartStrategy{}
}

func (s *story) step(d *datadriven.TestData) string {
	if d.HasArg("at") {
		var seconds int
		d.ScanArgs(s.t, "at", &seconds)
		s.at = time.Duration(seconds) * time.Second
	}
	var out strings.Builder
	for _, line := range strings.Split(d.Input, "\n") {
		for _, ev := range s.events(line) {
			out.WriteString(s.handle(ev))
		}
	}
	return out.String() + s.states()
}

// handle prints the actions, or the panic of an illegal move.
func (s *story) handle(ev Event) (out string) {
	defer func() {
		if p := recover(); p != nil {
			out = fmt.Sprintf("panic: %v\n", p)
		}
	}()
	for _, a := range s.g.Handle(s.at, ev) {
		out += fmt.Sprintf("-> %v\n", a)
	}
	return out
}

func (s *story) events(line string) []Event {
	f := strings.Fields(line)
	region := func() (n int) { s.scan(f[1], "%d", &n); return n }
	var events []Event
	each := func(event func(id.Attempt) Event) []Event {
		for _, pattern := range f[1:] {
			for _, a := range s.attempts(pattern) {
				events = append(events, event(a))
			}
		}
		return events
	}
	switch f[0] {
	case "start":
		parallelism := s.parallelism(f[1:])
		return []Event{Start{Restore: len(f) > 1+len(parallelism), Parallelism: parallelism}}
	case "granted":
		var slots []id.Slot
		for _, text := range f[2:] {
			w, i, isSlot := strings.Cut(text, ":")
			if !isSlot {
				continue
			}
			slot := id.Slot{Worker: id.Worker(w)}
			s.scan(i, "%d", &slot.Index)
			slots = append(slots, slot)
		}
		return []Event{SlotsGranted{Region: region(), Slots: slots, Parallelism: s.parallelism(f[2:])}}
	case "unavailable":
		return []Event{SlotsUnavailable{Region: region(), Cause: failure.Errorf(failure.Transient, "no slots")}}
	case "deployed":
		return each(func(a id.Attempt) Event { return Deployed{a} })
	case "running":
		return each(func(a id.Attempt) Event { return Running{a} })
	case "finished":
		return each(func(a id.Attempt) Event { return TaskFinished{a} })
	case "canceled":
		return each(func(a id.Attempt) Event { return TaskCanceled{a} })
	case "unreached": // unreached ATTEMPT
		return []Event{TaskFailed{Attempt: s.attempts(f[1])[0], Cause: failure.Errorf(failure.Transient, "connection refused"), Unreached: true}}
	case "worker-unreached":
		return []Event{WorkerLost{Worker: id.Worker(f[1]), Cause: errors.New("connection refused"), Unreached: true}}
	case "failed": // failed ATTEMPT CLASS [lost=EXCHANGE]
		ev := TaskFailed{Attempt: s.attempts(f[1])[0], Cause: failure.Wrap(class(f[2]), errors.New("boom"))}
		if len(f) > 3 {
			var e id.Exchange
			s.scan(f[3], "lost=%d", &e)
			ev.Lost = append(ev.Lost, Lost{Exchange: e, Lanes: s.lanes(f[4:])})
		}
		return []Event{ev}
	case "worker-lost":
		return []Event{WorkerLost{Worker: id.Worker(f[1]), Cause: errors.New("no heartbeat")}}
	case "partitions-lost":
		return []Event{PartitionsLost{
			Lost:  []Lost{{Exchange: id.Exchange(region()), Lanes: s.lanes(f[2:])}},
			Cause: failure.Errorf(failure.LostPartition, "disk gone"),
		}}
	case "enumerators-lost":
		return []Event{EnumeratorsLost{Cause: failure.Errorf(failure.Transient, "no heartbeat")}}
	case "elapsed":
		return []Event{RestartDelayElapsed{Restart: region(), Parallelism: s.parallelism(f[2:])}}
	case "rewound": // rewound RESTART [unkept]
		ev := Rewound{Restart: region()}
		if len(f) > 2 {
			ev.Cause = errors.New("not kept")
		}
		return []Event{ev}
	case "rescale":
		return []Event{Rescale{Cause: errors.New("asked for")}}
	case "fail":
		return []Event{Fail{Cause: errors.New("too many failed checkpoints")}}
	case "cancel":
		return []Event{Cancel{}}
	case "suspend":
		return []Event{Suspend{}}
	}
	s.t.Fatalf("unknown event %q", line)
	return nil
}

// parallelism reads VERTEX=N among the words of an event.
func (s *story) parallelism(words []string) map[id.Vertex]int {
	out := map[id.Vertex]int{}
	for _, text := range words {
		if vertex, p, ok := strings.Cut(text, "="); ok {
			v, n := 0, 0
			s.scan(vertex+" "+p, "%d %d", &v, &n)
			out[id.Vertex(v)] = n
		}
	}
	return out
}

func (s *story) lanes(fields []string) (out []uint32) {
	for _, f := range fields {
		var l uint32
		s.scan(f, "%d", &l)
		out = append(out, l)
	}
	return out
}

func class(name string) failure.Class {
	switch name {
	case "transient":
		return failure.Transient
	case "lost-partition":
		return failure.LostPartition
	case "user-code":
		return failure.UserCode
	}
	return failure.Fatal
}

func (s *story) attempts(pattern string) []id.Attempt {
	var found []id.Attempt
	for _, r := range s.g.Regions() {
		for _, task := range r.Tasks {
			sub := task.Attempt.Subtask
			if pattern == fmt.Sprintf("%d.*", sub.Vertex) || pattern == sub.String() {
				found = append(found, task.Attempt)
			}
		}
	}
	if strings.Contains(pattern, "#") {
		var a id.Attempt
		s.scan(pattern, "%d.%d#%d", &a.Subtask.Vertex, &a.Subtask.Index, &a.N)
		found = append(found, a)
	}
	if found == nil {
		s.t.Fatalf("no subtask matches %q", pattern)
	}
	return found
}

// states prints the job and, on one line each, its regions with their attempts
// by state.
func (s *story) states() string {
	var out strings.Builder
	fmt.Fprintf(&out, "job %v\n", s.g.State())
	for _, r := range s.g.Regions() {
		fmt.Fprintf(&out, "  region %d %v:", r.Index, r.State)
		for i, task := range r.Tasks {
			if i == 0 || r.Tasks[i-1].State != task.State {
				fmt.Fprintf(&out, " %v", task.State)
			}
			fmt.Fprintf(&out, " %v", task.Attempt)
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}
