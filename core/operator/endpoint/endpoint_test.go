package endpoint

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
)

// A source over a scripted connector, whose splits come late, fail, or never
// come; a sink over a scripted writer; each call fails once.

var errBroken = errors.New("broken")

// fake is a connector whose splits are texts: a reader emits a row for each
// letter. fail names the call that fails.
type fake struct {
	connector.Connector
	mem  memory.Allocator
	fail string

	have   []connector.Split
	log    []string
	ready  chan struct{}
	behind bool // Poll says ForData once
}

func (f *fake) failing(call string) error {
	f.log = append(f.log, call)
	if f.fail == call {
		return errBroken
	}
	return nil
}

func (f *fake) Reader(context.Context, connector.SourceSpec, connector.ReaderEnv) (connector.Reader, error) {
	return reader{f}, f.failing("reader")
}

func (f *fake) Writer(context.Context, connector.SinkSpec, connector.WriterEnv) (connector.Writer, error) {
	return writer{f}, f.failing("writer")
}

type reader struct{ *fake }

func (r reader) Add(s connector.Split) error {
	r.have = append(r.have, s)
	return r.failing("add")
}

var letters = operatortest.ParseSchema("s STRING")

func (r reader) Poll(context.Context) (*stream.Batch, connector.Wait, error) {
	if err := r.failing("poll"); err != nil {
		return nil, connector.NoWait, err
	}
	if r.behind {
		r.behind = false
		return nil, connector.ForData, nil
	}
	for len(r.have) > 0 {
		s := &r.have[0]
		if len(s.Data) == 0 {
			r.have = r.have[1:]
			continue
		}
		row := []any{s.ID + string(s.Data[0])}
		s.Data = s.Data[1:]
		return stream.NewBatch(operatortest.Record(r.mem, letters, [][]any{row})), connector.NoWait, nil
	}
	return nil, connector.ForSplit, nil
}

func (r reader) Ready() <-chan struct{} { return r.ready }
func (r reader) Snapshot() ([]connector.Split, error) {
	return slices.Clone(r.have), r.failing("snapshot")
}
func (r reader) Close() error { return r.failing("close") }

type writer struct{ *fake }

func (w writer) Write(_ context.Context, b *stream.Batch) error {
	defer b.Release()
	return w.failing("write")
}

func (w writer) Prepare(context.Context) ([]connector.Committable, error) {
	return []connector.Committable{{Data: []byte("file"), Rows: 1}}, w.failing("prepare")
}

func (w writer) Snapshot() ([]byte, error) { return []byte("open"), w.failing("snapshot") }
func (w writer) Close() error              { return w.failing("close") }

// queue hands out splits; an empty one waits for the context when stuck is set.
type queue struct {
	splits []connector.Split
	delay  time.Duration
	stuck  bool
	err    error
}

func (q *queue) Next(ctx context.Context) (connector.Split, bool, error) {
	if q.delay > 0 {
		time.Sleep(q.delay)
	}
	if len(q.splits) == 0 {
		if q.stuck {
			<-ctx.Done()
			return connector.Split{}, false, ctx.Err()
		}
		return connector.Split{}, false, q.err
	}
	s := q.splits[0]
	q.splits = q.splits[1:]
	return s, true, nil
}

type collected struct{ rows []string }

func (c *collected) Emit(b *stream.Batch) error {
	defer b.Release()
	for _, r := range operatortest.ReadRows(b) {
		c.rows = append(c.rows, operatortest.FormatRow(letters, r))
	}
	return nil
}

type free struct{}

func (free) Grow(int64) error { return nil }
func (free) Shrink(int64)     {}

func contextOf(mem memory.Allocator, out operator.Output, restored ...[]byte) *operator.Context {
	return &operator.Context{
		Context: context.Background(), Output: out, Memory: free{}, Alloc: mem, BatchRows: 2,
		Restored: restored, Log: slog.New(slog.DiscardHandler),
	}
}

// drive polls a source until it has finished, or steps times.
func drive(s operator.Source, steps int) error {
	for range steps {
		status, err := s.Poll()
		if err != nil || status == operator.Finished {
			return err
		}
		if status == operator.Waiting {
			<-s.Ready()
		}
	}
	return nil
}

func TestSourceReadsAllSplits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		f := &fake{mem: mem, behind: true, ready: make(chan struct{}, 1)}
		f.ready <- struct{}{}
		q := &queue{splits: []connector.Split{{ID: "x", Data: []byte("abc")}, {ID: "y", Data: []byte("d")}}, delay: time.Second}
		out := &collected{}
		s, err := NewSource(connector.SourceSpec{}, SourceDeps{Connector: f, Splits: q})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Open(contextOf(mem, out)); err != nil {
			t.Fatal(err)
		}
		if err := drive(s, math.MaxInt); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(out.rows, " "); got != "xa xb xc yd" {
			t.Fatalf("rows %s", got)
		}
	})
}

