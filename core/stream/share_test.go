package stream_test

import (
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
)

// Two owners may ask for a dictionary's values and counts of nulls at once, which
// Arrow makes lazily; a broadcast join once met half of an interface value there.
// The race detector watches.
func TestShareSettlesLazyColumns(t *testing.T) {
	mem := memory.DefaultAllocator
	words := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	b := array.NewDictionaryBuilder(mem, words)
	if err := b.AppendValueFromString("a"); err != nil {
		t.Fatal(err)
	}
	b.AppendNull()
	b.AppendNull()
	column := array.NewSlice(b.NewArray(), 1, 3)
	schema := arrow.NewSchema([]arrow.Field{{Name: "s", Type: words, Nullable: true}}, nil)
	one := stream.NewBatch(array.NewRecordBatch(schema, []arrow.Array{column}, 2))
	var owners sync.WaitGroup
	for _, owner := range []*stream.Batch{one.Share(), one} {
		owners.Go(func() {
			defer owner.Release()
			d := owner.Column(0).(*array.Dictionary)
			if d.Dictionary().Len() != 1 || d.NullN() != 2 {
				t.Errorf("%d values and %d nulls", d.Dictionary().Len(), d.NullN())
			}
		})
	}
	owners.Wait()
}
