package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/tidemill/tidemill/core/memnet"
)

func pair(t testing.TB, size int) (net.Conn, net.Conn) {
	t.Helper()
	l := memnet.Listen(size)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	a, err := l.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a, <-accepted
}

// Connections do what those of other networks do: the suite of golang.org/x/net.
func TestConn(t *testing.T) {
	for _, size := range []int{1024, 100_000} { // its echoes need room for a message
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			a, b := pair(t, size)
			return a, b, func() { _ = a.Close(); _ = b.Close() }, nil
		})
	}
}

// What was written before the end is read before it.
func TestEndComesLast(t *testing.T) {
	a, b := pair(t, 64)
	if _, err := a.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	_ = a.Close()
	have, err := io.ReadAll(b)
	if err != nil || string(have) != "last words" {
		t.Errorf("%q, %v", have, err)
	}
	if _, err = b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("written to nobody: %v", err)
	}
}

// What is larger than the buffer arrives whole and in order.
func TestSmallBuffers(t *testing.T) {
	want := make([]byte, 10_000)
	for i := range want {
		want[i] = byte(i * i >> 3)
	}
	for _, size := range []int{1, 7, 4096} {
		a, b := pair(t, size)
		go func() {
			if n, err := a.Write(want); n != len(want) || err != nil {
				t.Error(n, err)
			}
			_ = a.Close()
		}()
		have, err := io.ReadAll(iotest.HalfReader(b))
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("%d bytes, %v", len(have), err)
		}
	}
}

// A deadline can be moved while somebody waits for it, in fake time too.
func TestDeadlineMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, 64)
		begun := time.Now()
		_ = b.SetReadDeadline(begun.Add(time.Second))
		time.AfterFunc(500*time.Millisecond, func() { _ = b.SetReadDeadline(begun.Add(time.Minute)) })
		_, err := b.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		_ = b.SetReadDeadline(time.Time{})
		_, _ = a.Write([]byte("x"))
		if n, err := b.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Error(n, err)
		}
		_, _ = a.Close(), b.Close()
	})
}

// A closed listener accepts and connects nobody; who gives up says why.
func TestNobodyThere(t *testing.T) {
	l := memnet.Listen(1)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if _, err := l.DialContext(ctx); !errors.Is(err, gone) {
		t.Error(err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, err := l.DialContext(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
