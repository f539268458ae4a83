package expr

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestRowKeys shows that keys tell values apart, and that values come back from them:
// of every type that may stand in an array.
func TestRowKeys(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	of := func(a arrow.DataType) arrow.DataType { return arrow.ListOf(a) }
	pairs := arrow.MapOf(arrow.BinaryTypes.String, arrow.ListOf(arrow.PrimitiveTypes.Int8))
	row := arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int32, Nullable: true}, arrow.Field{Name: "b", Type: arrow.BinaryTypes.String, Nullable: true})
	for _, c := range []struct {
		t    arrow.DataType
		json string // no two rows are the same
	}{
		{of(arrow.PrimitiveTypes.Int8), `[null, [], [null], [1], [1, 2], [-1], [1, null]]`},
		{of(arrow.PrimitiveTypes.Int16), `[[300], [-300]]`},
		{of(arrow.PrimitiveTypes.Int64), `[[9007199254740993], [-1]]`},
		{of(arrow.PrimitiveTypes.Float32), `[[1.5], [0], [-2.25]]`},
		{of(arrow.PrimitiveTypes.Float64), `[[1.5], [0], [-2.25]]`},
		{of(arrow.FixedWidthTypes.Boolean), `[[true], [false], [null], [true, false]]`},
		{of(arrow.BinaryTypes.String), `[["a", "b"], ["ab"], ["", "ab"], ["ab", ""], [null, "ab"]]`},
		{of(arrow.BinaryTypes.Binary), `[["AAE="], ["AA=="]]`},
		{of(arrow.FixedWidthTypes.Date32), `[["2026-11-21"], ["1969-12-31"]]`},
		{of(&arrow.TimestampType{Unit: arrow.Millisecond}), `[["2026-11-21 01:02:03.004"], ["1969-12-31 00:00:00"]]`},
		{of(&arrow.Decimal128Type{Precision: 38, Scale: 2}), `[["123456789012345678901234567890.12"], ["-1.50"]]`},
		{of(&arrow.Decimal64Type{Precision: 10, Scale: 2}), `[["12.34"], ["-1.50"]]`},
		{of(arrow.ListOf(arrow.PrimitiveTypes.Int32)), `[[[1], [2]], [[1, 2]], [[], [1, 2]], [[1, 2], []], [null, [1, 2]]]`},
		{row, `[{"a": 1, "b": "x"}, {"a": null, "b": "x"}, {"a": 1, "b": null}, null]`},
		{pairs, `[[{"key": "a", "value": [1]}, {"key": "b", "value": null}], [{"key": "a", "value": [1]}], [], null]`},
	} {
		arr, _, err := array.FromJSON(mem, c.t, strings.NewReader(c.json))
		if err != nil {
			t.Fatalf("%s: %v", c.t, err)
		}
		seen := map[string]int{}
		b := array.NewBuilder(mem, c.t)
		for i := range arr.Len() {
			key := appendKey(nil, arr, i)
			if other, ok := seen[string(key)]; ok {
				t.Errorf("%s: rows %d and %d have one key", c.t, other, i)
			}
			seen[string(key)] = i
			for cut := range key {
				if _, err := decodeKey(array.NewBuilder(memory.NewGoAllocator(), c.t), key[:cut]); err == nil {
					t.Errorf("%s: row %d: %d of %d bytes are a key, too", c.t, i, cut, len(key))
				}
			}
			if rest, err := decodeKey(b, key); err != nil || len(rest) > 0 {
				t.Errorf("%s: row %d: %d bytes left: %v", c.t, i, len(rest), err)
			}
		}
		back := b.NewArray()
		if !array.Equal(arr, back) {
			t.Errorf("%s: %v came back as %v", c.t, arr, back)
		}
		back.Release()
		b.Release()
		arr.Release()
	}
}

// TestRowKeysOfEquals shows that values that are not distinct have one key.
func TestRowKeysOfEquals(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	same := func(arr arrow.Array) {
		defer arr.Release()
		first := appendKey(nil, arr, 0)
		for i := range arr.Len() {
			if !bytes.Equal(appendKey(nil, arr, i), first) {
				t.Errorf("%v: row %d has a key of its own", arr, i)
			}
		}
	}
	reals := func(values ...float64) arrow.Array {
		b := array.NewFloat64Builder(mem)
		defer b.Release()
		b.AppendValues(values, nil)
		return b.NewArray()
	}
	same(reals(0, math.Copysign(0, -1)))
	same(reals(math.NaN(), math.Float64frombits(math.Float64bits(math.NaN())^1)))
	maps, _, err := array.FromJSON(mem, arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32),
		strings.NewReader(`[[{"key": "a", "value": 1}, {"key": "b", "value": 2}], [{"key": "b", "value": 2}, {"key": "a", "value": 1}]]`))
	if err != nil {
		t.Fatal(err)
	}
	same(maps)
}
