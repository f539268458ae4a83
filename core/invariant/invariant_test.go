package invariant_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/core/invariant"
)

func TestBrokenPanicsWithAnErrorInEveryBuild(t *testing.T) {
	err := violation(func() { invariant.Broken("slot %d is lent twice", 7) })
	if err == nil || err.Error() != "broken invariant: slot 7 is lent twice" {
		t.Fatalf("have %v", err)
	}
	wrapped := fmt.Errorf("task 3: %w", err)
	if v, ok := errors.AsType[invariant.Violation](wrapped); !ok || v.Message != "slot 7 is lent twice" {
		t.Errorf("a wrapped violation is not found again: %v", wrapped)
	}
}

func TestCheckCountsUnderTheTagOnly(t *testing.T) {
	if err := violation(func() { invariant.Check(true, "holds") }); err != nil {
		t.Errorf("a check that holds panicked: %v", err)
	}
	err := violation(func() { invariant.Check(false, "%d rows lost", 2) })
	if broken := err != nil; broken != invariant.Enabled {
		t.Errorf("enabled is %t, the check gave %v", invariant.Enabled, err)
	}
}

func TestSometimes(t *testing.T) {
	const calls = 10_000
	hits := 0
	for range calls {
		if invariant.Sometimes(0) {
			t.Fatal("0 percent came true")
		}
		if invariant.Sometimes(100) != invariant.Enabled {
			t.Fatalf("100 percent must be %t", invariant.Enabled)
		}
		if invariant.Sometimes(30) {
			hits++
		}
	}
	// 20 standard deviations wide.
	if low, high := 2_000, 4_000; invariant.Enabled && (hits < low || hits > high) {
		t.Errorf("30 percent of %d calls gave %d", calls, hits)
	}
}

func violation(f func()) (err error) {
	defer func() {
		if v, ok := recover().(invariant.Violation); ok {
			err = v
		}
	}()
	f()
	return nil
}
