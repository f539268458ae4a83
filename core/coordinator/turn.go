package coordinator

import (
	"context"
	"errors"
	"sync"
)

// errInterrupted ends a wait inside an enumerator because somebody else has
// something to do with it.
var errInterrupted = errors.New("interrupted")

// turn is a lock whose taking ends with a context, and whose holder can be asked
// to give it back.
type turn struct {
	free chan struct{} // holds one token while nobody has the turn

	mu      sync.Mutex
	waiting int // takers that interrupt
	stop    context.CancelCauseFunc
}

func newTurn() *turn {
	t := &turn{free: make(chan struct{}, 1)}
	t.free <- struct{}{}
	return t
}

// take waits for the turn; release gives it back.
func (t *turn) take(ctx context.Context) error {
	select {
	case <-t.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) release() { t.free <- struct{}{} }

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
