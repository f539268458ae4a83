package coordinator

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/id"
)

// sink is one sink operator.
type sink struct {
	name      string
	turn      *turn
	committer connector.Committer
}

func newSink(name string, c connector.Committer) *sink {
	return &sink{name: name, turn: newTurn(), committer: c}
}

func (s *sink) commit(ctx context.Context, c id.Checkpoint, all []connector.Committable, final bool) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.release()
	if err := s.committer.Commit(ctx, c, all, final); err != nil {
		return fmt.Errorf("publish %d committables of sink %s: %w", len(all), s.name, err)
	}
	return nil
}

// sweep removes what is staged and not known.
func (s *sink) sweep(ctx context.Context) error {
	sweeper, ok := s.committer.(connector.Sweeper)
	if !ok {
		return nil
	}
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.release()
	if err := sweeper.Sweep(ctx); err != nil {
		return fmt.Errorf("remove what sink %s has staged: %w", s.name, err)
	}
	return nil
}

func (s *sink) abort(ctx context.Context, all []connector.Committable) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.release()
	if err := s.committer.Abort(ctx, all); err != nil {
		return fmt.Errorf("discard %d committables of sink %s: %w", len(all), s.name, err)
	}
	return nil
}

func (s *sink) close(ctx context.Context) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.end()
	return s.committer.Close()
}
