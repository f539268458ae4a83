package resource

// Workers that do not answer are set aside, come back with their heartbeats, and are
// replaced by those that begin anew at their address.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/id"
)

var errRefused = errors.New("connection refused")

// told collects what a manager tells of workers that are set aside.
type told struct {
	mu  sync.Mutex
	all []string
}

func (l *told) note(w id.Worker, cause error) {
	if cause == nil {
		l.add(fmt.Sprintf("%s is back", w))
		return
	}
	l.add(fmt.Sprintf("%s: %v", w, cause))
}

func (l *told) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, text)
}

func TestUnreachableWorkerIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log told
		m := New(Options{Timeout: time.Minute, Aside: log.note})
		register(t, m, Member{ID: "a", Slots: 2}, Member{ID: "b", Slots: 1})
		if !m.Unreachable("a", errRefused) || m.Unreachable("a", errRefused) || m.Unreachable("nobody", errRefused) {
			t.Fatal("news once, of those that are known")
		}
		if total, free := m.Slots(); total != 1 || free != 1 || !slices.Equal(m.Usable(), []id.Worker{"b"}) || len(m.Workers()) != 2 {
			t.Fatal(total, free, m.Usable(), m.Workers())
		}
		if err := m.Aside(); err == nil || !strings.Contains(err.Error(), "worker a is set aside until it is heard of: connection refused") {
			t.Fatal(err)
		}
		var slots []id.Slot
		m.Ask(Request{Job: id.Job{1}}, 1, 9, func(x Answer) { slots = x.Slots })
		if len(slots) != 1 || slots[0].Worker != "b" {
			t.Fatal(slots)
		}
		waited := false
		m.Ask(Request{Job: id.Job{2}}, 1, 9, func(x Answer) { waited = len(x.Slots) == 2 })
		arrived := m.Arrived()
		if !m.Heartbeat("a", 0, false) || !waited {
			t.Fatal("its heartbeat does not bring it back")
		}
		<-arrived
		if want := []string{"a: connection refused", "a is back"}; !slices.Equal(log.all, want) || m.Aside() != nil {
			t.Fatal(log.all, m.Aside())
		}
	})
}

// A worker whose heartbeats come while nobody can call it is tried after growing pauses,
// until it answers.
func TestHeartbeatsAloneAreNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Timeout: time.Hour})
		register(t, m, Member{ID: "a", Slots: 2})
		rest := func() time.Duration {
			m.Unreachable("a", errRefused)
			begun := time.Now()
			for len(m.Usable()) == 0 {
				time.Sleep(500 * time.Millisecond)
				m.Heartbeat("a", 0, false)
			}
			return time.Since(begun)
		}
		var rests []time.Duration
		for range 8 {
			rests = append(rests, rest())
		}
		s := time.Second
		if want := []time.Duration{s / 2, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}; !slices.Equal(rests, want) {
			t.Fatal(rests)
		}
		m.Reached("a")
		m.Reached("nobody")
		if got := rest(); got != s/2 {
			t.Fatal(got)
		}
	})
}

// A worker that was stopped sends no heartbeats: it is set aside before it is lost. In one
// process, where no other will ever come, nobody is.
func TestSilentWorkerIsSetAsideBeforeItIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log told
		m := New(Options{Timeout: 2 * time.Second, Aside: log.note, Lost: func(who Member, _ error) {
			log.add(string(who.ID) + " is lost")
		}})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		register(t, m, Member{ID: "a", Slots: 2})
		time.Sleep(1600 * time.Millisecond)
		m.Heartbeat("a", 0, false)
		time.Sleep(10 * time.Second)
		stop()
		running.Wait()
		if want := []string{"a: no heartbeat for 1.25s", "a is back", "a: no heartbeat for 1.15s", "a is lost"}; !slices.Equal(log.all, want) {
			t.Fatal(log.all)
		}
		alone := New(Options{Fixed: true})
		register(t, alone, Member{ID: "a", Slots: 2})
		if total, _ := alone.Slots(); alone.Unreachable("a", errRefused) || total != 2 {
			t.Fatal("the only worker is set aside")
		}
	})
}

// A process that begins anew at the address of another one of its role is that one's next
// life: what ran there is lost at once.
func TestEarlierLifeIsLostAtOnce(t *testing.T) {
	var lost []string
	m := New(Options{Lost: func(who Member, cause error) { lost = append(lost, fmt.Sprintf("%s: %v", who.ID, cause)) }})
	keeper := server("s", "h")
	keeper.Address = "h:1"
	register(t, m, Member{ID: "h:1-aa", Slots: 1, Address: "h:1"}, keeper, Member{ID: "other", Slots: 1})
	register(t, m, Member{ID: "h:1-bb", Slots: 2, Address: "h:1"}, Member{ID: "another", Slots: 1})
	if want := []string{"h:1-aa: h:1-bb has begun anew at its address"}; !slices.Equal(lost, want) {
		t.Fatal(lost)
	}
	if total, _ := m.Slots(); total != 4 {
		t.Fatal(total)
	}
}
