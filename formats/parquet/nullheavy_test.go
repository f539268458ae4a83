package parquet

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/formats"
)

// Columns of which nearly all is null, in runs, and several pages a chunk: rows to be
// passed over, within pages and over whole ones, have fewer values than rows.
func TestFiltersOfNulls(t *testing.T) {
	const rows = 80_000
	s := datatype.Schema{
		{Name: "row", Type: datatype.Of(datatype.BigInt).NotNull()},
		{Name: "i", Type: datatype.Of(datatype.Int)},
		{Name: "s", Type: datatype.Of(datatype.Varchar)},
		{Name: "u", Type: datatype.Of(datatype.Varchar)},
		{Name: "d", Type: datatype.DecimalOf(38, 10)},
		{Name: "b", Type: datatype.Of(datatype.Boolean)},
	}
	rnd := rand.New(rand.NewPCG(5, 1))
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow())
	for i := range int64(rows) {
		b.Field(0).(*array.Int64Builder).Append(i)
		for c := 1; c < len(s); c++ {
			if i/1000%7 == int64(c) || rnd.IntN(10) > 0 {
				b.Field(c).AppendNull()
				continue
			}
			switch b := b.Field(c).(type) {
			case *array.Int32Builder:
				b.Append(int32(rnd.IntN(50)))
			case *array.StringBuilder:
				if c == 2 {
					b.Append(fmt.Sprint("word ", rnd.IntN(20))) // a dictionary
				} else {
					b.Append(fmt.Sprint("text ", rnd.Uint64())) // plain
				}
			case *array.Decimal128Builder:
				b.Append(decimal128.FromI64(rnd.Int64()))
			case *array.BooleanBuilder:
				b.Append(rnd.IntN(2) == 0)
			}
		}
	}
	record := b.NewRecordBatch()
	defer record.Release()
	file := writeAll(t, s, formats.Options{"parquet.row-group-rows": "75000"}, record)
	for range 6 {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		from := rnd.Int64N(rows)
		checkFiltered(t, input(file), formats.ReadOptions{Columns: s, Alloc: alloc, Filters: []predicate.RowFilter{
			&rangeFilter{from: from, to: from + rnd.Int64N(rows/4)},
			&valueFilter{names: []string{s[1+rnd.IntN(5)].Name}, percent: []int{5, 50}[rnd.IntN(2)]},
		}}, false)
		alloc.AssertSize(t, 0)
	}
}
