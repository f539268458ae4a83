package flight

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
)

// HandOver writes a lane that an attempt has committed in Options.Local to the one server
// of a placement, as that attempt and in wire form. It returns when that server has
// committed the lane too and holds the same: every partition's rows, bytes and digest.
// The lane stays here.
func (s *Service) HandOver(ctx context.Context, job id.Job, ex id.Exchange, lane, attempt uint32, to shuffle.Placement) (shuffle.Manifest, error) {
	from, err := s.options.Local.Lane(job, ex, lane, attempt)
	if err == nil && len(to.Servers) != 1 {
		err = failure.Errorf(failure.Internal, "a lane is handed over to one server, not %d", len(to.Servers))
	}
	if err == nil {
		err = s.handOver(ctx, from, to)
	}
	if err != nil {
		return shuffle.Manifest{}, fmt.Errorf("hand over lane %d of exchange %d: %w", lane, ex, err)
	}
	return from.Manifest, nil
}

func (s *Service) handOver(ctx context.Context, from local.Lane, to shuffle.Placement) (err error) {
	spec, have := from.Spec, from.Manifest
	spec.Placement = shuffle.Placement{Version: to.Version, Servers: to.Servers, At: make([]uint32, spec.Lanes), Ticket: to.Ticket}
	w, err := s.newWriter(ctx, spec, have.Lane, have.Attempt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for _, part := range from.Parts() {
		if err := sendPart(ctx, from, part, w); err != nil {
			return err
		}
	}
	if from.Ended > stream.MinWatermark {
		if err := w.Broadcast(ctx, stream.Advance(from.Ended)); err != nil {
			return err
		}
	}
	got, err := w.Finish(ctx)
	if err == nil && !reflect.DeepEqual(got, have) {
		err = failure.Errorf(failure.Internal, "it was written as %+v and arrived as %+v", have, got)
	}
	return err
}

// sendPart sends what a lane has for a partition.
func sendPart(ctx context.Context, from local.Lane, part uint32, to shuffle.Writer) error {
	rows := from.Rows(part)
	defer rows.Close()
	for {
		b, end, err := rows.Next()
		if err != nil || end {
			return err
		}
		if b == nil {
			return failure.Wrap(failure.LostPartition, shuffle.ErrDataLoss) // it was dropped
		}
		if err := to.Send(ctx, part, b); err != nil {
			return err
		}
	}
}
