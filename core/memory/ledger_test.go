package memory_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"unsafe"

	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/memory"
)

func ledger(t testing.TB, o memory.Options) *memory.Ledger {
	t.Helper()
	l, err := memory.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A charge counts on the whole way up, and a refusal anywhere leaves no trace.
func TestChargesGoUpAllOrNothing(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1000})
	job := l.Child("job", 600).RaisedBy("job.memory")
	a, b := job.Child("a", 0), job.Child("b", 500)
	if err := errors.Join(a.Grow(200), b.Grow(300)); err != nil {
		t.Fatal(err)
	}
	want := func(ledgerUsed, jobUsed, aUsed, bUsed int64) {
		t.Helper()
		have := fmt.Sprint(l.Used(), job.Used(), a.Used(), b.Used())
		if want := fmt.Sprint(ledgerUsed, jobUsed, aUsed, bUsed); have != want {
			t.Fatalf("used %s, want %s", have, want)
		}
	}
	want(500, 500, 200, 300)

	var e *memory.ExhaustedError
	err := a.Grow(101)
	if !errors.As(err, &e) || e.Account != "job/a" || e.Limited != "job" || e.Option != "job.memory" || failure.Of(err) != failure.Fatal {
		t.Fatalf("have %v", err)
	}
	if have, want := err.Error(), "memory exhausted: job/a wanted 101 B, job uses 500 B of 600 B; raise job.memory"; have != want {
		t.Errorf("have %q", have)
	}
	want(500, 500, 200, 300)

	other := l.Child("other", 0)
	if err := other.Grow(501); !errors.As(err, &e) || e.Limited != "worker" || e.Option != "worker.memory.size" {
		t.Fatalf("have %v", err)
	}
	want(500, 500, 200, 300)
	a.Shrink(200)
	b.Shrink(300)
	want(0, 0, 0, 0)
	if l.Peak() != 500 || b.Peak() != 300 {
		t.Errorf("peaks %d, %d", l.Peak(), b.Peak())
	}
}

func TestLimitMustBePositive(t *testing.T) {
	if _, err := memory.New(memory.Options{}); err == nil {
		t.Error("a ledger without a limit was made")
	}
}

func TestAllocatorAlignsZeroesAndCharges(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1 << 30})
	account := l.Child("x", 0)
	m := account.Allocator()
	for _, size := range []int{0, 1, 63, 64, 65, 96, 100, 129, 4096, 5000, 65536, 100_000, 1 << 20, 9 << 20} {
		for range 2 { // the second one is a buffer used before
			b := m.Allocate(size)
			if len(b) != size || account.Used() != int64(cap(b)) {
				t.Fatalf("size %d: len %d cap %d, charged %d", size, len(b), cap(b), account.Used())
			}
			if size > 0 && uintptr(unsafe.Pointer(&b[0]))%64 != 0 {
				t.Fatalf("size %d is not aligned", size)
			}
			if size > 256 && cap(b) > size*3/2+64 {
				t.Fatalf("size %d takes %d", size, cap(b))
			}
			for i := range b {
				if b[i] != 0 {
					t.Fatalf("size %d: byte %d is %x", size, i, b[i])
				}
				b[i] = 0xff
			}
			m.Free(b)
			if account.Used() != 0 || l.Used() != 0 {
				t.Fatalf("size %d: %d left", size, account.Used())
			}
		}
	}
	if l.Idle() == 0 || l.Trim() == 0 || l.Idle() != 0 {
		t.Error("nothing was kept, or something after Trim")
	}
}

func TestReallocateKeepsContentAndZeroesTheRest(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1 << 20})
	m := l.Child("x", 0).Allocator()
	b := m.Allocate(100)
	for i := range b {
		b[i] = byte(i + 1)
	}
	for _, size := range []int{90, 120, 1000, 70} {
		keep := min(size, len(b))
		b = m.Reallocate(size, b)
		for i := range b {
			want := byte(i + 1)
			if i >= min(keep, 90) {
				want = 0
			}
			if b[i] != want {
				t.Fatalf("size %d: byte %d is %d", size, i, b[i])
			}
		}
	}
	m.Free(b)
	if l.Used() != 0 {
		t.Errorf("%d left", l.Used())
	}
}

// Idle buffers never are the reason for a refusal.
func TestIdleBuffersYield(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1 << 20, PoolBytes: 1 << 20})
	m := l.Child("x", 0).Allocator()
	m.Free(m.Allocate(1 << 20))
	if l.Idle() != 1<<20 {
		t.Fatalf("idle %d", l.Idle())
	}
	account := l.Child("y", 0)
	if err := account.Grow(1 << 20); err != nil {
		t.Fatal(err)
	}
	account.Shrink(1 << 20)
	m.Free(m.Allocate(1 << 19))
}

