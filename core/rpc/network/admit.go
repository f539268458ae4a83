package network

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/tidemill/tidemill/core/security"
)

// Limits of a server and its connections.
const (
	// MaxMessageBytes bounds a request and a reply.
	MaxMessageBytes = 64 << 20
	// maxStreams bounds the calls and streams of a connection at a time: a worker's
	// tasks share one, and each may wait for a split.
	maxStreams = 1 << 14
	// maxHeaderBytes bounds what precedes a request: names, token, ticket.
	maxHeaderBytes = 64 << 10
	// helloTimeout bounds the handshakes of a connection.
	helloTimeout = 10 * time.Second
	// idleTimeout closes connections without a call.
	idleTimeout = 5 * time.Minute
	// A silent peer is asked whether it is there after so long, and given up.
	pingAfter, pingTimeout = 10 * time.Second, 5 * time.Second
)

// Admission is whom a server lets in.
type Admission struct {
	// TLS is the listener's side of TLS (security.Identity.Server); nil: none. Unix
	// sockets never have it.
	TLS *tls.Config
	// Check says of a certificate's chain, verified when its connection began, why it is
	// not good any more (security.Trust.Check); nil: it is good as long as the connection.
	Check func(chain []*x509.Certificate, now time.Time) error
	// Token lets in those who show it: without TLS to everything, else to what clients
	// may do. The zero one lets nobody in.
	Token security.Token
	// Authority lets in those who show a join token, to Enrollment alone; nil: there is
	// none here.
	Authority *security.CA
	// Name is the process's (rpc.NewName). A call to another one was meant for who was
	// here before, and is told that nobody is. Empty: it is not looked at.
	Name string
	// Version is the program's, for whoever calls what it does not have.
	Version string
}

// ServerOptions are those of a server that has our services, and others beside them
// whose streams prove their rights themselves, such as Flight with its tickets. Nobody
// comes as far as that without a certificate of the cluster or the token.
func ServerOptions(a Admission) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(serverSide(a.TLS)),
		// The tap is asked when the headers have come: strangers cannot make us read more.
		grpc.InTapHandle(func(ctx context.Context, i *tap.Info) (context.Context, error) {
			who := callerOf(ctx)
			err := a.admit(who, i.FullMethodName, i.Header)
			if err == nil {
				err = a.here(i.Header)
			}
			if err == nil && who.visitor != nil {
				who.visitor.admit()
			}
			return ctx, err
		}),
		grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(s)
			return status.Errorf(codes.Unimplemented, "%s is not served by this process, which is %s", method, a.Version)
		}),
		grpc.MaxRecvMsgSize(MaxMessageBytes), grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.MaxConcurrentStreams(maxStreams), grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(helloTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 2 * idleTimeout, Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingAfter / 2, PermitWithoutStream: true}),
	}
}

// admit says why somebody may not call a method, or nil.
func (a Admission) admit(who caller, method string, header metadata.MD) error {
	if method == Enrollment_Enroll_FullMethodName && a.Authority != nil {
		return a.enroll(header)
	}
	callers := callersOf(method)
	if len(who.chain) > 0 && a.Check != nil {
		if err := a.Check(who.chain, time.Now()); err != nil {
			return who.hangUp(err)
		}
	}
	if who.cert != nil && security.CheckRole(who.cert, callers...) == nil {
		return nil
	}
	if shown := header.Get("authorization"); len(shown) > 0 {
		switch {
		case !a.Token.MatchesHeader(shown[0]):
			return status.Error(codes.Unauthenticated, "the token is not this cluster's")
		case who.encrypted && !slices.Contains(callers, security.Client):
			return status.Errorf(codes.PermissionDenied, "a token does not permit %s: a certificate of another role is wanted", short(method))
		}
		return nil
	}
	if who.cert != nil {
		return status.Error(codes.PermissionDenied, security.CheckRole(who.cert, callers...).Error())
	}
	return status.Error(codes.Unauthenticated, "neither a certificate nor a token was shown")
}

// here says that a call is for another process, or nil.
func (a Admission) here(header metadata.MD) error {
	for _, to := range header.Get(nameKey) {
		if a.Name != "" && to != a.Name {
			return status.Errorf(codes.Unavailable, "%s is gone: another process serves there now", to)
		}
	}
	return nil
}

// nameKey is the header that says which process a call is for.
const nameKey = "tidemill-to"

