package resource

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// Options are the settings of a Manager.
type Options struct {
	// Fixed says that no workers will come beyond those that registered.
	Fixed bool
	// Timeout is how long a worker may be silent before it counts as lost; zero:
	// for ever, as inside one process.
	Timeout time.Duration
	// Lost, which may be nil, is told of each worker that is lost or replaced.
	Lost func(w id.Worker, cause error)
}

// Manager lends slots. All methods may be called concurrently.
type Manager struct {
	opts Options

	mu      sync.Mutex
	pool    *Pool
	asking  map[Request]func(Answer)
	heard   map[id.Worker]time.Time
	memory  map[id.Worker]int64
	arrived chan struct{} // closed and replaced when a worker comes
}

// New returns a manager without workers.
func New(o Options) *Manager {
	return &Manager{
		opts: o, pool: NewPool(o.Fixed), asking: map[Request]func(Answer){},
		heard: map[id.Worker]time.Time{}, memory: map[id.Worker]int64{}, arrived: make(chan struct{}),
	}
}

// Run watches heartbeats until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	if m.opts.Timeout <= 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(m.opts.Timeout / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.expire(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// expire drops workers that were silent too long.
func (m *Manager) expire(now time.Time) {
	m.mu.Lock()
	silent := map[id.Worker]time.Duration{}
	for w, at := range m.heard {
		if since := now.Sub(at); since > m.opts.Timeout {
			silent[w] = since
		}
	}
	m.mu.Unlock()
	for w, since := range silent {
		m.Lose(w, fmt.Errorf("no heartbeat for %v", since))
	}
}

// Register makes a worker's slots known. One that was known counts as lost first.
func (m *Manager) Register(w id.Worker, slots int) error {
	if w == "" || slots < 1 {
		return failure.Errorf(failure.Usage, "register worker %q with %d slots: it needs a name and a slot", w, slots)
	}
	m.Lose(w, fmt.Errorf("it registered again"))
	m.mu.Lock()
	m.heard[w] = time.Now()
	answers := m.pool.AddWorker(w, slots)
	close(m.arrived)
	m.arrived = make(chan struct{})
	m.deliver(answers)
	return nil
}

// Heartbeat notes that a worker lives, and reports whether it is known.
func (m *Manager) Heartbeat(w id.Worker, memoryUsed int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.heard[w]; !known {
		return false
	}
	m.heard[w], m.memory[w] = time.Now(), memoryUsed
	return true
}

// Lose forgets a worker; an unknown one is no error.
func (m *Manager) Lose(w id.Worker, cause error) {
	m.mu.Lock()
	known := m.pool.RemoveWorker(w)
	delete(m.heard, w)
	delete(m.memory, w)
	m.mu.Unlock()
	if known && m.opts.Lost != nil {
		m.opts.Lost(w, cause)
	}
}

// Workers lists the workers, oldest first.
func (m *Manager) Workers() []id.Worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pool.Workers()
}

// Slots counts all slots and the free ones.
func (m *Manager) Slots() (total, free int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pool.Total(), m.pool.Free()
}

// Await waits until there is a worker and returns the number of slots.
func (m *Manager) Await(ctx context.Context) (int, error) {
	for {
		m.mu.Lock()
		total, arrived := m.pool.Total(), m.arrived
		m.mu.Unlock()
		if total > 0 {
			return total, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for a worker: %w", ctx.Err())
		}
	}
}

// Ask asks for slots; answer is called once, from any goroutine and perhaps
// before Ask returns, unless the request is withdrawn.
func (m *Manager) Ask(r Request, count int, answer func(Answer)) {
	m.mu.Lock()
	m.asking[r] = answer
	m.deliver(m.pool.Ask(r, count))
}

// Withdraw forgets a request; its answer does not come unless it is on its way.
func (m *Manager) Withdraw(r Request) {
	m.mu.Lock()
	delete(m.asking, r)
	m.deliver(m.pool.Withdraw(r))
}

// Release gives slots back.
func (m *Manager) Release(slots []id.Slot) {
	m.mu.Lock()
	m.deliver(m.pool.Release(slots))
}

// deliver unlocks mu and calls the askers.
func (m *Manager) deliver(answers []Answer) {
	calls := make([]func(Answer), len(answers))
	for i, a := range answers {
		calls[i] = m.asking[a.Request]
		delete(m.asking, a.Request)
	}
	m.mu.Unlock()
	for i, call := range calls {
		call(answers[i])
	}
}
