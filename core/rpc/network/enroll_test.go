package network

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// A process comes with a join token, and goes on with the certificate that it was given.

func TestEnroll(t *testing.T) {
	ca, token := authority(t), security.NewToken()
	join := func(ca *security.CA, expiry time.Time) security.Token {
		t.Helper()
		j, err := ca.JoinToken([]security.Role{security.Worker}, expiry)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	master := func(ca *security.CA, authority *security.CA) string {
		address, _ := serve(t, Admission{TLS: identity(t, ca, security.Master).Server(), Token: token, Authority: authority}, func(s *grpc.Server) {
			Register(s, Services{Master: func() (rpc.MasterClient, error) { return someMaster{}, nil }, Authority: authority, Token: token})
		})
		return address
	}
	keyless, keeper, foreign := master(ca, nil), master(ca, ca), authority(t)
	stranger := master(foreign, foreign)
	good := join(ca, time.Now().Add(time.Hour))
	i, given, err := Enroll(t.Context(), []string{dead(t), keyless, stranger, keeper}, good, nil)
	if err != nil || !given.Matches(token.Reveal()) {
		t.Fatal(err)
	}
	if err := heartbeat(t.Context(), dialer(t, Options{Masters: []string{keeper}, TLS: i.Client()})); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		ctx   context.Context
		to    []string
		token security.Token
		class failure.Class
		says  string
	}{
		"nobody":          {t.Context(), nil, good, failure.Usage, "no master's address"},
		"dead":            {t.Context(), []string{dead(t)}, good, failure.Transient, "unreachable"},
		"cancelled":       {ended, []string{keeper}, good, failure.Cancelled, "canceled"},
		"no join token":   {t.Context(), []string{keeper}, token, failure.Usage, "not a join token"},
		"expired":         {t.Context(), []string{keeper}, join(ca, time.Now().Add(-time.Second)), failure.Unauthorized, "expired"},
		"another cluster": {t.Context(), []string{stranger}, good, failure.Unauthorized, "not the one that the join token names"},
		"no authority":    {t.Context(), []string{keyless}, good, failure.Unauthorized, "token is not this cluster's"},
	} {
		_, _, err := Enroll(c.ctx, c.to, c.token, nil)
		if failure.Of(err) != c.class || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%v)", what, err, failure.Of(err))
		}
	}
	// The token opens nothing else, and the cluster's token no certificate.
	j, err := security.ParseJoin(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := heartbeat(t.Context(), dialer(t, Options{Masters: []string{keeper}, TLS: j.Client(), Token: good})); failure.Of(err) != failure.Unauthorized {
		t.Errorf("a heartbeat with a join token: %v", err)
	}
	n := dialer(t, Options{TLS: j.Client(), Token: token})
	_, err = call[EnrollReply](t.Context(), process{n: n, address: keeper}, Enrollment_Enroll_FullMethodName, &EnrollRequest{})
	if failure.Of(err) != failure.Unauthorized || errors.Is(err, rpc.ErrUnreachable) {
		t.Errorf("a certificate by the cluster's token: %v", err)
	}
	bad := dialer(t, Options{TLS: j.Client(), Token: good})
	_, err = call[EnrollReply](t.Context(), process{n: bad, address: keeper}, Enrollment_Enroll_FullMethodName, &EnrollRequest{Request: []byte("x")})
	if failure.Of(err) != failure.Usage {
		t.Errorf("a malformed request: %v", err)
	}
}

// dead is an address where nobody listens.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}
