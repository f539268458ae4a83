package groups

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

// NoKeys is the key of a table whose operator groups by nothing: a constant.
func NoKeys() datatype.Schema {
	return datatype.Schema{{Name: "all", Type: datatype.Of(datatype.BigInt).NotNull()}}
}

// Finder finds the groups of a batch's rows by Columns; without any all are of one, whose
// table has NoKeys. It belongs to one operator.
type Finder struct {
	Columns []uint32

	hashes []uint64
}

// Find gives rows sel of b (nil: all) the slots of their groups by lookup, which is Find or
// Resolve of state.Rows.
func (f *Finder) Find(mem memory.Allocator, b *stream.Batch, sel, slots []int32, lookup func([]arrow.Array, []int32, []uint64, []int32) error) error {
	if len(f.Columns) == 0 {
		one, err := compute.Constant(mem, NoKeys()[0].Type, int64(0), 1)
		if err != nil {
			return err
		}
		defer one.Release()
		keys := []arrow.Array{one}
		var slot [1]int32
		err = lookup(keys, nil, compute.HashColumns(keys, nil, nil), slot[:])
		for i := range slots {
			slots[i] = slot[0]
		}
		return err
	}
	keys := make([]arrow.Array, len(f.Columns))
	for i, c := range f.Columns {
		keys[i] = b.Column(int(c))
	}
	f.hashes = compute.HashColumns(keys, sel, f.hashes)
	return lookup(keys, sel, f.hashes, slots)
}
