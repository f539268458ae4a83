package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// Callers of the leading master never see a change of leadership but as a wait. All of
// it is in memory and in fake time.

// street is where processes are found, by address.
type street map[string]*crowd

// open has a process serve at an address until the test ends or stop is called.
func (in street) open(t *testing.T, address string, s Services, token security.Token) (stop func()) {
	t.Helper()
	c := newCrowd()
	in[address] = c
	_, stop = serveAt(t, c, Admission{Token: token}, func(r *grpc.Server) { Register(r, s) })
	return stop
}

// leader opens a master that leads; follower one that says who does.
func (in street) leader(t *testing.T, address string, token security.Token) (stop func()) {
	return in.open(t, address, Services{Master: func() (rpc.MasterClient, error) { return someMaster{}, nil }}, token)
}

func (in street) follower(t *testing.T, address, leader string, token security.Token) {
	in.open(t, address, Services{Master: func() (rpc.MasterClient, error) { return nil, rpc.NotLeader(leader) }}, token)
}

func (in street) dialer(t *testing.T, o Options) *Network {
	t.Helper()
	o.Dial = func(_ context.Context, address string) (net.Conn, error) {
		if c := in[address]; c != nil {
			return c.visit()
		}
		return nil, fmt.Errorf("dial %s: nobody is there", address)
	}
	n := New(o)
	t.Cleanup(n.Close)
	return n
}

func heartbeat(ctx context.Context, n *Network) error {
	_, err := n.Master().Heartbeat(ctx, &rpc.HeartbeatRequest{Worker: "w"})
	return err
}

func TestLeaderIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in := security.NewToken(), street{}
		stop := in.leader(t, "leads:1", token)
		in.leader(t, "next:1", token)
		in.follower(t, "silent:1", "", token)
		in.follower(t, "telling:1", "leads:1", token)
		in.follower(t, "wrong:1", "dead:1", token)
		for _, masters := range []string{"silent:1 dead:1 leads:1", "dead:1 telling:1", "wrong:1 silent:1 leads:1"} {
			n := in.dialer(t, Options{Masters: strings.Fields(masters), Token: token})
			for range 2 {
				if err := heartbeat(t.Context(), n); err != nil || n.leader.rotation()[0] != "leads:1" {
					t.Errorf("%s: %v, then %v", masters, err, n.leader.rotation())
				}
			}
		}
		n := in.dialer(t, Options{Masters: []string{"leads:1", "silent:1", "next:1"}, Token: token})
		if err := heartbeat(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := heartbeat(t.Context(), n); err != nil || n.leader.rotation()[0] != "next:1" {
			t.Fatalf("after the leader's death: %v, then %v", err, n.leader.rotation())
		}
	})
}

// busyMaster says for a while that it shall be asked later.
type busyMaster struct {
	someMaster
	busy *atomic.Int32
}

func (m busyMaster) Heartbeat(context.Context, *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	if m.busy.Add(-1) >= 0 {
		return nil, failure.Wrap(failure.Transient, rpc.ErrBusy)
	}
	return &rpc.HeartbeatReply{}, nil
}

// One that is busy is asked again, and nobody else is.
func TestBusyMasterIsAskedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in, busy := security.NewToken(), street{}, &atomic.Int32{}
		busy.Store(3)
		in.open(t, "busy:1", Services{Master: func() (rpc.MasterClient, error) { return busyMaster{busy: busy}, nil }}, token)
		in.leader(t, "other:1", token)
		n := in.dialer(t, Options{Masters: []string{"busy:1", "other:1"}, Token: token})
		begun := time.Now()
		if err := heartbeat(t.Context(), n); err != nil || busy.Load() >= 0 || n.leader.rotation()[0] != "busy:1" || time.Since(begun) < 3*firstPause/2 {
			t.Errorf("%v after %v, %d left, then %v", err, time.Since(begun), busy.Load(), n.leader.rotation())
		}
	})
}

func TestNobodyLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in := security.NewToken(), street{}
		in.follower(t, "a:1", "", token)
		in.follower(t, "b:1", "a:1", token) // they name each other
		in.follower(t, "c:1", "b:1", token)
		n := in.dialer(t, Options{Masters: []string{"dead:1", "a:1", "b:1", "c:1"}, Token: token})
		begun := time.Now()
		err := heartbeat(t.Context(), n)
		if !errors.Is(err, rpc.ErrNotLeader) || failure.Of(err) != failure.Transient || time.Since(begun) != time.Minute {
			t.Errorf("given up by itself: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := heartbeat(ctx, n); failure.Of(err) != failure.Transient || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the caller's deadline: %v", err)
		}
		ended, end := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, end)
		if err := heartbeat(ended, n); failure.Of(err) != failure.Cancelled || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if err := heartbeat(t.Context(), in.dialer(t, Options{})); failure.Of(err) != failure.Usage {
			t.Errorf("without masters: %v", err)
		}
	})
}

