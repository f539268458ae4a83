package checkpointing

// Each file of testdata is the story of one job's checkpoints: events go in,
// actions come out. The job has a source, vertex 0, and a sink, vertex 1, of the
// parallelism given; checkpoints that an earlier leader has left are its input. An attempt
// is written as in core/id: 0.1#0.

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		var s story
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			if d.Cmd == "job" {
				return s.job(d)
			}
			return s.step(d)
		})
	})
}

type story struct {
	t *testing.T
	c *Coordinator
	p int
	n uint32 // of the attempts that run
}

func (s *story) job(d *datadriven.TestData) string {
	s.p, s.n = 1, 0
	retained, failures := 1, 0
	var from uint64
	d.MaybeScanArgs(s.t, "parallelism", &s.p)
	d.MaybeScanArgs(s.t, "retained", &retained)
	d.MaybeScanArgs(s.t, "failures", &failures)
	d.MaybeScanArgs(s.t, "restored", &from)
	options := Options{Interval: time.Second, Timeout: time.Minute, Retained: retained, Failures: failures, Unaligned: d.HasArg("aligned")}
	if options.Unaligned {
		millis := 0
		d.ScanArgs(s.t, "aligned", &millis)
		options.AlignedTimeout = time.Duration(millis) * time.Millisecond
	}
	var restored *checkpoint.Manifest
	if from > 0 {
		restored = &checkpoint.Manifest{Checkpoint: from}
	}
	for n := range strings.FieldsSeq(d.Input) {
		options.Complete = append(options.Complete, checkpointNumber(s.t, n))
	}
	s.c = New(id.Job{1}, 128, []Vertex{
		{UID: "v0", Name: "source", Parallelism: s.p, Source: "src", Head: true}, {UID: "v1", Name: "sink", Parallelism: s.p, Overtakes: !d.HasArg("forward")},
	}, restored, options)
	return ""
}

func checkpointNumber(t *testing.T, text string) id.Checkpoint {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return id.Checkpoint(n)
}

func (s *story) attempt(text string) (a id.Attempt) {
	if _, err := fmt.Sscanf(text, "%d.%d#%d", &a.Subtask.Vertex, &a.Subtask.Index, &a.N); err != nil {
		s.t.Fatalf("attempt %q: %v", text, err)
	}
	return a
}

func staged(names string) (out []*rpc.Committable) {
	for _, n := range strings.Fields(names) {
		out = append(out, &rpc.Committable{Operator: "sink", Data: []byte(n)})
	}
	return out
}

func (s *story) step(d *datadriven.TestData) string {
	var n uint64
	var text string
	d.MaybeScanArgs(s.t, "n", &n)
	d.MaybeScanArgs(s.t, "attempt", &text)
	var out []Action
	switch d.Cmd {
	case "elapsed":
		var running []id.Attempt
		for v := range 2 {
			for i := range s.p {
				running = append(running, id.Attempt{Subtask: id.Subtask{Vertex: id.Vertex(v), Index: uint32(i)}, N: s.n})
			}
		}
		if text != "" { // only these
			running = []id.Attempt{s.attempt(text)}
		}
		if d.HasArg("asked") {
			out = s.c.Begin(running, time.UnixMilli(1000))
		} else {
			out = s.c.Elapsed(running, time.UnixMilli(1000))
		}
	case "now":
		kind := stream.CheckpointKind
		for k := stream.SavepointKind; k <= stream.DrainSavepoint; k++ {
			if d.HasArg(map[stream.BarrierKind]string{stream.SavepointKind: "savepoint", stream.StopSavepoint: "stop", stream.DrainSavepoint: "drain"}[k]) {
				kind = k
			}
		}
		out = s.c.Now(Request{Kind: kind, Directory: "dir"})
	case "gathered":
		var cause error
		if d.Input != "" {
			cause = errors.New(d.Input)
		}
		out = s.c.Gathered(id.Checkpoint(n), cause)
	case "ack":
		a := s.attempt(text)
		state := &checkpoint.SubtaskState{Index: a.Subtask.Index}
		if a.Subtask.Vertex == 0 {
			state.Operators = []*checkpoint.OperatorState{{Uid: "src", State: []byte("position")}}
		}
		out = s.c.Acknowledged(a, &rpc.AckRequest{Barrier: &rpc.Barrier{Checkpoint: n}, State: state, Committables: staged(d.Input)})
	case "finished":
		out = s.c.Finished(s.attempt(text), staged(d.Input))
	case "positioned":
		out = s.c.Positioned(id.Checkpoint(n), map[id.Vertex][]byte{0: []byte("enumerator")})
	case "saved":
		out = s.c.Saved(id.Checkpoint(n))
	case "published":
		out = s.c.Published(id.Checkpoint(n))
	case "timeout":
		out = s.c.TimedOut(id.Checkpoint(n))
	case "overdue":
		out = s.c.Overdue(id.Checkpoint(n))
	case "failed":
		out = s.c.Failed(id.Checkpoint(n), failure.Wrap(failure.Transient, errors.New(d.Input)))
	case "restarted":
		s.n++
		out = s.c.Restarted()
	case "replaced":
		out = s.c.Replaced([]id.Subtask{s.attempt(text).Subtask})
	case "ended":
		out = s.c.Ended()
	case "final":
		out = s.c.Final(time.UnixMilli(2000))
	default:
		s.t.Fatalf("unknown command %s", d.Cmd)
	}
	return s.show(out)
}

func (s *story) show(actions []Action) string {
	var b strings.Builder
	for _, a := range actions {
		fmt.Fprintln(&b, a)
		switch a := a.(type) {
		case Publish:
			fmt.Fprintf(&b, "  %s\n", names(a.Committables))
		case Void:
			fmt.Fprintf(&b, "  %s\n", names(a.Committables))
		case Save:
			for _, v := range a.Manifest.GetVertices() {
				finished := 0
				for _, t := range v.GetSubtasks() {
					if t.GetFinished() {
						finished++
					}
				}
				fmt.Fprintf(&b, "  %s: %d subtasks, %d finished\n", v.GetName(), len(v.GetSubtasks()), finished)
			}
		}
	}
	fmt.Fprintf(&b, "%v, latest %d, carried %s\n", s.c.phase, s.c.Latest().GetCheckpoint(), names(s.c.Carried()))
	return b.String()
}

func names(all []*rpc.Committable) string {
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = string(c.GetData())
	}
	return "[" + strings.Join(out, " ") + "]"
}

// A worker that is not reached has each checkpoint fail at once, far more often than heartbeats
// are missed: the job goes on until it has been so for long.
func TestUnreachedForLong(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	c := New(id.Job{1}, 128, []Vertex{{UID: "v0", Name: "source", Parallelism: 1, Head: true}}, nil,
		Options{Interval: time.Second, Retained: 1, Failures: 2, Clock: func() time.Time { return now }})
	cause := failure.Wrap(failure.Transient, fmt.Errorf("worker: %w", rpc.ErrUnreachable))
	fails := func() bool {
		c.Elapsed([]id.Attempt{{}}, now)
		return slices.ContainsFunc(c.Failed(c.last, cause), func(a Action) bool { _, ok := a.(FailJob); return ok })
	}
	for range 100 {
		if fails() {
			t.Fatal("the job fails at once")
		}
	}
	now = now.Add(missedPause)
	if fails() {
		t.Fatal("two are too many")
	}
	now = now.Add(missedPause)
	if !fails() {
		t.Error("the job goes on for ever without checkpoints")
	}
}
