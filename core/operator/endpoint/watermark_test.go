package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/calc"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/stream"
)

// partitions is a connector whose reader a test tells what to return.
type partitions struct {
	connector.Connector
	r *told
}

func (p partitions) Reader(context.Context, connector.SourceSpec, connector.ReaderEnv) (connector.Reader, error) {
	return p.r, nil
}

// told is a reader with splits, and what is emitted of it.
type told struct {
	mem    memory.Allocator
	next   string // "split time" or nothing
	of     string
	held   []string
	paused []string
	out    []string
	fails  int // of what is emitted, counted down
}

func (r *told) Add(connector.Split) error            { return nil }
func (r *told) Ready() <-chan struct{}               { return nil }
func (r *told) Snapshot() ([]connector.Split, error) { return nil, nil }
func (r *told) Close() error                         { return nil }
func (r *told) Of() string                           { return r.of }
func (r *told) Splits() []string                     { return r.held }
func (r *told) Pause(splits map[string]bool) {
	r.paused = nil
	for s := range splits {
		r.paused = append(r.paused, s)
	}
	slices.Sort(r.paused)
}

func (r *told) Poll(context.Context) (*stream.Batch, connector.Wait, error) {
	if r.next == "" {
		return nil, connector.ForData, nil
	}
	split, at, _ := strings.Cut(r.next, " ")
	r.next, r.of = "", split
	in := operatortest.Parse("ts TIMESTAMP(3)\n" + at)
	return stream.NewBatch(operatortest.Record(r.mem, in.Schema, in.Rows())), connector.NoWait, nil
}

func (r *told) note(what string) error {
	if r.fails--; r.fails == 0 {
		return errBroken
	}
	r.out = append(r.out, what)
	return nil
}

func (r *told) Emit(b *stream.Batch) error {
	b.Release()
	return r.note("row")
}

func (r *told) Advance(w stream.Watermark) error {
	return r.note(time.UnixMilli(int64(w)).UTC().Format("15:04"))
}

func (r *told) Idle(idle bool) error { return r.note(fmt.Sprintf("idle=%v", idle)) }

func bySplit(t *testing.T, r *told, drift time.Duration) *Source {
	t.Helper()
	schema := operatortest.ParseSchema("ts TIMESTAMP(3)")
	s, err := NewSource(connector.SourceSpec{Columns: schema}, SourceDeps{
		Connector: partitions{r: r}, Splits: &queue{stuck: true},
		Watermark: &jobgraph.WatermarkAssigner{
			Watermark: expr.ToProto(&expr.Column{T: schema[0].Type}), IdleMillis: 1000, FutureMillis: 3_600_000, DriftMillis: drift.Milliseconds(), AlignMillis: 1,
		},
		Calc: calc.Deps{Functions: function.Builtins(), Expr: expr.Options{Now: func() time.Time { return time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC) }}},
	})
	if err == nil {
		err = s.Open(contextOf(r.mem, r))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.(*Source)
}

// Splits have watermarks of their own: the slowest one's counts, not one that is silent or
// has ended, and a time of the far future is counted and moves nothing.
func TestSourceWatermarkBySplit(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := &told{mem: mem}
	s := bySplit(t, r, time.Hour)
	now := time.Unix(0, 0)
	for _, step := range []struct{ held, next, want string }{
		{"a b c", "a 2024-01-01 10:00:00", "row"},
		{"a b c", "b 2024-01-01 08:00:00", "row"},
		{"a b c", "tick", "paused a"},
		{"a b c", "b 2024-01-01 09:30:00", "row"},
		{"a b c", "tick", "09:30"},
		{"a b c", "a 2024-01-01 11:00:00", "row"},
		{"a b c", "b 2024-01-01 10:30:00", "row 10:30"},
		{"a b c", "b 2031-01-01 10:30:00", "row"},
		{"a c", "", "11:00"},
		{"a c", "tick", ""},
		{"a c", "tick", "idle=true"},
		{"a c", "c 2024-01-01 11:10:00", "idle=false row 11:10"},
		{"", "tick", ""},
		{"", "tick", "idle=true"},
		{"d", "", "idle=false"},
	} {
		r.out, r.held = nil, strings.Fields(step.held)
		if step.next == "tick" {
			if err := s.Tick(now); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Second)
			if len(r.paused) > 0 {
				r.out = append(r.out, "paused "+strings.Join(r.paused, " "))
			}
		} else {
			r.next = step.next
			if _, err := s.Poll(); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(r.out, " "); got != step.want {
			t.Fatalf("%q of %q: %q, want %q", step.next, step.held, got, step.want)
		}
	}
	if s.Future() != 1 {
		t.Errorf("%d of the future", s.Future())
	}
	r.held, r.next = []string{"d"}, "d NULL"
	if _, err := s.Poll(); failure.Of(err) != failure.BadData {
		t.Errorf("null: %v", err)
	}
}

// Each thing that is told downstream fails once.
func TestSourceWatermarkFails(t *testing.T) {
	for fails := 1; fails <= 4; fails++ {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		r := &told{mem: mem, held: []string{"a"}, fails: fails}
		s := bySplit(t, r, 0)
		_, err := s.Poll()
		for i := range 3 {
			err = errors.Join(err, s.Tick(time.Unix(int64(i), 0)))
		}
		r.next = "a 2024-01-01 10:00:00"
		_, polled := s.Poll()
		if err = errors.Join(err, polled); !errors.Is(err, errBroken) {
			t.Errorf("call %d: %v", fails, err)
		}
		mem.AssertSize(t, 0)
	}
}

var _ operator.IdleOutput = (*told)(nil)
