package compute

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// someTypes has one type of every layout.
func someTypes() []datatype.Type {
	of := datatype.Of
	return []datatype.Type{
		of(datatype.Null), of(datatype.Boolean), of(datatype.TinyInt), of(datatype.SmallInt), of(datatype.Int), of(datatype.BigInt),
		of(datatype.Float), of(datatype.Double), datatype.DecimalOf(10, 2), datatype.DecimalOf(38, 4),
		of(datatype.Varchar), of(datatype.Varbinary), of(datatype.Date), of(datatype.Time), of(datatype.Time).WithPrecision(9),
		of(datatype.Timestamp), of(datatype.TimestampLTZ).WithPrecision(3), of(datatype.IntervalMonth), of(datatype.IntervalSecond),
		datatype.ArrayOf(of(datatype.Varchar)), datatype.ArrayOf(datatype.ArrayOf(of(datatype.Int))),
		datatype.MapOf(of(datatype.Varchar).NotNull(), of(datatype.BigInt)),
		datatype.RowOf(datatype.Field{Name: "a", Type: of(datatype.BigInt)}, datatype.Field{Name: "b", Type: of(datatype.Varchar)}),
	}
}

// randomValue is a value of t in its physical form, from few enough to repeat.
func randomValue(r *rand.Rand, t datatype.Type, nulls bool) any {
	if nulls && t.Nullable && r.IntN(4) == 0 {
		return nil
	}
	switch t.Kind {
	case datatype.Null:
		return nil
	case datatype.Boolean:
		return r.IntN(2) == 1
	case datatype.Float, datatype.Double:
		return []float64{0, math.Copysign(0, -1), 1.5, -2, math.NaN(), math.Inf(1)}[r.IntN(6)]
	case datatype.Varchar:
		return strings.Repeat(string(rune('a'+r.IntN(5))), r.IntN(4)*9)
	case datatype.Varbinary:
		return []byte{byte(r.IntN(3)), 0, byte(r.IntN(3))}[:r.IntN(4)]
	case datatype.Decimal:
		if t.Precision > 18 {
			return decimal128.New(int64(r.IntN(3)-1), uint64(r.IntN(3)))
		}
	case datatype.Array:
		out := make([]any, r.IntN(4))
		for i := range out {
			out[i] = randomValue(r, *t.Elem, nulls)
		}
		return out
	case datatype.Map:
		out := []any{}
		for range r.IntN(3) {
			out = append(out, randomValue(r, *t.Key, nulls), randomValue(r, *t.Elem, nulls))
		}
		return out
	case datatype.Row:
		out := make([]any, len(t.Fields))
		for i := range out {
			out[i] = randomValue(r, t.Fields[i].Type, nulls)
		}
		return out
	}
	return int64(r.IntN(9) - 4)
}

// randomArray makes n rows behind a random offset.
func randomArray(mem memory.Allocator, r *rand.Rand, t datatype.Type, n int, nulls bool) arrow.Array {
	b := array.NewBuilder(mem, t.Arrow())
	defer b.Release()
	skip := r.IntN(3)
	for range n + skip {
		if err := AppendValue(b, randomValue(r, t, nulls)); err != nil {
			panic(err)
		}
	}
	all := b.NewArray()
	defer all.Release()
	return array.NewSlice(all, int64(skip), int64(n+skip))
}

// encode turns a string or binary array into a dictionary with a shuffled and
// partly unused dictionary.
func encode(mem memory.Allocator, r *rand.Rand, arr arrow.Array) arrow.Array {
	dict := array.NewBuilder(mem, arr.DataType())
	defer dict.Release()
	index := array.NewInt32Builder(mem)
	defer index.Release()
	seen := map[string]int32{}
	add := func(i int) int32 {
		k := arr.ValueStr(i)
		if at, ok := seen[k]; ok && r.IntN(3) > 0 {
			return at
		}
		seen[k] = int32(dict.Len())
		if err := AppendValue(dict, ValueAt(arr, i)); err != nil {
			panic(err)
		}
		return seen[k]
	}
	for i := range arr.Len() {
		if arr.IsNull(i) {
			index.AppendNull()
			continue
		}
		index.Append(add(i))
	}
	values, indexes := dict.NewArray(), index.NewArray()
	defer values.Release()
	defer indexes.Release()
	t := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arr.DataType()}
	return array.NewDictionaryArray(t, indexes, values)
}

func randomRows(r *rand.Rand, n, count int, negative bool) []int32 {
	rows := make([]int32, count)
	for i := range rows {
		if rows[i] = int32(r.IntN(n)); negative && r.IntN(4) == 0 {
			rows[i] = -1
		}
	}
	return rows
}
