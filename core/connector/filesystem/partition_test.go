package filesystem

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
)

// sinkOf is a stream's sink with more options.
func (w *world) sinkOf(options map[string]string) connector.SinkSpec {
	for key, value := range options {
		w.table.Options[key] = value
	}
	s := w.sink(false)
	s.Bounded = false
	return s
}

// step has a writer take rows of days, and a checkpoint, which is published.
type step struct {
	*world
	spec      connector.SinkSpec
	writers   []connector.Writer
	committer connector.Committer
}

func (w *world) steps(s connector.SinkSpec, writers int, restored ...[]byte) *step {
	w.t.Helper()
	out := &step{world: w, spec: s}
	for i := range writers {
		env := connector.WriterEnv{Alloc: w.mem, Restored: restored}
		env.Attempt.Subtask.Index = uint32(i)
		writer, err := w.c.Writer(w.t.Context(), s, env)
		if err != nil {
			w.t.Fatal(err)
		}
		out.writers = append(out.writers, writer)
	}
	var err error
	if out.committer, err = w.c.Committer(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (s *step) write(writer int, days ...int) {
	s.t.Helper()
	var rows []string
	for _, day := range days {
		rows = append(rows, fmt.Sprintf(`{"n": %d, "day": "2026-01-%02d", "place": "x"}`, day, day))
	}
	record, _, err := array.RecordFromJSON(s.mem, s.spec.Columns.Arrow(), strings.NewReader("["+strings.Join(rows, ",")+"]"))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.writers[writer].Write(s.t.Context(), stream.NewBatch(record)); err != nil {
		s.t.Fatal(err)
	}
}

// prepare lets the writers' time come to these hours of January, and returns what is ready.
func (s *step) prepare(hours ...int64) (all []connector.Committable) {
	s.t.Helper()
	for i, w := range s.writers {
		at := time.Date(2026, 1, 1, int(min(hours[i], 10_000)), 0, 0, 0, time.UTC).UnixMilli()
		if hours[i] == math.MaxInt64 {
			at = math.MaxInt64
		}
		if err := w.(connector.TimedWriter).Advance(at); err != nil {
			s.t.Fatal(err)
		}
		c, err := w.Prepare(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, c...)
	}
	return all
}

func (s *step) expect(hours []int64, want ...string) {
	s.t.Helper()
	if err := s.committer.Commit(s.t.Context(), 1, s.prepare(hours...), false); err != nil {
		s.t.Fatal(err)
	}
	var have []string
	err := s.faults.List(s.t.Context(), "t", fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		if strings.HasSuffix(i.Path, "/_done") {
			have = append(have, strings.TrimPrefix(i.Path, "t/day=2026-01-")[:2])
		}
		return nil
	})
	if err != nil || !slices.Equal(have, want) {
		s.t.Fatalf("complete are %v, %v; want %v", have, err, want)
	}
}

var byDay = map[string]string{
	optCommitTrigger: "partition-time", optCommitDelay: "1 d", optCommitPolicy: "success-file", optSuccessName: "_done", optTimePattern: "$day 00:00:00",
}

// A partition of a day is complete when all writers have come to the next one, also those
// that have written nothing into it; a new writer goes on with what a former one knew.
func TestPartitionsByEventTime(t *testing.T) {
	w := newWorld(t)
	s := w.steps(w.sinkOf(byDay), 2)
	s.write(0, 1, 2)
	s.expect([]int64{30, 20})
	s.write(1, 1)
	s.expect([]int64{40, 24}, "01")
	s.write(0, 3)
	s.expect([]int64{60, 47}, "01")
	saved, err := s.writers[0].Snapshot()
	if err != nil || !strings.Contains(string(saved), "2026-01-02") || strings.Contains(string(saved), "2026-01-01") {
		t.Fatalf("%s, %v", saved, err)
	}
	s = w.steps(s.spec, 1, saved)
	s.expect([]int64{71}, "01", "02")
	s.expect([]int64{math.MaxInt64}, "01", "02", "03")
	if saved, err := s.writers[0].Snapshot(); err != nil || !strings.Contains(string(saved), "2026-01-03") {
		t.Errorf("%s, %v", saved, err) // its success file is looked for with the next checkpoint
	}
}

func TestPartitionsByClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.steps(w.sinkOf(map[string]string{optCommitDelay: "1 min", optCommitPolicy: "success-file", optSuccessName: "_done"}), 1)
		s.write(0, 1)
		s.expect([]int64{0})
		time.Sleep(50 * time.Second)
		s.write(0, 2)
		s.expect([]int64{0})
		time.Sleep(10 * time.Second)
		s.expect([]int64{0}, "01")
		time.Sleep(time.Minute)
		s.expect([]int64{0}, "01", "02")
	})
}

// A success file that cannot be written, or looked for, is an error; the next try writes it.
func TestSuccessFileFails(t *testing.T) {
	w := newWorld(t)
	s := w.steps(w.sinkOf(byDay), 1)
	s.write(0, 1)
	ready := s.prepare(48)
	away := errors.New("the store is away")
	w.faults.Inject(faultfs.Rule{Op: faultfs.Create, Path: "t/day=2026-01-01/place=x/_done", Err: away})
	if err := s.committer.Commit(t.Context(), 1, ready, false); !errors.Is(err, away) {
		t.Errorf("have %v", err)
	}
	w.faults.Heal()
	if err := s.committer.Commit(t.Context(), 1, ready, false); err != nil {
		t.Fatal(err)
	}
	w.faults.Inject(faultfs.Rule{Op: faultfs.Stat, Path: "t/day=2026-01-01/place=x/_done", Err: away})
	if _, err := s.writers[0].Prepare(t.Context()); !errors.Is(err, away) {
		t.Errorf("have %v", err)
	}
	w.faults.Heal()
	s.expect([]int64{48}, "01")
}

func TestPartitionCommitOptions(t *testing.T) {
	for option, bad := range map[string]string{
		optCommitTrigger: "sometimes",
		optCommitDelay:   "soon",
		optCommitPolicy:  "metastore",
		optCommitZone:    "Atlantis/City",
		optSuccessName:   "visible",
		optTimeExtractor: "custom",
		optTimeFormatter: "yyyy-DDD",
		optRollInterval:  "never",
	} {
		w := newWorld(t)
		w.table.Options[option] = bad
		if err := w.c.CheckOptions(w.table); failure.Of(err) != failure.InvalidSQL || !strings.Contains(err.Error(), option) {
			t.Errorf("%s = %s: %v", option, bad, err)
		}
	}
	c := completion{pattern: "$d $da:00", layout: "20060102 15:04", zone: time.UTC}
	if at, err := c.time("d=20260203/da=07"); err != nil || at != time.Date(2026, 2, 3, 7, 0, 0, 0, time.UTC) {
		t.Error(at, err)
	}
	if _, err := c.time("d=today/da=07"); failure.Of(err) != failure.BadData {
		t.Error(err)
	}
}
