package aside_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/stream"
)

const records = `
source_table STRING, place STRING, error STRING, raw STRING, rejected_at TIMESTAMP(3)
a | f:1 | bad | x | 2024-01-01 00:00:00
b | NULL | worse | y | 2024-01-01 00:00:00
a | f:3 | bad | NULL | 2024-01-01 00:00:00
watermark 5000
b | NULL | worse | y | 2024-01-01 00:00:00
`

func limit(most int64) func() (operator.Operator, error) {
	return func() (operator.Operator, error) {
		return aside.NewRejectLimit(&jobgraph.RejectLimit{Table: "bad", Most: []*jobgraph.RejectMost{{Source: "a", Rows: most}}})
	}
}

// Up to the limit records pass, those of other tables without one.
func TestRejectLimit(t *testing.T) {
	in := operatortest.Parse(records)
	var want strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(records), "\n")[1:] {
		if !strings.HasPrefix(line, "watermark") {
			want.WriteString(line + "\n")
		}
	}
	operatortest.Run(t, operatortest.Case{New: limit(2), Inputs: []operatortest.Table{in}, Output: in.Schema, Want: want.String(), Stateful: true})
}

// scribbler writes over memory that is given back, as who gets it next does.
type scribbler struct{ memory.Allocator }

func (s scribbler) Free(b []byte) {
	for i := range b {
		b[i] = '!'
	}
	s.Allocator.Free(b)
}

// What was counted stays so when the batches have gone that it was counted in.
func TestRejectLimitKeepsNothingOfBatches(t *testing.T) {
	in := operatortest.Parse(records)
	op, err := limit(2)()
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Open(&operator.Context{Context: t.Context(), Output: &sides{}}); err != nil {
		t.Fatal(err)
	}
	mem := scribbler{memory.NewGoAllocator()}
	for n := range 3 {
		err := op.Process(0, stream.NewBatch(operatortest.Record(mem, in.Schema, in.Rows()[:1])))
		if (err != nil) != (n == 2) {
			t.Errorf("record %d: %v", n+1, err)
		}
	}
	saved, err := op.(operator.Snapshotter).Snapshot(stream.Barrier{})
	if err != nil || string(saved) != `{"Version":1,"Seen":{"a":3}}` {
		t.Errorf("saved %s, %v", saved, err)
	}
}

// One more fails, and says which; the count goes on after a restart.
func TestRejectLimitFails(t *testing.T) {
	in := operatortest.Parse(records)
	op, err := limit(1)()
	if err != nil {
		t.Fatal(err)
	}
	_, err = operatortest.Collect(t, op, 2, in)
	if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "more than 1 records of table a were rejected into bad, as many as 'rejects.max' allows; the last one: f:3: bad") {
		t.Error(err)
	}
	if op, err = limit(2)(); err != nil {
		t.Fatal(err)
	}
	if err := op.Open(&operator.Context{Context: t.Context(), Output: &sides{}, Restored: [][]byte{[]byte(`{"Version":1,"Seen":{"a":1}}`)}}); err != nil {
		t.Fatal(err)
	}
	err = op.Process(0, stream.NewBatch(operatortest.Record(memory.NewGoAllocator(), in.Schema, in.Rows())))
	if failure.Of(err) != failure.BadData {
		t.Error(err)
	}
	if op, err = limit(2)(); err != nil {
		t.Fatal(err)
	}
	if err := op.Open(&operator.Context{Context: t.Context(), Output: &sides{}, Restored: [][]byte{[]byte(`{"Version":9}`)}}); failure.Of(err) != failure.BadData {
		t.Error(err)
	}
	if _, err := limit(-1)(); err == nil {
		t.Error("a limit below zero")
	}
}

// sides is an output that keeps what comes aside.
type sides struct {
	rows []string
	fail error
}

func (s *sides) Emit(b *stream.Batch) error {
	b.Release()
	return nil
}

func (s *sides) EmitSide(side int, b *stream.Batch) error {
	defer b.Release()
	if side != 1 || s.fail != nil {
		return s.fail
	}
	for _, row := range operatortest.ReadRows(b) {
		s.rows = append(s.rows, operatortest.FormatRow(aside.RejectColumns(), row))
	}
	return nil
}

// Records are emitted with all that is known of them, what is too long is cut, and what is no
// text made one; without sides they are only counted.
func TestRejects(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	out := &sides{}
	now := func() time.Time { return time.UnixMilli(1_704_067_200_000) }
	ctx := &operator.Context{Context: t.Context(), Output: out, Alloc: mem}
	r := aside.NewRejects("a", now)
	if err := r.Open(ctx, true); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Emit(); err != nil || len(out.rows) != 0 {
		t.Fatal(out.rows, err)
	}
	r.Add("f:1", errors.New("bad \xff"), []byte("x"))
	r.Add("", errors.New(strings.Repeat("long", 5000)), nil)
	table := operatortest.Parse("k STRING, v BIGINT\n\"a\" | 1\nb | NULL")
	b := stream.NewBatch(operatortest.Record(mem, table.Schema, table.Rows()))
	r.AddRow("s", errors.New("time"), b, 1, table.Schema)
	b.Release()
	if err := r.Emit(); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(out.rows, "\n")
	if len(out.rows) != 3 || r.Count() != 3 || !strings.Contains(out.rows[0], "bad \uFFFD") || len(out.rows[1]) > 5000 || !strings.Contains(out.rows[2], "time") {
		t.Errorf("%d: %.1000s", r.Count(), got)
	}
	out.fail = errors.New("gone")
	r.Add("f:2", errors.New("bad"), nil)
	if err := r.Emit(); !errors.Is(err, out.fail) {
		t.Error(err)
	}
	silent := aside.NewRejects("a", now)
	if err := silent.Open(ctx, false); err != nil {
		t.Fatal(err)
	}
	silent.Add("f:1", errors.New("bad"), nil)
	if err := silent.Emit(); err != nil || silent.Count() != 1 {
		t.Error(silent.Count(), err)
	}
	silent.Close()
	if err := aside.NewRejects("a", now).Open(&operator.Context{Context: t.Context(), Output: plain{}}, true); failure.Of(err) != failure.Internal {
		t.Error(err)
	}
}

type plain struct{}

func (plain) Emit(b *stream.Batch) error {
	b.Release()
	return nil
}
