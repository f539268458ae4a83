package network

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/security"
)

// Enroll asks masters in turn for a certificate by a join token, and returns the first
// that is given, with the cluster's token. dial is as in Options; nil: the machine's.
func Enroll(ctx context.Context, masters []string, join security.Token, dial func(context.Context, string) (net.Conn, error)) (*security.Identity, security.Token, error) {
	var none security.Token
	j, err := security.ParseJoin(join)
	if err != nil {
		return nil, none, err
	}
	a, err := j.Apply()
	if err != nil {
		return nil, none, err
	}
	n := New(Options{TLS: j.Client(), Token: join, Dial: dial})
	defer n.Close()
	var refused []error
	for _, m := range masters {
		r, err := call[EnrollReply](ctx, process{n: n, address: m}, Enrollment_Enroll_FullMethodName, &EnrollRequest{Request: a.Request})
		if err == nil {
			return accept(a, r)
		}
		refused = append(refused, err)
	}
	if len(refused) == 0 {
		return nil, none, failure.Errorf(failure.Usage, "join: no master's address is known")
	}
	return nil, none, errors.Join(refused...)
}

func accept(a *security.Applicant, r *EnrollReply) (*security.Identity, security.Token, error) {
	i, err := a.Accept(r.GetCertificates())
	if err != nil {
		return nil, security.Token{}, err
	}
	t, err := security.ParseToken(r.GetToken())
	return i, t, err
}

// enrollment is the authority as a server.
type enrollment struct {
	UnsafeEnrollmentServer
	ca    *security.CA
	token security.Token
}

// Enroll implements EnrollmentServer. The token was good when the call came.
func (e enrollment) Enroll(ctx context.Context, q *EnrollRequest) (*EnrollReply, error) {
	header, _ := metadata.FromIncomingContext(ctx)
	certs, err := e.ca.Enroll(shownIn(header), q.GetRequest(), time.Now())
	if err != nil {
		return nil, err
	}
	return &EnrollReply{Certificates: certs, Token: e.token.Reveal()}, nil
}

// shownIn is the token in an Authorization header; empty: there is none.
func shownIn(header metadata.MD) string {
	for _, h := range header.Get("authorization") {
		return security.Shown(h)
	}
	return ""
}
