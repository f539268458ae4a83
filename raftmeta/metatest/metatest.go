package metatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/raftmeta"
)

// Maker prepares a fresh storage and returns a function that opens a store on
// it, with default limits, which leads. The suite closes each store before it
// opens the next; a store opened again is the restarted first one. A cluster of
// several masters is such a store: the leading one, whose Close closes them all.
type Maker func(t *testing.T) (open func() raftmeta.Store)

// Run checks the whole contract.
func Run(t *testing.T, make Maker) {
	RunIn(t, func(t *testing.T, test func(*testing.T)) { test(t) }, make)
}

// RunIn checks the whole contract, each test of it within what it is given, such as
// synctest.Test.
func RunIn(t *testing.T, within func(*testing.T, func(*testing.T)), make Maker) {
	tests := []struct {
		name string
		run  func(e *env)
	}{
		{"put and get", testPutGet},
		{"compare and set", testCompareAndSet},
		{"compare and set race has one winner", testRace},
		{"delete", testDelete},
		{"list by prefix", testList},
		{"transactions are all or nothing", testTxn},
		{"limits", testLimits},
		{"values are copied", testCopied},
		{"fencing", testFencing},
		{"restart keeps everything", testRestart},
		{"watch from a revision", testWatch},
		{"watch later", testWatchLive},
		{"slow watcher resyncs", testSlowWatcher},
		{"watch from a forgotten revision", testForgotten},
		{"closed watcher", testWatcherClose},
		{"closed store", testClose},
		{"done contexts", testContext},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			within(t, func(t *testing.T) {
				e := &env{T: t, open: make(t), ctx: t.Context()}
				e.s = e.open()
				test.run(e)
				e.ok(e.s.Close())
			})
		})
	}
}

const bucket = raftmeta.Bucket("jobs")

type env struct {
	*testing.T
	open func() raftmeta.Store
	s    raftmeta.Store
	ctx  context.Context
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) fails(err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Fatalf("got error %v, want %v", err, want)
	}
}

func (e *env) put(key, value string, expect raftmeta.Revision) raftmeta.Revision {
	e.Helper()
	rev, err := raftmeta.Put(e.ctx, e.s, bucket, key, []byte(value), expect)
	e.ok(err)
	return rev
}

func (e *env) get(key, value string, rev raftmeta.Revision) {
	e.Helper()
	got, err := e.s.Get(e.ctx, bucket, key)
	e.ok(err)
	if string(got.Value) != value || got.Revision != rev || got.Bucket != bucket || got.Key != key {
		e.Fatalf("got %q at %d, want %q at %d (%+v)", got.Value, got.Revision, value, rev, got)
	}
}

func (e *env) absent(key string) {
	e.Helper()
	_, err := e.s.Get(e.ctx, bucket, key)
	e.fails(err, raftmeta.ErrNotFound)
}

func (e *env) restart() {
	e.Helper()
	e.ok(e.s.Close())
	e.s = e.open()
}

func (e *env) term() id.Term {
	e.Helper()
	l, err := e.s.Leadership(e.ctx, raftmeta.Leadership{})
	e.ok(err)
	if !l.Leading || l.Term == 0 || l.Leader == "" {
		e.Fatalf("leadership %+v", l)
	}
	return l.Term
}

func (e *env) watch(prefix string, after raftmeta.Revision) raftmeta.Watcher {
	e.Helper()
	w, err := e.s.Watch(e.ctx, bucket, prefix, after)
	e.ok(err)
	return w
}

func (e *env) next(w raftmeta.Watcher, want string) {
	e.Helper()
	got, err := w.Next(e.ctx)
	e.ok(err)
	if got.String() != want {
		e.Fatalf("got event %v, want %s", got, want)
	}
}

func testPutGet(e *env) {
	e.absent("a")
	one := e.put("a", "1", raftmeta.Absent)
	two := e.put("b", "", raftmeta.Any)
	if one == 0 || two <= one {
		e.Fatalf("revisions %d, %d do not grow", one, two)
	}
	e.get("a", "1", one)
	e.get("b", "", two)
	three := e.put("a", "3", raftmeta.Any)
	e.get("a", "3", three)
	_, err := e.s.Get(e.ctx, "other", "a")
	e.fails(err, raftmeta.ErrNotFound)
}

