package logictest

import (
	"context"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/stream"
)

// two is a source of two batches.
type two struct{ connector.Connector }

func (two) Reader(context.Context, connector.SourceSpec, connector.ReaderEnv) (connector.Reader, error) {
	return &twoReader{left: 2}, nil
}

type twoReader struct {
	connector.Reader
	left int
}

func (s *twoReader) Poll(context.Context) (*stream.Batch, connector.Wait, error) {
	if s.left == 0 {
		return nil, connector.ForSplit, nil
	}
	s.left--
	return stream.NewBatch(operatortest.Record(memory.DefaultAllocator, operatortest.ParseSchema("a BIGINT"), [][]any{{int64(1)}})), connector.NoWait, nil
}

// A reader behind a shut gate gives some batches and not its end; once it opens, the rest.
func TestGate(t *testing.T) {
	for _, most := range []int{1, 2, 5} {
		var around Around
		around.gate.shut(most)
		r, err := around.Connector(two{}).Reader(t.Context(), connector.SourceSpec{}, connector.ReaderEnv{})
		if err != nil {
			t.Fatal(err)
		}
		poll := func(want int) connector.Wait {
			for n := 0; ; n++ {
				b, wait, err := r.Poll(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if b == nil {
					if n != want {
						t.Fatalf("%d batches, want %d", n, want)
					}
					return wait
				}
				b.Release()
			}
		}
		if wait := poll(min(most, 2)); wait != connector.ForData || !around.gate.isShut() {
			t.Fatalf("waits %v", wait)
		}
		ready := r.Ready()
		around.gate.open()
		<-ready
		if wait := poll(2 - min(most, 2)); wait != connector.ForSplit {
			t.Fatalf("waits %v", wait)
		}
	}
}

// The sink keeps what changes leave, however often a checkpoint publishes them; a row that
// is taken back more often than it came is an error.
func TestChangesAreKeptOnce(t *testing.T) {
	var around Around
	around.changes.reset()
	schema := operatortest.ParseSchema("a BIGINT, s STRING")
	spec := connector.SinkSpec{Columns: schema}
	var all []connector.Committable
	for range 2 { // attempts, of which nothing but the order tells them apart
		w, err := around.Changes().Writer(t.Context(), spec, connector.WriterEnv{Attempt: id.Attempt{}})
		if err != nil {
			t.Fatal(err)
		}
		b := stream.NewBatch(operatortest.Record(memory.DefaultAllocator, schema, [][]any{{int64(1), "x"}, {int64(2), nil}, {int64(2), nil}}))
		b.Kinds = []stream.RowKind{stream.Insert, stream.Insert, stream.Delete}
		if err := w.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		ready, err := w.Prepare(t.Context())
		if err != nil || len(ready) != 1 {
			t.Fatal(ready, err)
		}
		if all = append(all, ready...); len(all) == 1 {
			if again, err := w.Prepare(t.Context()); err != nil || len(again) != 0 {
				t.Fatal(again, err)
			}
		}
	}
	c, err := around.Changes().Committer(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Commit(t.Context(), 1, all, false); err != nil {
			t.Fatal(err)
		}
	}
	rows, got, err := around.changes.table()
	if err != nil || len(rows) != 2 || rows[0][1] != "x" || got.String() != schema.String() {
		t.Fatal(rows, got, err)
	}
	if err := c.Commit(t.Context(), 2, []connector.Committable{{Data: []byte(`{"ID": "9 1", "Rows": {"7": -1}}`)}}, true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := around.changes.table(); err == nil {
		t.Error("a row taken back that never came")
	}
	if err := c.Commit(t.Context(), 3, []connector.Committable{{Data: []byte("{")}}, true); err == nil {
		t.Error("damaged changes")
	}
}
