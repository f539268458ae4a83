package physical

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// Actual is what a job has done, to be shown beside its plan.
type Actual struct {
	// Elapsed is how long the job ran.
	Elapsed time.Duration
	// Operators has the counts of an operator's subtasks; none for one that is not
	// in it.
	Operators map[*jobgraph.Operator][]Counts
	// Decisions are those that were taken while it ran, in their order.
	Decisions []Decision
}

// Decision is one that the cluster took: what about, from what, and what it does.
type Decision struct {
	At                            time.Duration // since the job began
	Rule, Subject, Inputs, Effect string
}

// Counts is what an operator has done in one subtask.
type Counts struct {
	Rows         uint64 // emitted; of a sink, taken
	Batches      uint64
	SpilledBytes uint64
	PeakBytes    uint64 // of memory
	// Busy is the time spent in the operator itself; zero where it was not measured.
	Busy    time.Duration
	Filters []FilterCounts // of a source
}

// FilterCounts is what a runtime filter has done in one subtask.
type FilterCounts struct {
	ID             uint32
	Asked, Dropped uint64 // rows
	Excluded       uint64 // row groups and files of which no row was read
}

// Rows is how many rows an operator has emitted, or taken if it is a sink; false
// where it is not known.
func (a *Actual) Rows(op *jobgraph.Operator) (rows uint64, known bool) {
	for _, c := range a.Operators[op] {
		rows += c.Rows
		known = true
	}
	return rows, known
}

// filterText sums up what a runtime filter has done in the subtasks of a source; it is
// empty for one that is not known.
func (a *Actual) filterText(op *jobgraph.Operator, id uint32) string {
	if a == nil {
		return ""
	}
	var sum FilterCounts
	known := false
	for _, c := range a.Operators[op] {
		for _, f := range c.Filters {
			if f.ID == id {
				sum.Asked, sum.Dropped, sum.Excluded = sum.Asked+f.Asked, sum.Dropped+f.Dropped, sum.Excluded+f.Excluded
				known = true
			}
		}
	}
	if !known {
		return ""
	}
	return fmt.Sprintf("; dropped %d of %d rows, excluded %d row groups or files", sum.Dropped, sum.Asked, sum.Excluded)
}

// text sums up the subtasks of an operator; it is empty for one without counts.
// Peak is that of the subtask with the highest, skew the rows of the one with the
// most against the mean.
func (a *Actual) text(op *jobgraph.Operator) string {
	if a == nil || len(a.Operators[op]) == 0 {
		return ""
	}
	var sum, most Counts
	for _, c := range a.Operators[op] {
		sum.Rows, most.Rows = sum.Rows+c.Rows, max(most.Rows, c.Rows)
		sum.Batches += c.Batches
		sum.SpilledBytes += c.SpilledBytes
		sum.Busy += c.Busy
		most.PeakBytes = max(most.PeakBytes, c.PeakBytes)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rows %d, batches %d, subtasks %d", sum.Rows, sum.Batches, len(a.Operators[op]))
	if sum.Busy > 0 {
		fmt.Fprintf(&b, ", busy %s", shortTime(sum.Busy))
	}
	if most.PeakBytes > 0 {
		fmt.Fprintf(&b, ", peak %sB", plan.Approximate(float64(most.PeakBytes)))
	}
	if sum.SpilledBytes > 0 {
		fmt.Fprintf(&b, ", spilled %sB", plan.Approximate(float64(sum.SpilledBytes)))
	}
	if n := len(a.Operators[op]); n > 1 && sum.Rows > 0 {
		fmt.Fprintf(&b, ", skew %.2f", float64(most.Rows)*float64(n)/float64(sum.Rows))
	}
	return b.String()
}

// shortTime prints a duration to the millisecond, one below a second to the
// microsecond.
func shortTime(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
