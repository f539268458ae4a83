package blackhole

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/stream"
)

// Each row is counted once, in the checkpoint that it belongs to, and every batch
// is given back.
func TestCountsAndReleases(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	w, err := Connector{}.Writer(t.Context(), connector.SinkSpec{}, connector.WriterEnv{})
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewInt32Builder(mem)
	defer b.Release()
	b.AppendValues([]int32{1, 2, 3}, nil)
	col := b.NewArray()
	defer col.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int32}}, nil)
	batch := stream.NewBatch(array.NewRecordBatch(schema, []arrow.Array{col}, 3))
	batch.Sel = []int32{0, 2}
	if err := w.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if c, err := w.Prepare(t.Context()); err != nil || len(c) != 1 || c[0].Rows != 2 {
		t.Errorf("got %v, %v", c, err)
	}
	if c, err := w.Prepare(t.Context()); err != nil || len(c) != 0 {
		t.Errorf("rows counted twice: %v, %v", c, err)
	}
}

func TestRefusals(t *testing.T) {
	if _, err := (Connector{}).Reader(t.Context(), connector.SourceSpec{}, connector.ReaderEnv{}); err == nil {
		t.Error("read from a blackhole")
	}
	if _, err := (Connector{}).Describe(t.Context(), connector.Table{Options: map[string]string{"path": "x"}}, nil); err == nil {
		t.Error("ignored an option")
	}
}