// Restored after any number of polls, a source goes on where it was.
func TestSourceRestores(t *testing.T) {
	for steps := range 8 {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		q := &queue{splits: []connector.Split{{ID: "x", Data: []byte("abc"), Bytes: 3}, {ID: "y", Data: []byte("d")}}}
		out := &collected{}
		var saved []byte
		for run := range 2 {
			f := &fake{mem: mem}
			s, err := NewSource(connector.SourceSpec{}, SourceDeps{Connector: f, Splits: q})
			if err != nil {
				t.Fatal(err)
			}
			ctx := contextOf(mem, out)
			limit := steps
			if run == 1 {
				ctx, limit = contextOf(mem, out, saved), math.MaxInt
			}
			if err := s.Open(ctx); err != nil {
				t.Fatal(err)
			}
			if err := drive(s, limit); err != nil {
				t.Fatal(err)
			}
			if saved, err = s.(operator.Snapshotter).Snapshot(stream.Barrier{}); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.(operator.Snapshotter).Completed(1), s.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(out.rows, " "); got != "xa xb xc yd" {
			t.Fatalf("after %d polls: rows %s", steps, got)
		}
		mem.AssertSize(t, 0)
	}
}

func TestSourceFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, call := range []string{"reader", "add", "poll", "close", "splits"} {
		f, q := &fake{mem: memory.DefaultAllocator, fail: call}, &queue{splits: []connector.Split{{ID: "x", Data: []byte("a")}}}
		if call == "splits" {
			q.splits, q.err = nil, errBroken
		}
		s, err := NewSource(connector.SourceSpec{}, SourceDeps{Connector: f, Splits: q})
		if err != nil {
			t.Fatal(err)
		}
		if err = s.Open(contextOf(f.mem, &collected{})); err == nil {
			err = drive(s, 100)
		}
		if err = errors.Join(err, s.Close()); !errors.Is(err, errBroken) {
			t.Errorf("failing %s: %v", call, err)
		}
	}
	if _, err := NewSource(connector.SourceSpec{}, SourceDeps{}); err == nil {
		t.Error("source without a connector")
	}
}

