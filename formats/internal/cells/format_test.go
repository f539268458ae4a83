package cells

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A column of type NULL holds nulls only, whatever Arrow's validity says: it must
// not be written as empty text.
func TestIsNull(t *testing.T) {
	if !IsNull(array.NewNull(2), 1) {
		t.Error("a value of type NULL is not null")
	}
	b := array.NewInt32Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues([]int32{1, 2}, []bool{true, false})
	a := b.NewArray()
	defer a.Release()
	if IsNull(a, 0) || !IsNull(a, 1) {
		t.Error("validity is not followed")
	}
}
