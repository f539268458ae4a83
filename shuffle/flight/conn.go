package flight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// conns are the connections of a service, one to each process.
type conns struct {
	options Options
	frames  mem.BufferPool

	mu     sync.Mutex
	closed bool
	open   map[endpoint]*grpc.ClientConn
}

// endpoint is where a server is reached.
type endpoint struct{ network, address string }

// idleAfter is when a connection that nobody uses is closed.
const idleAfter = 5 * time.Minute

// endpoint is the server's socket if it is on this host, else its address.
func (c *conns) endpoint(s shuffle.Server) (endpoint, error) {
	switch {
	case s.Socket != "" && (s.Host == c.options.Self.Host || s.Address == ""):
		return endpoint{"unix", s.Socket}, nil
	case s.Address != "":
		return endpoint{"tcp", s.Address}, nil
	default:
		return endpoint{}, failure.Errorf(failure.Internal, "shuffle server %s has no address", s.ID)
	}
}

// stream begins a DoExchange with a server.
func (c *conns) stream(ctx context.Context, s shuffle.Server) (grpc.ClientStream, error) {
	at, err := c.endpoint(s)
	if err != nil {
		return nil, err
	}
	conn, err := c.conn(at)
	if err != nil {
		return nil, err
	}
	desc := &grpc.StreamDesc{StreamName: "DoExchange", ServerStreams: true, ClientStreams: true}
	return conn.NewStream(ctx, desc, "/arrow.flight.protocol.FlightService/DoExchange")
}

func (c *conns) conn(at endpoint) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if conn := c.open[at]; conn != nil {
		return conn, nil
	}
	address := at.address
	if at.network == "unix" {
		address = "unix:" + at.address
	}
	var options []grpc.DialOption
	if c.options.Credentials != nil {
		options = c.options.Credentials(address)
	} else {
		options = c.plainOptions(at)
	}
	options = append(options,
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(wire.Codec{Alloc: c.options.Alloc}),
			grpc.MaxCallRecvMsgSize(wire.MaxMessageBytes), grpc.MaxCallSendMsgSize(wire.MaxMessageBytes),
		),
		grpc.WithInitialWindowSize(wire.StreamWindow), grpc.WithInitialConnWindowSize(wire.ConnWindow),
		grpc.WithReadBufferSize(wire.SocketBuffer), grpc.WithWriteBufferSize(wire.SocketBuffer),
		experimental.WithBufferPool(c.frames),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithIdleTimeout(idleAfter), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(),
	)
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return nil, failure.Wrap(failure.Internal, fmt.Errorf("connect to %s: %w", at.address, err))
	}
	c.open[at] = conn
	return conn, nil
}

// plainOptions connect with TLS and Dialer.
func (c *conns) plainOptions(at endpoint) []grpc.DialOption {
	creds := insecure.NewCredentials()
	if c.options.TLS != nil && at.network == "tcp" {
		creds = credentials.NewTLS(c.options.TLS)
	}
	name := at.address
	if at.network == "unix" {
		name = "localhost"
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds), grpc.WithAuthority(name),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return c.options.Dialer(ctx, at.network, at.address)
		}),
	}
}

// close closes the connections; streams break.
func (c *conns) close() (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, conn := range c.open {
		if e := conn.Close(); e != nil {
			err = e
		}
	}
	clear(c.open)
	return err
}

var errClosed = failure.Errorf(failure.Cancelled, "the shuffle service is closed")

// broken says whether a stream that ended with err may be tried again; else what is
// wrong.
func broken(err error) (again bool, _ error) {
	if failure.Of(err) == failure.Internal || errors.Is(err, errClosed) {
		return false, err
	}
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied:
		return false, failure.Wrap(failure.Unauthorized, err)
	case codes.Unimplemented, codes.InvalidArgument, codes.OutOfRange, codes.ResourceExhausted:
		return false, failure.Wrap(failure.Fatal, err)
	default:
		return true, err
	}
}
