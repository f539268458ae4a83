package task

import (
	"fmt"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/order"
	"github.com/tidemill/tidemill/core/spill"
)

// An operator's time ends where the next one takes over and goes on when that
// returns; waiting outside counts for nobody. Without a clock nothing happens.
func TestClock(t *testing.T) {
	now := time.Unix(0, 0)
	c := newClock(2, func() time.Time { return now })
	pass := func(d time.Duration) { now = now.Add(d) }
	pass(time.Hour)
	none := c.enter(0)
	pass(time.Second)
	first := c.enter(1)
	pass(time.Minute)
	second := c.enter(outside) // to an exchange
	pass(time.Hour)
	c.enter(second)
	pass(time.Minute)
	c.enter(first)
	pass(time.Second)
	c.enter(none)
	pass(time.Hour)
	if have := fmt.Sprint(c.of(0), c.of(1)); have != "2s 2m0s" {
		t.Error(have)
	}
	var nobody *clock
	if nobody.enter(0) != outside || nobody.of(0) != 0 {
		t.Error("a nil clock counts")
	}
}

// dropping is an operator that has left out some rows.
type dropping struct {
	operator.Operator
	late int64
}

func (d *dropping) Late() int64     { return d.late }
func (d *dropping) Rejected() int64 { return 2 * d.late }

// What operators left out is counted once, whenever one asks, also at the task's end.
func TestLateRows(t *testing.T) {
	var scope *metric.Scope
	counter := func() *metric.Counter { return scope.Counter("test_total", "Tests.") }
	task := &Task{metrics: metrics{
		rowsIn: counter(), rowsOut: counter(), bytesIn: counter(), late: counter(), future: counter(), rejected: counter(), spill: spill.Counters{Bytes: counter()},
	}}
	task.chain = &chain{task: task}
	first, second := &dropping{late: 2}, &dropping{late: 1}
	for i, op := range []operator.Operator{first, order.NewUnion(), second} {
		task.addLink(i, &jobgraph.Operator{}, op)
	}
	for range 2 {
		if task.countLate(); task.metrics.late.Value() != 3 {
			t.Errorf("%d late rows, want 3", task.metrics.late.Value())
		}
	}
	first.late = 7
	if done := task.counted(); done.Late != 8 || done.Rejected != 16 || task.metrics.late.Value() != 8 || task.metrics.rejected.Value() != 16 {
		t.Errorf("%d late rows, want 8; %d rejected records, want 16", task.metrics.late.Value(), task.metrics.rejected.Value())
	}
}
