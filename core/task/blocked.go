package task

import (
	"context"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// timedWriter counts the time that a task spends giving batches away.
type timedWriter struct {
	shuffle.Writer
	task   *Task
	output int32
}

// Send implements shuffle.Writer.
func (w *timedWriter) Send(ctx context.Context, partition uint32, b *stream.Batch) error {
	t := w.task
	since := t.env.Now()
	t.standing.blockedOn.Store(w.output)
	t.standing.blockedSince.Store(since.UnixNano())
	err := w.Writer.Send(ctx, partition, b)
	t.standing.blockedSince.Store(0)
	t.metrics.blocked.Add(uint64(max(0, t.env.Now().Sub(since))))
	return err
}
