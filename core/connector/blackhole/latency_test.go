package blackhole

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

var timed = datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt)}, {Name: "at", Type: datatype.Type{Kind: datatype.Timestamp, Precision: 3, Nullable: true}}}

func spec(options map[string]string) connector.SinkSpec {
	return connector.SinkSpec{Table: connector.Table{Name: "t", Options: options}, Columns: timed}
}

// What has become of something is as old as its time says; rows taken back, those without
// a time, ahead of it, and those that are not selected do not count.
func TestLatencies(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	dir := t.TempDir()
	made, err := Connector{}.Writer(t.Context(), spec(map[string]string{latencyColumn: "at", latencyReport: dir}), connector.WriterEnv{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	made.(*writer).clock.now = func() time.Time { return now }
	b := array.NewRecordBuilder(mem, timed.Arrow())
	defer b.Release()
	ages := []int64{5, 5, 1000, -3, 7, 100_000, -2000, 9}
	for i, age := range ages {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(now.UnixMilli() - age))
	}
	b.Field(0).(*array.Int64Builder).Append(8)
	b.Field(1).(*array.TimestampBuilder).AppendNull()
	batch := stream.NewBatch(b.NewRecordBatch())
	i, u := stream.Insert, stream.UpdateAfter
	batch.Kinds = []stream.RowKind{i, u, stream.UpdateBefore, i, stream.Delete, i, i, i, i}
	batch.Sel = []int32{0, 1, 2, 3, 4, 5, 6, 8}
	if err := made.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var read, all Latencies
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	all.Merge(read)
	if all.Count() != 4 || all.Rows[5] != 2 || all.Rows[0] != 1 || all.Rows[60_000] != 1 {
		t.Errorf("%d rows", all.Count())
	}
	for share, want := range map[float64]time.Duration{0: time.Millisecond, 0.5: 6 * time.Millisecond, 0.75: 6 * time.Millisecond, 1: time.Minute + time.Millisecond} {
		if have := all.Quantile(share); have != want {
			t.Errorf("%v: %v, want %v", share, have, want)
		}
	}
}

func TestLatencyOptions(t *testing.T) {
	for _, options := range []map[string]string{
		{latencyColumn: "at"},
		{latencyReport: "/tmp"},
		{latencyColumn: "gone", latencyReport: "/tmp"},
		{latencyColumn: "n", latencyReport: "/tmp"},
	} {
		if _, err := (Connector{}).Writer(t.Context(), spec(options), connector.WriterEnv{}); err == nil {
			t.Errorf("%v: no error", options)
		}
	}
	w, err := Connector{}.Writer(t.Context(), spec(map[string]string{latencyColumn: "at", latencyReport: filepath.Join(t.TempDir(), "gone")}), connector.WriterEnv{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("no error")
	}
}
