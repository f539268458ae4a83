package network

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// Who is let in, to what, and what the others are told.

// house is a cluster's authority and token, and what strangers have instead.
type house struct {
	ca, foreign     *security.CA
	token, guessed  security.Token
	address, socket string
}

// open serves everything at one address with TLS, and at a unix socket.
func open(t *testing.T) house {
	t.Helper()
	h := house{token: security.NewToken(), guessed: security.NewToken()}
	h.ca, h.foreign = authority(t), authority(t)
	server := identity(t, h.ca, security.Master, security.Worker, security.Shuffle).Server()
	add := func(s *grpc.Server) {
		register(s, func(context.Context, string, proto.Message) (proto.Message, error) { return &rpc.AckReply{}, nil })
	}
	a := Admission{TLS: server, Token: h.token, Version: "v7"}
	h.address, _ = serve(t, a, add)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = serveAt(t, l, a, add)
	h.socket = "unix:" + path
	return h
}

func authority(t *testing.T) *security.CA {
	t.Helper()
	ca, err := security.EnsureCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func identity(t *testing.T, ca *security.CA, roles ...security.Role) *security.Identity {
	t.Helper()
	i, err := ca.Issue(security.Grant{Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// called calls everything, and lists the services of which a call was answered; says is
// what all others were refused with.
func called(t *testing.T, o Options, address, says string) string {
	t.Helper()
	o.Masters = []string{address}
	answered := map[string]bool{}
	for _, c := range everyCall(dialer(t, o), address, address) {
		what := c.service
		if c.method == "Join" {
			what = "Join"
		}
		_, err := c.do(t.Context())
		if before, seen := answered[what]; seen && before != (err == nil) {
			t.Errorf("%s: %v, unlike others of %s", c, err, c.service)
		}
		answered[what] = err == nil
		// Who calls by name, and finds a stranger, takes it for the other's successor.
		gone := errors.Is(err, rpc.ErrUnreachable) && strings.Contains(err.Error(), errStranger.Error())
		if err != nil && (failure.Of(err) != failure.Unauthorized && !gone || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v (%v), expected %q", c, err, failure.Of(err), says)
		}
	}
	var out []string
	for _, s := range []string{"Master", "Cluster", "Join", "Worker", "Coordinator", "Shuffle", "Blobs", "Peer"} {
		if answered[s] {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func TestAdmission(t *testing.T) {
	h := open(t)
	expired, err := h.ca.Issue(security.Grant{Roles: []security.Role{security.Master}, From: time.Now().Add(-72 * time.Hour), Validity: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	trust := identity(t, h.ca, security.Client).Trust
	as := func(ca *security.CA, r security.Role) Options { return Options{TLS: identity(t, ca, r).Client()} }
	everything := "Master Cluster Join Worker Coordinator Shuffle Blobs Peer"
	for name, c := range map[string]struct {
		o         Options
		at        string
		permitted string
		elsewise  string
	}{
		"master":                         {o: as(h.ca, security.Master), permitted: "Cluster Join Worker Coordinator Shuffle Blobs Peer", elsewise: "is of role master, not worker or shuffle"},
		"worker":                         {o: as(h.ca, security.Worker), permitted: "Master Cluster Coordinator", elsewise: "is of role worker, not master"},
		"shuffle":                        {o: as(h.ca, security.Shuffle), permitted: "Master Cluster", elsewise: "is of role shuffle, not master"},
		"client's certificate":           {o: as(h.ca, security.Client), permitted: "Cluster", elsewise: "is of role client, not "},
		"token":                          {o: Options{TLS: trust.Client(), Token: h.token}, permitted: "Cluster", elsewise: "a token does not permit"},
		"wrong token":                    {o: Options{TLS: trust.Client(), Token: h.guessed}, elsewise: "the token is not this cluster's"},
		"nothing":                        {o: Options{TLS: trust.Client()}, elsewise: "neither a certificate nor a token was shown"},
		"foreign certificate":            {o: foreigner(t, h, security.Master), elsewise: "refuses our certificate"},
		"expired certificate":            {o: Options{TLS: expired.Client()}, elsewise: "refuses our certificate"},
		"foreign authority":              {o: as(h.foreign, security.Master), elsewise: "is not of this cluster"},
		"socket with token":              {o: Options{Token: h.token}, at: h.socket, permitted: everything},
		"socket, token and certificate":  {o: Options{TLS: trust.Client(), Token: h.token}, at: h.socket, permitted: everything},
		"socket with wrong token":        {o: Options{Token: h.guessed}, at: h.socket, elsewise: "the token is not this cluster's"},
		"socket with certificate only":   {o: as(h.ca, security.Master), at: h.socket, elsewise: "neither a certificate nor a token"},
		"worker's certificate and token": {o: Options{TLS: identity(t, h.ca, security.Worker).Client(), Token: h.token}, permitted: "Master Cluster Coordinator", elsewise: "a certificate of another role is wanted"},
	} {
		at := h.address
		if c.at != "" {
			at = c.at
		}
		t.Run(name, func(t *testing.T) {
			if got := called(t, c.o, at, c.elsewise); got != c.permitted {
				t.Errorf("permitted %q, expected %q", got, c.permitted)
			}
		})
	}
}

// foreigner trusts the cluster's authority, but has a certificate of another one, which
// it shows to everybody.
func foreigner(t *testing.T, h house, r security.Role) Options {
	t.Helper()
	o := Options{TLS: identity(t, h.ca, security.Client).Trust.Client()}
	o.TLS.GetClientCertificate = identity(t, h.foreign, r).Client().GetClientCertificate
	return o
}

// A process that is not what it should be gets neither token nor request.
func TestServerOfAnotherRole(t *testing.T) {
	ca, token := authority(t), security.NewToken()
	reached := make(chan string, 100)
	address, _ := serve(t, Admission{TLS: identity(t, ca, security.Worker).Server(), Token: token}, func(s *grpc.Server) {
		register(s, func(_ context.Context, method string, _ proto.Message) (proto.Message, error) {
			reached <- method
			return &rpc.AckReply{}, nil
		})
	})
	o := Options{TLS: identity(t, ca, security.Master).Client(), Token: token}
	if got := called(t, o, address, "is of role worker, not master"); got != "Worker Coordinator Shuffle" {
		t.Errorf("went to %s", got)
	}
	for range len(reached) {
		if m := <-reached; strings.HasPrefix(m, "Master") || strings.HasPrefix(m, "Cluster") || strings.HasPrefix(m, "Blobs") || strings.HasPrefix(m, "Peer") {
			t.Errorf("%s was sent to a worker", m)
		}
	}
}

// Plain against TLS, in both directions.
func TestPlainAgainstTLS(t *testing.T) {
	h := open(t)
	plain := dialer(t, Options{Token: h.token})
	_, err := plain.Worker(id.Worker(h.address+"-x")).Logs(t.Context(), &rpc.LogsRequest{})
	if failure.Of(err) != failure.Transient || !errors.Is(err, rpc.ErrUnreachable) {
		t.Errorf("plain caller: %v", err)
	}
	address, _ := serve(t, Admission{Token: h.token}, func(s *grpc.Server) { Register(s, Services{Worker: someWorker{}}) })
	n := dialer(t, Options{TLS: identity(t, h.ca, security.Client).Client(), Token: h.token})
	err = process{n: n, address: address}.invoke(t.Context(), Worker_Logs_FullMethodName, &rpc.LogsRequest{}, &rpc.LogsReply{})
	if failure.Of(err) != failure.Unauthorized || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Errorf("plain server: %v", err)
	}
}

// A process that dies during the handshake is unreachable, and refuses nobody: who
// called it may try again.
func TestServerThatDiesInTheHandshake(t *testing.T) {
	h := open(t)
	n := dialer(t, Options{TLS: identity(t, h.ca, security.Client).Client(), Token: h.token, Dial: func(context.Context, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Read(make([]byte, 1))
			_ = theirs.Close()
		}()
		return ours, nil
	}})
	_, err := n.Worker("127.0.0.1:7-x").Logs(t.Context(), &rpc.LogsRequest{})
	if failure.Of(err) != failure.Transient || !errors.Is(err, rpc.ErrUnreachable) {
		t.Fatal(err)
	}
}

// Another machine is not called without TLS, whatever a name resolves to.
func TestNoPlainCallToOthers(t *testing.T) {
	far := remoteAddr{to: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}}
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	far.Conn = ours
	n := dialer(t, Options{Token: security.NewToken(), Dial: func(context.Context, string) (net.Conn, error) { return far, nil }})
	_, err := n.Worker("example:7-x").Logs(t.Context(), &rpc.LogsRequest{})
	if failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "--tls-dir") {
		t.Fatal(err)
	}
}

// remoteAddr is a connection to somewhere else.
type remoteAddr struct {
	to net.Addr
	net.Conn
}

func (r remoteAddr) RemoteAddr() net.Addr { return r.to }

// A request beyond the limit is refused by name on both sides, and the connection lives.
func TestMessageLimit(t *testing.T) {
	token := security.NewToken()
	address, _ := serve(t, Admission{Token: token}, func(s *grpc.Server) { Register(s, Services{Worker: someWorker{}}) })
	n := dialer(t, Options{Token: token})
	w := n.Worker(id.Worker(address + "-x"))
	huge := make([]byte, MaxMessageBytes+1)
	if _, err := w.Logs(t.Context(), &rpc.LogsRequest{Job: huge}); failure.Of(err) != failure.Fatal || !strings.Contains(err.Error(), "at most 67108864 bytes") {
		t.Fatalf("sent: %v", err)
	}
	// Somebody else's client has another limit.
	cc, err := grpc.NewClient("passthrough:///"+address, append(DialOptions(Options{Token: token}), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	err = cc.Invoke(t.Context(), Worker_Logs_FullMethodName, &rpc.LogsRequest{Job: huge}, &rpc.LogsReply{})
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("received: %v", err)
	}
	if _, err := w.Logs(t.Context(), &rpc.LogsRequest{Job: []byte("a job")}); err != nil {
		t.Fatal(err)
	}
	// Headers have a limit, too.
	long := metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("x", 2*maxHeaderBytes))
	if _, err := w.Logs(long, &rpc.LogsRequest{}); err == nil {
		t.Fatal("endless headers were taken")
	}
	if _, err := w.Logs(t.Context(), &rpc.LogsRequest{}); err != nil {
		t.Fatal(err)
	}
}

// Without TLS a token opens everything, and nothing else does: a server that was given
// none lets nobody in.
func TestNoTokenNobody(t *testing.T) {
	address, _ := serve(t, Admission{}, func(s *grpc.Server) { Register(s, Services{Worker: someWorker{}}) })
	if got := called(t, Options{}, address, "neither a certificate nor a token"); got != "" {
		t.Error(got)
	}
	if got := called(t, Options{Token: security.NewToken()}, address, "not this cluster's"); got != "" {
		t.Error(got)
	}
}
