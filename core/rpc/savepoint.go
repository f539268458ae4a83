package rpc

import (
	"context"

	"github.com/tidemill/tidemill/core/id"
)

// AwaitSavepoint asks for a savepoint, under a name of its own unless the request has one,
// until it is there or has failed. With stop it waits until the job is over, too.
func AwaitSavepoint(ctx context.Context, c ClusterClient, q *SavepointRequest) (*SavepointReply, error) {
	if len(q.GetRequest()) == 0 {
		request := id.NewJob()
		q.Request = request[:]
	}
	for {
		r, err := c.Savepoint(ctx, q)
		if err != nil {
			return nil, err
		}
		if r.GetPath() == "" {
			continue
		}
		if !q.GetStop() {
			return r, nil
		}
		known := ""
		for {
			s, err := c.GetJob(ctx, &GetJobRequest{Job: q.GetJob(), KnownState: known})
			if err != nil || s.GetOver() {
				return r, err
			}
			known = s.GetState()
		}
	}
}