// Who waits for a job is told when no master answers any more, and of which ones; as long as
// one says that nobody leads, it waits on.
func TestWaitWithoutMasters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in := security.NewToken(), street{}
		wait := func(ctx context.Context, masters ...string) error {
			n := in.dialer(t, Options{Masters: masters, Token: token, CallTimeout: 30 * time.Second})
			_, err := n.Cluster().GetJob(ctx, &rpc.GetJobRequest{Job: make([]byte, 16), KnownState: "RUNNING"})
			return err
		}
		begun := time.Now()
		err := wait(t.Context(), "dead:1", "gone:1")
		if took := time.Since(begun); !errors.Is(err, rpc.ErrUnreachable) || !strings.Contains(err.Error(), "dead:1, gone:1") || took > 35*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		in.open(t, "waits:1", Services{Cluster: func() (rpc.ClusterClient, error) { return nil, rpc.NotLeader("") }}, token)
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		if err := wait(ctx, "dead:1", "waits:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with one that does not lead: %v", err)
		}
	})
}

// A master that takes calls and does not answer is not waited for.
func TestMasterHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in := security.NewToken(), street{}
		in.open(t, "hangs:1", Services{Master: func() (rpc.MasterClient, error) { return hangingMaster{}, nil }}, token)
		in.leader(t, "leads:1", token)
		n := in.dialer(t, Options{Masters: []string{"hangs:1", "leads:1"}, Token: token})
		begun := time.Now()
		if err := heartbeat(t.Context(), n); err != nil || n.leader.rotation()[0] != "leads:1" || time.Since(begun) != time.Second {
			t.Fatalf("%v after %v, then %v", err, time.Since(begun), n.leader.rotation())
		}
		// A caller that gives up itself begins with another one the next time.
		m := in.dialer(t, Options{Masters: []string{"hangs:1", "leads:1"}, Token: token})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := heartbeat(ctx, m); failure.Of(err) != failure.Transient {
			t.Fatal(err)
		}
		if got := m.leader.rotation()[0]; got != "leads:1" {
			t.Fatalf("next %s", got)
		}
	})
}

// A master that does not even greet is left after a second, by calls that wait long too;
// and one that hangs is not asked first by those who name it.
func TestMasterIsFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frozen := newCrowd()
		token, in := security.NewToken(), street{"frozen:1": frozen}
		go func() { // connections come to nobody
			for {
				c, err := frozen.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(io.Discard, c) }()
			}
		}()
		t.Cleanup(func() { _ = frozen.Close() })
		var named atomic.Int32
		in.open(t, "b:1", Services{
			Master: func() (rpc.MasterClient, error) {
				if named.Add(1) < 10 {
					return nil, rpc.NotLeader("frozen:1")
				}
				return someMaster{}, nil
			},
			Cluster: func() (rpc.ClusterClient, error) { return polled{}, nil },
		}, token)
		n := in.dialer(t, Options{Masters: []string{"frozen:1", "b:1"}, Token: token})
		begun := time.Now()
		_, err := n.Cluster().GetJob(t.Context(), &rpc.GetJobRequest{AwaitResult: true})
		if err != nil || time.Since(begun) != time.Second {
			t.Errorf("a long call after %v: %v", time.Since(begun), err)
		}
		m := in.dialer(t, Options{Masters: []string{"frozen:1", "b:1"}, Token: token})
		begun = time.Now()
		if err := heartbeat(t.Context(), m); err != nil || time.Since(begun) > 10*time.Second {
			t.Errorf("a heartbeat after %v: %v", time.Since(begun), err)
		}
	})
}

type hangingMaster struct{ rpc.MasterClient }

