package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// Options say whom a process may reach, and what it shows there.
type Options struct {
	// Masters are the addresses where masters are looked for.
	Masters []string
	// TLS is the caller's side of it (security.Identity.Client, security.Trust.Client);
	// nil: only this machine is called. Unix sockets never have it.
	TLS *tls.Config
	// Token is shown to those whose certificate may see it; the zero one is not shown.
	Token security.Token
	// Dial opens connections to addresses, host:port or unix:PATH; nil: the machine's.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// CallTimeout bounds calls whose context has no end; zero: a minute. Those that wait
	// for something to happen have LongCallTimeout; zero: a day.
	CallTimeout, LongCallTimeout time.Duration
	// AskTimeout is how long one master is waited for before another is asked; zero: 5 s.
	AskTimeout time.Duration
	// Version is the program's, for messages about calls that the other side lacks.
	Version string
	// Unanswered is told of each call of the leading master that a master gave no answer to,
	// and that is therefore made again, the same request to whoever leads; nil: nobody is.
	// It is called concurrently and returns at once.
	Unanswered func(method string)
}

func (o Options) complete() Options {
	if o.Dial == nil {
		o.Dial = dial
	}
	for d, d0 := range map[*time.Duration]time.Duration{&o.CallTimeout: time.Minute, &o.LongCallTimeout: 24 * time.Hour, &o.AskTimeout: 5 * time.Second} {
		if *d == 0 {
			*d = d0
		}
	}
	return o
}

// Network calls other processes. All methods may be called concurrently.
type Network struct {
	opts   Options
	leader leader

	mu     sync.Mutex
	closed bool
	conns  map[string]*conn // by address
}

var _ rpc.Dialer = (*Network)(nil)

// New returns a network that has no connections yet: they are made when they are
// wanted.
func New(o Options) *Network {
	n := &Network{opts: o.complete(), conns: map[string]*conn{}}
	n.leader.masters = n.opts.Masters
	return n
}

// Master implements rpc.Dialer.
func (n *Network) Master() rpc.MasterClient { return masterCalls{leading{n}} }

// Cluster is the leading master as clients see it.
func (n *Network) Cluster() rpc.ClusterClient { return clusterCalls{leading{n}} }

// Worker implements rpc.Dialer.
func (n *Network) Worker(w id.Worker) rpc.WorkerClient { return workerCalls{n.named(string(w))} }

// Coordinator implements rpc.Dialer.
func (n *Network) Coordinator(w id.Worker) rpc.CoordinatorClient {
	return coordinatorCalls{n.named(string(w))}
}

// Shuffle implements rpc.Dialer.
func (n *Network) Shuffle(server string) rpc.ShuffleClient { return shuffleCalls{n.named(server)} }

// Blobs is the store of blobs of the master at an address, whether it leads or not.
func (n *Network) Blobs(master string) Blobs { return blobsCalls{process{n: n, address: master}} }

// Peer is the master at an address, whether it leads or not.
func (n *Network) Peer(master string) Peer { return peerCalls{process{n: n, address: master}} }

