package simulation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/datagen"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
)

// errInjected is the cause of everything that goes wrong by plan, where it can be
// followed; over the wire its text is.
var errInjected = errors.New("injected by the plan")

// faults has what a plan wants go wrong. Its methods may be called concurrently.
type faults struct {
	mu     sync.Mutex
	plan   []Fault
	counts map[site]int
	healed bool
	done   []string   // what has gone wrong
	deaths chan Fault // of workers and servers, for the system to bring about
}

type site struct {
	kind FaultKind
	name string
}

func newFaults(plan []Fault) *faults {
	return &faults{plan: plan, counts: map[site]int{}, deaths: make(chan Fault, len(plan))}
}

// due counts a site and tells whether a fault of that kind happens there now.
func (f *faults) due(kind FaultKind, name string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.healed {
		return Fault{}, false
	}
	at := site{kind, name}
	f.counts[at]++
	n := f.counts[at]
	for _, p := range f.plan {
		if p.Kind == kind && p.Site == name && n >= p.Nth && n < p.Nth+p.Times {
			f.done = append(f.done, p.String())
			return p, true
		}
	}
	return Fault{}, false
}

// heal ends all faults; those that have happened are returned.
func (f *faults) heal() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healed = true
	return f.done
}

func (f *faults) happened() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.done) > 0
}

// wire is the transport's share.
func (f *faults) wire() rpc.LocalOptions {
	return rpc.LocalOptions{
		Serialize: true,
		Fault: func(method string) error {
			if late, ok := f.due(Late, method); ok {
				time.Sleep(late.Late)
			}
			for _, kind := range []FaultKind{KillWorker, KillServer, KillMaster, LoseMaster, CutMaster, DrainServer, JoinWorker} {
				if death, ok := f.due(kind, method); ok {
					f.deaths <- death // of each there is one
				}
			}
			return unreachable(f.transient(Drop, method))
		},
		Lost:     func(method string) error { return unreachable(f.transient(Lose, method)) },
		Repeated: func(method string) bool { _, ok := f.due(Repeat, method); return ok },
	}
}

// unreachable is what a caller of the real transport is told of a call or reply that is lost.
func unreachable(err error) error {
	if err == nil {
		return nil
	}
	return failure.Wrap(failure.Transient, fmt.Errorf("%w: %w", rpc.ErrUnreachable, err))
}

func (f *faults) transient(kind FaultKind, name string) error {
	if due, ok := f.due(kind, name); ok {
		return failure.Wrap(failure.Transient, fmt.Errorf("%w: %s", errInjected, due))
	}
	return nil
}

// files wraps a file system with the faults of the plan.
func (f *faults) files(inner fs.FileSystem) *faultfs.FileSystem {
	wrapped := faultfs.New(inner)
	for _, p := range f.plan {
		if p.Kind != FailFile && p.Kind != FailAfter {
			continue
		}
		for _, op := range operations() {
			if op.String() == p.Site {
				wrapped.Inject(faultfs.Rule{
					Op: op, Skip: p.Nth - 1, Times: p.Times, After: p.Kind == FailAfter,
					Err: failure.Wrap(failure.Transient, fmt.Errorf("%w: %s", errInjected, p)),
				})
			}
		}
	}
	return wrapped
}

// flaky is the connector of the sources: generated rows, and a reader that fails by
// plan.
type flaky struct {
	datagen.Connector
	faults *faults
}

// Name implements connector.Connector.
func (flaky) Name() string { return "flaky" }

// Reader implements connector.Connector.
func (c flaky) Reader(ctx context.Context, s connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	r, err := c.Connector.Reader(ctx, s, env)
	if err != nil {
		return nil, err
	}
	return flakyReader{r, c.faults}, nil
}

type flakyReader struct {
	connector.Reader
	faults *faults
}

// Poll implements connector.Reader.
func (r flakyReader) Poll(ctx context.Context) (*stream.Batch, connector.Wait, error) {
	if err := r.faults.transient(FailRead, readSite); err != nil {
		return nil, connector.NoWait, err
	}
	return r.Reader.Poll(ctx)
}