// When a heartbeat has found the new leader, calls that wait for the old one ask again
// there, those that may wait long too.
func TestOthersLearn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in := security.NewToken(), street{}
		var led atomic.Bool
		led.Store(true)
		in.open(t, "hangs:1", Services{
			Master:  func() (rpc.MasterClient, error) { return pausingMaster{hangs: !led.Load()}, nil },
			Cluster: func() (rpc.ClusterClient, error) { return hangingCluster{}, nil },
		}, token)
		in.open(t, "leads:1", Services{
			Master: func() (rpc.MasterClient, error) {
				if led.Load() {
					return nil, rpc.NotLeader("hangs:1")
				}
				return someMaster{}, nil
			},
			Cluster: func() (rpc.ClusterClient, error) { return polled{}, nil },
		}, token)
		n := in.dialer(t, Options{Masters: []string{"hangs:1", "leads:1"}, Token: token})
		if err := heartbeat(t.Context(), n); err != nil || n.leader.now() != "hangs:1" {
			t.Fatal(err)
		}
		answered := make(chan error)
		go func() {
			_, err := n.Cluster().GetJob(t.Context(), &rpc.GetJobRequest{AwaitResult: true})
			answered <- err
		}()
		synctest.Wait()
		led.Store(false)
		begun := time.Now()
		if err := heartbeat(t.Context(), n); err != nil || n.leader.now() != "leads:1" {
			t.Fatal(err)
		}
		if err := <-answered; err != nil || time.Since(begun) != time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

type (
	pausingMaster struct {
		rpc.MasterClient
		hangs bool
	}
	hangingCluster struct{ rpc.ClusterClient }
	polled         struct{ rpc.ClusterClient }
)

func (m pausingMaster) Heartbeat(ctx context.Context, q *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	if m.hangs {
		return hangingMaster{}.Heartbeat(ctx, q)
	}
	return &rpc.HeartbeatReply{}, nil
}

func (hangingCluster) GetJob(ctx context.Context, _ *rpc.GetJobRequest) (*rpc.JobStatus, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (polled) GetJob(context.Context, *rpc.GetJobRequest) (*rpc.JobStatus, error) {
	return &rpc.JobStatus{}, nil
}

func (hangingMaster) Heartbeat(ctx context.Context, _ *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// What a master refuses for good is not asked of the others, and not again; a stranger
// at one master's address does not keep anybody from the others.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in := security.NewToken(), street{}
		in.leader(t, "leads:1", token)
		guesses := in.dialer(t, Options{Masters: []string{"leads:1"}, Token: security.NewToken()})
		if err := heartbeat(t.Context(), guesses); failure.Of(err) != failure.Unauthorized || !strings.Contains(err.Error(), "the token is not this cluster's") {
			t.Error(err)
		}
		ca := authority(t)
		o := Options{TLS: identity(t, ca, security.Worker).Client(), Masters: []string{"strange:1", "ours:1"}}
		for address, of := range map[string]*security.CA{"strange:1": authority(t), "ours:1": ca} {
			in[address] = newCrowd()
			_, _ = serveAt(t, in[address], Admission{TLS: identity(t, of, security.Master).Server()}, func(r *grpc.Server) {
				Register(r, Services{Master: func() (rpc.MasterClient, error) { return someMaster{}, nil }})
			})
		}
		if err := heartbeat(t.Context(), in.dialer(t, o)); err != nil {
			t.Error(err)
		}
		// But whether one that is not there would lead is not known.
		o.Masters = []string{"dead:1", "strange:1", "dead:2"}
		if err := heartbeat(t.Context(), in.dialer(t, o)); failure.Of(err) != failure.Transient {
			t.Error(err)
		}
		o.Masters = []string{"strange:1"}
		if err := heartbeat(t.Context(), in.dialer(t, o)); failure.Of(err) != failure.Unauthorized || !errors.Is(err, errStranger) {
			t.Error(err)
		}
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in := security.NewToken(), street{}
		in.leader(t, "leads:1", token)
		n := in.dialer(t, Options{Masters: []string{"leads:1"}, Token: token})
		if err := heartbeat(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		n.Close()
		n.Close()
		if err := heartbeat(t.Context(), n); failure.Of(err) != failure.Transient || !errors.Is(err, rpc.ErrUnreachable) {
			t.Fatal(err)
		}
	})
}

// Connections are kept while they are used; those of processes that are gone do not
// gather.
func TestConnectionsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, in := security.NewToken(), street{}
		n := in.dialer(t, Options{Token: token})
		call := func(address string) {
			t.Helper()
			err := process{n: n, address: address}.invoke(t.Context(), Worker_Logs_FullMethodName, &rpc.LogsRequest{}, &rpc.LogsReply{})
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			address := fmt.Sprintf("w%d:1", i)
			in.open(t, address, Services{Worker: someWorker{}}, token)
			call(address)
		}
		time.Sleep(2 * idleTimeout)
		call("w0:1")
		in.open(t, "new:1", Services{Worker: someWorker{}}, token)
		call("new:1")
		if got := len(n.conns); got != 2 {
			t.Errorf("%d connections", got)
		}
	})
}
