package dispatcher

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// A burst of large jobs must not fill the memory: few are stored at a time, some wait for
// their turn, and the clients of the others hear that they shall come again.
const (
	storedAtOnce = 16
	mostInEntry  = 128 // those that are stored, and those that wait for it
)

// entry is where jobs come in.
type entry struct {
	places turn // of those that are in it
	turns  turn // of those that are being stored
}

func newEntry() entry { return entry{places: make(turn, mostInEntry), turns: make(turn, storedAtOnce)} }

// pass waits for a turn, which ends with leave. rpc.ErrBusy says that too many wait.
func (e entry) pass(ctx context.Context) (leave func(), err error) {
	select {
	case e.places <- struct{}{}:
	default:
		return nil, failure.Wrap(failure.Transient, fmt.Errorf("%w: %d jobs are being accepted", rpc.ErrBusy, mostInEntry))
	}
	if err := e.turns.take(ctx); err != nil {
		e.places.release()
		return nil, err
	}
	return func() {
		e.turns.release()
		e.places.release()
	}, nil
}

// elsewhere is what a client is told of an error of the store: where the leadership is
// over, that it asks whoever leads now. What it asked for may have happened.
func elsewhere(err error) error {
	if !deposed(err) {
		return err
	}
	return failure.Wrap(failure.Transient, fmt.Errorf("%w: %w", rpc.ErrNotLeader, err))
}
