package operatortest

import (
	"errors"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// Chain is two operators as one, the second fed by the first: two phases.
func Chain(first, second operator.Operator) operator.Operator {
	return &chain{first: first, second: second}
}

type chain struct{ first, second operator.Operator }

// link feeds the second operator.
type link struct{ to operator.Operator }

func (l link) Emit(b *stream.Batch) error { return l.to.Process(0, b) }

func (c *chain) Open(ctx *operator.Context) error {
	head := *ctx
	head.Output, head.State, head.Restored = link{c.second}, nil, nil
	return errors.Join(c.first.Open(&head), c.second.Open(ctx))
}

func (c *chain) Process(input int, b *stream.Batch) error { return c.first.Process(input, b) }

func (c *chain) Watermark(w stream.Watermark) error {
	if err := c.first.Watermark(w); err != nil {
		return err
	}
	return c.second.Watermark(w)
}

func (c *chain) EndInput(input int) error {
	if err := c.first.EndInput(input); err != nil {
		return err
	}
	return c.second.EndInput(0)
}

// Snapshot first brings everything to the second operator: the first one must
// have nothing of its own.
func (c *chain) Snapshot(b stream.Barrier) ([]byte, error) {
	if s, ok := c.first.(operator.Snapshotter); ok {
		if saved, err := s.Snapshot(b); err != nil || saved != nil {
			return nil, errors.Join(err, errors.New("the first operator of the chain has state"))
		}
	}
	if s, ok := c.second.(operator.Snapshotter); ok {
		return s.Snapshot(b)
	}
	return nil, nil
}

func (c *chain) Completed(id.Checkpoint) error { return nil }

func (c *chain) Close() error { return errors.Join(c.first.Close(), c.second.Close()) }
