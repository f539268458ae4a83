package stream

import (
	"errors"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

type budget struct{ used, limit int64 }

func (b *budget) Grow(n int64) error {
	if b.used+n > b.limit {
		return errors.New("exhausted")
	}
	b.used += n
	return nil
}
func (b *budget) Shrink(n int64) { b.used -= n }

func numbers(mem memory.Allocator, n int) arrow.RecordBatch {
	b := array.NewInt64Builder(mem)
	defer b.Release()
	for i := range n {
		b.Append(int64(i))
	}
	col := b.NewArray()
	defer col.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{col}, int64(n))
}

// A batch's bytes are charged exactly once, wherever it travels and however many
// owners it has, and given back with the last.
func TestChargeFollowsTheBatch(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	a, c := &budget{limit: 100}, &budget{limit: 100}

	b := NewBatch(numbers(mem, 10))
	if err := b.Charge(a, 80); err != nil {
		t.Fatal(err)
	}
	if err := b.Transfer(c); err != nil || a.used != 0 || c.used != 80 {
		t.Fatalf("transfer: %v, a %d, c %d", err, a.used, c.used)
	}
	s := b.Share()
	b.Release()
	if c.used != 80 || s.Charged() != 80 {
		t.Fatalf("first release gave back a shared charge: %d", c.used)
	}
	s.Release()
	if c.used != 0 {
		t.Fatalf("left %d bytes charged", c.used)
	}
}

// Owners of the same rows may ask Arrow at once, also of what lies inside columns:
// what it makes at the first question is there. (The race detector decides.)
func TestSharedRowsAreSettled(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	uncounted := func(a arrow.Array) arrow.Array {
		defer a.Release()
		d := a.Data()
		again := array.NewData(d.DataType(), d.Len(), d.Buffers(), d.Children(), array.UnknownNullCount, d.Offset())
		defer again.Release()
		return array.MakeFromData(again)
	}
	ints := array.NewInt64Builder(mem)
	defer ints.Release()
	ints.AppendValues([]int64{1, 2, 3, 4}, []bool{true, false, true, true})
	inner := uncounted(ints.NewArray())
	defer inner.Release()
	structs, err := array.NewStructArray([]arrow.Array{inner}, []string{"n"})
	if err != nil {
		t.Fatal(err)
	}
	defer structs.Release()
	column := listOf(structs)
	defer column.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: "l", Type: column.DataType(), Nullable: true}}, nil)
	b := NewBatch(array.NewRecordBatch(schema, []arrow.Array{column}, int64(column.Len())))
	shared := b.Share()
	var all sync.WaitGroup
	for _, owned := range []*Batch{b, shared} {
		all.Go(func() {
			defer owned.Release()
			l := owned.Column(0).(*array.List)
			if n := l.NullN() + l.ListValues().(*array.Struct).Field(0).NullN(); n != 1 {
				t.Errorf("%d nulls", n)
			}
		})
	}
	all.Wait()
}

// listOf is one list of all values.
func listOf(values arrow.Array) arrow.Array {
	offsets := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes([]int32{0, int32(values.Len())}))
	data := array.NewData(arrow.ListOf(values.DataType()), 1, []*memory.Buffer{nil, offsets}, []arrow.ArrayData{values.Data()}, 0, 0)
	defer data.Release()
	return array.MakeFromData(data)
}

func TestTransferIsAllOrNothing(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	a, tight := &budget{limit: 100}, &budget{limit: 10}
	b := NewBatch(numbers(mem, 3))
	defer b.Release()
	if err := b.Charge(tight, 80); err == nil {
		t.Fatal("charge beyond the limit")
	}
	if err := b.Charge(a, 80); err != nil {
		t.Fatal(err)
	}
	if err := b.Transfer(tight); err == nil || a.used != 80 || tight.used != 0 {
		t.Fatalf("transfer: %v, a %d, tight %d", err, a.used, tight.used)
	}
}

func TestSelectionAndKinds(t *testing.T) {
	b := NewBatch(numbers(memory.DefaultAllocator, 4))
	defer b.Release()
	if b.Len() != 4 || b.Kind(2) != Insert {
		t.Fatal("no overlays must mean all rows, inserted")
	}
	b.Sel, b.Kinds = []int32{1, 3}, []RowKind{Insert, Delete, Insert, UpdateAfter}
	if b.Len() != 2 || b.PhysicalRows() != 4 || !b.Kind(1).Retracts() || b.Kind(3).Retracts() {
		t.Fatal("overlays not honoured")
	}
}
