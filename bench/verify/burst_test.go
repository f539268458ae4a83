package verify

import (
	"strings"
	"testing"
	"time"
)

func TestWhatTheSystemSaysOfAProcess(t *testing.T) {
	if mb := residentMegas("VmPeak:\t  9 kB\nVmRSS:\t  204800 kB\nThreads:\t3\n"); mb != 200 {
		t.Errorf("%v MB", mb)
	}
	for _, status := range []string{"", "VmRSS:", "VmRSS:\tmany kB\n"} {
		if mb := residentMegas(status); mb != 0 {
			t.Errorf("%q: %v MB", status, mb)
		}
	}
	stat := "12 (tide) mill) S 1 12 12 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 100 1 1"
	if d := processorTime(stat); d != 2*time.Second {
		t.Errorf("%v", d)
	}
	for _, stat := range []string{"", "12 (tidemill) S 1", strings.ReplaceAll(stat, "150", "many")} {
		if d := processorTime(stat); d != 0 {
			t.Errorf("%q: %v", stat, d)
		}
	}
}

// Each job of a burst has a graph of its own, and the same one whenever the seed is.
func TestStatementsOfABurst(t *testing.T) {
	b := &burst{Options: Options{Seed: 7}}
	first, second := b.insert(1), b.insert(2)
	if first == second || first != b.insert(1) {
		t.Error("the statements of two jobs are equal, or those of one are not")
	}
	if len(first) < graphBytes {
		t.Errorf("a statement of %d bytes", len(first))
	}
}
