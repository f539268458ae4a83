package eventtime_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/tidemill/tidemill/core/eventtime"
	"github.com/tidemill/tidemill/core/stream"
)

// Each line of a script is one event: `advance INPUT TIME`, `idle INPUT`,
// `active INPUT`, `finish INPUT`; the output is what downstream is told.
func TestCombiner(t *testing.T) {
	datadriven.Walk(t, "testdata/combiner", func(t *testing.T, path string) {
		var c *eventtime.Combiner
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.HasArg("inputs") {
				var n int
				d.ScanArgs(t, "inputs", &n)
				c = eventtime.NewCombiner(n)
			}
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				line = strings.TrimSpace(line)
				fmt.Fprintf(&out, "%-14s %s\n", line, told(event(t, c, strings.Fields(line))))
			}
			return out.String()
		})
	})
}

func event(t *testing.T, c *eventtime.Combiner, words []string) eventtime.Change {
	t.Helper()
	i, err := strconv.Atoi(words[1])
	if err != nil {
		t.Fatal(err)
	}
	switch words[0] {
	case "advance":
		if words[2] == "max" {
			return c.Advance(i, stream.MaxWatermark)
		}
		w, err := strconv.Atoi(words[2])
		if err != nil {
			t.Fatal(err)
		}
		return c.Advance(i, stream.Watermark(w))
	case "idle", "active":
		return c.SetIdle(i, words[0] == "idle")
	case "finish":
		return c.Finish(i)
	}
	t.Fatalf("unknown event %q", words)
	return eventtime.Change{}
}

func told(c eventtime.Change) string {
	var parts []string
	if c.ToActive {
		parts = append(parts, "active")
	}
	switch {
	case c.Advanced && c.Watermark == stream.MaxWatermark:
		parts = append(parts, "max")
	case c.Advanced:
		parts = append(parts, strconv.Itoa(int(c.Watermark)))
	}
	if c.ToIdle {
		parts = append(parts, "idle")
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// Whatever happens, time never goes back, and never passes an active input that
// has time left.
func TestCombinerNeverPassesAnActiveInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "inputs")
		c := eventtime.NewCombiner(n)
		finished := make([]bool, n)
		last := c.Watermark()
		for range 30 {
			i := rapid.IntRange(0, n-1).Draw(t, "input")
			if finished[i] {
				continue
			}
			var change eventtime.Change
			switch rapid.IntRange(0, 3).Draw(t, "event") {
			case 0:
				w := stream.Watermark(rapid.IntRange(0, 10).Draw(t, "time"))
				before := c.Watermark()
				change = c.Advance(i, w)
				if before < w && c.Watermark() > w {
					t.Fatalf("passed %v with %v", w, c.Watermark())
				}
			case 1:
				change = c.SetIdle(i, true)
			case 2:
				change = c.SetIdle(i, false)
			case 3:
				change = c.Finish(i)
				finished[i] = true
			}
			if c.Watermark() < last || change.Advanced != (c.Watermark() > last) || c.Watermark() == stream.MaxWatermark {
				t.Fatalf("from %v to %v by %+v", last, c.Watermark(), change)
			}
			last = c.Watermark()
		}
	})
}
