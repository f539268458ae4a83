package flight

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// openTimeout bounds what comes before a server's first answer to a stream, and that.
const openTimeout = 10 * time.Second

// endpoint is where a server is reached.
type endpoint struct{ network, address string }

// endpoint is the server's socket if it is on this host, else its address.
func (o *Options) endpoint(s shuffle.Server) (endpoint, error) {
	switch {
	case s.Socket != "" && (s.Host == o.Self.Host || s.Address == ""):
		return endpoint{"unix", s.Socket}, nil
	case s.Address != "":
		return endpoint{"tcp", s.Address}, nil
	default:
		return endpoint{}, failure.Errorf(failure.Internal, "shuffle server %s has no address", s.ID)
	}
}

// dial begins a stream with a server, on a connection of its own. Its first answer has to
// come before a deadline, which is then taken off.
func (o *Options) dial(ctx context.Context, s shuffle.Server) (*wire.Conn, error) {
	at, err := o.endpoint(s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	raw, err := o.Dialer(ctx, at.network, at.address)
	if err != nil {
		return nil, err
	}
	c, err := o.greet(ctx, at, raw)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("greet %s: %w", at.address, err), raw.Close())
	}
	return wire.NewConn(c, o.Alloc), nil
}

func (o *Options) greet(ctx context.Context, at endpoint, raw net.Conn) (net.Conn, error) {
	var config *tls.Config
	if at.network == "tcp" {
		config = o.TLS
		if to, ok := raw.RemoteAddr().(*net.TCPAddr); ok && config == nil && !to.IP.IsLoopback() {
			if err := security.CheckDial(to.String(), false); err != nil {
				return nil, err
			}
		}
	}
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, err
	}
	shown := ""
	if !o.Token.IsZero() {
		shown = o.Token.Header()
	}
	return wire.Greet(ctx, raw, config, shown)
}

var errClosed = failure.Errorf(failure.Cancelled, "the shuffle service is closed")

// broken reports whether a stream that ended with err may be tried again: it may unless
// that was our own fault.
func broken(err error) bool {
	switch failure.Of(err) {
	case failure.Internal, failure.Usage:
		return false
	default:
		return true
	}
}
