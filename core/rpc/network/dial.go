package network

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/security"
)

// DialOptions are those by which other clients, such as the shuffle's, reach the
// servers of the cluster with the same credentials. The target is
// passthrough:///ADDRESS; the address may be unix:PATH.
func DialOptions(o Options) []grpc.DialOption { return dialOptions(o.complete(), func(error) {}) }

// dialOptions has note called with what a handshake was refused for, nil for any other
// outcome: gRPC tells its callers the text only.
func dialOptions(o Options, note func(error)) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(dialerCredentials{TransportCredentials: callerSide(o.TLS), tls: o.TLS != nil, note: note}),
		grpc.WithPerRPCCredentials(shown{o.Token}),
		grpc.WithContextDialer(noted(o.Dial, note)), grpc.WithAuthority(security.ServerName), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessageBytes), grpc.MaxCallSendMsgSize(MaxMessageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithIdleTimeout(idleTimeout),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: helloTimeout,
		}),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
	}
}

// dial opens a connection to host:port or unix:PATH.
func dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return d.DialContext(ctx, "unix", path)
	}
	return d.DialContext(ctx, "tcp", address)
}

// noted is dial that notes when nobody is there: then nobody refuses anything.
func noted(dial func(context.Context, string) (net.Conn, error), note func(error)) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := dial(ctx, address)
		if err != nil {
			note(nil)
		}
		return conn, err
	}
}

func callerSide(config *tls.Config) credentials.TransportCredentials {
	if config == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(config)
}

// dialerCredentials is TLS, but not on unix sockets, and refuses to speak to another
// machine without.
type dialerCredentials struct {
	credentials.TransportCredentials
	tls  bool
	note func(error)
}

func (c dialerCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.shake(ctx, authority, raw)
	switch refused := failure.Of(err); {
	case err != nil && refused != failure.Unauthorized && refused != failure.Usage:
		c.note(nil) // nobody refuses anything: the other side is gone, or about to be
		return conn, info, err
	case err != nil || isUnix(raw) || !c.tls:
		c.note(err)
		return conn, info, err
	}
	return &watched{Conn: conn, note: c.note, answered: make(chan struct{})}, info, nil
}

// watched is a connection with TLS, whose server says whether it takes our certificate
// when the handshake is over for us.
type watched struct {
	net.Conn
	note  func(error)
	heard bool // by the one goroutine that reads
	// answered is closed when the first read has returned.
	answered chan struct{}
	first    sync.Once
}

// alertPatience is how long a failed write waits for what the other side has to say.
const alertPatience = time.Second

// Write implements net.Conn. Who refuses a certificate says so and closes the connection: a
// write that fails lets the alert be read before the connection is given up.
func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	if err != nil {
		enough := time.NewTimer(alertPatience)
		defer enough.Stop()
		select {
		case <-w.answered:
		case <-enough.C:
		}
	}
	return n, err
}

// Read implements net.Conn.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if w.heard {
		return n, err
	}
	defer w.first.Do(func() { close(w.answered) }) // what it says is noted
	var alert *net.OpError
	switch {
	case err == nil:
		w.heard = true
		w.note(nil)
	case errors.As(err, &alert) && alert.Op == "remote error":
		w.note(failure.Errorf(failure.Unauthorized, "the other side refuses our certificate: %w", err))
	}
	return n, err
}

func (c dialerCredentials) shake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if isUnix(raw) {
		return insecure.NewCredentials().ClientHandshake(ctx, authority, raw)
	}
	if to, ok := raw.RemoteAddr().(*net.TCPAddr); ok && !c.tls && !to.IP.IsLoopback() {
		return nil, nil, security.CheckDial(to.String(), false)
	}
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	return conn, info, classify(err)
}

func (c dialerCredentials) Clone() credentials.TransportCredentials {
	c.TransportCredentials = c.TransportCredentials.Clone()
	return c
}

// errStranger says that the process at an address is not what was looked for there. It
// may be another one that has come to that address since.
var errStranger = errors.New("the other side is not of this cluster")

// classify tells who is not what it should be from who is not there.
func classify(err error) error {
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &noTLS):
		return failure.Errorf(failure.Unauthorized, "%w: it does not speak TLS: %w", errStranger, err)
	case errors.As(err, &unverified), failure.Of(err) == failure.Unauthorized:
		return failure.Errorf(failure.Unauthorized, "%w: %w", errStranger, err)
	default:
		return err
	}
}

// shown is what a caller shows with each call, once it knows who listens.
type shown struct {
	token security.Token
}

// verdict is the key of a context's *error that shown writes its refusal to.
type verdict struct{}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (s shown) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	i, _ := credentials.RequestInfoFromContext(ctx)
	if info, ok := i.AuthInfo.(credentials.TLSInfo); ok {
		if wanted := serversOf(i.Method); len(wanted) > 0 {
			if err := security.CheckRole(info.State.PeerCertificates[0], wanted...); err != nil {
				if told, ok := ctx.Value(verdict{}).(*error); ok {
					*told = failure.Errorf(failure.Unauthorized, "%w in that role: %w", errStranger, err)
				}
				return nil, err
			}
		}
	}
	if s.token.IsZero() {
		return nil, nil
	}
	return map[string]string{"authorization": s.token.Header()}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: dialerCredentials
// sees to it.
func (shown) RequireTransportSecurity() bool { return false }
