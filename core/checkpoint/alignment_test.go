package checkpoint_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// Each line of an alignment script is one event: `barrier INPUT CHECKPOINT`,
// `finish INPUT`, `cancel CHECKPOINT`, `overtake CHECKPOINT`; the output is the outcome and which inputs
// are blocked afterwards.
func TestAlignment(t *testing.T) {
	var a *checkpoint.Alignment
	inputs := 0
	datadriven.RunTest(t, "testdata/alignment", func(t *testing.T, d *datadriven.TestData) string {
		d.ScanArgs(t, "inputs", &inputs)
		a = checkpoint.NewAlignment(inputs)
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			words := strings.Fields(line)
			var numbers [2]int
			for i, w := range words[1:] {
				n, err := strconv.Atoi(w)
				if err != nil {
					t.Fatal(err)
				}
				numbers[i] = n
			}
			fmt.Fprintf(&out, "%-12s %s", strings.TrimSpace(line), alignmentEvent(t, a, words[0], numbers))
			for i := range inputs {
				if a.Blocked(i) {
					fmt.Fprintf(&out, " |%d|", i)
				}
			}
			out.WriteByte('\n')
		}
		return out.String()
	})
}

func alignmentEvent(t *testing.T, a *checkpoint.Alignment, event string, n [2]int) string {
	var s checkpoint.Step
	switch event {
	case "barrier":
		s = a.Barrier(n[0], stream.Barrier{Checkpoint: id.Checkpoint(n[1]), Kind: stream.CheckpointKind})
	case "finish":
		s = a.Finish(n[0])
	case "cancel":
		if a.Cancel(id.Checkpoint(n[0])) {
			return "unblocked"
		}
		return "noted"
	case "overtake":
		waits, step, ok := a.Overtake(stream.Barrier{Checkpoint: id.Checkpoint(n[0]), Kind: stream.CheckpointKind})
		if !ok {
			return "over"
		}
		out := fmt.Sprint(step.Outcome, " ", step.Barrier.Checkpoint)
		if step.Overtaken != 0 {
			out += fmt.Sprint(", overtook ", step.Overtaken)
		}
		for i, still := range waits {
			if still {
				out += fmt.Sprint(", still to come on ", i)
			}
		}
		return out
	default:
		t.Fatalf("unknown event %s", event)
	}
	out := s.Outcome.String()
	if s.Outcome == checkpoint.Aligned {
		out += fmt.Sprint(" ", s.Barrier.Checkpoint)
	}
	if s.Overtaken != 0 {
		out += fmt.Sprint(", overtook ", s.Overtaken)
	}
	return out
}

// The input of an assignment is a vertex's state as protobuf text.
func TestAssign(t *testing.T) {
	datadriven.RunTest(t, "testdata/assign", func(t *testing.T, d *datadriven.TestData) string {
		v := &checkpoint.VertexState{}
		if err := prototext.Unmarshal([]byte(d.Input), v); err != nil {
			t.Fatal(err)
		}
		var parallelism, groups int
		d.ScanArgs(t, "to", &parallelism)
		d.ScanArgs(t, "groups", &groups)
		all, err := checkpoint.Assign(v, parallelism, groups)
		if err == nil && d.HasArg("inputs") {
			var inputs []checkpoint.Input
			for _, a := range d.CmdArgs {
				for _, how := range a.Vals {
					if a.Key == "inputs" {
						inputs = append(inputs, checkpoint.Input{Hashed: how == "hash"})
					}
				}
			}
			err = checkpoint.AssignInFlight(v, all, groups, inputs)
		}
		if err != nil {
			return fmt.Sprintln("error:", err)
		}
		var out strings.Builder
		for i, r := range all {
			fmt.Fprintf(&out, "%d:", i)
			if r.Finished {
				out.WriteString(" FINISHED")
			}
			for _, o := range r.Operators {
				fmt.Fprintf(&out, " %s states %q files", o.Uid, o.States)
				for _, h := range o.Handles {
					fmt.Fprintf(&out, " %s%v", h.Path, h.Groups())
				}
			}
			for _, f := range r.InFlight {
				fmt.Fprintf(&out, " in flight on %d", f.Input)
				for _, h := range f.Blocks {
					fmt.Fprintf(&out, " %s%v", h.Path, h.Groups())
				}
			}
			out.WriteByte('\n')
		}
		return out.String()
	})
}

func TestManifestIsChecked(t *testing.T) {
	job := id.Job{1, 2}
	m := &checkpoint.Manifest{Job: job[:], Checkpoint: 7, KeyGroups: 64, Vertices: []*checkpoint.VertexState{{Uid: "a", Parallelism: 1}}}
	data, err := checkpoint.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	back, err := checkpoint.Decode(data)
	if err != nil || back.Checkpoint != 7 || back.Vertices[0].Uid != "a" {
		t.Fatalf("have %v, %v", back, err)
	}
	for i := range data { // any one bit
		bad := append([]byte(nil), data...)
		bad[i] ^= 4
		if _, err := checkpoint.Decode(bad); err == nil {
			t.Errorf("byte %d is damaged, and nobody noticed", i)
		}
	}
	for n := range data {
		if _, err := checkpoint.Decode(data[:n]); err == nil {
			t.Errorf("cut to %d bytes, and nobody noticed", n)
		}
	}
}