// enroll says why somebody may not ask for a certificate, or nil.
func (a Admission) enroll(header metadata.MD) error {
	if _, err := a.Authority.CheckJoin(shownIn(header), time.Now()); err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	return nil
}

// caller is what the connection says of who calls.
type caller struct {
	cert      *x509.Certificate // verified; nil: none was shown
	chain     []*x509.Certificate
	encrypted bool     // by TLS
	visitor   *visitor // nil: it did not come through a Door
}

// hangUp ends the connection of a caller whose certificate was good when it began. One that
// has another certificate by now comes again with it.
func (c caller) hangUp(cause error) error {
	if c.visitor == nil {
		return status.Error(codes.Unauthenticated, cause.Error())
	}
	_ = c.visitor.Close() // it ends, or has
	return status.Error(codes.Unavailable, cause.Error())
}

func callerOf(ctx context.Context) caller {
	var who caller
	p, ok := peer.FromContext(ctx)
	if !ok {
		return who
	}
	info := p.AuthInfo
	if v, ok := info.(visitorInfo); ok {
		who.visitor, info = v.visitor, v.AuthInfo
	}
	if t, ok := info.(credentials.TLSInfo); ok {
		who.encrypted = true
		if len(t.State.VerifiedChains) > 0 {
			who.cert, who.chain = t.State.PeerCertificates[0], t.State.VerifiedChains[0]
		}
	}
	return who
}

// callersOf lists the roles whose certificate permits a method.
func callersOf(method string) []security.Role {
	switch service(method) {
	case Master_ServiceDesc.ServiceName:
		return []security.Role{security.Worker, security.Shuffle}
	case Worker_ServiceDesc.ServiceName, Shuffle_ServiceDesc.ServiceName, Blobs_ServiceDesc.ServiceName, Peer_ServiceDesc.ServiceName:
		return []security.Role{security.Master}
	case Coordinator_ServiceDesc.ServiceName:
		return []security.Role{security.Master, security.Worker}
	}
	if method == Cluster_Join_FullMethodName {
		return []security.Role{security.Master}
	}
	return []security.Role{security.Master, security.Worker, security.Shuffle, security.Client}
}

// serversOf lists the roles of which the other side must have one when a method is
// called there; none: any of the cluster.
func serversOf(method string) []security.Role {
	switch service(method) {
	case Master_ServiceDesc.ServiceName, Cluster_ServiceDesc.ServiceName, Blobs_ServiceDesc.ServiceName, Peer_ServiceDesc.ServiceName, Enrollment_ServiceDesc.ServiceName:
		return []security.Role{security.Master}
	case Worker_ServiceDesc.ServiceName, Coordinator_ServiceDesc.ServiceName:
		return []security.Role{security.Worker}
	case Shuffle_ServiceDesc.ServiceName:
		return []security.Role{security.Shuffle, security.Worker}
	}
	return nil
}

// service is the part of /package.Service/Method between the slashes.
func service(method string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return name
}

// short is a method's name in messages: Service.Method.
func short(method string) string {
	name := service(method)
	return name[strings.LastIndexByte(name, '.')+1:] + "." + method[strings.LastIndexByte(method, '/')+1:]
}

// serverSide is TLS, but not on unix sockets: who may open those is the directory's
// matter.
func serverSide(config *tls.Config) credentials.TransportCredentials {
	c := listenerCredentials{TransportCredentials: insecure.NewCredentials(), plain: insecure.NewCredentials()}
	if config != nil {
		c.TransportCredentials = credentials.NewTLS(config)
	}
	return c
}

type listenerCredentials struct {
	credentials.TransportCredentials
	plain credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (c listenerCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	by := c.TransportCredentials
	if isUnix(raw) {
		by = c.plain
	}
	conn, info, err := by.ServerHandshake(raw)
	if v := visitorUnder(raw); v != nil && err == nil {
		info = visitorInfo{AuthInfo: info, visitor: v}
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (c listenerCredentials) Clone() credentials.TransportCredentials {
	return listenerCredentials{TransportCredentials: c.TransportCredentials.Clone(), plain: c.plain}
}

// visitorInfo is what is known of a caller who came through a Door.
type visitorInfo struct {
	credentials.AuthInfo
	visitor *visitor
}

func isUnix(c net.Conn) bool { return c.LocalAddr().Network() == "unix" }
