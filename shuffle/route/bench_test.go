package route_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/route"
)

// A keyed exchange in process: one goroutine routes batches of 8,192 rows x 4
// BIGINT columns, another reads the partitions.
func BenchmarkKeyedExchange(b *testing.B) {
	for _, partitions := range []int{2, 8, 64} {
		b.Run(fmt.Sprint(partitions), func(b *testing.B) {
			ledger, err := memory.New(memory.Options{Limit: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			alloc := ledger.Child("bench", 0).Allocator()
			service := local.New(local.Options{Alloc: alloc})
			job := id.Job{1}
			schema := datatype.Schema{}
			for _, n := range []string{"a", "b", "c", "d"} {
				schema = append(schema, datatype.Field{Name: n, Type: datatype.Of(datatype.BigInt)})
			}
			spec := shuffle.Spec{Job: job, Schema: schema, Lanes: 1, Partitions: partitions, Retention: shuffle.RetainNone}
			if err := service.Open(b.Context(), spec); err != nil {
				b.Fatal(err)
			}
			w, err := service.Writer(b.Context(), job, 0, 0, 0)
			if err != nil {
				b.Fatal(err)
			}
			r, err := route.New(w, route.Options{Distribution: shuffle.Hash, Partitions: partitions, Keys: []int{0}, KeyGroups: 1024, Alloc: alloc})
			if err != nil {
				b.Fatal(err)
			}
			builder := array.NewRecordBuilder(alloc, schema.Arrow())
			for i := range int64(stream.TargetRows) {
				for c := range 4 {
					builder.Field(c).(*array.Int64Builder).Append(i * int64(c+1) * 7919)
				}
			}
			batch := stream.NewBatch(builder.NewRecordBatch())
			defer batch.Release()
			b.SetBytes(batch.Bytes())
			done := make(chan int64)
			go func() { done <- drain(b, service, job, partitions) }()
			n := int64(0)
			for b.Loop() {
				if err := r.Emit(context.Background(), batch.Share()); err != nil {
					b.Fatal(err)
				}
				n += int64(batch.Len())
			}
			if _, err := r.Finish(context.Background()); err != nil {
				b.Fatal(err)
			}
			if have := <-done; have != n {
				b.Fatalf("%d rows of %d", have, n)
			}
		})
	}
}

// drain reads all partitions to their end in one goroutine.
func drain(b *testing.B, service shuffle.Service, job id.Job, partitions int) (rows int64) {
	readers := make([]shuffle.Reader, partitions)
	for p := range readers {
		var err error
		if readers[p], err = service.Reader(context.Background(), job, 0, uint32(p), 0); err != nil {
			b.Error(err)
			return 0
		}
	}
	for left := partitions; left > 0; {
		idle := true
		for p, r := range readers {
			if r == nil {
				continue
			}
			e, ok, err := r.Poll()
			if err != nil {
				b.Error(err)
				return 0
			}
			if !ok {
				continue
			}
			idle = false
			if e.Kind == stream.EndOfInput {
				readers[p] = nil
				left--
			}
			if e.Batch != nil {
				rows += int64(e.Batch.Len())
			}
			e.Release()
		}
		if idle && left > 0 {
			for _, r := range readers {
				if r != nil {
					<-r.Ready() // the others follow soon: keys are even
					break
				}
			}
		}
	}
	return rows
}
