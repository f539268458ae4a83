package flight

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// session is one writer's or reader's conversation with one server. It outlives
// connections: when a stream breaks, another one goes on where it ended.
type session struct {
	service *Service
	server  shuffle.Server
	open    *wire.Open // of its goroutine
	end     end
	ctx     context.Context // ends the session without more words
	cancel  context.CancelFunc
	opened  chan struct{} // closed when the server has answered, or the session ended
	once    sync.Once     // closes opened
	talkers sync.WaitGroup
	batch   []*wire.Message // scratch of the one that talks

	mu      sync.Mutex
	line    *wire.Conn // the stream that messages go out by; nil: there is none
	work    bool       // there may be something to send
	talking bool       // a goroutine sends what there is, and ends after that
	closing bool       // close was called: say so and end
	err     error      // why it ended
}

// end is the writer's or reader's side of a session; a session's goroutines call it.
type end interface {
	// begin is called with the server's first answer to each stream.
	begin(*wire.Progress)
	// next is the message to send now, which the caller releases; nil: none. After
	// begin it starts with the first one that the server has not got.
	next() *wire.Message
	// take is given, and owns, every other message; done: the session is over.
	take(*wire.Message) (done bool, err error)
	// position is the last message that has arrived.
	position() uint64
	// passed is the last message that has arrived here or there; it tells progress.
	passed() uint64
	// ended is called once, when nothing will be called any more; err is nil after
	// Close, or when take was done.
	ended(err error)
}

// start begins a session in a goroutine, which ends by itself: when it is over, has
// failed, or some time after close. Another one runs while there is something to send.
func (s *Service) start(server shuffle.Server, open *wire.Open, e end) *session {
	open.Server, open.Session = server.ID, rand.Uint64()
	c := &session{
		service: s, server: server, open: open, end: e, opened: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.cancel()
		c.over(errClosed)
		return c
	}
	s.work.Go(c.run)
	return c
}

