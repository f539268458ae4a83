package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// Pauses between rounds of asking every master.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
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
	patience := l.n.opts.AskTimeout
	switch {
	case waits(method, q):
		patience = l.n.opts.LongCallTimeout
	case method == Master_Heartbeat_FullMethodName:
		patience /= 5 // it is answered from memory, and the others learn by it who leads
	}
	ctx, cancel := l.n.bound(ctx, method, q)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	pause := firstPause
	for {
		asked := l.n.leader.rotation()
		if len(asked) == 0 {
			return failure.Errorf(failure.Usage, "%s: no master's address is known", short(method))
		}
		err := l.round(ctx, asked, method, q, r, patience)
		if err == nil || !elsewhere(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return given(ctx, method, err)
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(2*pause, lastPause)
		patience = min(2*patience, l.n.opts.LongCallTimeout) // it may be busy
	}
}

// round asks masters in turn, and those that they name before the rest.
func (l leading) round(ctx context.Context, asked []string, method string, q, r proto.Message, patience time.Duration) error {
	var last error
	most := 2*len(asked) + 1 // they may name each other
	for i := 0; i < len(asked) && i < most; i++ {
		err := l.ask(ctx, asked[i], method, q, r, patience)
		if err == nil {
			l.n.leader.seen(asked[i])
			return nil
		}
		if !elsewhere(err) && !errors.Is(err, errStranger) {
			return err
		}
		if last == nil || errors.Is(last, errStranger) || errors.Is(last, rpc.ErrUnreachable) {
			last = err // what a living one says tells more
		}
		if named := cmp.Or(rpc.LeaderOf(err), l.n.leader.now()); named != "" && named != asked[i] && !slices.Contains(asked[:i], named) {
			asked = slices.Insert(asked, i+1, named)
		}
		if ctx.Err() != nil {
			return last
		}
	}
	return last
}

// ask calls one master, and does not wait for it longer than patience.
func (l leading) ask(ctx context.Context, address, method string, q, r proto.Message, patience time.Duration) error {
	p := process{n: l.n, address: address}
	one, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer l.n.leader.asks(address, cancel)()
	err := p.ask(one, method, q, r)
	late := errors.Is(err, context.DeadlineExceeded)
	if late && !waits(method, q) {
		l.n.leader.suspect(address)
	}
	if late || err != nil && one.Err() != nil && ctx.Err() == nil {
		return unreachable(fmt.Sprintf("%s at %s", short(method), address), "no answer in time")
	}
	return err
}

// given is the error of a call that was given up: the end of its context, and what was
// heard last.
func given(ctx context.Context, method string, last error) error {
	return failure.Wrap(failure.Of(ctx.Err()), fmt.Errorf("%s: %w: %w", short(method), ctx.Err(), last))
}
