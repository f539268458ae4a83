package statetest

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
)

// routed tests that keys which are sent to their subtask by their first column alone are
// restored there, whatever the others are.
func routed(t *testing.T, f Factory) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	spec := Spec
	spec.Routed = 1
	open := func(owned keygroup.Range, pieces []state.Piece) (state.Backend, state.Rows) {
		b, err := f(owned, alloc, &budget{limit: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pieces {
			if err := b.Restore(p, nil); err != nil {
				t.Fatal(err)
			}
		}
		table, err := b.Table(spec)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := table.Namespace(0)
		if err != nil {
			t.Fatal(err)
		}
		return b, rows
	}
	const firsts, seconds = 40, 25
	texts, numbers := array.NewStringBuilder(memory.NewGoAllocator()), array.NewInt32Builder(memory.NewGoAllocator())
	for k := range firsts {
		for n := range seconds {
			texts.Append(fmt.Sprint("key ", k))
			numbers.Append(int32(n))
		}
	}
	keys := []arrow.Array{texts.NewArray(), numbers.NewArray()}
	hashes, slots := compute.HashRouted(keys, spec.Routed, nil, nil), make([]int32, firsts*seconds)
	b, rows := open(keygroup.Range{Last: Groups}, nil)
	// As dictionaries, by which tables hash in a way of their own, and plain.
	encoded := make([]arrow.Array, len(keys))
	for i, k := range keys {
		encoded[i] = dictionaryOf(t, k)
	}
	half := make([]int32, firsts*seconds/2)
	for i := range half {
		half[i] = int32(i)
	}
	if err := rows.Resolve(encoded, half, hashes[:len(half)], slots); err != nil {
		t.Fatal(err)
	}
	if err := rows.Resolve(keys, nil, hashes, slots); err != nil {
		t.Fatal(err)
	}
	s, err := b.Snapshot(state.Everything)
	if err != nil {
		t.Fatal(err)
	}
	taken := write(t, s)
	defer taken.release()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	by := compute.HashColumns(keys[:1], nil, nil)
	for _, owned := range []keygroup.Range{{Last: Groups / 3}, {First: Groups / 3, Last: Groups}} {
		b, rows := open(owned, taken.pieces)
		if err := rows.Find(keys, nil, hashes, slots); err != nil {
			t.Fatal(err)
		}
		for i, slot := range slots {
			if owned.Contains(keygroup.Of(by[i], Groups)) != (slot >= 0) {
				t.Fatalf("groups %v: %s has slot %d", owned, printed(keys, i), slot)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// dictionaryOf is a column as a dictionary of 32-bit indexes.
func dictionaryOf(t *testing.T, column arrow.Array) arrow.Array {
	t.Helper()
	b := array.NewDictionaryBuilder(memory.NewGoAllocator(), &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: column.DataType()})
	if err := b.AppendArray(column); err != nil {
		t.Fatal(err)
	}
	return b.NewArray()
}
