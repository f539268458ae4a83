package compute

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// Sums of text and of elements beyond what 32-bit offsets count are refused before
// anything is allocated: all rows here share the same few bytes.

// sizedRows makes one row of each nesting that has n bytes of text, or n elements, at
// row 1 of 3, and slices it out.
func sizedRows(t *testing.T, n int) map[string]arrow.Array {
	t.Helper()
	text := strings.Repeat("x", n)
	elements := make([]any, n)
	for i := range elements {
		elements[i] = int64(i % 100)
	}
	out := map[string]arrow.Array{}
	for name, value := range map[string]any{
		"STRING": text, "BYTES": []byte(text), "ARRAY<STRING>": []any{"x", text[1:]}, "ARRAY<TINYINT>": elements,
		"ROW<a INT, b ROW<c STRING>>": []any{int64(1), []any{text}}, "MAP<TINYINT, STRING>": []any{int64(1), text},
	} {
		typ, err := datatype.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		arr, err := Constant(memory.DefaultAllocator, typ, value, 3)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = Slice(arr, 1, 2)
		arr.Release()
	}
	return out
}

func TestConcatBeyondOffsets(t *testing.T) {
	for name, arr := range sizedRows(t, 1000) {
		arrs := make([]arrow.Array, 50)
		for i := range arrs {
			arrs[i] = arr
		}
		if err := checkConcat(arrs, 50_000); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		err := checkConcat(arrs, 49_999)
		if !errors.Is(err, ErrTooLarge) || failure.Of(err) != failure.BadData || !strings.HasPrefix(err.Error(), "50000 bytes of text, or elements, in ") {
			t.Errorf("%s: %v", name, err)
		}
		arr.Release()
	}
}

func TestTextBeyondOffsets(t *testing.T) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.Append(strings.Repeat("x", 64<<20))
	one := b.NewArray()
	defer one.Release()
	many := make([]arrow.Array, 32)
	rows := make([]int32, len(many))
	for i := range many {
		many[i] = one
	}
	if _, err := Concat(memory.DefaultAllocator, many); !errors.Is(err, ErrTooLarge) {
		t.Errorf("concatenated: %v", err)
	}
	if _, err := Take(memory.DefaultAllocator, one, rows); !errors.Is(err, ErrTooLarge) {
		t.Errorf("gathered: %v", err)
	}
	record := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "s", Type: one.DataType()}}, nil), []arrow.Array{one}, 1)
	defer record.Release()
	records := make([]arrow.RecordBatch, len(many))
	for i := range records {
		records[i] = record
	}
	if _, err := ConcatRecords(memory.DefaultAllocator, records); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "column s: concatenate 32 arrays: 2147483648 bytes of text") {
		t.Errorf("concatenated: %v", err)
	}
	b.Append("x")
	if err := RoomFor(b.BinaryBuilder, maxOffset-1); err != nil {
		t.Error(err)
	}
	if err := RoomFor(b.BinaryBuilder, maxOffset); !errors.Is(err, ErrTooLarge) {
		t.Errorf("appended: %v", err)
	}
}
