package resource

// Members come, fall silent, come again and drain; who asks where partitions are kept is
// told the right server.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
)

func server(name, host string) Member {
	return Member{ID: id.Worker(name), Server: shuffle.Server{ID: name, Host: host}}
}

func register(t *testing.T, m *Manager, all ...Member) {
	t.Helper()
	for _, who := range all {
		if err := m.Register(who); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSilentMembersAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost []string
		m := New(Options{Timeout: 2 * time.Second, Lost: func(who Member, cause error) {
			lost = append(lost, fmt.Sprintf("%s with %d slots: %v", who.ID, who.Slots, cause))
		}})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		changed := m.Changed()
		register(t, m, Member{ID: "w", Slots: 2}, server("s", "h"))
		<-changed
		for range 3 {
			time.Sleep(time.Second)
			if !m.Heartbeat("w", 7, false) {
				t.Fatal("w is not known")
			}
		}
		synctest.Wait()
		if !slices.Equal(lost, []string{"s with 0 slots: no heartbeat for 2.25s"}) {
			t.Fatal(lost)
		}
		if m.Heartbeat("s", 0, false) {
			t.Fatal("s is still known")
		}
		if all := m.Members(); len(all) != 1 || all[0].MemoryUsed != 7 || all[0].Free != 2 {
			t.Fatalf("%+v", all)
		}
		register(t, m, Member{ID: "w", Slots: 3})
		if total, free := m.Slots(); total != 3 || free != 3 || len(lost) != 2 {
			t.Fatal(total, free, lost)
		}
		stop()
		running.Wait()
	})
}

// A member that has missed a heartbeat, and at whose address nobody listens, has ended: it is
// lost at once. One whose address answers, or says nothing, has all of its time, as has one
// that is heard of while it is called; each is called by one at a time, until it is lost.
func TestMemberWhoseAddressRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var mu sync.Mutex
		var lost []string
		calls, most := map[string]int{}, 0
		m := New(Options{Timeout: 2 * time.Second, Lost: func(who Member, cause error) {
			mu.Lock()
			defer mu.Unlock()
			lost = append(lost, fmt.Sprintf("%s after %v: %v", who.ID, time.Since(begun), cause))
		}, Refused: func(ctx context.Context, address string) bool {
			mu.Lock()
			calls[address]++
			most = max(most, calls[address])
			mu.Unlock()
			defer func() {
				mu.Lock()
				calls[address]--
				mu.Unlock()
			}()
			switch address {
			case "mute:1":
				<-ctx.Done()
				return false
			case "late:1":
				time.Sleep(300 * time.Millisecond)
				return true
			}
			return address == "ended:1"
		}})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		for _, name := range []string{"ended", "mute", "there", "late"} {
			register(t, m, Member{ID: id.Worker(name), Slots: 1, Address: name + ":1"})
		}
		for range 10 { // just while it is called, each time
			time.Sleep(1050 * time.Millisecond)
			m.Heartbeat("late", 0, false)
		}
		stop()
		running.Wait()
		slices.Sort(lost)
		want := []string{
			"ended after 1s: no heartbeat for 1s, and nobody listens at ended:1",
			"mute after 2.25s: no heartbeat for 2.25s", "there after 2.25s: no heartbeat for 2.25s",
		}
		if !slices.Equal(lost, want) || most != 1 {
			t.Errorf("%q, %d at a time", lost, most)
		}
	})
}

func TestRefusedMembers(t *testing.T) {
	m := New(Options{})
	long := strings.Repeat("x", 1000)
	for _, who := range []Member{
		{Slots: 1},
		{ID: "w", Slots: -1},
		{ID: "s"},
		{ID: "w", Slots: 1e9},
		{ID: id.Worker(long), Slots: 1},
		{ID: "w", Slots: 1, Memory: -1},
		{ID: "w", Slots: 1, Daemon: long},
		{ID: "s", Server: shuffle.Server{ID: "s", Socket: long}},
	} {
		if err := m.Register(who); failure.Of(err) != failure.Usage {
			t.Errorf("%+v: %v", who, err)
		}
	}
}

func TestWhereLanesAreKept(t *testing.T) {
	m := New(Options{})
	near := Member{ID: "near", Slots: 1, Server: shuffle.Server{ID: "near", Host: "h2"}}
	told := Member{ID: "told", Slots: 1, Server: shuffle.Server{ID: "told", Host: "h2"}, Daemon: "s1"}
	register(t, m, near, told, Member{ID: "far", Slots: 1})
	if _, ok := m.Writes("near"); ok {
		t.Fatal("there is no server")
	}
	register(t, m, server("s1", "h1"), server("s2", "h2"))
	at := func(w id.Worker) string {
		s, ok := m.Writes(w)
		if !ok {
			t.Fatalf("%s has nowhere to write", w)
		}
		return s.ID
	}
	if at("near") != "s2" || at("told") != "s1" {
		t.Fatal(at("near"), at("told"))
	}
	used := map[string]bool{}
	for i := range 20 {
		register(t, m, Member{ID: id.Worker(fmt.Sprintf("w%d", i)), Slots: 1})
		used[at(id.Worker(fmt.Sprintf("w%d", i)))] = true
	}
	if len(used) != 2 {
		t.Fatalf("workers without a preference all write to %v", used)
	}
	m.NoteFull("s1", "no space left")
	if at("told") != "s2" {
		t.Fatal("a full disk gets new lanes")
	}
	m.NoteFull("s2", "no space left")
	if at("told") != "s1" {
		t.Fatal("all disks are full: one is tried")
	}
	m.NoteFull("s1", "")
	m.NoteFull("s2", "")
	m.NoteFull("nobody", "no space left")
	m.Drain("s1")
	if at("told") != "s2" {
		t.Fatal("a server that drains gets new lanes")
	}
	m.Drain("s2")
	if _, ok := m.Writes("told"); ok {
		t.Fatal("every server drains")
	}
	if s, ok := m.Reads("near"); !ok || s.ID != "near" {
		t.Fatal(s, ok)
	}
	for _, w := range []id.Worker{"far", "nobody"} {
		if _, ok := m.Reads(w); ok {
			t.Errorf("%s keeps partitions", w)
		}
	}
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		a, b := id.Job{1}, id.Job{2}
		register(t, m, Member{ID: "w", Slots: 2})
		var held []id.Slot
		m.Ask(Request{Job: a}, 2, 2, func(x Answer) { held = x.Slots })
		got := false
		m.Ask(Request{Job: b, Region: 3}, 1, 2, func(Answer) { got = true })
		asked := time.Now()
		time.Sleep(time.Second)
		w := m.Waiting(b)
		if len(m.Waiting(a)) != 0 || len(w) != 1 || w[0].Region != 3 || !w[0].Since.Equal(asked) || w[0].Owner != fmt.Sprintf("job %v, which has 2 of them", a) {
			t.Fatalf("%+v", w)
		}
		m.Release(a, held)
		if !got || len(m.Waiting(b)) != 0 {
			t.Fatal(got, m.Waiting(b))
		}
	})
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := m.Await(ctx); failure.Of(err) != failure.Transient {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { register(t, m, server("s", "h"), Member{ID: "w", Slots: 4}) })
		if n, err := m.Await(t.Context()); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	})
}
