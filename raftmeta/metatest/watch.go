package metatest

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/raftmeta"
)

func testWatch(e *env) {
	e.put("a", "1", raftmeta.Absent)
	e.put("ab", "2", raftmeta.Absent)
	_, err := e.s.Apply(e.ctx, raftmeta.Txn{}.
		Put(bucket, "b", []byte("3"), raftmeta.Any).
		Put("other", "a", nil, raftmeta.Any).
		Delete(bucket, "a", raftmeta.Any).
		Put(bucket, "c", []byte("3"), raftmeta.Any))
	e.ok(err)
	all, some, late := e.watch("", 0), e.watch("a", 1), e.watch("", 3)
	e.put("a", "4", raftmeta.Absent)

	e.next(all, `put jobs/a@1 "1"`)
	e.next(all, `put jobs/ab@2 "2"`)
	e.next(all, `put jobs/b@3 "3"`)
	e.next(all, `delete jobs/a@3 ""`)
	e.next(all, `put jobs/c@3 "3"`)
	e.next(all, `put jobs/a@4 "4"`)
	e.next(some, `put jobs/ab@2 "2"`)
	e.next(some, `delete jobs/a@3 ""`)
	e.next(some, `put jobs/a@4 "4"`)
	e.next(late, `put jobs/a@4 "4"`)
	for _, w := range []raftmeta.Watcher{all, some, late} {
		w.Close()
	}
}

// A watcher that waits is woken by the next change.
func testWatchLive(e *env) {
	w, got := e.watch("", 0), make(chan string)
	go func() {
		defer close(got)
		for range 2 {
			ev, err := w.Next(e.ctx)
			if err != nil {
				e.Error(err)
				return
			}
			got <- ev.String()
		}
	}()
	e.put("x", "1", raftmeta.Absent)
	first := <-got
	e.put("x", "2", raftmeta.Any)
	if second := <-got; first != `put jobs/x@1 "1"` || second != `put jobs/x@2 "2"` {
		e.Fatalf("got %s and %s", first, second)
	}
	<-got
	w.Close()
}

// fill writes n entries, many in a transaction.
func (e *env) fill(n int) (last raftmeta.Revision) {
	e.Helper()
	per := raftmeta.Limits{}.Complete().Ops
	for i := 0; i < n; {
		var t raftmeta.Txn
		for ; i < n && len(t.Ops) < per; i++ {
			t = t.Put(bucket, fmt.Sprint("fill", i), nil, raftmeta.Any)
		}
		var err error
		last, err = e.s.Apply(e.ctx, t)
		e.ok(err)
	}
	return last
}

// plenty is more events than any store buffers or remembers.
const plenty = 20_000

func testSlowWatcher(e *env) {
	slow := e.watch("", 0)
	last := e.fill(plenty)
	e.next(slow, fmt.Sprintf(`resync jobs/@%d ""`, last))
	entries, rev, err := e.s.List(e.ctx, bucket, "")
	e.ok(err)
	if len(entries) != plenty || rev != last {
		e.Fatalf("%d entries at %d, want %d at %d", len(entries), rev, plenty, last)
	}
	next := e.put("after", "", raftmeta.Absent)
	e.next(slow, fmt.Sprintf(`put jobs/after@%d ""`, next))
	slow.Close()
}

func testForgotten(e *env) {
	e.put("a", "1", raftmeta.Absent)
	last := e.fill(plenty)
	for _, after := range []raftmeta.Revision{0, 1} {
		w := e.watch("a", after)
		e.next(w, fmt.Sprintf(`resync jobs/@%d ""`, last))
		last = e.put("a", "2", raftmeta.Any)
		e.next(w, fmt.Sprintf(`put jobs/a@%d "2"`, last))
		w.Close()
	}
}

func testWatcherClose(e *env) {
	w := e.watch("", 0)
	ended := make(chan error)
	go func() {
		_, err := w.Next(e.ctx)
		ended <- err
	}()
	w.Close()
	e.fails(<-ended, raftmeta.ErrClosed)
	w.Close()
	e.put("a", "", raftmeta.Absent)
	_, err := w.Next(e.ctx)
	e.fails(err, raftmeta.ErrClosed)

	w = e.watch("", 0)
	e.ok(e.s.Close())
	e.next(w, `put jobs/a@1 ""`) // what was queued is still delivered
	_, err = w.Next(e.ctx)
	e.fails(err, raftmeta.ErrClosed)
	w.Close()
}

func testClose(e *env) {
	known, err := e.s.Leadership(e.ctx, raftmeta.Leadership{})
	e.ok(err)
	waiting := make(chan error)
	go func() {
		_, err := e.s.Leadership(e.ctx, known)
		waiting <- err
	}()
	e.ok(e.s.Close())
	e.ok(e.s.Close())
	e.fails(<-waiting, raftmeta.ErrClosed)
	_, err = e.s.Get(e.ctx, bucket, "a")
	e.fails(err, raftmeta.ErrClosed)
	_, _, err = e.s.List(e.ctx, bucket, "a")
	e.fails(err, raftmeta.ErrClosed)
	_, err = raftmeta.Put(e.ctx, e.s, bucket, "a", nil, raftmeta.Any)
	e.fails(err, raftmeta.ErrClosed)
	_, err = e.s.Watch(e.ctx, bucket, "a", 0)
	e.fails(err, raftmeta.ErrClosed)
	_, err = e.s.Leadership(e.ctx, raftmeta.Leadership{})
	e.fails(err, raftmeta.ErrClosed)
}

func testContext(e *env) {
	w := e.watch("", 0)
	done, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.s.Get(done, bucket, "a")
	e.fails(err, context.Canceled)
	_, _, err = e.s.List(done, bucket, "a")
	e.fails(err, context.Canceled)
	_, err = raftmeta.Put(done, e.s, bucket, "a", nil, raftmeta.Any)
	e.fails(err, context.Canceled)
	_, err = e.s.Watch(done, bucket, "a", 0)
	e.fails(err, context.Canceled)
	_, err = e.s.Leadership(done, raftmeta.Leadership{})
	e.fails(err, context.Canceled)
	_, err = w.Next(done)
	e.fails(err, context.Canceled)
	e.put("a", "", raftmeta.Any)
	e.next(w, `put jobs/a@1 ""`)
	w.Close()
}
