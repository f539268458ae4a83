package network

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// refusing is a connection whose other side has said that it refuses us, and closed it: a
// write fails before that is read.
type refusing struct{ net.Conn }

func (refusing) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func (refusing) Read([]byte) (int, error) {
	time.Sleep(alertPatience / 2)
	return 0, &net.OpError{Op: "remote error", Err: errors.New("tls: unknown certificate authority")}
}

// Why a connection was refused is known before a write to it fails.
func TestRefusalIsReadBeforeAWriteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		noted := make(chan error, 1)
		w := &watched{Conn: refusing{}, note: func(err error) { noted <- err }, answered: make(chan struct{})}
		go func() { _, _ = w.Read(nil) }()
		if _, err := w.Write(nil); !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
		select {
		case err := <-noted:
			if failure.Of(err) != failure.Unauthorized {
				t.Error(err)
			}
		default:
			t.Error("the write fails first")
		}
		silent := &watched{Conn: refusing{}, answered: make(chan struct{})}
		if _, err := silent.Write(nil); err == nil { // it does not wait for ever
			t.Error("no error")
		}
	})
}
