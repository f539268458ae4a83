package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/joblog"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
)

// role is what all roles have.
type role struct {
	kind    security.Role
	opts    Options
	dir     *directory
	door    *door
	network *network.Network
	logs    *joblog.Ring
	metrics *metric.Scope
	closers []func() error // what to close, the last one first
	failure chan error     // why the role cannot go on; it holds the first one
	once    sync.Once
	err     error // of closing
}

// open takes the directory, listens, and has a way to others.
func open(kind security.Role, o Options) (_ *role, err error) {
	if o, err = o.complete(); err != nil {
		return nil, fmt.Errorf("start %s: %w", kind, err)
	}
	r := &role{kind: kind, opts: o, failure: make(chan error, 1)}
	if r.dir, err = openDirectory(o.DataDir); err != nil {
		return nil, fmt.Errorf("start %s: %w", kind, err)
	}
	r.closer(r.dir.close)
	if r.door, err = openDoor(o, r.dir); err != nil {
		return nil, r.failed(err)
	}
	r.door.broken = r.broken
	r.closer(r.door.close)
	r.logs = r.opts.logged(r.door.name)
	masters := o.Masters
	if kind == security.Master {
		masters = append([]string{r.door.address}, masters...)
	}
	r.network = network.New(network.Options{Masters: masters, TLS: o.Identity.Client(), Token: o.Token, Version: o.Version})
	r.closer(func() error {
		r.network.Close()
		return nil
	})
	r.metrics = processMetrics(o.Metrics, kind)
	r.closer(func() error {
		r.metrics.Close()
		return nil
	})
	r.watchCertificates()
	return r, nil
}

// Failed delivers why the role cannot go on, once: whoever has started it ends it then.
func (r *role) Failed() <-chan error { return r.failure }

// Drained implements Role: but for a shuffle server, none ends because it is not needed.
func (r *role) Drained() <-chan struct{} { return nil }

// broken says that the role cannot go on.
func (r *role) broken(err error) {
	r.opts.Log.Error("the role cannot go on", "role", r.kind.String(), "error", err)
	select {
	case r.failure <- err:
	default:
	}
}

// closer has f called by Close before what was added earlier.
func (r *role) closer(f func() error) { r.closers = append(r.closers, f) }

// leavePatience is how long a master may take to hear that a role ends. One that does not
// hear it notices by the heartbeats.
const leavePatience = time.Second

// leaves has Close tell the master that the role ends, before what was added earlier.
func (r *role) leaves(leave func(ctx context.Context, reason string) error) {
	r.closer(func() error {
		ctx, stop := context.WithTimeout(context.Background(), leavePatience)
		defer stop()
		if err := leave(ctx, "it was told to end"); err != nil {
			r.opts.Log.Warn("the masters were not told that this process ends", "error", err)
		}
		return nil
	})
}

// failed closes what was begun and returns why.
func (r *role) failed(err error) error {
	return errors.Join(fmt.Errorf("start %s: %w", r.kind, err), r.Close())
}

// announce writes where the role serves, for those who share its directory.
func (r *role) announce() error {
	return r.dir.publish(r.Address())
}

// Address is where the role serves.
func (r *role) Address() Address {
	return Address{Role: r.kind.String(), Name: r.door.name, Address: r.door.address, HTTP: r.door.url(), PID: os.Getpid()}
}

// Close ends the role: first what runs, then its listeners. It may be called more than
// once.
func (r *role) Close() error {
	r.once.Do(func() {
		for i := len(r.closers) - 1; i >= 0; i-- {
			r.err = errors.Join(r.err, r.closers[i]())
		}
	})
	return r.err
}

// registerPause is between attempts to register.
const registerPause = 100 * time.Millisecond

// insist repeats what may succeed later until ctx ends.
func (r *role) insist(ctx context.Context, what string, do func(context.Context) error) error {
	tick := time.NewTicker(registerPause)
	defer tick.Stop()
	for told := false; ; {
		err := do(ctx)
		if err == nil || !failure.Of(err).Retryable() || ctx.Err() != nil {
			return err
		}
		if !told {
			r.opts.Log.Warn("the masters do not answer yet", "for", what, "error", err)
			told = true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ticketKey is the cluster's key for tickets, as the master that registered us last gave
// it.
type ticketKey struct {
	mu  sync.Mutex
	key []byte
}

func (t *ticketKey) get() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.key
}

// note takes the key of an answer.
func (t *ticketKey) note(r *rpc.RegisterReply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.key = r.GetTicketKey()
}
