package task

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator/order"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/merge"
)

// gate is one input of the task.
type gate struct {
	from  shuffle.Reader
	ended bool
	// restored is what was in flight at the checkpoint that the task starts from, ahead
	// what has been read before its turn. Both come before anything else, in this order.
	restored []*checkpoint.Handle
	ahead    []stream.Element
}

// poll returns the next element of input i.
func (t *Task) poll(i int) (stream.Element, bool, error) {
	g := t.gates[i]
	for len(g.ahead) == 0 && len(g.restored) > 0 {
		if err := t.readRestored(i); err != nil {
			return stream.Element{}, false, err
		}
	}
	switch {
	case len(g.ahead) > 0:
		e := g.ahead[0]
		g.ahead[0] = stream.Element{}
		g.ahead = g.ahead[1:]
		return e, true, nil
	case t.capture.waits(i):
		return stream.Element{}, false, nil // what comes goes through drain
	}
	return g.from.Poll()
}

// close gives up what was read before its turn, and ends reading.
func (g *gate) close() error {
	for _, e := range g.ahead {
		e.Release()
	}
	g.ahead = nil
	return g.from.Close()
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
