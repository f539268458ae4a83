package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

const (
	// Pauses between rounds of asking every master.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
	// connectPatience is how long a connection to one master may take before another one
	// is asked.
	connectPatience = time.Second
)

// leader is where the leading master was seen last. Methods may be called concurrently.
type leader struct {
	masters []string

	mu    sync.Mutex
	last  string // where to begin; empty: not seen yet
	led   string // who answered last
	asked map[*question]struct{}
}

// question is a call that waits for a master's answer.
type question struct {
	address string
	giveUp  context.CancelFunc
}

// rotation is the masters in the order in which they are asked.
func (l *leader) rotation() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return slices.Clone(l.masters)
	}
	out := []string{l.last}
	at := max(slices.Index(l.masters, l.last), 0)
	for i := range l.masters {
		if m := l.masters[(at+i)%len(l.masters)]; m != l.last {
			out = append(out, m)
		}
	}
	return out
}

// seen remembers who leads. Calls that wait for another one are given up: it may hang.
func (l *leader) seen(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = address
	if l.led == address {
		return
	}
	l.led = address
	for q := range l.asked {
		if q.address != address {
			q.giveUp()
		}
	}
}

// asks remembers a call until it is answered.
func (l *leader) asks(address string, giveUp context.CancelFunc) (answered func()) {
	q := &question{address: address, giveUp: giveUp}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked == nil {
		l.asked = map[*question]struct{}{}
	}
	l.asked[q] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.asked, q)
	}
}

// now is who answered last; empty: nobody yet.
func (l *leader) now() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.led
}

// suspect has the next call begin with the master after one that did not answer.
func (l *leader) suspect(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last != "" && l.last != address || len(l.masters) == 0 {
		return
	}
	l.last = l.masters[(slices.Index(l.masters, address)+1)%len(l.masters)]
}

// leading is the leading master, whoever that is.
type leading struct {
	n *Network
}

func (l leading) invoke(ctx context.Context, method string, q, r proto.Message) error {
	ctx, cancel := l.n.bound(ctx, method, q)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	s := search{n: l.n, method: method, q: q, r: r, patience: l.n.opts.AskTimeout, begun: time.Now(), silent: map[string]time.Time{}}
	switch {
	case waits(method, q):
		s.patience = l.n.opts.LongCallTimeout
	case method == Master_Heartbeat_FullMethodName:
		s.patience /= 5 // it is answered from memory, and the others learn by it who leads
	}
	return s.run(ctx)
}

// search is one call of the leading master.
type search struct {
	n        *Network
	method   string
	q, r     proto.Message
	patience time.Duration
	begun    time.Time
	// silent are masters that gave no answer, and when they are asked again: after as long
	// as they were waited for, so that they take half of the time at most.
	silent map[string]time.Time
}

// run asks all masters until one leads, another refuses, or ctx ends.
func (s *search) run(ctx context.Context) error {
	pause := firstPause
	var nobody time.Time // since when nobody answers at all; zero: somebody did
	for {
		asked := s.n.leader.rotation()
		if len(asked) == 0 {
			return failure.Errorf(failure.Usage, "%s: no master's address is known", short(s.method))
		}
		err := s.round(ctx, asked)
		switch {
		case err == nil || !later(err):
			return err
		case !errors.Is(err, rpc.ErrUnreachable):
			nobody = time.Time{}
		case nobody.IsZero():
			nobody = time.Now()
		case waits(s.method, s.q) && time.Since(nobody) >= s.n.opts.CallTimeout: // it would go on for a day
			return fmt.Errorf("no master of %s has answered for %v: %w", strings.Join(asked, ", "), s.n.opts.CallTimeout, err)
		}
		select {
		case <-ctx.Done():
			// The end of its context, and what was heard last.
			return failure.Wrap(failure.Of(ctx.Err()), fmt.Errorf("%s: %w: %w", short(s.method), ctx.Err(), err))
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(2*pause, lastPause)
		s.patience = min(2*s.patience, s.n.opts.LongCallTimeout) // the leader may be busy
	}
}

// round asks masters in turn, and those that they name before the rest.
func (s *search) round(ctx context.Context, asked []string) error {
	var last error
	most := 2*len(asked) + 1 // they may name each other
	for i := 0; i < len(asked) && i < most && ctx.Err() == nil; i++ {
		if time.Now().Before(s.silent[asked[i]]) {
			continue
		}
		err := s.ask(ctx, asked[i])
		if err == nil {
			s.n.leader.seen(asked[i])
			return nil
		}
		if !elsewhere(err) && !errors.Is(err, errStranger) {
			return err
		}
		if s.n.opts.Unanswered != nil && errors.Is(err, rpc.ErrUnreachable) {
			s.n.opts.Unanswered(s.method)
		}
		if last == nil || !errors.Is(err, errStranger) && !errors.Is(last, rpc.ErrNotLeader) {
			last = err // what a living one says tells more
		}
		if named := cmp.Or(rpc.LeaderOf(err), s.n.leader.now()); named != "" && !slices.Contains(asked[:i+1], named) {
			asked = slices.Insert(asked, i+1, named)
		}
	}
	if last == nil {
		return unreachable(short(s.method), "no master answers")
	}
	return last
}

// ask calls one master, and does not wait for it longer than patience, nor for its
// greeting longer than connectPatience.
func (s *search) ask(ctx context.Context, address string) error {
	one, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	defer s.n.leader.asks(address, cancel)()
	begun := time.Now()
	connect := time.AfterFunc(connectPatience, func() {
		if !s.n.connected(address) {
			cancel()
		}
	})
	defer connect.Stop()
	err := process{n: s.n, address: address}.ask(one, s.method, s.q, s.r)
	late := errors.Is(err, context.DeadlineExceeded)
	if err == nil || !late && (one.Err() == nil || ctx.Err() != nil) {
		return err
	}
	waited := time.Since(begun)
	// A caller's end may come when the call has just got here: that is no sign of anything.
	if fair := 2*waited >= time.Since(s.begun); fair && (!late || !waits(s.method, s.q)) {
		s.n.leader.suspect(address)
	}
	s.silent[address] = time.Now().Add(waited)
	return unreachable(fmt.Sprintf("%s at %s", short(s.method), address), "no answer in time")
}
