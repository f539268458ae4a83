package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// errInterrupted ends a wait inside an enumerator because somebody else has
// something to do with it.
var errInterrupted = errors.New("interrupted")

// turn is a lock whose taking ends with a context, and whose holder can be asked
// to give it back. Once it has ended nobody gets it: a request may have found a task just
// before another one took its place, and is told that it is gone.
type turn struct {
	free  chan struct{} // holds one token while nobody has the turn
	ended chan struct{} // closed by end

	mu      sync.Mutex
	waiting int // takers that interrupt
	stop    context.CancelCauseFunc
}

func newTurn() *turn {
	t := &turn{free: make(chan struct{}, 1), ended: make(chan struct{})}
	t.free <- struct{}{}
	return t
}

// take waits for the turn; release gives it back, or end does away with it.
func (t *turn) take(ctx context.Context) error {
	select {
	case <-t.free:
		return nil
	case <-t.ended:
		return failure.Wrap(failure.Conflict, fmt.Errorf("this coordinator task has ended: %w", rpc.ErrGone))
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) release() { t.free <- struct{}{} }

// end is called by who has the turn, instead of release.
func (t *turn) end() { close(t.ended) }

// interrupt takes the turn from whoever waits with it.
func (t *turn) interrupt(ctx context.Context) error {
	t.mu.Lock()
	t.waiting++
	if t.stop != nil {
		t.stop(errInterrupted)
	}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.waiting--
		t.mu.Unlock()
	}()
	return t.take(ctx)
}

// patiently runs wait, which may take long, with the turn held; it is called
// again after each interruption.
func (t *turn) patiently(ctx context.Context, wait func(context.Context) error) error {
	for {
		if err := t.take(ctx); err != nil {
			return err
		}
		inner, stop := context.WithCancelCause(ctx)
		t.mu.Lock()
		t.stop = stop
		if t.waiting > 0 {
			stop(errInterrupted)
		}
		t.mu.Unlock()
		err := wait(inner)
		interrupted := context.Cause(inner) == errInterrupted //nolint:errorlint // the cause itself, not wrapped
		t.mu.Lock()
		t.stop = nil
		t.mu.Unlock()
		stop(nil)
		t.release()
		if err == nil || !interrupted || ctx.Err() != nil {
			return err
		}
	}
}
