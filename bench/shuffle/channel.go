package shuffle

import (
	"context"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
)

// channelDepth is how many batches a channel holds.
const channelDepth = 16

// moveByChannel hands batches over by pointer.
func moveByChannel(ctx context.Context, _ path, l *load) (int64, error) {
	var rows atomic.Int64
	err := together(ctx, l.streams, func(ctx context.Context, s int) error {
		batches := make(chan arrow.RecordBatch, channelDepth)
		return together(ctx, 2, func(ctx context.Context, end int) error {
			if end == 0 {
				defer close(batches)
				for i := range l.each {
					b := l.batches[l.at(s, i)]
					b.Retain()
					select {
					case batches <- b:
					case <-ctx.Done():
						b.Release()
						return ctx.Err()
					}
				}
				return nil
			}
			for b := range batches {
				rows.Add(b.NumRows())
				b.Release()
			}
			return nil
		})
	})
	return rows.Load(), err
}
