package keeper

import (
	"context"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/service"
)

// Keeper keeps partitions for a master. All fields are required.
type Keeper struct {
	Server    *service.Server
	Store     *local.Service  // the server's
	Exchanges *flight.Service // by which lanes of the store are handed over
}

var _ rpc.ShuffleClient = Keeper{}

// Drop implements rpc.ShuffleClient.
func (k Keeper) Drop(ctx context.Context, r *rpc.ShuffleDropRequest) (*rpc.ShuffleDropReply, error) {
	job, err := r.GetJob().ID()
	if err != nil {
		return nil, err
	}
	exchanges := make([]id.Exchange, len(r.GetExchanges()))
	for i, x := range r.GetExchanges() {
		exchanges[i] = id.Exchange(x)
	}
	term := id.Term(r.GetJob().GetTerm())
	if lanes := r.GetLanes(); len(lanes) > 0 {
		if len(exchanges) != 1 {
			return nil, failure.Errorf(failure.Usage, "drop lanes of %d exchanges: they are of one", len(exchanges))
		}
		return &rpc.ShuffleDropReply{}, k.Store.DropLanes(job, exchanges[0], lanes, term)
	}
	return &rpc.ShuffleDropReply{}, k.Server.DropJob(ctx, job, exchanges, term)
}

// Drain implements rpc.ShuffleClient.
func (k Keeper) Drain(context.Context, *rpc.DrainRequest) (*rpc.DrainReply, error) {
	k.Server.Drain()
	return &rpc.DrainReply{}, nil
}

// Stats implements rpc.ShuffleClient.
func (k Keeper) Stats(context.Context, *rpc.ShuffleStatsRequest) (*rpc.ShuffleStats, error) {
	s := k.Server.Stats()
	return &rpc.ShuffleStats{
		MemoryBytes: s.MemoryBytes, DiskBytes: s.DiskBytes, Exchanges: uint32(s.Exchanges), Writers: uint32(s.Writers),
		Readers: uint32(s.Readers), BytesIn: s.BytesIn, BytesOut: s.BytesOut, Draining: s.Draining,
	}, nil
}

// HandOver implements rpc.ShuffleClient.
func (k Keeper) HandOver(ctx context.Context, r *rpc.HandOverRequest) (*rpc.HandOverReply, error) {
	job, err := r.GetJob().ID()
	if err != nil {
		return nil, err
	}
	to, err := r.GetTo().Shuffle()
	if err != nil {
		return nil, err
	}
	m, err := k.Exchanges.HandOver(ctx, job, id.Exchange(r.GetExchange()), r.GetLane(), r.GetAttempt(), to)
	if err != nil {
		return nil, err
	}
	return &rpc.HandOverReply{Manifest: rpc.FromManifest(id.Exchange(r.GetExchange()), m)}, nil
}

// Lanes implements rpc.ShuffleClient.
func (k Keeper) Lanes(_ context.Context, r *rpc.LanesRequest) (*rpc.LanesReply, error) {
	job, err := r.GetJob().ID()
	if err != nil {
		return nil, err
	}
	reply := &rpc.LanesReply{}
	for _, m := range k.Store.Manifests(job, id.Exchange(r.GetExchange())) {
		reply.Lanes = append(reply.Lanes, rpc.FromManifest(id.Exchange(r.GetExchange()), m))
	}
	return reply, nil
}
