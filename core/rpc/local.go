package rpc

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// Local is the transport inside a process. All methods may be called
// concurrently.
type Local struct {
	opts LocalOptions
	*served
}

// served is who is reached, by all that share it.
type served struct {
	mu           sync.RWMutex
	master       MasterClient
	workers      map[id.Worker]WorkerClient
	coordinators map[id.Worker]CoordinatorClient
	shuffles     map[string]ShuffleClient
}

// LocalOptions are the settings of a Local; the zero value is right for programs.
type LocalOptions struct {
	// Serialize sends every request, reply and error through its encoding.
	Serialize bool
	// Fault, where set, is asked before each call, by the method's name, such as
	// "worker.Deploy"; its error is the call's. It may be called concurrently.
	Fault func(method string) error
	// Lost, where set, is asked after each call, and its error is the call's though it
	// took effect: the reply was lost. It may be called concurrently.
	Lost func(method string) error
	// Repeated, where set, says that a call arrives twice, as after a lost reply that
	// a transport hides. It may be called concurrently.
	Repeated func(method string) bool
}

var _ Dialer = (*Local)(nil)

// NewLocal returns a transport that reaches nobody yet.
func NewLocal(o LocalOptions) *Local {
	return &Local{opts: o, served: &served{
		workers: map[id.Worker]WorkerClient{}, coordinators: map[id.Worker]CoordinatorClient{}, shuffles: map[string]ShuffleClient{},
	}}
}

// With returns a transport with settings of its own that reaches the same ones.
func (l *Local) With(o LocalOptions) *Local { return &Local{opts: o, served: l.served} }

// ServeMaster makes m the leading master; nil: there is none.
func (l *Local) ServeMaster(m MasterClient) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.master = m
}

// ServeWorker makes a worker reachable; nils: it is gone.
func (l *Local) ServeWorker(w id.Worker, worker WorkerClient, coordinator CoordinatorClient) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.workers[w], l.coordinators[w] = worker, coordinator
	if worker == nil {
		delete(l.workers, w)
		delete(l.coordinators, w)
	}
}

// ServeShuffle makes a shuffle server reachable; nil: it is gone.
func (l *Local) ServeShuffle(server string, s ShuffleClient) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shuffles[server] = s
	if s == nil {
		delete(l.shuffles, server)
	}
}

// Master implements Dialer.
func (l *Local) Master() MasterClient { return localMaster{l} }

// Worker implements Dialer.
func (l *Local) Worker(w id.Worker) WorkerClient { return localWorker{l, w} }

// Coordinator implements Dialer.
func (l *Local) Coordinator(w id.Worker) CoordinatorClient { return localCoordinator{l, w} }

// Shuffle implements Dialer.
func (l *Local) Shuffle(server string) ShuffleClient { return localShuffle{l, server} }

// call hands a request to the receiver that find returns.
func call[S any, Q, R proto.Message](ctx context.Context, l *Local, name string, find func() S, method func(S, context.Context, Q) (R, error), q Q) (R, error) {
	var none R
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if l.opts.Fault != nil {
		if err := l.opts.Fault(name); err != nil {
			return none, fmt.Errorf("%s: %w", name, err)
		}
	}
	l.mu.RLock()
	server := find()
	l.mu.RUnlock()
	if v := reflect.ValueOf(&server).Elem(); v.IsNil() {
		return none, failure.Wrap(failure.Transient, fmt.Errorf("%s: %w", name, ErrUnreachable))
	}
	if l.opts.Repeated != nil && l.opts.Repeated(name) {
		_, _ = deliver(ctx, l.opts.Serialize, server, method, q)
	}
	r, err := deliver(ctx, l.opts.Serialize, server, method, q)
	if l.opts.Lost != nil {
		if lost := l.opts.Lost(name); lost != nil {
			return none, fmt.Errorf("%s: reply: %w", name, lost)
		}
	}
	return r, err
}

// deliver calls a receiver, through the encodings if so wanted.
func deliver[S any, Q, R proto.Message](ctx context.Context, serialize bool, server S, method func(S, context.Context, Q) (R, error), q Q) (R, error) {
	var none R
	if !serialize {
		return method(server, ctx, q)
	}
	q, err := transcode(q)
	if err != nil {
		return none, err
	}
	r, err := method(server, ctx, q)
	if err != nil {
		f, broken := transcode(ToFailure(err))
		if broken != nil {
			return none, broken
		}
		return none, f.Err()
	}
	return transcode(r)
}

// transcode is what a network does to a message.
func transcode[M proto.Message](m M) (M, error) {
	var none M
	wire, err := proto.Marshal(m)
	if err != nil {
		return none, failure.Errorf(failure.Internal, "encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	out := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(wire, out); err != nil {
		return none, failure.Errorf(failure.Internal, "decode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return out.(M), nil
}
