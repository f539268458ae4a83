package filesystem

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs/faultfs"
)

// watching is an enumerator of a table that is looked at every 10 s.
func (w *world) watching(restored []byte) *enumerator {
	w.t.Helper()
	w.table.Options[optMonitor] = "10 s"
	defer delete(w.table.Options, optMonitor)
	e, err := w.c.Enumerator(w.t.Context(), connector.SourceSpec{Table: w.table, Columns: w.table.Schema, Parallelism: 2}, restored)
	if err != nil {
		w.t.Fatal(err)
	}
	return e.(*enumerator)
}

// found takes all splits that there are now and returns their files' days.
func (w *world) found(e *enumerator) (days []string, wait time.Duration) {
	w.t.Helper()
	for {
		s, _, err := e.Next(w.t.Context(), 0)
		later, none := errors.AsType[*connector.LaterError](err)
		if none {
			return days, later.After
		}
		if err != nil {
			w.t.Fatal(err)
		}
		_, day, _ := strings.Cut(s.ID, "day=")
		days = append(days, day[:len("2026-01-01")])
	}
}

func (w *world) day(n int) {
	w.t.Helper()
	s := w.sink(false)
	if err := w.commit(s, w.stage(s, fmt.Sprintf(`[{"n": 1, "day": "2026-01-%02d", "place": "x"}]`, n))); err != nil {
		w.t.Fatal(err)
	}
}

// Files count once, when they have come; before there is a directory there are none. What
// was seen is known after a restore; what is gone and comes again is new.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e := w.watching(nil)
		expect := func(want ...string) {
			t.Helper()
			if days, wait := w.found(e); !slices.Equal(days, want) || wait <= 0 || wait > 10*time.Second {
				t.Fatalf("found %v, want %v; wait %v", days, want, wait)
			}
			time.Sleep(10 * time.Second)
		}
		expect()
		w.day(3)
		time.Sleep(time.Second)
		w.day(1)
		expect("2026-01-03", "2026-01-01")
		expect()
		w.day(2)
		if _, _, err := e.Next(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		position, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		w.day(4)
		e = w.watching(position)
		expect("2026-01-04")
		if err := w.faults.RemoveAll(t.Context(), "t/day=2026-01-04"); err != nil {
			t.Fatal(err)
		}
		expect()
		w.day(4)
		expect("2026-01-04")

		w.faults.Inject(faultfs.Rule{Op: faultfs.List, Err: errors.New("the store is away")})
		if _, _, err := e.Next(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "the store is away") {
			t.Errorf("have %v", err)
		}
		w.faults.Heal()
		w.day(5)
		time.Sleep(10 * time.Second)
		expect("2026-01-05")
	})
}

func TestWatchOptions(t *testing.T) {
	w := newWorld(t)
	w.table.Options[optMonitor] = "1 s"
	d, err := w.c.Describe(t.Context(), w.table, nil)
	if err != nil || d.Bounded || d.Rows >= 0 {
		t.Errorf("%+v, %v", d, err)
	}
	w.day(1)
	if d, err = w.c.Describe(t.Context(), w.table, nil); err != nil || d.Bounded || d.Rows >= 0 {
		t.Errorf("%+v, %v", d, err)
	}
	for _, bad := range []string{"0 s", "soon", "-1 s"} {
		w.table.Options[optMonitor] = bad
		if err := w.c.CheckOptions(w.table); failure.Of(err) != failure.InvalidSQL || !strings.Contains(err.Error(), optMonitor) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
