package hashtable

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// A null that is loaded over characters leaves none of them: accumulators read the
// characters alone.
func TestLoadNull(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	b := array.NewStringBuilder(mem)
	defer b.Release()
	b.Append("new")
	b.AppendNull()
	a := b.NewArray()
	defer a.Release()
	c := &state.Column{Type: datatype.Of(datatype.Varchar), Bytes: [][]byte{[]byte("old"), []byte("old")}, Valid: []bool{true, true}}
	Load(c, a, nil, []int32{0, 1})
	if string(c.Bytes[0]) != "new" || !c.Valid[0] || c.Bytes[1] != nil || c.Valid[1] {
		t.Errorf("have %q, %v", c.Bytes, c.Valid)
	}
}
