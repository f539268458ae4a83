package flight

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/security"
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
	// TLS is for connections by TCP; nil: they are plain, and only this machine is called.
	// Sockets are plain always.
	TLS *tls.Config
	// Token is shown to servers, once it is known who they are; the zero one is not.
	Token security.Token
	// Patience is how long a server that does not answer is asked again, after which it
	// counts as lost; zero means DefaultPatience. It is less than a server's grace.
	Patience time.Duration
	// Dialer makes connections; nil: those of package net.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// DefaultPatience is how long a server that does not answer is asked again.
const DefaultPatience = 5 * time.Second

// Service is the shuffle service of a process in a cluster.
type Service struct {
	options Options
	ctx     context.Context // of all sessions
	cancel  context.CancelFunc
	work    sync.WaitGroup // goroutines of sessions

	mu     sync.Mutex
	closed bool // no session starts any more
}

var (
	_ shuffle.Service  = (*Service)(nil)
	_ shuffle.Replayer = (*Service)(nil)
)

// New returns a service that knows no exchange. Local must have Self.ID as its Self.
func New(o Options) *Service {
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	if o.Dialer == nil {
		// A host of which nothing is heard is found to be gone.
		alive := net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 2}
		o.Dialer = (&net.Dialer{KeepAliveConfig: alive}).DialContext
	}
	s := &Service{options: o}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Open declares an exchange. Nothing is sent yet: other servers learn of it by the
// first stream.
func (s *Service) Open(ctx context.Context, spec shuffle.Spec) error {
	return s.options.Local.Open(ctx, spec)
}

// Writer opens a lane for an attempt, at all servers that it writes to.
func (s *Service) Writer(ctx context.Context, job id.Job, ex id.Exchange, lane, attempt uint32) (shuffle.Writer, error) {
	spec, open := s.options.Local.Spec(job, ex)
	if !open || spec.Placement.Local() || int(lane) >= spec.Lanes {
		return s.options.Local.Writer(ctx, job, ex, lane, attempt)
	}
	return s.newWriter(ctx, spec, lane, attempt)
}

// Reader opens a partition for a consumer's attempt, at the first server that has some
// of it.
func (s *Service) Reader(ctx context.Context, job id.Job, ex id.Exchange, part, attempt uint32) (shuffle.Reader, error) {
	spec, open := s.options.Local.Spec(job, ex)
	if !open || spec.Placement.Local() || int(part) >= spec.Partitions {
		return s.options.Local.Reader(ctx, job, ex, part, attempt)
	}
	return s.newReader(ctx, spec, part, attempt)
}

// Drop forgets an exchange here. What other servers keep of it goes when they are
// told so by the job's master.
func (s *Service) Drop(ctx context.Context, job id.Job, ex id.Exchange) error {
	return s.options.Local.Drop(ctx, job, ex)
}

// Completed implements shuffle.Replayer for what is placed here.
func (s *Service) Completed(job id.Job, c id.Checkpoint) { s.options.Local.Completed(job, c) }

// Rewind implements shuffle.Replayer for what is placed here.
func (s *Service) Rewind(job id.Job, ex id.Exchange, c id.Checkpoint, part shuffle.Rewound) error {
	return s.options.Local.Rewind(job, ex, c, part)
}

// Close ends all sessions, of which open writers and readers get an error, and waits for
// their goroutines; their connections are closed then.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
	return nil
}
