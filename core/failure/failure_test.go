package failure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestOutermostClassWins(t *testing.T) {
	inner := Wrap(Transient, io.ErrUnexpectedEOF)
	outer := Wrap(BadData, fmt.Errorf("read x: %w", inner))
	if Of(outer) != BadData || Of(inner) != Transient {
		t.Fatalf("got %v and %v", Of(outer), Of(inner))
	}
	if !errors.Is(outer, io.ErrUnexpectedEOF) || outer.Error() != "read x: unexpected EOF" {
		t.Fatalf("cause or text lost: %v", outer)
	}
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Class
		exit int
	}{
		{nil, Unclassified, 1},
		{io.EOF, Fatal, 1},
		{fmt.Errorf("x: %w", context.Canceled), Cancelled, 130},
		{context.DeadlineExceeded, Transient, 75},
		{Errorf(InvalidSQL, "no"), InvalidSQL, 3},
	} {
		if got := Of(c.err); got != c.want || got.ExitCode() != c.exit {
			t.Errorf("%v: got %v, exit %d", c.err, got, got.ExitCode())
		}
	}
	if Wrap(Fatal, nil) != nil {
		t.Error("Wrap(nil) must stay nil")
	}
}
