package task

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator/order"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/merge"
)

// gate is one input of the task.
type gate struct {
	from  shuffle.Reader
	ended bool
}

// openGate opens the partitions that the subtask reads of an exchange.
func openGate(ctx context.Context, t *Task, e Edge) (*gate, error) {
	exchange, index := id.Exchange(e.Exchange.Id), t.d.Attempt.Subtask.Index
	if len(e.Ranges) > 0 {
		r, err := openRange(ctx, t, e)
		return &gate{from: r}, err
	}
	if distribution(e) != shuffle.Merge {
		r, err := t.env.Shuffle.Reader(ctx, t.d.Job, exchange, index, t.d.Attempt.N)
		return &gate{from: r}, err
	}
	columns, err := schemas(e.Exchange.Schema)
	if err != nil {
		return nil, err
	}
	keys, err := order.SortKeys(e.Exchange.Order, columns[0])
	if err != nil {
		return nil, err
	}
	r, err := merge.Open(ctx, t.env.Shuffle, merge.Options{
		Job: t.d.Job, Exchange: exchange, Lanes: e.Peers, Attempt: t.d.Attempt.N, Keys: keys,
		Alloc: t.account.Child(fmt.Sprintf("merge exchange %d", exchange), 0).Allocator(), BatchRows: t.d.Options.BatchRows,
	})
	return &gate{from: r}, err
}
