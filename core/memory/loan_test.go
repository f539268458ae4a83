package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/memory"
)

// A loan is refused first, and soon, while it holds something; holding nothing it
// waits for all it wants, which then nobody else can take.
func TestLoan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledger(t, memory.Options{Limit: 1000})
		scan, other, work := l.Child("scan", 0), l.Child("other scan", 0), l.Child("exchange", 0)
		pressed, none := make(chan struct{}, 1), make(chan struct{}, 1)
		loan, second := scan.Borrow(pressed), other.Borrow(none)
		defer second.End()
		if err := errors.Join(scan.Grow(300), other.Grow(500)); err != nil {
			t.Fatal(err)
		}
		if loan.Wanted() {
			t.Error("wanted while nobody waits")
		}
		began := time.Now()
		var e *memory.ExhaustedError
		if err := other.Grow(80); !errors.As(err, &e) || time.Since(began) >= memory.DefaultPatience {
			t.Fatalf("a loan waited %v: %v", time.Since(began), err)
		}
		if err := work.Grow(130); err != nil { // beyond where loans stop
			t.Fatal(err)
		}
		other.Shrink(500)
		<-pressed // by the one that was refused
		got := make(chan error)
		go func() { got <- second.Prepay(580) }()
		<-pressed
		if !loan.Wanted() {
			t.Error("somebody waits and the loan is not wanted")
		}
		synctest.Wait()
		scan.Shrink(300)
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		if l.Used() != 710 {
			t.Errorf("used %d", l.Used())
		}
		if err := errors.Join(other.Grow(500), other.Grow(80)); err != nil || l.Used() != 710 {
			t.Errorf("what was kept is not taken: %v, used %d", err, l.Used())
		}
		other.Shrink(580)
		if err := second.Prepay(100); err != nil {
			t.Fatal(err)
		}
		second.Settle()
		second.Settle()
		work.Shrink(130)
		if l.Used() != 0 {
			t.Errorf("used %d in the end", l.Used())
		}
		if err := second.Prepay(900); !errors.As(err, &e) {
			t.Errorf("promised what can never be free: %v", err)
		}
		loan.End()
		loan.End()
		if err := scan.Grow(900); err != nil { // one like any other
			t.Error(err)
		}
		scan.Shrink(900)
	})
}

func TestPrepayGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledger(t, memory.Options{Limit: 1000})
		ctx, cancel := context.WithCancel(t.Context())
		scan, work := l.Child("task", 0).Until(ctx).Child("scan", 0), l.Child("exchange", 0)
		loan := scan.Borrow(make(chan struct{}, 1))
		defer loan.End()
		if err := work.Grow(800); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var e *memory.ExhaustedError
		if err := loan.Prepay(100); !errors.As(err, &e) || e.Cancelled != nil || time.Since(began) <= memory.DefaultPatience {
			t.Errorf("waited %v: %v", time.Since(began), err)
		}
		time.AfterFunc(time.Second, cancel)
		if err := loan.Prepay(100); !errors.Is(err, context.Canceled) {
			t.Errorf("have %v", err)
		}
		work.Shrink(800)
	})
}

// Who waits while it could itself give something back does so.
func TestMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledger(t, memory.Options{Limit: 1000})
		task := l.Child("task", 0)
		scan, calc := task.Child("scan", 0), task.Child("calc", 0)
		loan := scan.Borrow(make(chan struct{}, 1))
		defer loan.End()
		if err := scan.Grow(800); err != nil {
			t.Fatal(err)
		}
		task.Meanwhile(func() {
			if loan.Wanted() {
				scan.Shrink(800)
			}
		})
		if err := scan.Grow(100); err == nil {
			t.Error("the loan's own charge did something meanwhile")
		}
		if err := calc.Grow(500); err != nil || scan.Used() != 0 {
			t.Errorf("%v, the scan uses %d", err, scan.Used())
		}
		calc.Shrink(500)
		if task.Most() != 1000 || l.Child("small", 10).Child("part", 20).Most() != 10 {
			t.Error("the most that can be charged is not the least limit")
		}
	})
	var none *memory.Loan
	none.Settle()
	none.End()
	if none.Wanted() || none.Used() != 0 {
		t.Error("a nil loan holds something")
	}
}
