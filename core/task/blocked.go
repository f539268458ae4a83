package task

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// timedWriter counts the time that a task spends giving batches away.
type timedWriter struct {
	shuffle.Writer
	blocked *metric.Counter
}

// Send implements shuffle.Writer.
func (w *timedWriter) Send(ctx context.Context, partition uint32, b *stream.Batch) error {
	since := time.Now()
	err := w.Writer.Send(ctx, partition, b)
	w.blocked.Add(uint64(time.Since(since)))
	return err
}
