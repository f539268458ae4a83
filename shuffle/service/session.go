package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// session is what one writer or reader of a client has open here. It outlives the
// streams that carry it, one at a time: after a reset the client goes on with another
// one, within the grace.
type session struct {
	server *Server
	open   *wire.Open
	end    end
	ctx    context.Context
	cancel context.CancelCauseFunc
	// turn is held by the stream that carries the session.
	turn chan struct{}

	mu      sync.Mutex
	hangUp  context.CancelFunc // of the last stream; nil: there was none
	expires *time.Timer
	gone    bool
}

// end is a session's work: a writer's or a reader's.
type end interface {
	// carry serves a stream until it breaks, or the session is over: then over is
	// true. It is called for one stream at a time.
	carry(s *session, st *carrier) (over bool, err error)
	// close gives everything back. It is called once, when no stream carries the
	// session.
	close() error
}

// session finds or makes the session of a stream that opens.
func (s *Server) session(ctx context.Context, open *wire.Open) (*session, error) {
	spec, err := s.admit(open)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", open.Summary(), err)
	}
	if open.GetRead() && !open.GetAgain() {
		if err := failpoint.Hit(failpoint.ShuffleRead); err != nil { // outside of the locks: it may hold
			return nil, err
		}
	}
	// A client whose first stream broke may come again before that one was done here.
	opening := &s.opening[open.GetSession()%uint64(len(s.opening))]
	opening.Lock()
	defer opening.Unlock()
	s.mu.Lock()
	e, known := s.sessions[open.GetSession()]
	s.mu.Unlock()
	if known {
		return e, e.sameAs(open)
	}
	if open.GetAgain() {
		return nil, fmt.Errorf("%s: %w", open.Summary(), lost(open, "its session is over"))
	}
	work, err := s.begin(ctx, open, spec)
	if err != nil {
		return nil, err
	}
	e = &session{server: s, open: open, end: work, turn: make(chan struct{}, 1)}
	e.ctx, e.cancel = context.WithCancelCause(s.ctx)
	e.expires = time.AfterFunc(s.options.Grace, e.expire)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		err = errClosed
	case len(s.sessions) >= s.options.MaxStreams:
		err = failure.Errorf(failure.Transient, "%s: the server has %d streams, its limit", open.Summary(), len(s.sessions))
	}
	if err != nil {
		e.expires.Stop()
		return nil, errors.Join(err, work.close())
	}
	s.sessions[open.GetSession()] = e
	return e, nil
}

// lost is the error of a client whose server has not got any more what it knew: for a
// reader those rows are lost, a writer may write them elsewhere.
func lost(open *wire.Open, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if open.GetRead() {
		return failure.Errorf(failure.LostPartition, "%w: %w", shuffle.ErrDataLoss, err)
	}
	return failure.Wrap(failure.Transient, err)
}

// admit checks who it is and what is wanted.
func (s *Server) admit(open *wire.Open) (shuffle.Spec, error) {
	if open.GetServer() != s.options.Self.ID {
		return shuffle.Spec{}, lost(open, "server %s is gone, this is %s", open.GetServer(), s.options.Self.ID)
	}
	spec, err := open.GetExchange().Spec(s.options.Self.ID)
	if err != nil {
		return spec, failure.Wrap(failure.BadData, err)
	}
	want := security.Write
	if open.GetRead() {
		want = security.Read
	}
	return spec, s.permit(open.GetTicket(), want, spec.Job, spec.Exchange, spec.Term)
}

