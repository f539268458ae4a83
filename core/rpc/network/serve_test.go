package network

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
	somePeer        struct{ Peer }
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
		Coordinator: someCoordinator{}, Shuffle: someShuffle{}, Blobs: someBlobs{}, Peer: somePeer{},
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
		if c.String() == "Cluster.Submit" { // what comes from outside is looked at first
			if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), `job graph "text": version 0`) {
				t.Errorf("%s of a graph that is none: %v", c, err)
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

// A process that came to another one's address is not taken for it, whatever it is.
func TestNames(t *testing.T) {
	ca, token := authority(t), security.NewToken()
	logs := func(address string, name func(string) string) error {
		n := dialer(t, Options{TLS: identity(t, ca, security.Master).Client(), Token: token})
		_, err := n.Worker(id.Worker(name(address))).Logs(t.Context(), &rpc.LogsRequest{})
		return err
	}
	worker := identity(t, ca, security.Worker).Server()
	for what, a := range map[string]Admission{
		"an earlier life":      {TLS: worker, Token: token, Name: "self"},
		"another role":         {TLS: identity(t, ca, security.Shuffle).Server(), Token: token},
		"another cluster":      {TLS: identity(t, authority(t), security.Worker).Server(), Token: token},
		"another cluster's":    {Token: token},
		"a process without it": {TLS: worker, Token: token, Name: "other"},
	} {
		address, _ := serve(t, a, func(s *grpc.Server) {
			if what != "a process without it" {
				Register(s, Services{Worker: someWorker{}})
			}
		})
		if err := logs(address, rpc.NewName); !errors.Is(err, rpc.ErrUnreachable) || failure.Of(err) != failure.Transient {
			t.Errorf("%s: %v", what, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	name := rpc.NewName(l.Addr().String())
	_, _ = serveAt(t, l, Admission{TLS: worker, Token: token, Name: name}, func(s *grpc.Server) { Register(s, Services{Worker: someWorker{}}) })
	if err := logs("", func(string) string { return name }); err != nil {
		t.Error(err)
	}
}

// Leadership comes and goes under a server that goes on.
func TestLeadershipChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := security.NewToken()
		var now atomic.Pointer[someMaster]
		in := street{}
		in.open(t, "a:1", Services{Master: func() (rpc.MasterClient, error) {
			if m := now.Load(); m != nil {
				return *m, nil
			}
			return nil, nil
		}}, token)
		n := in.dialer(t, Options{Masters: []string{"a:1"}, Token: token})
		if err := heartbeat(t.Context(), n); !errors.Is(err, rpc.ErrNotLeader) || failure.Of(err) != failure.Transient {
			t.Fatalf("no leader: %v", err)
		}
		time.AfterFunc(10*time.Second, func() { now.Store(&someMaster{}) })
		if err := heartbeat(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	})
}
