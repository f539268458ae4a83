package network

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// An error travels in the trailers of its call: so much of its text does, and the first
// line of that as the message for clients that are not ours.
const (
	maxErrorText    = 64 << 10
	maxErrorMessage = 1 << 10
)

// toStatus is an error as gRPC sends it. ctx is the call's.
func toStatus(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return status.FromContextError(ended).Err() // the caller knows it as its own
	}
	f := rpc.ToFailure(err)
	f.Text = cut(f.GetText(), maxErrorText)
	first, _, _ := strings.Cut(f.GetText(), "\n")
	s := status.New(codeOf(failure.Of(err)), cut(first, maxErrorMessage))
	detailed, broken := s.WithDetails(f)
	if broken != nil {
		return s.Err()
	}
	return detailed.Err()
}

func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " [cut]"
}

// codeOf is for clients that are not ours; ours read the class.
func codeOf(c failure.Class) codes.Code {
	switch c {
	case failure.Transient:
		return codes.Unavailable
	case failure.Usage, failure.InvalidSQL:
		return codes.InvalidArgument
	case failure.NotFound:
		return codes.NotFound
	case failure.Conflict:
		return codes.Aborted
	case failure.Unauthorized:
		return codes.PermissionDenied
	case failure.Cancelled:
		return codes.Canceled
	case failure.LostPartition, failure.BadData:
		return codes.DataLoss
	case failure.Internal:
		return codes.Internal
	default:
		return codes.Unknown
	}
}

// fromStatus is the error of a call as its caller gets it. ctx is the caller's, where
// says what was called and where, and version is ours.
func fromStatus(ctx context.Context, where, version string, err error) error {
	s, _ := status.FromError(err)
	for _, d := range s.Details() {
		if f, ok := d.(*rpc.Failure); ok && f.Err() != nil {
			return f.Err()
		}
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", where, ended)
	}
	switch s.Code() {
	case codes.DeadlineExceeded: // the other side's clock was first
		return fmt.Errorf("%s: %w", where, context.DeadlineExceeded)
	case codes.Unauthenticated, codes.PermissionDenied:
		return failure.Errorf(failure.Unauthorized, "%s: refused: %s", where, s.Message())
	case codes.Unimplemented:
		return failure.Errorf(failure.Fatal, "%s: %s; this is %s", where, s.Message(), version)
	case codes.ResourceExhausted:
		return failure.Errorf(failure.Fatal, "%s: a message has at most %d bytes: %s", where, MaxMessageBytes, s.Message())
	default:
		return unreachable(where, s.Message())
	}
}

func unreachable(where, why string) error {
	return failure.Wrap(failure.Transient, fmt.Errorf("%s: %w: %s", where, rpc.ErrUnreachable, why))
}

// elsewhere reports whether another master may know better than the one that answered
// with err, or did not.
func elsewhere(err error) bool {
	return errors.Is(err, rpc.ErrNotLeader) || errors.Is(err, rpc.ErrUnreachable)
}

// later reports whether a master that answered with err, or another one, may do what is
// asked for after a pause.
func later(err error) bool { return elsewhere(err) || errors.Is(err, rpc.ErrBusy) }
