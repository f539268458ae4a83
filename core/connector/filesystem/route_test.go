package filesystem

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

// TestRouteGroupsRows shows that rows are grouped by the values of their keys,
// whatever these are stored as, in one gather, and keep their order in a group.
func TestRouteGroupsRows(t *testing.T) {
	schema := datatype.Schema{
		{Name: "k", Type: datatype.Of(datatype.Int)}, {Name: "s", Type: datatype.Of(datatype.Varchar)}, {Name: "b", Type: datatype.Of(datatype.SmallInt)},
	}
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	builder := array.NewRecordBuilder(alloc, schema.Arrow())
	defer builder.Release()
	for i := range 60 {
		for c, f := range builder.Fields() {
			if i%7 == c {
				f.AppendNull()
				continue
			}
			if err := f.AppendValueFromString(fmt.Sprint(i % (c + 2))); err != nil {
				t.Fatal(err)
			}
		}
	}
	record := builder.NewRecordBatch()
	defer record.Release()
	for _, keys := range [][]int{{0}, {1}, {2}, {0, 1, 2}} {
		for _, sel := range [][]int32{nil, {3, 4, 5, 9, 30, 31, 32, 59}} {
			record.Retain()
			b := stream.NewBatch(record)
			b.Sel = sel
			w := &writer{keys: keys, spec: connector.SinkSpec{Columns: schema}}
			for _, k := range keys {
				w.spec.Table.Partitions = append(w.spec.Table.Partitions, schema[k].Name)
			}
			checkRoute(t, w, b)
			b.Release()
		}
	}
}

func checkRoute(t *testing.T, w *writer, b *stream.Batch) {
	t.Helper()
	dirs, rows, ends := w.route(b)
	if len(rows) != b.Len() || ends[len(ends)-1] != len(rows) {
		t.Fatalf("%d rows instead of %d, the last end is %d", len(rows), b.Len(), ends[len(ends)-1])
	}
	from := 0
	for i, dir := range dirs {
		group := rows[from:ends[i]]
		if !slices.IsSorted(group) || slices.Index(dirs, dir) != i {
			t.Errorf("%s: rows %v", dir, group)
		}
		for _, row := range group {
			if have := w.directory(b, int(row)); have != dir {
				t.Errorf("row %d of %s was put into %s", row, have, dir)
			}
		}
		from = ends[i]
	}
}

// TestCodesOfDictionaries keeps indexes as they are and gives nulls one code,
// whether the row or the entry is null.
func TestCodesOfDictionaries(t *testing.T) {
	dict, _, err := array.FromJSON(memory.DefaultAllocator, arrow.BinaryTypes.String, strings.NewReader(`["a", null, "b"]`))
	if err != nil {
		t.Fatal(err)
	}
	idx, _, err := array.FromJSON(memory.DefaultAllocator, arrow.PrimitiveTypes.Int32, strings.NewReader(`[2, 0, null, 1, 2]`))
	if err != nil {
		t.Fatal(err)
	}
	defer compute.ReleaseAll([]arrow.Array{dict, idx})
	d := array.NewDictionaryArray(&arrow.DictionaryType{IndexType: idx.DataType(), ValueType: dict.DataType()}, idx, dict)
	defer d.Release()
	codes, distinct := codesOf(d, 5)
	if want := []int32{2, 0, 3, 3, 2}; !slices.Equal(codes, want) || distinct != 4 {
		t.Errorf("codes %v of %d, want %v", codes, distinct, want)
	}
}
