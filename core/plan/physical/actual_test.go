package physical

import (
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// What subtasks have done is summed up; of memory the highest counts, and skew is
// the most rows against the mean.
func TestActual(t *testing.T) {
	op := &jobgraph.Operator{}
	for _, c := range []struct {
		counts []Counts
		want   string
	}{
		{nil, ""},
		{[]Counts{{}}, "rows 0, batches 0, subtasks 1"},
		{[]Counts{{}, {}}, "rows 0, batches 0, subtasks 2"},
		{[]Counts{{Rows: 7, Batches: 1, Busy: 1234567 * time.Nanosecond}}, "rows 7, batches 1, subtasks 1, busy 1.235ms"},
		{
			[]Counts{{Rows: 30, Batches: 2, PeakBytes: 2e6, SpilledBytes: 5e6, Busy: time.Second}, {Rows: 10, Batches: 1, PeakBytes: 1e6, Busy: time.Millisecond / 2}},
			"rows 40, batches 3, subtasks 2, busy 1.001s, peak 2MB, spilled 5MB, skew 1.50",
		},
	} {
		a := &Actual{Operators: map[*jobgraph.Operator][]Counts{op: c.counts}}
		if got := a.text(op); got != c.want {
			t.Errorf("%v: %s", c.counts, got)
		}
		if _, known := a.Rows(op); known != (len(c.counts) > 0) {
			t.Errorf("%v: known %v", c.counts, known)
		}
	}
}

// A subplan that stands twice is computed once; both places tell its operator.
func TestEmitters(t *testing.T) {
	small := func() *plan.Aggregate { return &plan.Aggregate{Input: scan("a"), Keys: []int{0}} }
	first, second := small(), small()
	root := join(first, second)
	_, emitters, err := Build([]plan.Node{root}, Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	if emitters[first] == nil || emitters[first] != emitters[second] || emitters[root].GetJoin() == nil {
		t.Errorf("%v", emitters)
	}
}
