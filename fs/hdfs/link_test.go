package hdfs

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A namenode takes no connection: a call ends with its caller's context all the same,
// and so does one that waits for another to connect.
func TestConnectingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{ConfDir: t.TempDir(), User: "u", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		var calls sync.WaitGroup
		for _, after := range []time.Duration{time.Second, 2 * time.Second} {
			calls.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				start := time.Now()
				if _, err := h.Stat(ctx, "nn/x"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
				if took := time.Since(start); took != after {
					t.Errorf("ended after %v, not %v", took, after)
				}
			})
		}
		calls.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A namenode answers nothing: the call ends with its context, not with the time limit.
func TestCallsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var servers sync.WaitGroup
	h := New(Options{ConfDir: t.TempDir(), User: "u", Limit: time.Hour, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		servers.Go(func() {
			_, _ = far.Read(make([]byte, 1))
			cancel() // the call is under way
			_, _ = io.Copy(io.Discard, far)
		})
		return near, nil
	}})
	if _, err := h.Stat(ctx, "nn/x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	servers.Wait()
}

// A severed link dials no more, and what it was dialling is closed.
func TestSeveredLink(t *testing.T) {
	var l link
	near, far := net.Pipe()
	defer far.Close()
	_, err := l.dial(t.Context(), func(context.Context) (net.Conn, error) {
		l.sever()
		return near, nil
	})
	if _, writeErr := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) || !errors.Is(writeErr, io.ErrClosedPipe) {
		t.Errorf("%v, %v", err, writeErr)
	}
	if _, err := l.dial(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
