package network

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// streamMethod is the call whose place a bare stream takes.
const streamMethod = "/arrow.flight.protocol.FlightService/DoExchange"

// Stream says why somebody may not begin a bare stream of the shuffle, or nil; shown is
// an authorization header or nothing, state nil without TLS.
func (a Admission) Stream(state *tls.ConnectionState, shown string) error {
	p := &peer.Peer{}
	if state != nil {
		p.AuthInfo = credentials.TLSInfo{State: *state}
	}
	header := metadata.MD{}
	if shown != "" {
		header.Set("authorization", shown)
	}
	return a.admit(callerOf(peer.NewContext(context.Background(), p)), streamMethod, header)
}

// Admit says that what comes on the connection is wanted.
func (v *visitor) Admit() { v.admit() }

// Unwrapped is the connection as it was accepted.
func (v *visitor) Unwrapped() net.Conn { return v.Conn }

// visitorUnder is the connection as its Door knows it, below one that somebody has looked
// into; nil: there is none.
func visitorUnder(c net.Conn) *visitor {
	v, known := c.(*visitor)
	if w, ok := c.(interface{ Unwrapped() net.Conn }); ok && !known {
		v, _ = w.Unwrapped().(*visitor)
	}
	return v
}
