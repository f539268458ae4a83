package gateway_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/minicluster"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/scheduler/gateway"
	"github.com/tidemill/tidemill/shuffle"
)

// A query whose cluster loses its processes: it is started again while none of its rows
// was seen, and its user hears of it only when that does not help.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// unlucky is a cluster whose first jobs fail.
type unlucky struct {
	rpc.ClusterClient
	cause     error // errDropped: a leader drops what they write and dies before it says why
	left      int   // jobs that fail
	submitted int

	mu     sync.Mutex
	failed map[id.Job]chan struct{} // closed when it is cancelled
}

var errDropped = errors.New("their leader is gone")

// dropping is a shuffle service that drops what the jobs write that fail.
type dropping struct {
	shuffle.Service
	*unlucky
}

func (d dropping) Reader(ctx context.Context, job id.Job, ex id.Exchange, partition, attempt uint32) (shuffle.Reader, error) {
	if d.fate(job[:]) != nil {
		return dropped{}, nil
	}
	return d.Service.Reader(ctx, job, ex, partition, attempt)
}

// dropped is a reader of what was dropped under it.
type dropped struct{}

func (dropped) Poll() (stream.Element, bool, error) {
	return stream.Element{}, false, shuffle.ErrReleased
}
func (dropped) Ready() <-chan struct{} { return nil }
func (dropped) Close() error           { return nil }

// fate is closed when a job that fails is cancelled; nil: it does not fail.
func (u *unlucky) fate(job []byte) chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed[id.Job(job)]
}

func (u *unlucky) Submit(ctx context.Context, r *rpc.SubmitRequest) (*rpc.SubmitReply, error) {
	u.submitted++
	if u.left == 0 {
		return u.ClusterClient.Submit(ctx, r)
	}
	u.left--
	j := id.NewJob()
	u.mu.Lock()
	u.failed[j] = make(chan struct{})
	u.mu.Unlock()
	return &rpc.SubmitReply{Job: j[:]}, nil
}

func (u *unlucky) GetJob(ctx context.Context, r *rpc.GetJobRequest) (*rpc.JobStatus, error) {
	fate := u.fate(r.GetJob())
	switch {
	case fate == nil:
		return u.ClusterClient.GetJob(ctx, r)
	case errors.Is(u.cause, errDropped) && r.GetAwaitResult():
		return &rpc.JobStatus{Job: r.GetJob(), State: "RUNNING", Result: &rpc.Edge{Peers: 1}}, nil
	case errors.Is(u.cause, errDropped):
		select { // there is no news before
		case <-fate:
			return &rpc.JobStatus{Job: r.GetJob(), State: "CANCELED", Over: true}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &rpc.JobStatus{Job: r.GetJob(), State: "FAILED", Over: true, Cause: rpc.ToFailure(u.cause)}, nil
}

func (u *unlucky) CancelJob(ctx context.Context, r *rpc.CancelJobRequest) (*rpc.CancelJobReply, error) {
	fate := u.fate(r.GetJob())
	if fate == nil {
		return u.ClusterClient.CancelJob(ctx, r)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case <-fate:
	default:
		close(fate)
	}
	return &rpc.CancelJobReply{}, nil
}

// none has no connectors.
type none struct{ catalog.Connectors }

func TestQueriesAreStartedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		cause     error
		failing   int
		submitted int
		class     failure.Class // of the error, Unclassified for none
	}{
		"nothing happens":         {failure.Errorf(failure.Transient, "worker w is lost"), 0, 1, failure.Unclassified},
		"twice a worker is lost":  {failure.Errorf(failure.Transient, "worker w is lost"), 2, 3, failure.Unclassified},
		"a partition is lost":     {failure.Errorf(failure.LostPartition, "server s is gone"), 1, 2, failure.Unclassified},
		"its result is dropped":   {errDropped, 1, 2, failure.Unclassified},
		"dropped again and again": {errDropped, 9, 4, failure.Transient},
		"again and again":         {failure.Errorf(failure.Transient, "worker w is lost"), 9, 4, failure.Transient},
		"a wrong row":             {failure.Errorf(failure.BadData, "line 3"), 1, 1, failure.BadData},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster, err := minicluster.New(t.Context(), minicluster.Options{Config: small(t), Connectors: func(string) (connector.Connector, error) {
					return nil, errors.New("no connectors here")
				}})
				if err != nil {
					t.Fatal(err)
				}
				u := &unlucky{ClusterClient: cluster.Client(), cause: c.cause, left: c.failing, failed: map[id.Job]chan struct{}{}}
				g := gateway.New(gateway.Options{Cluster: u, Shuffle: dropping{cluster.Shuffle(), u}, Connectors: none{}, Functions: function.Builtins(), Again: 3})
				rows, err := count(t, g)
				if u.submitted != c.submitted || failure.Of(err) != c.class || err == nil && rows != 1 {
					t.Errorf("%d rows of %d jobs, %v", rows, u.submitted, err)
				}
				g.Close()
				if err := cluster.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func small(t *testing.T) config.Config {
	t.Helper()
	c, err := config.FromMap(map[string]string{"worker.slots": "1", "worker.memory.size": "128mb", "io.tmp.dir": t.TempDir()}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// count runs a query of one row.
func count(t *testing.T, g *gateway.Gateway) (rows int, err error) {
	t.Helper()
	session, err := g.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	const source = "SELECT 1"
	statements, err := parser.ParseScript(source)
	if err != nil {
		t.Fatal(err)
	}
	var r client.Result
	if r, err = session.Execute(t.Context(), source, statements[0]); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		b, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += b.Len()
		b.Release()
	}
}
