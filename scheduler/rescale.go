package scheduler

import (
	"context"

	"github.com/tidemill/tidemill/core/rpc"
)

// Rescale implements rpc.ClusterClient.
func (m *Master) Rescale(ctx context.Context, r *rpc.RescaleRequest) (*rpc.RescaleReply, error) {
	if _, err := m.named(r.GetJob()); err != nil {
		return nil, err
	}
	bounds, err := m.dispatcher.Rescale(ctx, r)
	if err != nil {
		return nil, err
	}
	return &rpc.RescaleReply{Vertices: bounds}, nil
}
