package process

import (
	"context"
	"log/slog"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keeper"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/partition"
	"github.com/tidemill/tidemill/shuffle/service"
)

// store is the memory and disk of a process that keeps partitions.
type store struct {
	ledger *memory.Ledger
	spill  *spill.Directory
	tier   *partition.Tier
	local  *local.Service
	server *service.Server
	// exchanges reach what others keep; of a worker they are its tasks'.
	exchanges *flight.Service
	key       ticketKey
}

// exchangePart is the part of the memory that a partition of an exchange may hold for
// its reader, as in core/minicluster.
const exchangePart = 128

// replayPart is the part of the memory for what exchanges keep to be read again.
const replayPart = 16

// maxStreams bounds the streams of other processes. With those that are being opened they are
// fewer than the connections that a listener has (network.Door), so that who is too many
// hears so, and calls have room.
const maxStreams = 3_000

// keep opens what keeps partitions, with the disk at DIR/name, which an earlier life's
// files are removed from. It is closed with the role.
func (r *role) keep(name string) (*store, error) {
	_, limit := memory.Divide(memory.OfProcess(r.opts.Config))
	s := &store{}
	var err error
	if s.ledger, err = memory.New(memory.Options{Limit: limit, Option: config.Memory.Key()}); err != nil {
		return nil, err
	}
	path := config.SpillDir.Get(r.opts.Config)
	if path == "" {
		if path, err = r.dir.below(name); err != nil {
			return nil, err
		}
	}
	if s.spill, err = spill.Open(path, config.SpillLimit.Get(r.opts.Config)); err != nil {
		return nil, err
	}
	r.closer(s.spill.Close)
	remote, closeTier, err := r.remoteTier()
	if err != nil {
		return nil, err
	}
	s.tier = partition.NewTier(partition.TierOptions{
		MemoryBytes: min(partition.DefaultMemoryBytes, s.ledger.Limit()/8), Dir: s.spill.Root(), Disk: s.spill, Remote: remote,
	})
	r.closer(func() error { return closeTier(s.tier) })
	alloc := s.ledger.Child("shuffle", 0).Allocator()
	self := r.door.server()
	s.local = local.New(local.Options{
		Self: self.ID, Alloc: alloc, MostBudget: s.ledger.Limit()/exchangePart + 1, Tier: s.tier,
		Replay: max(1, min(config.ReplayMemory.Get(r.opts.Config), s.ledger.Limit()/replayPart)),
	})
	s.server = service.New(service.Options{
		Self: self, Store: s.local, Alloc: alloc, TicketKey: s.key.get, Log: r.opts.Log, MaxStreams: maxStreams,
	})
	r.door.streams = s.server
	r.closer(s.server.Close)
	s.exchanges = flight.New(flight.Options{
		Self: self, Local: s.local, Alloc: s.ledger.Child("exchanges", 0).Allocator(), TLS: r.opts.Identity.Client(), Token: r.opts.Token,
	})
	r.closer(s.exchanges.Close)
	s.measure(r.metrics)
	return s, nil
}

// keeper is the store as masters see it.
func (s *store) keeper() rpc.ShuffleClient {
	return keeper.Keeper{Server: s.server, Store: s.local, Exchanges: s.exchanges}
}

// jobs are those of which something is kept.
func (s *store) jobs() (out [][]byte) {
	for _, job := range s.server.Jobs() {
		out = append(out, job[:])
	}
	return out
}

// forget drops what is kept of jobs that nobody needs any more.
func (s *store) forget(ctx context.Context, log *slog.Logger, over [][]byte) {
	for _, job := range over {
		jobID, err := (&rpc.JobRef{Job: job}).ID()
		if err == nil {
			err = s.server.DropJob(ctx, jobID, nil, ^id.Term(0))
		}
		if err != nil {
			log.Warn("a job that is over was not dropped", "job", jobID, "error", err)
		}
	}
}
