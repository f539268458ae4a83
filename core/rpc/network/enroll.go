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
// that is given. dial is as in Options; nil: the machine's.
func Enroll(ctx context.Context, masters []string, join security.Token, dial func(context.Context, string) (net.Conn, error)) (*security.Identity, error) {
	j, err := security.ParseJoin(join)
	if err != nil {
		return nil, err
	}
	a, err := j.Apply()
	if err != nil {
		return nil, err
	}
	n := New(Options{TLS: j.Client(), Token: join, Dial: dial})
	defer n.Close()
	var refused []error
	for _, m := range masters {
		r, err := call[EnrollReply](ctx, process{n: n, address: m}, Enrollment_Enroll_FullMethodName, &EnrollRequest{Request: a.Request})
		if err == nil {
			return a.Accept(r.GetCertificates())
		}
		refused = append(refused, err)
	}
	if len(refused) == 0 {
		return nil, failure.Errorf(failure.Usage, "join: no master's address is known")
	}
	return nil, errors.Join(refused...)
}

// enrollment is the authority as a server.
type enrollment struct {
	UnsafeEnrollmentServer
	ca *security.CA
}

// Enroll implements EnrollmentServer. The token was good when the call came.
func (e enrollment) Enroll(ctx context.Context, q *EnrollRequest) (*EnrollReply, error) {
	header, _ := metadata.FromIncomingContext(ctx)
	certs, err := e.ca.Enroll(shownIn(header), q.GetRequest(), time.Now())
	if err != nil {
		return nil, err
	}
	return &EnrollReply{Certificates: certs}, nil
}

// shownIn is the token in an Authorization header; empty: there is none.
func shownIn(header metadata.MD) string {
	for _, h := range header.Get("authorization") {
		return security.Shown(h)
	}
	return ""
}
