package service

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	gen "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/status"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/wire"
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
	options  Options
	ctx      context.Context // of all sessions
	cancel   context.CancelCauseFunc
	work     sync.WaitGroup // goroutines of streams and sessions
	in, out  atomic.Uint64  // bytes
	draining atomic.Bool
	retired  atomic.Bool

	opening [64]sync.Mutex // by session: one stream at a time opens it; taken before mu

	mu       sync.Mutex
	closed   bool
	sessions map[uint64]*session
	over     map[id.Job]id.Term // jobs that were dropped whole
	overList []id.Job           // the same, oldest first
}

// maxOver bounds how many dropped jobs are remembered.
const maxOver = 10_000

// New returns a server that takes connections when it is registered with one.
func New(o Options) *Server {
	o.Grace = cmp.Or(o.Grace, DefaultGrace)
	o.MaxStreams = cmp.Or(o.MaxStreams, DefaultMaxStreams)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, sessions: map[uint64]*session{}, over: map[id.Job]id.Term{}}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Register adds the Arrow Flight service to a gRPC server, which has to be made with
// ServerOptions.
func (s *Server) Register(r grpc.ServiceRegistrar) { gen.RegisterFlightServiceServer(r, s) }

// ServerOptions are the codec and windows that a gRPC server needs to serve s. Other services
// of the same server work with them as they do without. How large a request may be is the
// gRPC server's to say: it has one limit for all methods, and whoever has a token may send so
// much. Our own streams do not come by gRPC.
func (s *Server) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(wire.Codec{Alloc: s.options.Alloc}),
		grpc.MaxSendMsgSize(wire.MaxMessageBytes),
		grpc.InitialWindowSize(wire.StreamWindow), grpc.InitialConnWindowSize(wire.ConnWindow),
		grpc.ReadBufferSize(wire.SocketBuffer), grpc.WriteBufferSize(wire.SocketBuffer),
		experimental.BufferPool(wire.Frames()),
	}
}

// Jobs lists the jobs of which the server keeps something.
func (s *Server) Jobs() []id.Job {
	return slices.SortedFunc(maps.Keys(s.options.Store.Kept()), func(a, b id.Job) int { return bytes.Compare(a[:], b[:]) })
}

// DropJob drops exchanges of a job that are not of a higher term. Without a list it
// drops all of them, and no client opens one any more under that term or a lower one.
func (s *Server) DropJob(_ context.Context, job id.Job, exchanges []id.Exchange, term id.Term) error {
	if len(exchanges) == 0 {
		exchanges = nil
		s.end(job, term)
	}
	return s.options.Store.DropJob(job, exchanges, term)
}

// end remembers that a job is over.
func (s *Server) end(job id.Job, term id.Term) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.over[job]; !known {
		s.overList = append(s.overList, job)
	}
	s.over[job] = max(s.over[job], term)
	if len(s.overList) > maxOver {
		delete(s.over, s.overList[0])
		s.overList = s.overList[1:]
	}
}

// Drain notes that the server is to end. It serves as before, also lanes that were placed
// here before that was known: its master places no others here.
func (s *Server) Drain() { s.draining.Store(true) }

// Retire has the server open nothing any more: nobody needs it.
func (s *Server) Retire() { s.retired.Store(true) }

// Stats is what the server keeps and has done.
func (s *Server) Stats() Stats {
	st := Stats{BytesIn: s.in.Load(), BytesOut: s.out.Load(), Draining: s.draining.Load()}
	st.MemoryBytes, st.DiskBytes = s.options.Store.Used()
	for _, n := range s.options.Store.Kept() {
		st.Exchanges += n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.sessions {
		if e.open.GetRead() {
			st.Readers++
		} else {
			st.Writers++
		}
	}
	return st
}

// Close ends all sessions and waits for their goroutines; the streams of clients end
// with an error. What the store keeps stays.
func (s *Server) Close() error {
	s.cancel(errClosed)
	s.mu.Lock()
	s.closed = true
	open := slices.Collect(maps.Values(s.sessions))
	s.mu.Unlock()
	for _, e := range open {
		e.expire()
	}
	s.work.Wait()
	return nil
}

var errClosed = failure.Errorf(failure.Transient, "the shuffle server is closing")

// DoExchange serves a push or a read stream.
func (s *Server) DoExchange(stream gen.FlightService_DoExchangeServer) error {
	if !s.enter() {
		return status.Error(codes.Unavailable, errClosed.Error())
	}
	defer s.work.Done()
	x := &exchanging{stream, maxOpenBytes}
	s.exchange(x, func() { x.most = wire.MaxMessageBytes })
	return nil
}

// exchange serves a push or a read stream; opened is called when its client may do what
// it wants. It reports whether nothing more follows, on another stream. The caller has
// entered.
func (s *Server) exchange(stream carriage, opened func()) (over bool) {
	first, err := stream.Recv()
	if err != nil {
		return s.refuse(stream, &wire.Open{}, err)
	}
	var open wire.Open
	err = first.Content(&open)
	if err == nil && first.Kind != wire.KindOpen {
		err = failure.Errorf(failure.BadData, "a stream begins with %v", first.Kind)
	}
	first.Release()
	if err != nil {
		return s.refuse(stream, &open, err)
	}
	e, err := s.session(stream.Context(), &open)
	if err != nil {
		return s.refuse(stream, &open, err)
	}
	opened()
	return e.serve(stream, &open)
}

// enter counts a handler, which calls work.Done, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Add(1)
	}
	return !s.closed
}

// refuse tells the client why, and that it is over.
func (s *Server) refuse(stream carriage, open *wire.Open, err error) bool {
	s.options.Log.Info("shuffle stream refused", "stream", open.Summary(), "error", err)
	_ = sendError(stream, err) // or it broke
	return true
}

func sendError(stream carriage, err error) error {
	m, encodeErr := wire.Control(wire.Header{Kind: wire.KindError}, wire.FromError(err))
	if encodeErr != nil {
		return encodeErr
	}
	defer m.Release()
	return stream.Send(m)
}
