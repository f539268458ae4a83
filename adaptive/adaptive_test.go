package adaptive

// Each case of testdata is one decision.
//
//	region [slots=N] [wanted=N]   lines: NAME [fixed=N] [most=N] [like=PLACE] [bytes=N]
//	ranges n=N                    one line: bytes of the partitions
//	streaming slots=N             lines: NAME [fixed=N] [like=PLACE] [least=N] [most=N]
//	growth width=N could=N now=D since=D started=D [cooldown=D] [settle=D] [increase=N]

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

func TestDecisions(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "region":
				var r Resources
				d.MaybeScanArgs(t, "slots", &r.Slots)
				d.MaybeScanArgs(t, "wanted", &r.Wanted)
				n, decision := Region("region 0", vertices(t, d.Input), r)
				return fmt.Sprintf("%v\n%s", n, show(decision))
			case "ranges":
				var n int
				d.ScanArgs(t, "n", &n)
				var bytes []uint64
				for _, f := range strings.Fields(d.Input) {
					bytes = append(bytes, uint64(number(t, f)))
				}
				bounds, decision := Ranges("exchange 0", bytes, n)
				return fmt.Sprintf("%v\n%s", bounds, show(decision))
			case "streaming":
				var slots int
				d.ScanArgs(t, "slots", &slots)
				n, decision := Streaming(scalables(t, d.Input), slots)
				return fmt.Sprintf("%v\n%s", n, show(decision))
			case "growth":
				return growth(t, d)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

func scalables(t *testing.T, input string) (out []Scalable) {
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		v := Scalable{Name: f[0], Like: -1}
		for _, arg := range f[1:] {
			key, value, _ := strings.Cut(arg, "=")
			n := number(t, value)
			switch key {
			case "fixed":
				v.Fixed = n
			case "like":
				v.Like = n
			case "least":
				v.Least = n
			case "most":
				v.Most = n
			}
		}
		out = append(out, v)
	}
	return out
}

func growth(t *testing.T, d *datadriven.TestData) string {
	var width, could int
	d.ScanArgs(t, "width", &width)
	d.ScanArgs(t, "could", &could)
	after := func(name string) (out time.Duration) {
		var text string
		if d.MaybeScanArgs(t, name, &text); text == "" {
			return 0
		}
		out, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	g := Growth{Cooldown: after("cooldown"), Settle: after("settle")}
	d.MaybeScanArgs(t, "increase", &g.Increase)
	wait, why, worth := g.Wait(after("now"), after("since"), after("started"), width, could)
	return fmt.Sprintf("worth it: %v, wait: %v %s\n", worth, wait, why)
}

func show(d Decision) string {
	return fmt.Sprintf("rule: %s\nsubject: %s\ninputs: %s\neffect: %s\n", d.Rule, d.Subject, d.Inputs, d.Effect)
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func vertices(t *testing.T, input string) (out []Vertex) {
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		v := Vertex{Name: f[0], Like: -1, Bytes: -1}
		for _, arg := range f[1:] {
			key, value, _ := strings.Cut(arg, "=")
			n := number(t, value)
			switch key {
			case "fixed":
				v.Fixed = n
			case "most":
				v.Most = n
			case "like":
				v.Like = n
			case "bytes":
				v.Bytes = int64(n)
			}
		}
		out = append(out, v)
	}
	return out
}

// Ranges cover every partition once, in order, whatever is in them; no range exceeds an
// equal share by more than the largest partition.
func TestRangesCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Uint64Range(0, 1000), 1, 200).Draw(t, "bytes")
		n := rapid.IntRange(1, 50).Draw(t, "n")
		bounds, _ := Ranges("", bytes, n)
		if len(bounds) != n+1 || bounds[0] != 0 || int(bounds[n]) != len(bytes) || !slices.IsSorted(bounds) {
			t.Fatalf("%d partitions in %d ranges: %v", len(bytes), n, bounds)
		}
		total := uint64(0)
		for _, b := range bytes {
			total += b
		}
		for i := range n {
			sum := uint64(0)
			for _, b := range bytes[bounds[i]:bounds[i+1]] {
				sum += b
			}
			if most := total/uint64(n) + slices.Max(bytes) + 1; sum > most {
				t.Fatalf("range %d of %v has %d of %d", i, bounds, sum, total)
			}
		}
	})
}