func TestRecover(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 4096})
	work := func(f func()) (err error) {
		defer memory.Recover(&err)
		f()
		return nil
	}
	var e *memory.ExhaustedError
	account := l.Child("x", 0)
	for _, size := range []int{5000, 20 << 20} {
		err := work(func() { account.Allocator().Allocate(size) })
		if !errors.As(err, &e) || failure.Of(err) != failure.Fatal || account.Used() != 0 {
			t.Fatalf("have %v, %d charged", err, account.Used())
		}
	}
	if err := work(func() {}); err != nil {
		t.Error(err)
	}
	defer func() {
		if recover() != "other" {
			t.Error("another panic was swallowed")
		}
	}()
	_ = work(func() { panic("other") })
}

func TestFreedBuffersArePoisoned(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1 << 20})
	m := l.Child("x", 0).Allocator()
	b := m.Allocate(128)
	m.Free(b)
	if poisoned := b[0] == memory.Poison; poisoned != invariant.Enabled {
		t.Errorf("poisoned %v", poisoned)
	}
	if !invariant.Enabled {
		return
	}
	defer func() {
		if recover() == nil {
			t.Error("freed twice without a panic")
		}
	}()
	m.Free(b)
}

// What is charged to an account that moves is charged above its new place, or it stays.
func TestMove(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1000})
	from, to, full := l.Child("from", 400), l.Child("to", 0), l.Child("full", 200)
	a := from.Child("a", 300)
	if err := a.Grow(250); err != nil {
		t.Fatal(err)
	}
	want := func(fromUsed, toUsed, fullUsed int64, path string) {
		t.Helper()
		have := fmt.Sprint(l.Used(), from.Used(), to.Used(), full.Used(), a.Used(), a.Path())
		if want := fmt.Sprint(int64(250), fromUsed, toUsed, fullUsed, int64(250), path); have != want {
			t.Fatalf("have %s, want %s", have, want)
		}
	}
	var e *memory.ExhaustedError
	if err := a.Move(full); !errors.As(err, &e) || e.Limited != "full" {
		t.Fatalf("have %v", err)
	}
	want(250, 0, 0, "from/a")
	if err := a.Move(to); err != nil {
		t.Fatal(err)
	}
	want(0, 250, 0, "to/a")
	if err := a.Grow(700); err != nil {
		t.Fatalf("beyond the limits that it had: %v", err)
	}
	a.Shrink(950)
	if l.Used() != 0 || to.Used() != 0 {
		t.Errorf("%d and %d are left", l.Used(), to.Used())
	}
}

// Many goroutines at the limit: the sum never exceeds it and ends at zero.
func TestConcurrentCharges(t *testing.T) {
	const limit = 1 << 20
	l := ledger(t, memory.Options{Limit: limit, PoolBytes: limit / 4})
	job := l.Child("job", 0)
	var wg sync.WaitGroup
	for g := range 8 {
		account := job.Child(fmt.Sprint(g), limit/2)
		wg.Go(func() {
			m := account.Allocator()
			var held [][]byte
			for i := range 2000 {
				func() {
					var err error
					defer memory.Recover(&err)
					held = append(held, m.Allocate(1+(i*7919+g)%60_000))
				}()
				if len(held) > 4 || i%3 == 0 && len(held) > 0 {
					m.Free(held[0])
					held = held[1:]
				}
			}
			for _, b := range held {
				m.Free(b)
			}
		})
	}
	wg.Wait()
	if l.Used() != 0 || job.Used() != 0 || l.Peak() > limit || l.Idle() > limit/4 {
		t.Errorf("used %d and %d, peak %d, idle %d", l.Used(), job.Used(), l.Peak(), l.Idle())
	}
}

func BenchmarkAllocate(b *testing.B) {
	l := ledger(b, memory.Options{Limit: 1 << 30})
	account := l.Child("job", 0).Child("task", 0).Child("operator", 0)
	for _, a := range []struct {
		name string
		m    arrowmemory.Allocator
	}{{"pool", account.Allocator()}, {"go", arrowmemory.NewGoAllocator()}} {
		for _, size := range []int{1 << 10, 32 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", a.name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					a.m.Free(a.m.Allocate(size))
				}
			})
		}
	}
}

// Memory that an account's owner has of elsewhere is charged like what it allocates.
func TestCharge(t *testing.T) {
	l, err := memory.New(memory.Options{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	a := l.Child("a", 0)
	m := a.Allocator().(*memory.Allocator)
	m.Charge(600)
	func() {
		var err error
		defer func() {
			var e *memory.ExhaustedError
			if !errors.As(err, &e) || e.Wanted != 500 {
				t.Errorf("beyond the limit: %v", err)
			}
		}()
		defer memory.Recover(&err)
		m.Charge(500)
	}()
	if m.Charge(-600); a.Used() != 0 || l.Used() != 0 {
		t.Fatalf("%d and %d bytes are left", a.Used(), l.Used())
	}
}
