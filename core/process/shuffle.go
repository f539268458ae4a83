package process

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// Shuffle keeps stored lanes, which outlive workers.
type Shuffle struct {
	*role
	store   *store
	drained chan struct{} // closed when nobody needs it any more
}

// StartShuffle returns a shuffle server that its master knows. ctx ends the start only.
func StartShuffle(ctx context.Context, o Options) (*Shuffle, error) {
	r, err := open(security.Shuffle, o)
	if err != nil {
		return nil, err
	}
	s := &Shuffle{role: r, drained: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		return nil, r.failed(err)
	}
	return s, nil
}

func (s *Shuffle) start(ctx context.Context) (err error) {
	if s.store, err = s.keep("shuffle"); err != nil {
		return err
	}
	s.door.serve(s.opts, func(g grpc.ServiceRegistrar) {
		s.store.server.Register(g)
		network.Register(g, network.Services{Shuffle: s.store.keeper()})
	}, rest.New(rest.Options{Metrics: s.opts.Metrics, Token: s.opts.Token, Version: s.opts.Version}), s.store.server.ServerOptions()...)
	if err := s.announce(); err != nil {
		return err
	}
	every := time.Duration(0)
	err = s.insist(ctx, "registration", func(ctx context.Context) error {
		every, err = s.register(ctx)
		return err
	})
	if err != nil {
		return err
	}
	Trim()
	s.leaves(s.leave)
	root, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.beat(root, every)
	}()
	s.closer(func() error {
		stop()
		<-ended
		return nil
	})
	return nil
}

// Drained is closed when the server was drained, and the master has said that nobody needs
// it any more: it may end.
func (s *Shuffle) Drained() <-chan struct{} { return s.drained }

// register makes the server known, with the jobs that it keeps something of.
func (s *Shuffle) register(ctx context.Context) (time.Duration, error) {
	q := &rpc.RegisterRequest{
		Worker: s.door.name, Shuffle: rpc.FromServer(s.door.server()), MemoryBytes: s.store.ledger.Limit(), Version: rpc.WireVersion,
		Draining: s.store.server.Stats().Draining,
	}
	for _, job := range s.store.server.Jobs() {
		q.Running = append(q.Running, &rpc.Running{Job: &rpc.JobRef{Job: job[:]}})
	}
	r, err := s.network.Master().Register(ctx, q)
	if err != nil {
		return 0, err
	}
	s.store.key.note(r)
	return max(time.Duration(r.GetHeartbeatMillis())*time.Millisecond, minHeartbeat), nil
}

// leave tells the master that the server ends, with what it keeps.
func (s *Shuffle) leave(ctx context.Context, reason string) error {
	_, err := s.network.Master().Leave(ctx, &rpc.LeaveRequest{Worker: s.door.name, Reason: reason})
	return err
}

// minHeartbeat is the shortest time between heartbeats, whatever a master wishes.
const minHeartbeat = 10 * time.Millisecond

// beat sends heartbeats until ctx ends, and does what the answers say.
func (s *Shuffle) beat(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		r, err := s.network.Master().Heartbeat(ctx, s.heartbeat())
		if err != nil {
			s.opts.Log.Debug("heartbeat", "error", err)
			continue
		}
		if r.GetUnknown() {
			if _, err := s.register(ctx); err != nil {
				s.opts.Log.Warn("this server is not registered", "error", err)
			}
			continue
		}
		s.store.forget(ctx, s.opts.Log, r.GetOver())
		if r.GetDrained() {
			s.retire()
		}
	}
}

// retire lets the server end: the master has said that it may.
func (s *Shuffle) retire() {
	select {
	case <-s.drained:
	default:
		s.store.server.Retire()
		close(s.drained)
	}
}

func (s *Shuffle) heartbeat() *rpc.HeartbeatRequest {
	now := s.store.server.Stats()
	q := &rpc.HeartbeatRequest{Worker: s.door.name, MemoryUsed: s.store.ledger.Used(), Draining: now.Draining, DiskUsed: now.DiskBytes}
	q.Jobs = s.store.jobs()
	if full := s.store.tier.Usage().Full; full != nil {
		q.Full = full.Error()
	}
	return q
}
