package filesystem

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs/faultfs"
)

// looking is a lookup in the world's table by n.
type looking struct {
	*world
	now     time.Time
	account *memory.Account
	connector.Lookup
}

func (w *world) look(options map[string]string, limit int64) *looking {
	w.t.Helper()
	for k, v := range options {
		w.table.Options[k] = v
	}
	ledger, err := memory.New(memory.Options{Limit: 1 << 30})
	if err != nil {
		w.t.Fatal(err)
	}
	l := &looking{world: w, now: time.UnixMilli(0), account: ledger.Child("lookup", limit)}
	l.Lookup, err = w.c.Lookup(w.t.Context(), connector.SourceSpec{Table: w.table, Columns: w.table.Schema}, []int{0}, connector.LookupEnv{
		Alloc: w.mem, Account: l.account, BatchRows: 2, Now: func() time.Time { return l.now },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := l.Close(); err != nil || l.account.Used() != 0 {
			w.t.Errorf("close: %v, %d bytes stay charged", err, l.account.Used())
		}
	})
	return l
}

// find looks keys up and prints the place of each row's key before it.
func (l *looking) find(keys ...int64) ([]string, error) {
	b := array.NewInt64Builder(l.mem)
	defer b.Release()
	b.AppendValues(keys, nil)
	a := b.NewArray()
	defer a.Release()
	rows, of, err := l.Find(l.t.Context(), []arrow.Array{a}, len(keys))
	if err != nil {
		return nil, err
	}
	defer rows.Release()
	out := texts(stream.NewBatch(rows), l.table.Schema)
	for i := range out {
		out[i] = fmt.Sprint(of[i], ": ", out[i])
	}
	return out, nil
}

func (l *looking) want(want []string, keys ...int64) {
	l.t.Helper()
	if got, err := l.find(keys...); err != nil || !slices.Equal(got, want) {
		l.t.Errorf("%v: %q, %v, want %q", keys, got, err, want)
	}
}

// A table is read once, or as often as its options say; partition columns and null keys
// are no different.
func TestLookup(t *testing.T) {
	const twice = `[{"n": 1, "day": "2026-02-01", "place": "b"}, {"n": null, "day": "2026-02-01", "place": "b"}]`
	one, three := "1 2026-01-01 a/b", "3 2026-01-01 a/b"
	for name, c := range map[string]struct {
		options map[string]string
		again   []bool // the table is read anew after 0, 6, 6 s
	}{
		"once":     {again: []bool{false, false, false}},
		"reloaded": {options: map[string]string{connector.OptLookupReload: "10 s"}, again: []bool{false, false, true}},
		"always":   {options: map[string]string{connector.OptLookupCache: "NONE"}, again: []bool{true, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := w.commit(w.sink(false), w.stage(w.sink(false), first)); err != nil {
				t.Fatal(err)
			}
			l := w.look(c.options, 1<<20)
			l.want([]string{"0: " + three, "2: " + one, "3: " + three}, 3, 9, 1, 3)
			if err := w.commit(w.sink(false), w.stage(w.sink(false), twice)); err != nil {
				t.Fatal(err)
			}
			for _, again := range c.again {
				want := []string{"0: " + one}
				if again {
					want = append(want, "0: 1 2026-02-01 b")
				}
				l.want(want, 1)
				l.now = l.now.Add(6 * time.Second)
			}
		})
	}
}

func TestLookupFails(t *testing.T) {
	w := newWorld(t)
	l := w.look(nil, 1<<20)
	if _, err := l.find(1); err == nil || !strings.Contains(err.Error(), "table t") {
		t.Errorf("a table that is not there: %v", err)
	}
	if err := w.commit(w.sink(false), w.stage(w.sink(false), first)); err != nil {
		t.Fatal(err)
	}
	l = w.look(nil, 100)
	var exhausted *memory.ExhaustedError
	if _, err := l.find(1); !errors.As(err, &exhausted) {
		t.Errorf("a table beyond the limit: %v", err)
	}
	l = w.look(nil, 1<<20)
	for _, op := range []faultfs.Op{faultfs.List, faultfs.Open, faultfs.Read} {
		gone := errors.New("the disk is gone")
		w.faults.Inject(faultfs.Rule{Op: op, Err: gone})
		if _, err := l.find(1); !errors.Is(err, gone) {
			t.Errorf("%v fails: %v", op, err)
		}
		w.faults.Heal()
	}
	l.want([]string{"0: 1 2026-01-01 a/b"}, 1)
}

func TestLookupRefuses(t *testing.T) {
	w := newWorld(t)
	for _, option := range []string{connector.OptLookupCache, "path"} {
		w := newWorld(t)
		w.table.Options[option] = ""
		if option != "path" {
			w.table.Options[option] = "SOME"
		}
		if _, err := w.c.Lookup(t.Context(), connector.SourceSpec{Table: w.table}, nil, connector.LookupEnv{}); err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
	w.table.Options[connector.OptLookupRetries] = "many"
	if err := w.c.CheckOptions(w.table); err == nil || !strings.Contains(err.Error(), connector.OptLookupRetries) {
		t.Errorf("%v", err)
	}
}
