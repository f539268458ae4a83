package network

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// Callers of the leading master never see a change of leadership but as a wait.

const (
	tick    = 100 * time.Millisecond // a call that is meant to be given up
	patient = 20 * time.Second       // one that is not
)

// follower serves a master that does not lead.
func follower(t *testing.T, token security.Token, leader string) (string, func()) {
	return serve(t, Admission{Token: token}, func(s *grpc.Server) {
		Register(s, Services{Master: func() (rpc.MasterClient, error) { return nil, rpc.NotLeader(leader) }})
	})
}

func leaderAt(t *testing.T, token security.Token) (string, func()) {
	return serve(t, Admission{Token: token}, func(s *grpc.Server) {
		Register(s, Services{Master: func() (rpc.MasterClient, error) { return someMaster{}, nil }})
	})
}

// dead is an address where nobody listens.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

func heartbeat(ctx context.Context, n *Network) error {
	_, err := n.Master().Heartbeat(ctx, &rpc.HeartbeatRequest{Worker: "w"})
	return err
}

func TestLeaderIsFound(t *testing.T) {
	token := security.NewToken()
	leads, stop := leaderAt(t, token)
	second, _ := leaderAt(t, token)
	silent, _ := follower(t, token, "")
	telling, _ := follower(t, token, leads)
	wrong, _ := follower(t, token, dead(t))
	for name, masters := range map[string][]string{
		"not the leader, dead, leader": {silent, dead(t), leads},
		"one that tells":               {dead(t), telling},
		"one that tells wrongly":       {wrong, silent, leads},
	} {
		n := dialer(t, Options{Masters: masters, Token: token})
		for range 2 {
			if err := heartbeat(t.Context(), n); err != nil || n.leader.rotation()[0] != leads {
				t.Errorf("%s: %v, then %v", name, err, n.leader.rotation())
			}
		}
	}
	n := dialer(t, Options{Masters: []string{leads, silent, second}, Token: token})
	if err := heartbeat(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := heartbeat(t.Context(), n); err != nil || n.leader.rotation()[0] != second {
		t.Fatalf("after the leader's death: %v, then %v", err, n.leader.rotation())
	}
}

func TestNobodyLeads(t *testing.T) {
	token := security.NewToken()
	a, _ := follower(t, token, "")
	b, _ := follower(t, token, a) // they name each other
	c, _ := follower(t, token, b)
	n := dialer(t, Options{Masters: []string{dead(t), a, b, c}, Token: token, CallTimeout: tick})
	err := heartbeat(t.Context(), n)
	if !errors.Is(err, rpc.ErrNotLeader) || failure.Of(err) != failure.Transient {
		t.Errorf("given up by itself: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), tick)
	defer cancel()
	if err := heartbeat(ctx, n); failure.Of(err) != failure.Transient || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("at the caller's deadline: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	time.AfterFunc(tick, end)
	n.opts.CallTimeout = patient
	if err := heartbeat(ended, n); failure.Of(err) != failure.Cancelled || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := heartbeat(t.Context(), dialer(t, Options{})); failure.Of(err) != failure.Usage {
		t.Errorf("without masters: %v", err)
	}
}

// A master that takes calls and does not answer is not waited for.
func TestMasterHangs(t *testing.T) {
	token := security.NewToken()
	hangs, _ := serve(t, Admission{Token: token}, func(s *grpc.Server) {
		Register(s, Services{Master: func() (rpc.MasterClient, error) { return hangingMaster{}, nil }})
	})
	leads, _ := leaderAt(t, token)
	n := dialer(t, Options{Masters: []string{hangs, leads}, Token: token, AskTimeout: tick})
	if err := heartbeat(t.Context(), n); err != nil || n.leader.rotation()[0] != leads {
		t.Fatalf("%v, then %v", err, n.leader.rotation())
	}
	// A caller that gives up itself begins with another one the next time.
	m := dialer(t, Options{Masters: []string{hangs, leads}, Token: token})
	ctx, cancel := context.WithTimeout(t.Context(), tick)
	defer cancel()
	if err := heartbeat(ctx, m); failure.Of(err) != failure.Transient {
		t.Fatal(err)
	}
	if got := m.leader.rotation()[0]; got != leads {
		t.Fatalf("next %s", got)
	}
}

type hangingMaster struct{ rpc.MasterClient }

func (hangingMaster) Heartbeat(ctx context.Context, _ *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// What a master refuses for good is not asked of the others.
func TestRefusalEnds(t *testing.T) {
	leads, _ := leaderAt(t, security.NewToken())
	n := dialer(t, Options{Masters: []string{leads}, Token: security.NewToken()})
	if err := heartbeat(t.Context(), n); failure.Of(err) != failure.Unauthorized || !strings.Contains(err.Error(), "the token is not this cluster's") {
		t.Fatal(err)
	}
}

func TestClosed(t *testing.T) {
	token := security.NewToken()
	leads, _ := leaderAt(t, token)
	n := dialer(t, Options{Masters: []string{leads}, Token: token, CallTimeout: tick})
	if err := heartbeat(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	n.Close()
	n.Close()
	if err := heartbeat(t.Context(), n); failure.Of(err) != failure.Transient || !errors.Is(err, rpc.ErrUnreachable) {
		t.Fatal(err)
	}
}
