package process

import (
	"cmp"
	"context"
	"log/slog"
	"runtime"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/coordinator"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// Worker runs tasks, and keeps the pipelined partitions that they read.
type Worker struct {
	*role
	worker *worker.Worker
}

// StartWorker returns a worker that its master knows. ctx ends the start only.
func StartWorker(ctx context.Context, o Options) (*Worker, error) {
	r, err := open(security.Worker, o)
	if err != nil {
		return nil, err
	}
	w := &Worker{role: r}
	if err := w.start(ctx); err != nil {
		return nil, r.failed(err)
	}
	return w, nil
}

func (w *Worker) start(ctx context.Context) error {
	s, err := w.keep("spill")
	if err != nil {
		return err
	}
	state := s.ledger.Child("checkpoints", 0).Allocator()
	var stateDisk *spill.Directory // nil: where spilled rows go
	if dir := config.StateDir.Get(w.opts.Config); dir != "" {
		if stateDisk, err = spill.Open(dir, config.SpillLimit.Get(w.opts.Config)); err != nil {
			return err
		}
		w.closer(stateDisk.Close)
	}
	coordinators := coordinator.New(w.opts.Connectors, func(ctx context.Context, m *checkpoint.Manifest, dir string) (*checkpoint.Manifest, error) {
		return storage.Gather(ctx, w.opts.FileSystems, m, dir)
	})
	w.worker, err = worker.New(worker.Options{
		ID: id.Worker(w.door.name), Slots: cmp.Or(config.Slots.Get(w.opts.Config), runtime.GOMAXPROCS(0)),
		Dialer: keyed{w.network, s, w.opts.Log}, Shuffle: s.exchanges, Server: w.door.server(), Apart: true,
		Connectors: w.opts.Connectors, Functions: w.opts.Functions, Memory: s.ledger, Spill: s.spill, StateDisk: stateDisk, Coordinators: coordinators,
		Snapshots: func(_ id.Job, job config.Config) (task.Snapshots, error) {
			files, _, err := storage.Open(w.opts.FileSystems, job, state)
			return files, err
		},
		Metrics: w.opts.Metrics, Log: w.opts.Log, Logs: w.logs.Lines,
	})
	if err != nil {
		return err
	}
	w.closer(w.worker.Close)
	w.door.serve(w.opts, func(g grpc.ServiceRegistrar) {
		s.server.Register(g)
		network.Register(g, network.Services{Worker: w.worker, Coordinator: coordinators, Shuffle: s.keeper()})
	}, rest.New(rest.Options{Metrics: w.opts.Metrics, Token: w.opts.Token, Version: w.opts.Version}), s.server.ServerOptions()...)
	if err := w.announce(); err != nil {
		return err
	}
	defer Trim()
	if err := w.insist(ctx, "registration", w.worker.Start); err != nil {
		return err
	}
	w.leaves(w.worker.Leave)
	return nil
}

// keyed is a worker's network. It notes the key of the cluster's tickets when the worker
// registers, and has results dropped that nobody reads any more: those outlive their
// tasks.
type keyed struct {
	*network.Network
	store *store
	log   *slog.Logger
}

// Master implements rpc.Dialer.
func (k keyed) Master() rpc.MasterClient { return keyedMaster{k.Network.Master(), k} }

type keyedMaster struct {
	rpc.MasterClient
	keyed keyed
}

// Register implements rpc.MasterClient.
func (m keyedMaster) Register(ctx context.Context, q *rpc.RegisterRequest) (*rpc.RegisterReply, error) {
	r, err := m.MasterClient.Register(ctx, q)
	if err == nil {
		m.keyed.store.key.note(r)
	}
	return r, err
}

// Heartbeat implements rpc.MasterClient.
func (m keyedMaster) Heartbeat(ctx context.Context, q *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	q.Jobs = m.keyed.store.jobs()
	r, err := m.MasterClient.Heartbeat(ctx, q)
	if err == nil {
		m.keyed.store.forget(ctx, m.keyed.log, r.GetOver())
	}
	return r, err
}