// Close ends a request that nobody answers.
func TestSourceCloseWhileAsking(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, err := NewSource(connector.SourceSpec{}, SourceDeps{Connector: &fake{}, Splits: &queue{stuck: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(contextOf(memory.DefaultAllocator, &collected{})); err != nil {
		t.Fatal(err)
	}
	if status, err := s.Poll(); status != operator.Waiting || err != nil {
		t.Fatalf("%v, %v", status, err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestSourceLimit(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	out := &collected{}
	q := &queue{splits: []connector.Split{{ID: "x", Data: []byte("abcdef")}}}
	s, err := NewSource(connector.SourceSpec{Limit: 2}, SourceDeps{Connector: &fake{mem: mem}, Splits: q})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(contextOf(mem, out)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(drive(s, 100), s.Close()); err != nil || len(out.rows) != 2 {
		t.Fatalf("%d rows, %v", len(out.rows), err)
	}
}

func TestSplitsOnDisk(t *testing.T) {
	splits := []connector.Split{{ID: "a", Data: []byte{0, 1}, Bytes: -1}, {ID: "", Data: nil, Bytes: 1 << 40}}
	b := encodeSplits(7, splits)
	received, got, err := decodeSplits(b)
	if received != 7 {
		t.Fatalf("received %d", received)
	}
	if err != nil || len(got) != 2 || got[0].ID != "a" || got[1].Bytes != 1<<40 || len(got[0].Data) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for i := range b {
		damaged := slices.Clone(b)
		damaged[i] ^= 0x10
		if _, _, err := decodeSplits(damaged); err == nil {
			t.Errorf("byte %d damaged: accepted", i)
		}
		if _, _, err := decodeSplits(b[:i]); err == nil {
			t.Errorf("cut at %d: accepted", i)
		}
	}
}

func FuzzSplits(f *testing.F) {
	f.Add(encodeSplits(1, []connector.Split{{ID: "a"}}))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _, _ = decodeSplits(b) })
}

func valuesSpec() *jobgraph.Values {
	row := func(v any) *jobgraph.ValuesRow {
		p := expr.ToProto(&expr.Literal{Value: v, T: datatype.Of(datatype.Varchar)})
		return &jobgraph.ValuesRow{Values: append((&jobgraph.ValuesRow{}).Values, p.GetLiteral())}
	}
	return &jobgraph.Values{Rows: []*jobgraph.ValuesRow{row("a"), row(nil), row("c")}}
}

func TestValues(t *testing.T) {
	for stop := range 3 {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		out := &collected{}
		var saved []byte
		for run := range 2 {
			v, err := NewValues(valuesSpec(), letters)
			if err != nil {
				t.Fatal(err)
			}
			ctx, steps := contextOf(mem, out), stop
			if run == 1 {
				ctx, steps = contextOf(mem, out, saved), math.MaxInt
			}
			if err := errors.Join(v.Open(ctx), drive(v, steps)); err != nil {
				t.Fatal(err)
			}
			if saved, err = v.(operator.Snapshotter).Snapshot(stream.Barrier{}); err != nil {
				t.Fatal(err)
			}
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(out.rows, " "); got != "a NULL c" {
			t.Fatalf("rows %s", got)
		}
		mem.AssertSize(t, 0)
	}
	v, _ := NewValues(valuesSpec(), letters)
	ctx := contextOf(memory.DefaultAllocator, &collected{})
	ctx.Attempt.Subtask.Index = 1
	if err := v.Open(ctx); err != nil {
		t.Fatal(err)
	}
	if status, err := v.Poll(); status != operator.Finished || err != nil {
		t.Fatalf("subtask 1: %v, %v", status, err)
	}
	if _, err := NewValues(valuesSpec(), nil); err == nil {
		t.Error("row wider than the schema")
	}
}

func TestSink(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, fail := range []string{"", "writer", "write", "prepare", "snapshot", "close", "publish"} {
		f := &fake{mem: mem, fail: fail}
		var prepared []id.Checkpoint
		s, err := NewSink(connector.SinkSpec{}, SinkDeps{Connector: f, Prepared: func(c id.Checkpoint, all []connector.Committable) error {
			prepared = append(prepared, c)
			if len(all) != 1 {
				t.Errorf("%d committables", len(all))
			}
			return f.failing("publish")
		}})
		if err != nil {
			t.Fatal(err)
		}
		err = sinkLife(s, mem)
		if (fail == "") != (err == nil) || fail != "" && !errors.Is(err, errBroken) {
			t.Errorf("failing %q: %v", fail, err)
		}
		if fail == "" && !slices.Equal(prepared, []id.Checkpoint{7, 0}) {
			t.Errorf("prepared for %v", prepared)
		}
	}
	if _, err := NewSink(connector.SinkSpec{}, SinkDeps{}); err == nil {
		t.Error("sink without a connector")
	}
}

func sinkLife(s operator.Operator, mem memory.Allocator) error {
	err := s.Open(contextOf(mem, &collected{}))
	if err == nil {
		err = s.Process(0, stream.NewBatch(operatortest.Record(mem, letters, [][]any{{"a"}})))
	}
	if err == nil {
		_, err = s.(operator.Snapshotter).Snapshot(stream.Barrier{Checkpoint: 7})
	}
	if err == nil {
		err = errors.Join(s.(operator.Snapshotter).Completed(7), s.Watermark(1), s.EndInput(0))
	}
	return errors.Join(err, s.Close())
}

func TestSpecs(t *testing.T) {
	fields := []*jobgraph.Field{{Name: "a", Type: "BIGINT"}, {Name: "p", Type: "STRING"}}
	lit := expr.ToProto(&expr.Literal{Value: int64(3), T: datatype.Of(datatype.BigInt)}).GetLiteral()
	src := &jobgraph.Source{Table: "t", Columns: fields, PartitionColumns: []string{"p"}, PrimaryKey: []string{"a"}, Limit: 5, Predicate: &jobgraph.Predicate{
		Op: uint32(predicate.And), Terms: []*jobgraph.Predicate{{Op: uint32(predicate.Eq), Column: "a"}},
	}}
	src.Predicate.Terms[0].Literals = append(src.Predicate.Terms[0].Literals, lit)
	spec, err := SourceSpec(src, 4)
	if err != nil || spec.Predicate.Terms[0].String() != "a = 3" || spec.Parallelism != 4 || spec.Columns.String() != "a BIGINT, p STRING" || !slices.Equal(spec.Table.PrimaryKey, src.PrimaryKey) {
		t.Fatalf("%+v, %v", spec, err)
	}
	sink, err := SinkSpec(id.Job{1}, &jobgraph.Sink{Table: "t", Columns: fields, Overwrite: true}, true)
	if err != nil || !sink.Overwrite || !sink.Bounded || sink.Job != (id.Job{1}) {
		t.Fatalf("%+v, %v", sink, err)
	}
	src.Predicate.Op = 99
	if _, err := SourceSpec(src, 1); err == nil {
		t.Error("unknown operation")
	}
	fields[0].Type = "NOTHING"
	if _, err := SinkSpec(id.Job{}, &jobgraph.Sink{Columns: fields}, true); err == nil {
		t.Error("unknown type")
	}
}