// Refused reports that nobody listens at an address: the machine is there and says so. Of
// one that does not answer, or that cannot be reached, nothing is known.
func (n *Network) Refused(ctx context.Context, address string) bool {
	conn, err := n.opts.Dial(ctx, address)
	if err == nil {
		_ = conn.Close() // nothing was said
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Close ends all calls and connections.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	conns := n.conns
	n.conns = nil
	n.mu.Unlock()
	for _, c := range conns {
		c.close()
	}
}

// target is where calls go.
type target interface {
	invoke(ctx context.Context, method string, q, r proto.Message) error
}

// call makes a reply and has it filled.
func call[R any, P interface {
	*R
	proto.Message
}](ctx context.Context, to target, method string, q proto.Message) (*R, error) {
	r := new(R)
	if err := to.invoke(ctx, method, q, P(r)); err != nil {
		return nil, err
	}
	return r, nil
}

// process is one, by its address.
type process struct {
	n       *Network
	address string
	name    string // that it must have; empty: any
}

func (n *Network) named(name string) process {
	return process{n: n, address: rpc.AddressOf(name), name: name}
}

func (p process) invoke(ctx context.Context, method string, q, r proto.Message) error {
	ctx, cancel := p.n.bound(ctx, method, q)
	defer cancel()
	return p.ask(ctx, method, q, r)
}

// ask calls the process once.
func (p process) ask(ctx context.Context, method string, q, r proto.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	where := fmt.Sprintf("%s at %s", short(method), p.address)
	c, err := p.n.acquire(p.address, p.name)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	defer p.n.release(c)
	if p.name != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, nameKey, p.name)
	}
	var refused error
	err = c.cc.Invoke(context.WithValue(ctx, verdict{}, &refused), method, q, r)
	if err == nil {
		return nil
	}
	if refused == nil && status.Code(err) == codes.Unavailable {
		refused = c.refusal()
	}
	switch {
	case refused == nil || ctx.Err() != nil:
		return fromStatus(ctx, where, p.n.opts.Version, err)
	case p.name != "" && errors.Is(refused, errStranger):
		return unreachable(where, refused.Error()) // whom we call is gone
	default:
		return fmt.Errorf("%s: %w", where, refused)
	}
}

// bound gives a call an end, if its caller has not.
func (n *Network) bound(ctx context.Context, method string, q proto.Message) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	if waits(method, q) {
		return context.WithTimeout(ctx, n.opts.LongCallTimeout)
	}
	return context.WithTimeout(ctx, n.opts.CallTimeout)
}

// waits reports whether a call may take as long as it takes: whether the other side is
// still there is seen by its silence.
func waits(method string, q proto.Message) bool {
	switch method {
	case Coordinator_NextSplit_FullMethodName, Coordinator_Commit_FullMethodName, Coordinator_Abort_FullMethodName,
		Coordinator_Gather_FullMethodName, Cluster_Savepoint_FullMethodName, Shuffle_HandOver_FullMethodName:
		return true
	case Cluster_GetJob_FullMethodName:
		g, ok := q.(*rpc.GetJobRequest)
		return ok && (g.GetKnownState() != "" || g.GetAwaitResult())
	case Worker_Drop_FullMethodName:
		d, ok := q.(*rpc.DropRequest)
		return ok && d.GetEndJob()
	}
	return false
}

// acquire returns the connection to an address, which is used until release. Where nobody
// was found under another name the next try is put off; whoever has come since is called now.
func (n *Network) acquire(address, name string) (*conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, failure.Wrap(failure.Transient, fmt.Errorf("%w: this process has closed its connections", rpc.ErrUnreachable))
	}
	c := n.conns[address]
	if c != nil && c.users == 0 && c.name != name && c.cc.GetState() == connectivity.TransientFailure {
		c.close()
		c = nil
	}
	if c == nil {
		n.sweep()
		c = &conn{}
		cc, err := grpc.NewClient("passthrough:///"+address, dialOptions(n.opts, c.note)...)
		if err != nil {
			return nil, failure.Errorf(failure.Fatal, "connect: %w", err)
		}
		c.cc, n.conns[address] = cc, c
	}
	c.users++
	c.name = name
	return c, nil
}

// connected reports whether the connection to an address is there.
func (n *Network) connected(address string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.conns[address]
	return c != nil && c.cc.GetState() == connectivity.Ready
}

func (n *Network) release(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.users--
	c.used = time.Now()
}

// sweep closes connections that have long not been used, so that addresses of processes
// that are gone do not gather.
func (n *Network) sweep() {
	for address, c := range n.conns {
		if c.users == 0 && time.Since(c.used) > idleTimeout {
			delete(n.conns, address)
			c.close()
		}
	}
}

// conn is the connection to an address. Network.mu guards name, users and used.
type conn struct {
	cc    *grpc.ClientConn
	name  string    // of the process that was called last
	users int       // calls
	used  time.Time // last

	mu      sync.Mutex
	refused error
}

// note remembers what the last handshake was refused for.
func (c *conn) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = err
}

func (c *conn) refusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

func (c *conn) close() { _ = c.cc.Close() } // it was open: there is no other error
