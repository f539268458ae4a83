package process

import (
	"context"

	"github.com/tidemill/tidemill/core/security"
)

// Role is a role that serves, whichever it is.
type Role interface {
	// Address is where it serves.
	Address() Address
	// Failed delivers why it cannot go on, once: whoever has started it closes it then.
	Failed() <-chan error
	// Drained is closed when it may end because nobody needs it any more.
	Drained() <-chan struct{}
	// Close ends it. It may be called more than once.
	Close() error
}

var (
	_ Role = (*Master)(nil)
	_ Role = (*Worker)(nil)
	_ Role = (*Shuffle)(nil)
)

// Start starts a role of a kind, as StartMaster, StartWorker and StartShuffle do; ctx ends
// the start only. What else than Options there is counts for masters.
func Start(ctx context.Context, kind security.Role, o MasterOptions) (Role, error) {
	switch kind {
	case security.Master:
		return started(StartMaster(ctx, o))
	case security.Worker:
		return started(StartWorker(ctx, o.Options))
	default:
		return started(StartShuffle(ctx, o.Options))
	}
}

// started keeps a role that is nil from becoming a Role that is not.
func started[R Role](r R, err error) (Role, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}
