package task

import (
	"fmt"
	"testing"
	"time"
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
