package eventtime_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/eventtime"
	"github.com/tidemill/tidemill/core/stream"
)

// Each line of a script is one event: `hold SPLIT...`, `rows SPLIT TIME`, `tick SECONDS`
// since the beginning, `ahead SECONDS`; the output is what downstream is told, or which
// splits are paused.
func TestSplits(t *testing.T) {
	datadriven.RunTest(t, "testdata/splits", func(t *testing.T, d *datadriven.TestData) string {
		idle := 0
		d.MaybeScanArgs(t, "idle", &idle)
		s := eventtime.NewSplits(time.Duration(idle) * time.Second)
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			words := strings.Fields(line)
			fmt.Fprintf(&out, "%-14s %s\n", strings.TrimSpace(line), splitEvent(t, s, words))
		}
		return out.String()
	})
}

func splitEvent(t *testing.T, s *eventtime.Splits, words []string) string {
	t.Helper()
	number := func() int64 {
		n, err := strconv.ParseInt(words[len(words)-1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch words[0] {
	case "hold":
		return told(s.Hold(words[1:]))
	case "rows":
		before, after := told(s.Rows(words[1])), told(s.Advance(words[1], stream.Watermark(number())))
		if before == "-" {
			return after
		}
		return before + " rows " + after
	case "tick":
		return told(s.Tick(time.Unix(number(), 0)))
	case "behind":
		name, quiet, ok := s.Behind()
		if !ok {
			return "nobody"
		}
		return fmt.Sprintf("%s for %v", name, quiet)
	case "ahead":
		var names []string
		for name := range s.Ahead(time.Duration(number()) * time.Millisecond) {
			names = append(names, name)
		}
		slices.Sort(names)
		return "paused: " + strings.Join(names, " ")
	}
	t.Fatalf("unknown event %q", words)
	return ""
}