// permit verifies a ticket.
func (s *Server) permit(ticket []byte, want security.Rights, job id.Job, ex id.Exchange, term id.Term) error {
	if s.options.TicketKey != nil {
		t, err := security.Verify(s.options.TicketKey(), ticket, s.options.Now())
		if err == nil {
			err = t.Permit(want, job, ex, term)
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, over := s.over[job]; over && term <= last {
		return fmt.Errorf("the job is over: %w", shuffle.ErrReleased)
	}
	return nil
}

// begin opens what a new session is for.
func (s *Server) begin(ctx context.Context, open *wire.Open, spec shuffle.Spec) (end, error) {
	store := s.options.Store
	stored := spec.Retention == shuffle.RetainJob
	if stored && open.GetRead() {
		if _, known := store.Spec(spec.Job, spec.Exchange); !known {
			return nil, failure.Errorf(failure.LostPartition, "%s: %w: the server does not know the exchange", open.Summary(), shuffle.ErrDataLoss)
		}
	} else {
		if s.retired.Load() {
			return nil, failure.Errorf(failure.Transient, "%s: the server has drained", open.Summary())
		}
		if err := store.Open(ctx, spec); err != nil {
			return nil, err
		}
	}
	if open.GetRead() {
		var lanes []uint32
		for i := range spec.Lanes {
			if stored && wire.InBitmap(open.GetLanes(), i) {
				lanes = append(lanes, uint32(i))
			}
		}
		r, err := store.ReaderOf(ctx, spec.Job, spec.Exchange, open.GetIndex(), open.GetAttempt(), lanes)
		if err != nil {
			return nil, err
		}
		return newReading(s, spec, open, r.(local.EncodedReader)), nil
	}
	w, err := store.Writer(ctx, spec.Job, spec.Exchange, open.GetIndex(), open.GetAttempt())
	if err != nil {
		return nil, err
	}
	return newPushing(s, spec, open, w), nil
}

// sameAs refuses a stream that goes on with a session but wants something else.
func (e *session) sameAs(open *wire.Open) error {
	a, b := e.open, open
	if a.GetRead() != b.GetRead() || a.GetIndex() != b.GetIndex() || a.GetAttempt() != b.GetAttempt() ||
		string(a.GetExchange().GetJob()) != string(b.GetExchange().GetJob()) || a.GetExchange().GetExchange() != b.GetExchange().GetExchange() {
		return failure.Errorf(failure.Unauthorized, "%s: the session is of %s", b.Summary(), a.Summary())
	}
	return nil
}

// serve carries the session on a stream; the one that did before is hung up on. It
// reports whether the session is over.
func (e *session) serve(to carriage, open *wire.Open) (over bool) {
	ctx, cancel := context.WithCancel(to.Context())
	defer cancel()
	defer context.AfterFunc(ctx, to.Hurry)()
	e.mu.Lock()
	if e.hangUp != nil {
		e.hangUp()
	}
	e.hangUp = cancel
	e.mu.Unlock()
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	st := &carrier{open: open, ctx: ctx, cancel: cancel, on: to, server: e.server}
	err := context.Cause(e.ctx)
	if err == nil {
		stop := context.AfterFunc(e.ctx, cancel)
		defer stop()
		over, err = e.end.carry(e, st)
	}
	if e.ctx.Err() != nil {
		over, err = true, context.Cause(e.ctx)
	}
	if broken := st.broken.Load(); broken != nil && err == nil && !over {
		// A message that is malformed, or found no memory, will be so when it is sent again.
		over, err = true, failure.Errorf(failure.Transient, "%s: message not taken: %w", e.open.Summary(), *broken)
	}
	if err != nil && to.Context().Err() == nil {
		_ = sendError(to, err) // or it broke
	}
	if over {
		e.cancel(errOver)
	}
	// The receiving goroutine ends when this handler has returned; then the next stream
	// has its turn.
	e.server.work.Go(func() {
		st.received.Wait()
		e.leave()
	})
	return over
}

var errOver = failure.Errorf(failure.LostPartition, "%w: the session is over", shuffle.ErrDataLoss)

// leave ends a stream's turn. If no other one comes, the session expires some time
// later, or at once if it is over.
func (e *session) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		e.remove()
	} else {
		e.expires.Reset(e.server.options.Grace)
	}
	<-e.turn
}

// expire ends a session that no stream carries.
func (e *session) expire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case e.turn <- struct{}{}:
		e.cancel(errOver)
		e.remove()
		<-e.turn
	default:
		e.expires.Reset(e.server.options.Grace)
	}
}

// remove gives back what the session holds; e.mu is held and no stream carries it.
func (e *session) remove() {
	if e.gone {
		return
	}
	e.gone = true
	e.expires.Stop()
	if err := e.end.close(); err != nil {
		e.server.options.Log.Warn("close shuffle session", "stream", e.open.Summary(), "error", err)
	}
	e.server.mu.Lock()
	defer e.server.mu.Unlock()
	delete(e.server.sessions, e.open.GetSession())
}

// carriage is a stream of messages both ways: a bare one, or a DoExchange. One goroutine
// sends while another one receives.
type carriage interface {
	// Context ends with the stream.
	Context() context.Context
	// Send sends messages, which stay the caller's. An error says that the stream broke.
	Send(...*wire.Message) error
	// Recv returns the next message, which is the caller's; io.EOF: there is none.
	// wire.ErrBroken says that the stream did, or its context; another error is about
	// the message.
	Recv() (*wire.Message, error)
	// Hurry has a Send that blocks fail soon. Any goroutine calls it.
	Hurry()
}

// exchanging is a carriage on gRPC, which ends what blocks when the handler returns.
type exchanging struct {
	grpc.ServerStream
	most int // bytes of what is received
}

func (x *exchanging) Hurry() {}

func (x *exchanging) Send(ms ...*wire.Message) error {
	for _, m := range ms {
		if err := x.SendMsg(m); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchanging) Recv() (*wire.Message, error) {
	m := &wire.Bounded{Most: x.most}
	if err := x.RecvMsg(m); err != nil {
		return nil, err
	}
	return &m.Message, nil
}

// carrier is one stream that carries a session.
type carrier struct {
	open     *wire.Open
	ctx      context.Context
	cancel   context.CancelFunc
	on       carriage
	server   *Server
	received sync.WaitGroup        // the receiving goroutine
	broken   atomic.Pointer[error] // what was wrong with a message, if it was not the stream
}

// receive has take, which owns it, called with every message that arrives, until it
// fails or the stream ends; then the stream's context ends. It does not wait.
func (st *carrier) receive(take func(*wire.Message) error) {
	st.received.Go(func() {
		defer st.cancel()
		for {
			m, err := st.on.Recv()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, wire.ErrBroken) && st.on.Context().Err() == nil {
					st.broken.Store(&err)
				}
				return
			}
			st.server.in.Add(uint64(m.Bytes()))
			if err := take(m); err != nil {
				return
			}
		}
	})
}

// send sends messages, which stay the caller's.
func (st *carrier) send(ms ...*wire.Message) error {
	for _, m := range ms {
		st.server.out.Add(uint64(m.Bytes()))
	}
	return st.on.Send(ms...)
}

// control sends a message without rows.
func (st *carrier) control(h wire.Header, content proto.Message) error {
	m, err := wire.Control(h, content)
	if err != nil {
		return err
	}
	defer m.Release()
	return st.send(m)
}

// signal wakes who waits on a channel of capacity one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
