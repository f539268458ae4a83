package verify

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
)

// A seed gives the same faults again, and of many faults the shares are kept: at least
// half of the kills are at failpoints.
func TestFaultsAreThoseOfTheSeed(t *testing.T) {
	c := calm{took: time.Second, hits: map[string]int{failpoint.LaneCommit: 3, failpoint.PublishStep: 80}}
	draw := func(seed uint64) (all []fault) {
		r := rand.New(rand.NewPCG(seed, 0))
		for range 1000 {
			all = append(all, planFault(r, 5, c))
		}
		return all
	}
	counts := map[FaultKind]int{}
	again := draw(7)
	for i, f := range draw(7) {
		if f != again[i] {
			t.Fatalf("fault %d: %v, then %v", i, f, again[i])
		}
		counts[f.kind]++
		if f.node < 0 || f.node >= 5 || f.after > c.took || f.kind == KillAtPoint && (f.hit < 1 || f.hit > c.hits[f.point]) {
			t.Errorf("fault %d: %v", i, f)
		}
	}
	if counts[KillAtPoint] < counts[KillAtRandom]*3/2 || counts[StopAndContinue] == 0 || counts[Damage] == 0 || counts[BadNetwork] == 0 || counts[noFault] != 0 {
		t.Errorf("%v", counts)
	}
	for range 100 {
		if f := planFault(rand.New(rand.NewPCG(1, 1)), 5, calm{took: time.Second}); f.kind == KillAtPoint {
			t.Errorf("%v without failpoints", f)
		}
	}
}

func TestCountersTellEveryDefect(t *testing.T) {
	c := newCounters(Options{Seed: 3, Scale: 0.1})
	c.Kills["worker"], c.AtPoint[failpoint.LaneCommit], c.AtPoint[failpoint.Deploy] = 5, 2, 1
	c.Wrong, c.Unclear, c.Crashes = []string{"a"}, []string{"b"}, []string{"c"}
	c.Left, c.Refused = []string{"d"}, []string{"e"}
	c.Errors["a `b`"] = 2
	if len(c.Defects()) != 5 || c.Killed() != 5 || c.Critical() != 2 {
		t.Errorf("%v, %d, %d", c.Defects(), c.Killed(), c.Critical())
	}
	var b strings.Builder
	if err := c.Print(&b); err != nil || strings.Count(b.String(), "DEFECT") != 5 {
		t.Errorf("%v:\n%s", err, b.String())
	}
	if page := c.Markdown(); !strings.Contains(page, "| wrong answers and mixed folders | 1 |") || !strings.Contains(page, "2 times `a 'b'`") || !strings.Contains(page, "| `kill-everything` |") {
		t.Error(page)
	}
}
