package hdfs

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoTimeLimitOnRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		conn := WithDeadline(near, 3*time.Second)
		start := time.Now()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read from a hung server: %v", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Fatalf("gave up after %v", took)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Fatalf("the connection outlived its failed read: %v", err)
		}
	})
}

func TestWriteHasTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		defer near.Close()
		if _, err := WithDeadline(near, time.Second).Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("write to a hung server: %v", err)
		}
	})
}
