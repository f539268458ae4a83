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
	first = flag.Uint64("first", 1, "the first seed to run")
	seeds = flag.Uint64("seeds", 40, "how many seeds to run")
)

// TestSeeds runs plans of faults; each must keep all that package simulation promises.
func TestSeeds(t *testing.T) { run(t, simulation.NewPlan) }

// TestStreams runs streaming jobs with checkpoints.
func TestStreams(t *testing.T) { run(t, simulation.NewStreamPlan) }

func run(t *testing.T, draw func(seed uint64) simulation.Plan) {
	from, to := *first, *first+*seeds-1
	if *seed != 0 {
		from, to = *seed, *seed
	}
	right, failed, faults := 0, 0, 0
	for n := from; n <= to; n++ {
		plan := draw(n)
		for range *times {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				tmp := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					report, err := simulation.Run(t.Context(), plan, tmp)
					if err != nil {
						t.Errorf("%v\nhappened %q\nruns %q\n%v", err, report.Happened, report.Runs, plan)
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
	remember(t, simulation.NewPlan, map[uint64]string{
		397:  "the leader died with its disk when only one of two had heard who has a vote, and they elected nobody",
		858:  "a job was given to a worker whose death silence had not told yet, and its restarts were used up",
		1342: "a job of an earlier leader failed before it had a coordinator task, and left what it had staged",
	})
}

// So are those of streams.
func TestRememberedStreams(t *testing.T) {
	remember(t, simulation.NewStreamPlan, map[uint64]string{
		110: "what a job with checkpoints had staged and nobody knew of any more was left when it had ended",
		154: "the leader went when a job's checkpoints were forgotten and its end not recorded: the next one ran it again from its beginning",
		222: "a manifest whose leader was deposed before it had its entry named what the next leader then swept",
		934: "a new leader could not read the latest checkpoint for a moment, took the one before, and rows were there twice",
		279: "the file system failed once when what a job had staged was swept, and it was left",
		513: "a subtask that was restored alone was dealt a list that another one went on with",
		588: "a worker was killed while a message of its was late, and time stood still",
	})
}

func remember(t *testing.T, draw func(seed uint64) simulation.Plan, seeds map[uint64]string) {
	for n, story := range seeds {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			tmp := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				if report, err := simulation.Run(t.Context(), draw(n), tmp); err != nil {
					t.Errorf("%s: %v\nhappened %q\nruns %q", story, err, report.Happened, report.Runs)
				}
			})
		})
	}
}

// A seed means the same plan every time.
func TestPlanIsTheSeeds(t *testing.T) {
	for n := range uint64(50) {
		for _, draw := range []func(uint64) simulation.Plan{simulation.NewPlan, simulation.NewStreamPlan} {
			if a, b := draw(n).String(), draw(n).String(); a != b {
				t.Errorf("%s\n%s", a, b)
			}
		}
	}
}
