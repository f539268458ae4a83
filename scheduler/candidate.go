package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
)

// retryPause is how long a candidate waits before it tries again to begin a leadership
// that it has.
const retryPause = 500 * time.Millisecond

// CandidateOptions are what a Candidate works with.
type CandidateOptions struct {
	// Master is what the master of each leadership works with.
	Master Options
	// AddressOf is where the clients of the master that leads reach it; nil: that is not
	// known. It is called often, and returns at once.
	AddressOf func(l raftmeta.Leadership) string
}

// Candidate is a master across leaderships: it leads or waits. All methods may be called
// concurrently.
type Candidate struct {
	opts CandidateOptions
	log  *slog.Logger

	mu      sync.Mutex
	known   raftmeta.Leadership
	leading *Master // nil: it waits, or is about to lead
}

// NewCandidate returns a candidate that waits; Run lets it lead.
func NewCandidate(o CandidateOptions) *Candidate {
	c := &Candidate{opts: o, log: o.Master.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Run follows the leadership of the store until ctx ends or the store is closed, which
// are no errors; what else the store says is. When it returns no master runs, and jobs
// are left to the next leader.
func (c *Candidate) Run(ctx context.Context) error {
	defer c.depose()
	for {
		c.mu.Lock()
		known := c.known
		c.mu.Unlock()
		wait, stop := ctx, context.CancelFunc(func() {})
		if known.Leading && c.present() == nil { // it could not begin
			wait, stop = context.WithTimeout(ctx, retryPause)
		}
		now, err := c.opts.Master.Store.Leadership(wait, known)
		paused := wait.Err() != nil // and not what the store says, which is for good
		stop()
		switch {
		case ctx.Err() != nil || errors.Is(err, raftmeta.ErrClosed):
			return nil
		case err != nil && paused:
			now = known
		case err != nil:
			return fmt.Errorf("follow the leading master: %w", err)
		}
		c.turn(ctx, now)
	}
}

// turn takes note of who leads, and begins or ends a leadership.
func (c *Candidate) turn(ctx context.Context, now raftmeta.Leadership) {
	m := c.present()
	if m != nil && (!now.Leading || now.Term != m.term) {
		c.log.Warn("this master does not lead any more", "term", m.term, "leader", now.Leader)
		c.depose()
		m = nil
	}
	c.mu.Lock()
	c.known = now
	c.mu.Unlock()
	if !now.Leading || m != nil {
		return
	}
	begun := time.Now()
	m, err := c.begin(ctx, now)
	if err != nil {
		c.log.Warn("this master leads and cannot begin", "term", now.Term, "error", err)
		return
	}
	c.mu.Lock()
	c.leading = m
	c.mu.Unlock()
	c.log.Info("this master leads", "term", now.Term, "after", time.Since(begun))
}

// begin starts a master; its start ends with the leadership, too.
func (c *Candidate) begin(ctx context.Context, now raftmeta.Leadership) (*Master, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	watching.Go(func() {
		if _, err := c.opts.Master.Store.Leadership(ctx, now); err == nil {
			stop()
		}
	})
	defer watching.Wait()
	defer stop()
	return begin(ctx, c.opts.Master, now.Term)
}

// depose ends the present master, which nobody is referred to from then on.
func (c *Candidate) depose() {
	c.mu.Lock()
	m := c.leading
	c.leading, c.known = nil, raftmeta.Leadership{}
	c.mu.Unlock()
	if m != nil {
		m.Suspend()
	}
}

func (c *Candidate) present() *Master {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leading
}

// Leading is the master of the present leadership, or rpc.NotLeader with the address of
// the one that leads, if it is known.
func (c *Candidate) Leading() (*Master, error) {
	c.mu.Lock()
	m, known := c.leading, c.known
	c.mu.Unlock()
	if m != nil {
		return m, nil
	}
	address := ""
	if known.Leader != "" && !known.Leading && c.opts.AddressOf != nil {
		address = c.opts.AddressOf(known)
	}
	return nil, rpc.NotLeader(address)
}

// Master is Leading for workers and shuffle servers.
func (c *Candidate) Master() (rpc.MasterClient, error) {
	m, err := c.Leading()
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Cluster is Leading for clients.
func (c *Candidate) Cluster() (rpc.ClusterClient, error) {
	m, err := c.Leading()
	if err != nil {
		return nil, err
	}
	return m, nil
}
