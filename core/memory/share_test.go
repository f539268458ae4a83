package memory_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/memory"
)

func TestShare(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1000})
	a, b := l.Child("a", 0), l.Child("b", 0)
	x, y := a.Contend(), b.Contend()
	if x.Fair() != 375 || x.Over() || y.Over() {
		t.Fatalf("fair %d, over %v and %v", x.Fair(), x.Over(), y.Over())
	}
	if err := a.Grow(700); err != nil {
		t.Fatal(err)
	}
	if x.Over() {
		t.Error("over while the ledger is below its mark")
	}
	if err := b.Grow(60); err != nil {
		t.Fatal(err)
	}
	if !x.Over() || y.Over() {
		t.Errorf("over %v and %v, want only the first", x.Over(), y.Over())
	}
	if y.Take(240) != 240 || y.Take(10) != 0 || l.Used() != 1000 {
		t.Error("took other than what was free")
	}
	b.Shrink(240)
	y.Hold(400)
	if !y.Over() || y.Used() != 460 {
		t.Error("what is held does not count")
	}
	y.Hold(-400)
	y.Leave()
	y.Leave()
	if x.Fair() != 750 || !x.Over() {
		t.Errorf("alone: fair %d, over %v, want what the other keeps to lessen its part", x.Fair(), x.Over())
	}
	x.Leave()
	a.Shrink(700)
	b.Shrink(60)
	var none *memory.Share
	none.Hold(1)
	if none.Take(1) != 0 {
		t.Error("a nil share takes")
	}
	none.Leave()
	if none.Over() || none.Fair() != math.MaxInt64 || none.Used() != 0 {
		t.Error("a nil share contends")
	}
}

// Who cannot spill waits for who can, who is told; spilling finds room meanwhile.
func TestWaitForContender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledger(t, memory.Options{Limit: 1000})
		spiller, source := l.Child("sort", 0), l.Child("scan", 0)
		share := spiller.Contend()
		pressed := make(chan struct{}, 1)
		share.Notify(pressed)
		if err := spiller.Grow(700); err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() { got <- source.Grow(200) }()
		<-pressed
		if !share.Over() {
			t.Error("somebody waits and the contender is not over")
		}
		if err := spiller.Grow(300); err != nil { // the last eighth, too
			t.Fatal(err)
		}
		synctest.Wait()
		spiller.Shrink(500)
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		if share.Over() {
			t.Error("over while nobody waits")
		}

		began := time.Now()
		var e *memory.ExhaustedError
		if err := source.Grow(200); !errors.As(err, &e) || e.Cancelled != nil {
			t.Fatalf("have %v", err)
		}
		if waited := time.Since(began); waited != memory.DefaultPatience {
			t.Errorf("waited %v while nothing moved", waited)
		}
		began = time.Now()
		if err := source.Grow(1000); err == nil || time.Since(began) > 0 {
			t.Error("waited for what can never be")
		}
		source.Shrink(200)
		spiller.Shrink(500)
		share.Leave()
	})
}

func TestWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledger(t, memory.Options{Limit: 1000})
		spiller := l.Child("sort", 0)
		defer spiller.Contend().Leave()
		if err := spiller.Grow(1000); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		source := l.Child("task", 0).Until(ctx).Child("scan", 0)
		got := make(chan error)
		go func() {
			var err error
			defer func() { got <- err }()
			defer memory.Recover(&err)
			source.Allocator().Allocate(64)
		}()
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) || source.Used() != 0 {
			t.Errorf("have %v, %d charged", err, source.Used())
		}
	})
}

// A contender that uses little waits for one that uses much, which is told; the one
// that uses most is refused at once, for it is to spill itself.
func TestSmallContenderWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledger(t, memory.Options{Limit: 1000})
		small, large := l.Child("join", 0), l.Child("sort", 0)
		smallShare, largeShare := small.Contend(), large.Contend()
		defer smallShare.Leave()
		defer largeShare.Leave()
		pressed := make(chan struct{}, 1)
		largeShare.Notify(pressed)
		if err := errors.Join(small.Grow(100), large.Grow(900)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := large.Grow(10); err == nil || time.Since(began) > 0 {
			t.Errorf("the largest waited %v: %v", time.Since(began), err)
		}
		got := make(chan error)
		go func() { got <- small.Grow(50) }()
		<-pressed
		if !largeShare.Over() || smallShare.Over() {
			t.Error("who spills is not the large one")
		}
		synctest.Wait()
		large.Shrink(850)
		if err := <-got; err != nil {
			t.Error(err)
		}
		small.Shrink(150)
		large.Shrink(50)
	})
}

// What a contender may take on top is its fair part or half of what is free.
func TestSpare(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1000})
	a, b := l.Child("a", 0), l.Child("b", 0)
	as, bs := a.Contend(), b.Contend()
	defer as.Leave()
	defer bs.Leave()
	if have := as.Spare(); have != 375 {
		t.Errorf("of nothing used: %d", have)
	}
	if err := errors.Join(a.Grow(100), b.Grow(600)); err != nil {
		t.Fatal(err)
	}
	if have, full := as.Spare(), bs.Spare(); have != 275 || full != 25 {
		t.Errorf("have %d and %d", have, full)
	}
	a.Shrink(100)
	b.Shrink(600)
	l = ledger(t, memory.Options{Limit: 32 << 20}) // three quarters would leave others too little
	c := l.Child("c", 0).Contend()
	defer c.Leave()
	if have := c.Fair(); have != 18<<20 {
		t.Errorf("of 32 MiB: %d", have)
	}
	if (*memory.Share)(nil).Spare() != math.MaxInt64 {
		t.Error("a share of nothing ends")
	}
}
