package flight

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
)

// Options are what a service needs.
type Options struct {
	// Self is this process as a server: partitions that are placed at its ID are
	// handed over by pointer. Without an ID nothing is placed here; Host alone says
	// which servers are reached by their sockets.
	Self shuffle.Server
	// Local keeps what is placed in this process, and every exchange without a
	// placement. Required.
	Local *local.Service
	// Alloc is what buffers of messages that arrive come from. Required.
	Alloc memory.Allocator
	// TLS is for connections by TCP; nil: they are plain. Sockets are plain always.
	TLS *tls.Config
	// Credentials are the options, such as those of core/rpc/network.DialOptions, by
	// which the server at an address (host:port, or unix:PATH) lets this process in. They
	// replace TLS and Dialer. Nil: connections are made with those two.
	Credentials func(address string) []grpc.DialOption
	// Dialer makes connections; nil: those of package net.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// Service is the shuffle service of a process in a cluster.
type Service struct {
	options Options

	mu    sync.Mutex
	specs map[key]shuffle.Spec // of exchanges that are placed
}

type key struct {
	job      id.Job
	exchange id.Exchange
}

var _ shuffle.Service = (*Service)(nil)

// New returns a service that knows no exchange.
func New(o Options) *Service {
	return &Service{options: o, specs: map[key]shuffle.Spec{}}
}

// Open declares an exchange.
func (s *Service) Open(ctx context.Context, spec shuffle.Spec) error {
	if spec.Placement.Local() {
		return s.options.Local.Open(ctx, spec)
	}
	return failure.Errorf(failure.Internal, "open exchange %d: it is placed at other processes", spec.Exchange)
}

// Writer opens a lane for an attempt.
func (s *Service) Writer(ctx context.Context, job id.Job, ex id.Exchange, lane, attempt uint32) (shuffle.Writer, error) {
	return s.options.Local.Writer(ctx, job, ex, lane, attempt)
}

// Reader opens a partition for a consumer's attempt.
func (s *Service) Reader(ctx context.Context, job id.Job, ex id.Exchange, part, attempt uint32) (shuffle.Reader, error) {
	return s.options.Local.Reader(ctx, job, ex, part, attempt)
}

// Drop forgets an exchange here. What other servers keep of it goes when they are
// told so by the job's master.
func (s *Service) Drop(ctx context.Context, job id.Job, ex id.Exchange) error {
	return s.options.Local.Drop(ctx, job, ex)
}

// Close closes all connections; open writers and readers fail.
func (s *Service) Close() error { return nil }
