package endpoint

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/calc"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/stream"
)

// choosy is a connector whose reader rejects a record before each of its batches.
type choosy struct {
	connector.Connector
	r *told
}

type choosyReader struct {
	*told
	env connector.ReaderEnv
}

func (c choosy) Reader(_ context.Context, _ connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	return choosyReader{c.r, env}, nil
}

func (r choosyReader) Poll(ctx context.Context) (*stream.Batch, connector.Wait, error) {
	r.env.Reject(connector.Rejected{Place: "f:1", Err: errors.New("no row"), Data: []byte("?")})
	return r.told.Poll(ctx)
}

// EmitSide notes what goes aside, without the time of the clock.
func (r *told) EmitSide(_ int, b *stream.Batch) error {
	defer b.Release()
	for _, row := range operatortest.ReadRows(b) {
		columns := aside.RejectColumns()
		if data, ok := row[3].([]byte); ok {
			row[3], columns[3] = string(data), columns[1]
		}
		if err := r.note("aside " + operatortest.FormatRow(columns[:4], row[:4])); err != nil {
			return err
		}
	}
	return nil
}

func sourceThatRejects(t *testing.T, r *told, sides bool) *Source {
	t.Helper()
	schema := operatortest.ParseSchema("ts TIMESTAMP(3)")
	s, err := NewSource(connector.SourceSpec{Table: connector.Table{Name: "t"}, Columns: schema}, SourceDeps{
		Connector: choosy{r: r}, Splits: &queue{stuck: true}, Rejects: true, Sides: sides,
		Watermark: &jobgraph.WatermarkAssigner{Watermark: expr.ToProto(&expr.Column{T: schema[0].Type}), FutureMillis: 3_600_000, Rejects: "t"},
		Calc:      calc.Deps{Functions: function.Builtins(), Expr: expr.Options{Now: func() time.Time { return time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC) }}},
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

// What the reader rejects, and rows whose time is none or far ahead, go aside before the rows
// that come with them; rows of no time alone move no watermark.
func TestSourceRejects(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := &told{mem: mem, held: []string{"p-0"}}
	s := sourceThatRejects(t, r, true)
	for _, step := range []struct{ next, want string }{
		{"", "aside t | f:1 | no row | ?"},
		{"p-0 2024-01-01 10:00:00", "aside t | f:1 | no row | ?, row, 10:00"},
		{"p-0 NULL", "aside t | f:1 | no row | ?, aside t | p-0 | event time column ts is null in a row | {\"ts\":null}, row"},
		{"p-0 2030-01-01 10:00:00", "aside t | f:1 | no row | ?, aside t | p-0 | the event time is more than 1h0m0s ahead of the clock | {\"ts\":\"2030-01-01 10:00:00\"}, row"},
	} {
		r.next, r.out = step.next, nil
		if status, err := s.Poll(); err != nil || status == operator.Finished {
			t.Fatal(status, err)
		}
		if got := strings.Join(r.out, ", "); got != step.want {
			t.Errorf("%q: %s, want %s", step.next, got, step.want)
		}
	}
	if s.Rejected() != 6 || s.Future() != 1 {
		t.Errorf("%d rejected, %d of the future", s.Rejected(), s.Future())
	}
}

// Where nobody takes them they are counted and left out.
func TestSourceRejectsToNobody(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := &told{mem: mem, held: []string{"p-0"}, next: "p-0 NULL"}
	s := sourceThatRejects(t, r, false)
	if _, err := s.Poll(); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(r.out, func(s string) bool { return strings.HasPrefix(s, "aside") }) || s.Rejected() != 2 {
		t.Errorf("%d rejected, %q", s.Rejected(), r.out)
	}
}

// Each thing that is emitted fails once.
func TestSourceRejectsFails(t *testing.T) {
	for fails := 1; fails <= 4; fails++ {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		r := &told{mem: mem, held: []string{"p-0"}, fails: fails}
		s := sourceThatRejects(t, r, true)
		var errs error
		for _, next := range []string{"p-0 2024-01-01 10:00:00", "p-0 NULL"} {
			r.next = next
			if _, err := s.Poll(); err != nil {
				errs = err
				break
			}
		}
		if !errors.Is(errs, errBroken) {
			t.Errorf("call %d: %v", fails, errs)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		mem.AssertSize(t, 0)
	}
}
