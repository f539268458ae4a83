package kafka

import (
	"context"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// committer ends the transactions that writers have prepared.
type committer struct {
	o   *options
	end *ender
}

func (c *committer) ender() *ender {
	if c.end == nil {
		c.end = &ender{props: &c.o.props}
	}
	return c.end
}

// Commit implements connector.Committer. What is committed already stays so.
func (c *committer) Commit(ctx context.Context, n id.Checkpoint, all []connector.Committable, _ bool) error {
	return each(all, func(t transaction) error { return c.commit(ctx, n, t) })
}

// each ends the transactions of committables, one after the other.
func each(all []connector.Committable, end func(transaction) error) error {
	for _, one := range all {
		if len(one.Data) == 0 {
			continue
		}
		t, err := parseTransaction(one)
		if err == nil {
			err = end(t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *committer) commit(ctx context.Context, n id.Checkpoint, t transaction) error {
	err := c.ender().end(ctx, t, true)
	if !isOver(err) {
		return asked("commit "+t.String(), err)
	}
	there, unseen := c.ender().published(ctx, t)
	switch {
	case unseen != nil:
		return unseen
	case there:
		return nil
	}
	return failure.Errorf(failure.Fatal, "%s, of checkpoint %d, was ended by the broker before it was committed, and its rows are lost: 'properties.transaction.timeout.ms' must be longer than checkpoints and recovery take: %w", t, n, err)
}

// Abort implements connector.Committer. What is committed cannot be undone.
func (c *committer) Abort(ctx context.Context, all []connector.Committable) error {
	return each(all, func(t transaction) error {
		if err := c.ender().end(ctx, t, false); !isOver(err) {
			return asked("abort "+t.String(), err)
		}
		return nil
	})
}

// Close implements connector.Committer.
func (c *committer) Close() error {
	if c.end != nil {
		c.end.close()
	}
	return nil
}
