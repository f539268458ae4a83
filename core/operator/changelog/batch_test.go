package changelog_test

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/stream"
)

func TestBatch(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	before := operatortest.Record(mem, operatortest.ParseSchema("k STRING, v BIGINT"), [][]any{{"a", int64(1)}, {"b", int64(2)}})
	defer before.Release()
	after := operatortest.Record(mem, operatortest.ParseSchema("k STRING, v BIGINT"), [][]any{{"a", int64(3)}})
	defer after.Release()
	part := func(k stream.RowKind, n int) changelog.Part {
		if n == 1 {
			return changelog.Part{Kind: k, Columns: after.Columns(), Rows: 1}
		}
		return changelog.Part{Kind: k, Columns: before.Columns(), Rows: n}
	}
	for _, c := range []struct {
		parts []changelog.Part
		kinds []stream.RowKind
		rows  int
	}{
		{nil, nil, 0},
		{[]changelog.Part{part(stream.Delete, 0)}, nil, 0},
		{[]changelog.Part{part(stream.Insert, 1), part(stream.Delete, 0), part(stream.Insert, 2)}, nil, 3},
		{[]changelog.Part{part(stream.Delete, 1)}, []stream.RowKind{stream.Delete}, 1},
		{
			[]changelog.Part{part(stream.UpdateBefore, 2), part(stream.UpdateAfter, 1)},
			[]stream.RowKind{stream.UpdateBefore, stream.UpdateBefore, stream.UpdateAfter},
			3,
		},
	} {
		b, err := changelog.Batch(mem, before.Schema(), c.parts...)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			if c.rows != 0 {
				t.Errorf("%v: no batch", c)
			}
			continue
		}
		if b.Len() != c.rows || !slices.Equal(b.Kinds, c.kinds) {
			t.Errorf("%d rows of kinds %v, want %d of %v", b.Len(), b.Kinds, c.rows, c.kinds)
		}
		b.Release()
	}
}

func TestSplit(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	b := stream.NewBatch(operatortest.Record(mem, operatortest.ParseSchema("v BIGINT"), [][]any{{int64(1)}, {int64(2)}, {int64(3)}}))
	defer b.Release()
	if added, removed := changelog.Split(b); added != nil || removed != nil {
		t.Errorf("all inserts: %v, %v", added, removed)
	}
	b.Kinds = []stream.RowKind{stream.UpdateBefore, stream.UpdateAfter, stream.Delete}
	b.Sel = []int32{1, 2}
	if added, removed := changelog.Split(b); !slices.Equal(added, []int32{1}) || !slices.Equal(removed, []int32{2}) {
		t.Errorf("added %v, removed %v", added, removed)
	}
}
