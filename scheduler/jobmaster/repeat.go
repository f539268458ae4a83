package jobmaster

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// repeat calls f until it does not fail, with pauses that grow, at most so many times, and as
// long as helps says of its error that another time may help; nil: failure.Class.Retryable says.
// It returns the last error.
func (m *Master) repeat(ctx context.Context, what string, tries int, helps func(error) bool, f func() error) error {
	if helps == nil {
		helps = func(err error) bool { return failure.Of(err).Retryable() }
	}
	pause := commitFirstPause
	for try := 1; ; try++ {
		err := f()
		if err == nil || !helps(err) || try == tries {
			return err
		}
		m.opts.Log.Warn("something is tried again", "what", what, "job", m.opts.Job, "try", try, "error", err)
		select {
		case <-time.After(pause):
			pause = min(2*pause, mostPause)
		case <-ctx.Done():
			return err
		}
	}
}
