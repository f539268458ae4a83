package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	gen "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
)

// Options are what a server needs.
type Options struct {
	// Self is the server; clients name its ID, and are refused if they mean another
	// life of it.
	Self shuffle.Server
	// Store keeps the partitions. Required; its Options.Self is Self.ID.
	Store *local.Service
	// Alloc is what buffers of messages that arrive come from. Required.
	Alloc memory.Allocator
	// TicketKey is the cluster's key for tickets; nil: tickets are not looked at,
	// which is for tests. While it returns nil, nobody is let in.
	TicketKey func() []byte
	// Now is the time; nil: time.Now.
	Now func() time.Time
	// Log is for what happens to sessions; nil: nothing is logged.
	Log *slog.Logger
	// Grace is how long what a client had open is kept after its connection broke;
	// zero means DefaultGrace.
	Grace time.Duration
	// MaxStreams bounds the open sessions; zero means DefaultMaxStreams.
	MaxStreams int
}

// Default settings of a server.
const (
	DefaultGrace      = 30 * time.Second
	DefaultMaxStreams = 100_000
)

// Stats is what a server keeps and has done.
type Stats struct {
	MemoryBytes, DiskBytes      int64
	Exchanges, Writers, Readers int
	BytesIn, BytesOut           uint64
	Draining                    bool
}

// Server keeps partitions for other processes.
type Server struct {
	flight.BaseFlightServer
	options Options
}

// New returns a server that takes connections when it is registered with one.
func New(o Options) *Server { return &Server{options: o} }

// Register adds the Arrow Flight service to a gRPC server, which has to be made with
// ServerOptions.
func (s *Server) Register(r grpc.ServiceRegistrar) { gen.RegisterFlightServiceServer(r, s) }

// ServerOptions are the codec, windows and limits that a gRPC server needs to serve
// s. Other services of the same server work with them as they do without.
func (s *Server) ServerOptions() []grpc.ServerOption { return nil }

// Jobs lists the jobs of which the server keeps something.
func (s *Server) Jobs() []id.Job { return nil }

// DropJob drops exchanges of a job, or without a list all of them; then nothing of the
// job is taken any more under term or a lower one.
func (s *Server) DropJob(_ context.Context, _ id.Job, _ []id.Exchange, _ id.Term) error { return nil }

// Drain has the server take no new lanes.
func (s *Server) Drain() {}

// Stats is what the server keeps and has done.
func (s *Server) Stats() Stats { return Stats{} }

// Close ends all sessions.
func (s *Server) Close() error { return nil }
