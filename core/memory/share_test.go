package memory_test

import (
	"math"
	"testing"

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
	y.Hold(400)
	if !y.Over() || y.Used() != 460 {
		t.Error("what is held does not count")
	}
	y.Hold(-400)
	y.Leave()
	y.Leave()
	if x.Fair() != 750 || x.Over() {
		t.Errorf("alone: fair %d, over %v", x.Fair(), x.Over())
	}
	x.Leave()
	a.Shrink(700)
	b.Shrink(60)
	var none *memory.Share
	none.Hold(1)
	none.Leave()
	if none.Over() || none.Fair() != math.MaxInt64 || none.Used() != 0 {
		t.Error("a nil share contends")
	}
}