// ready waits until the server has answered for the first time.
func (c *session) ready(ctx context.Context) error {
	select {
	case <-c.opened:
		return c.failed()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failed is why the session ended, if it did.
func (c *session) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// close tells the server that nothing more is wanted. It does not wait.
func (c *session) close() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.wake()
	time.AfterFunc(farewell, c.cancel)
}

func (c *session) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// farewell is how long a session that was closed tries to tell the server.
const farewell = time.Second

// run carries the session until it is over.
func (c *session) run() {
	defer c.cancel()
	err := c.carryAll()
	if c.isClosing() {
		err = nil
	}
	c.over(err)
}

// over tells everybody that the session has ended.
func (c *session) over(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.end.ended(err)
	c.once.Do(func() { close(c.opened) })
}

func (c *session) carryAll() error {
	pause, last, passed := firstPause, time.Now(), uint64(0)
	for {
		opened := time.Now()
		begun, done, err := c.carry()
		if done {
			return err
		}
		// A stream that breaks at once, time and again, is no better than none.
		if now := c.end.passed(); begun && (now > passed || time.Since(opened) > c.service.options.Patience) {
			pause, last, passed = firstPause, time.Now(), now
		}
		switch {
		case c.service.ctx.Err() != nil:
			return errClosed
		case c.ctx.Err() != nil:
			return nil
		case !broken(err):
			return fmt.Errorf("shuffle server %s: %w", c.server.ID, err)
		case time.Since(last) > c.service.options.Patience:
			return c.lost(err)
		}
		select {
		case <-time.After(pause):
		case <-c.ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

// The pauses between attempts to reach a server.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// lost is the error of a session whose server does not answer any more: what a reader
// wanted from it must be made again.
func (c *session) lost(err error) error {
	if c.open.GetRead() {
		return failure.Errorf(failure.LostPartition, "%s: %w: shuffle server %s does not answer: %w", c.open.Summary(), shuffle.ErrDataLoss, c.server.ID, err)
	}
	return failure.Errorf(failure.Transient, "%s: shuffle server %s does not answer: %w", c.open.Summary(), c.server.ID, err)
}

// carry opens a stream and uses it until it breaks, or the session is done.
func (c *session) carry() (begun, done bool, err error) {
	st, err := c.service.options.dial(c.ctx, c.server)
	if err != nil {
		return false, false, err
	}
	defer c.talkers.Wait()
	defer func() { _ = st.Close() }() // it is of no more use
	defer context.AfterFunc(c.ctx, func() { _ = st.Close() })()
	c.open.Seq = c.end.position()
	sendErr := sendControl(st, wire.Header{Kind: wire.KindOpen}, c.open)
	answer, err := st.Recv() // if nothing can be sent the answer says why
	if err != nil {
		return false, false, errors.Join(sendErr, err)
	}
	if err := c.begin(answer); err != nil {
		return true, true, err
	}
	if err := st.SetDeadline(time.Time{}); err != nil {
		return true, false, err
	}
	c.lineIs(st)
	defer c.lineIs(nil)
	c.wake()
	done, err = c.listen(st)
	return true, done, err
}

func (c *session) lineIs(st *wire.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = st
}

// begin takes the server's first answer.
func (c *session) begin(answer *wire.Message) error {
	defer answer.Release()
	if answer.Kind == wire.KindError {
		return reported(answer)
	}
	var p wire.Progress
	if err := answer.Content(&p); err != nil || answer.Kind != wire.KindProgress {
		return failure.Errorf(failure.Internal, "shuffle server %s answers with %v: %w", c.server.ID, answer.Kind, errors.Join(err))
	}
	c.end.begin(&p)
	c.open.Again = true
	c.once.Do(func() { close(c.opened) })
	return nil
}

// wake has what there is to send sent. Anybody may call it; it does not wait.
func (c *session) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work = true
	if c.line != nil && !c.talking {
		c.talking = true
		line := c.line
		c.talkers.Go(func() { c.talk(line) })
	}
}

// Messages are sent together while there are more.
const (
	togetherMessages = 32
	togetherBytes    = 256 << 10
)

// talk sends until there is nothing to send, or the stream breaks: then who listens to it
// hears why.
func (c *session) talk(line *wire.Conn) {
	for {
		closing, more := c.talks(line)
		if !more {
			return
		}
		if closing {
			_ = sendControl(line, wire.Header{Kind: wire.KindClose}, nil) // then the server ends the stream
			continue
		}
		together, bytes := c.batch[:0], 0
		for m := c.end.next(); m != nil; m = c.end.next() {
			together = append(together, m)
			bytes += m.Bytes()
			if len(together) == togetherMessages || bytes >= togetherBytes {
				c.again()
				break
			}
		}
		if len(together) == 0 {
			continue
		}
		err := line.Send(together...)
		for _, m := range together {
			m.Release()
		}
		clear(together)
		c.batch = together[:0]
		if err != nil {
			c.hungUp(line)
		}
	}
}

// talks reports whether there is something to send on a stream; else talk ends. A session
// that closes says so once on each stream.
func (c *session) talks(line *wire.Conn) (closing, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.work || c.line != line {
		c.talking = false
		return false, false
	}
	c.work = false
	return c.closing, true
}

// again has talk go on.
func (c *session) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work = true
}

// hungUp has nothing more sent on a stream: it broke. What has come until then is heard.
func (c *session) hungUp(line *wire.Conn) {
	c.lineIs(nil)
	_ = line.SetDeadline(time.Now().Add(farewell)) // or it breaks at once
}

// listen takes what the server says, until the stream ends.
func (c *session) listen(st *wire.Conn) (done bool, err error) {
	for {
		m, err := st.Recv()
		switch {
		case err != nil:
			return c.isClosing(), err
		case m.Kind == wire.KindError:
			defer m.Release()
			return true, reported(m)
		}
		if done, err := c.end.take(m); done || err != nil {
			return true, err
		}
	}
}

// reported is the error that a message reports.
func reported(m *wire.Message) error {
	var x wire.Error
	if err := m.Content(&x); err != nil {
		return err
	}
	return x.Err()
}

func sendControl(st *wire.Conn, h wire.Header, content proto.Message) error {
	m, err := wire.Control(h, content)
	if err != nil {
		return err
	}
	defer m.Release()
	return st.Send(m)
}

// signal wakes who waits on a channel of capacity one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
