package simulation_test

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/tidemill/tidemill/core/simulation"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed alone")
	times = flag.Int("times", 1, "run each seed so often")
	seeds = flag.Uint64("seeds", 40, "how many seeds to run")
)

// TestSeeds runs plans of faults; each must keep all that package simulation promises.
func TestSeeds(t *testing.T) {
	from, to := uint64(1), *seeds
	if *seed != 0 {
		from, to = *seed, *seed
	}
	right, failed, faults := 0, 0, 0
	for n := from; n <= to; n++ {
		plan := simulation.NewPlan(n)
		for range *times {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				tmp := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					report, err := simulation.Run(t.Context(), plan, tmp)
					if err != nil {
						t.Errorf("%v\nhappened %q\n%v", err, report.Happened, plan)
					}
					right, failed, faults = right+report.Right, failed+report.Failed, faults+len(report.Happened)
				})
			})
		}
	}
	t.Logf("%d statements right, %d failed by %d faults", right, failed, faults)
}

// Seeds that have found something are run for ever.
func TestRememberedSeeds(t *testing.T) {
	for n, story := range map[uint64]string{
		397:  "the leader died with its disk when only one of two had heard who has a vote, and they elected nobody",
		858:  "a job was given to a worker whose death silence had not told yet, and its restarts were used up",
		1342: "a job of an earlier leader failed before it had a coordinator task, and left what it had staged",
	} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			tmp := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				if report, err := simulation.Run(t.Context(), simulation.NewPlan(n), tmp); err != nil {
					t.Errorf("%s: %v\nhappened %q", story, err, report.Happened)
				}
			})
		})
	}
}

// A seed means the same plan every time.
func TestPlanIsTheSeeds(t *testing.T) {
	for n := range uint64(50) {
		if a, b := simulation.NewPlan(n).String(), simulation.NewPlan(n).String(); a != b {
			t.Errorf("%s\n%s", a, b)
		}
	}
}