func testCompareAndSet(e *env) {
	rev := e.put("a", "1", raftmeta.Absent)
	_, err := raftmeta.Put(e.ctx, e.s, bucket, "a", nil, raftmeta.Absent)
	e.fails(err, raftmeta.ErrConflict)
	var c *raftmeta.ConflictError
	if !errors.As(err, &c) || c.Key != "a" || c.Bucket != bucket || c.Expected != raftmeta.Absent || c.Actual != rev {
		e.Fatalf("conflict %+v", c)
	}
	_, err = raftmeta.Put(e.ctx, e.s, bucket, "b", nil, rev)
	e.fails(err, raftmeta.ErrConflict)
	next := e.put("a", "2", rev)
	_, err = raftmeta.Put(e.ctx, e.s, bucket, "a", nil, rev)
	e.fails(err, raftmeta.ErrConflict)
	e.get("a", "2", next)
	if after := e.put("c", "", raftmeta.Absent); after != next+1 {
		e.Fatalf("refused transactions took revisions: %d after %d", after, next)
	}
}

// Each of several writers increments a counter with compare-and-set; no
// increment may be lost.
func testRace(e *env) {
	const writers, each = 4, 25
	e.put("n", "0", raftmeta.Absent)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				entry, err := e.s.Get(e.ctx, bucket, "n")
				if err == nil {
					var n int
					_, _ = fmt.Sscan(string(entry.Value), &n)
					_, err = raftmeta.Put(e.ctx, e.s, bucket, "n", fmt.Append(nil, n+1), entry.Revision)
				}
				if err == nil {
					done++
				} else if !errors.Is(err, raftmeta.ErrConflict) {
					e.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	entry, err := e.s.Get(e.ctx, bucket, "n")
	e.ok(err)
	if string(entry.Value) != fmt.Sprint(writers*each) {
		e.Fatalf("counted %s, want %d", entry.Value, writers*each)
	}
}

func testDelete(e *env) {
	rev := e.put("a", "1", raftmeta.Absent)
	_, err := raftmeta.Delete(e.ctx, e.s, bucket, "a", rev+1)
	e.fails(err, raftmeta.ErrConflict)
	_, err = raftmeta.Delete(e.ctx, e.s, bucket, "b", rev)
	e.fails(err, raftmeta.ErrConflict)
	gone, err := raftmeta.Delete(e.ctx, e.s, bucket, "a", rev)
	e.ok(err)
	e.absent("a")
	again, err := raftmeta.Delete(e.ctx, e.s, bucket, "a", raftmeta.Any)
	e.ok(err)
	if again != gone {
		e.Fatalf("deleting nothing took revision %d after %d", again, gone)
	}
	e.put("a", "2", raftmeta.Absent)
}

func testList(e *env) {
	for _, k := range []string{"b/2", "a", "b/10", "b", "c"} {
		e.put(k, k, raftmeta.Absent)
	}
	_, err := raftmeta.Put(e.ctx, e.s, "other", "b/3", nil, raftmeta.Absent)
	e.ok(err)
	for prefix, want := range map[string][]string{
		"": {"a", "b", "b/10", "b/2", "c"}, "b/": {"b/10", "b/2"}, "x": nil,
	} {
		entries, rev, err := e.s.List(e.ctx, bucket, prefix)
		e.ok(err)
		var got []string
		for _, entry := range entries {
			got = append(got, entry.Key)
			if string(entry.Value) != entry.Key || entry.Revision == 0 || entry.Revision > rev {
				e.Fatalf("entry %+v of a list at %d", entry, rev)
			}
		}
		if !slices.Equal(got, want) || rev != 6 {
			e.Fatalf("prefix %q: got %q at %d, want %q at 6", prefix, got, rev, want)
		}
	}
}

func testTxn(e *env) {
	a := e.put("a", "1", raftmeta.Absent)
	guard := e.put("guard", "", raftmeta.Absent)
	_, err := e.s.Apply(e.ctx, raftmeta.Txn{}.
		Put(bucket, "a", []byte("2"), a).
		Put(bucket, "b", []byte("2"), raftmeta.Absent).
		Delete(bucket, "c", a))
	e.fails(err, raftmeta.ErrConflict)
	e.get("a", "1", a)
	e.absent("b")

	rev, err := e.s.Apply(e.ctx, raftmeta.Txn{}.
		Check(bucket, "guard", guard).
		Put(bucket, "a", []byte("2"), a).
		Put("other", "a", []byte("3"), raftmeta.Absent).
		Check(bucket, "a", a). // the state before the transaction
		Delete(bucket, "guard", raftmeta.Any))
	e.ok(err)
	e.get("a", "2", rev)
	e.absent("guard")
	got, err := e.s.Get(e.ctx, "other", "a")
	e.ok(err)
	if got.Revision != rev {
		e.Fatalf("one transaction has revisions %d and %d", rev, got.Revision)
	}
	_, err = e.s.Apply(e.ctx, raftmeta.Txn{}.Check(bucket, "guard", guard).Put(bucket, "late", nil, raftmeta.Any))
	e.fails(err, raftmeta.ErrConflict)
	same, err := e.s.Apply(e.ctx, raftmeta.Txn{}.Check(bucket, "a", rev))
	e.ok(err)
	if same != rev {
		e.Fatalf("a transaction without writes has revision %d, want %d", same, rev)
	}
}

func testLimits(e *env) {
	limits := raftmeta.Limits{}.Complete()
	big := make([]byte, limits.ValueBytes)
	rev := e.put("big", string(big), raftmeta.Absent)
	e.get("big", string(big), rev)
	refused := func(t raftmeta.Txn, want error) {
		e.Helper()
		_, err := e.s.Apply(e.ctx, t)
		e.fails(err, want)
	}
	refused(raftmeta.Txn{}.Put(bucket, "x", append(slices.Clone(big), 0), raftmeta.Any), raftmeta.ErrTooLarge)
	refused(raftmeta.Txn{}.Put(bucket, string(big[:limits.KeyBytes+1]), nil, raftmeta.Any), raftmeta.ErrTooLarge)
	var many, heavy raftmeta.Txn
	for i := range limits.Ops + 1 {
		many = many.Put(bucket, fmt.Sprint(i), nil, raftmeta.Any)
	}
	for i := range limits.TxnBytes/limits.ValueBytes + 1 {
		heavy = heavy.Put(bucket, fmt.Sprint(i), big, raftmeta.Any)
	}
	refused(many, raftmeta.ErrTooLarge)
	refused(heavy, raftmeta.ErrTooLarge)
	refused(raftmeta.Txn{}.Put(bucket, "", nil, raftmeta.Any), raftmeta.ErrMalformed)
	refused(raftmeta.Txn{}.Put("", "x", nil, raftmeta.Any), raftmeta.ErrMalformed)
	refused(raftmeta.Txn{}.Put(bucket, "x", nil, raftmeta.Any).Delete(bucket, "x", raftmeta.Any), raftmeta.ErrMalformed)
	refused(raftmeta.Txn{Ops: []raftmeta.Op{{Bucket: bucket, Key: "x"}}}, raftmeta.ErrMalformed)
	e.absent("x")
}

func testCopied(e *env) {
	value := []byte("value")
	rev, err := raftmeta.Put(e.ctx, e.s, bucket, "a", value, raftmeta.Absent)
	e.ok(err)
	copy(value, bytes.Repeat([]byte("x"), 5))
	e.get("a", "value", rev)
}

func testFencing(e *env) {
	old := e.term()
	rev, err := e.s.Apply(e.ctx, raftmeta.Txn{Term: old}.Put(bucket, "a", []byte("1"), raftmeta.Absent))
	e.ok(err)
	e.restart()
	now := e.term()
	if now <= old {
		e.Fatalf("term %d after %d", now, old)
	}
	for _, term := range []id.Term{old, now + 1} {
		_, err = e.s.Apply(e.ctx, raftmeta.Txn{Term: term}.Put(bucket, "a", []byte("stale"), raftmeta.Any))
		e.fails(err, raftmeta.ErrFenced)
	}
	e.get("a", "1", rev)
	_, err = e.s.Apply(e.ctx, raftmeta.Txn{Term: now}.Put(bucket, "a", []byte("2"), rev))
	e.ok(err)
}

func testRestart(e *env) {
	a := e.put("a", "1", raftmeta.Absent)
	e.put("b", "2", raftmeta.Absent)
	_, err := raftmeta.Delete(e.ctx, e.s, bucket, "b", raftmeta.Any)
	e.ok(err)
	for range 3 {
		e.restart()
		e.get("a", "1", a)
		e.absent("b")
	}
	if rev := e.put("c", "3", raftmeta.Absent); rev != a+3 {
		e.Fatalf("revision %d after the restart, want %d", rev, a+3)
	}
}
