package network

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// A process serves what it was given, for as long as it has it, under its own name.

// Receivers that have one method each; the others are nil and panic.
type (
	someMaster struct {
		rpc.MasterClient
		address string
	}
	someWorker      struct{ rpc.WorkerClient }
	someCoordinator struct{ rpc.CoordinatorClient }
	someShuffle     struct{ rpc.ShuffleClient }
	someCluster     struct{ rpc.ClusterClient }
	someBlobs       struct{ Blobs }
)

func (m someMaster) Heartbeat(_ context.Context, r *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	return &rpc.HeartbeatReply{Unknown: r.GetWorker() == m.address}, nil
}

func (someWorker) Logs(_ context.Context, r *rpc.LogsRequest) (*rpc.LogsReply, error) {
	return &rpc.LogsReply{Lines: []*rpc.LogLine{{Text: string(r.GetJob())}}}, nil
}

func TestRegister(t *testing.T) {
	token := security.NewToken()
	all := Services{
		Master:      func() (rpc.MasterClient, error) { return someMaster{}, nil },
		Cluster:     func() (rpc.ClusterClient, error) { return someCluster{}, nil },
		Worker:      someWorker{},
		Coordinator: someCoordinator{}, Shuffle: someShuffle{}, Blobs: someBlobs{},
	}
	full, _ := serve(t, Admission{Token: token, Version: "v7"}, func(s *grpc.Server) { Register(s, all) })
	empty, _ := serve(t, Admission{Token: token, Version: "v7"}, func(s *grpc.Server) { Register(s, Services{}) })
	for _, c := range everyCall(dialer(t, Options{Masters: []string{full}, Token: token}), full, full) {
		_, err := c.do(t.Context())
		if c.String() == "Master.Heartbeat" || c.String() == "Worker.Logs" {
			if err != nil {
				t.Errorf("%s: %v", c, err)
			}
			continue
		}
		if failure.Of(err) != failure.Internal || !strings.Contains(err.Error(), c.method+": internal error: ") {
			t.Errorf("%s of a receiver that panics: %v", c, err)
		}
	}
	for _, c := range everyCall(dialer(t, Options{Masters: []string{empty}, Token: token, Version: "v6"}), empty, empty) {
		_, err := c.do(t.Context())
		if failure.Of(err) != failure.Fatal || !strings.Contains(err.Error(), "is not served by this process, which is v7; this is v6") {
			t.Errorf("%s where nobody serves it: %v", c, err)
		}
	}
}

func TestNames(t *testing.T) {
	token := security.NewToken()
	var name string
	address, _ := serve(t, Admission{Token: token}, func(s *grpc.Server) {
		Register(s, Services{Names: []string{"self"}, Worker: someWorker{}})
	})
	n := dialer(t, Options{Token: token})
	name = rpc.NewName(address)
	if _, err := n.Worker(id.Worker(name)).Logs(t.Context(), &rpc.LogsRequest{}); !errors.Is(err, rpc.ErrUnreachable) || failure.Of(err) != failure.Transient {
		t.Fatalf("an earlier life: %v", err)
	}
	r, err := process{n: n, address: address, name: "self"}, error(nil)
	if err = r.invoke(t.Context(), Worker_Logs_FullMethodName, &rpc.LogsRequest{}, &rpc.LogsReply{}); err != nil {
		t.Fatal(err)
	}
}

// Leadership comes and goes under a server that goes on.
func TestLeadershipChanges(t *testing.T) {
	token := security.NewToken()
	var now atomic.Pointer[someMaster]
	address, _ := serve(t, Admission{Token: token}, func(s *grpc.Server) {
		Register(s, Services{Master: func() (rpc.MasterClient, error) {
			m := now.Load()
			if m == nil {
				return nil, nil
			}
			return *m, nil
		}})
	})
	n := dialer(t, Options{Masters: []string{address}, Token: token, CallTimeout: tick})
	call := func() error {
		_, err := n.Master().Heartbeat(t.Context(), &rpc.HeartbeatRequest{})
		return err
	}
	if err := call(); !errors.Is(err, rpc.ErrNotLeader) || failure.Of(err) != failure.Transient {
		t.Fatalf("no leader: %v", err)
	}
	n.opts.CallTimeout = patient
	now.Store(&someMaster{})
	if err := call(); err != nil {
		t.Fatal(err)
	}
}
