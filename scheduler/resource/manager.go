package resource

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
)

// Options are the settings of a Manager.
type Options struct {
	// Fixed says that no workers will come beyond those that registered.
	Fixed bool
	// Timeout is how long a member may be silent before it counts as lost; zero:
	// for ever, as inside one process.
	Timeout time.Duration
	// Refused, which may be nil, says that nobody listens at an address. Then a member that
	// has missed a heartbeat is lost at once: its process has ended. It returns when its
	// context ends, and is called concurrently.
	Refused func(ctx context.Context, address string) bool
	// Lost, which may be nil, is told of each worker and shuffle server that is lost or
	// replaced.
	Lost func(who Member, cause error)
	// Aside, which may be nil, is told of each worker that is set aside, and, with a nil
	// cause, of each whose slots are offered again.
	Aside func(w id.Worker, cause error)
	// Drains, which may be nil, is told when a shuffle server begins to drain, and when
	// one comes, which may take over what others keep.
	Drains func()
}

// Manager lends slots. All methods may be called concurrently.
type Manager struct {
	opts Options

	mu      sync.Mutex
	pool    *Pool
	asking  map[Request]asked
	members map[id.Worker]*member
	arrived chan struct{} // closed and replaced when a member comes
	changed chan struct{} // closed and replaced when one comes or goes
	freed   chan struct{} // closed and replaced when slots are free after a call
	came    int           // how many have registered
	ended   []State       // servers that were drained
}

// Member is a process that registers: a worker, or a shuffle server.
type Member struct {
	ID     id.Worker
	Slots  int // 0: a shuffle server
	Memory int64
	// Address is where it is called. Who had it before, in the same role, was an earlier
	// life of it and is gone. Empty: that is not known.
	Address string
	// Server is where it keeps partitions; the zero value: nowhere.
	Server shuffle.Server
	// Daemon is the id of the shuffle server that a worker prefers.
	Daemon string
	// Drains says that a shuffle server is to end.
	Drains bool
}

// State is a member and what its last heartbeat said.
type State struct {
	Member
	Free       int // slots
	MemoryUsed int64
	Draining   bool
	Drained    bool   // and nobody needs it any more
	Full       string // why a shuffle server has no room on disk; empty: it has
	Heard      time.Time
}

type member struct {
	Member
	memoryUsed int64
	draining   bool
	drained    bool
	full       string
	heard      time.Time
	probed     bool // its address is being called
	order      int  // in which they came
	// refused counts the times that it was set aside since it last answered a call; until
	// restUntil its heartbeats do not bring it back.
	refused   int
	restUntil time.Time
}

// asked is a request that is not answered.
type asked struct {
	answer func(Answer)
	since  time.Time
}

// Waiting is a request that waits: for what, of whom, and since when.
type Waiting struct {
	Request
	Reason, Owner string
	Since         time.Time
}

// New returns a manager without workers.
func New(o Options) *Manager {
	return &Manager{
		opts: o, pool: NewPool(o.Fixed), asking: map[Request]asked{},
		members: map[id.Worker]*member{}, arrived: make(chan struct{}), changed: make(chan struct{}), freed: make(chan struct{}),
	}
}

// Run watches heartbeats until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	if m.opts.Timeout <= 0 {
		<-ctx.Done()
		return
	}
	var calling sync.WaitGroup
	defer calling.Wait()
	tick := time.NewTicker(m.opts.Timeout / 8)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			now := time.Now()
			m.expire(now)
			m.silent(now)
			for _, w := range m.missed(now) {
				calling.Go(func() { m.probe(ctx, w) })
			}
		case <-ctx.Done():
			return
		}
	}
}

// expire drops workers that were silent too long.
func (m *Manager) expire(now time.Time) {
	m.mu.Lock()
	silent := map[id.Worker]time.Duration{}
	for w, known := range m.members {
		if since := now.Sub(known.heard); since > m.opts.Timeout {
			silent[w] = since
		}
	}
	m.mu.Unlock()
	for w, since := range silent {
		m.Lose(w, fmt.Errorf("no heartbeat for %v", since))
	}
}

// overdue says that a member has missed a heartbeat: there are four in the time after which it
// is lost, and half a one is for the way.
func (m *Manager) overdue(silent time.Duration) bool { return silent > m.opts.Timeout*3/8 }

// missed lists the members that have missed a heartbeat, and whose address is to be called
// for it.
func (m *Manager) missed(now time.Time) (out []Member) {
	if m.opts.Refused == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, known := range m.members {
		if known.Address != "" && !known.probed && m.overdue(now.Sub(known.heard)) {
			known.probed = true
			out = append(out, known.Member)
		}
	}
	return out
}

// probe loses a member at whose address nobody listens, unless it is heard of meanwhile.
func (m *Manager) probe(ctx context.Context, who Member) {
	ctx, stop := context.WithTimeout(ctx, m.opts.Timeout/4)
	defer stop()
	refused := m.opts.Refused(ctx, who.Address)
	m.mu.Lock()
	known := m.members[who.ID]
	if known == nil {
		m.mu.Unlock()
		return
	}
	known.probed = false
	silent := time.Since(known.heard)
	m.mu.Unlock()
	if refused && m.overdue(silent) {
		m.Lose(who.ID, fmt.Errorf("no heartbeat for %v, and nobody listens at %s", silent, who.Address))
	}
}

// Register makes a member known. One that was known counts as lost first, and so does an
// earlier life of it: at once, since nobody answers for that one any more.
func (m *Manager) Register(who Member) error {
	if who.ID == "" || who.Slots < 0 || who.Slots == 0 && who.Server.ID == "" {
		return failure.Errorf(failure.Usage, "register %.100q with %d slots: it needs a name, and a slot or a place for partitions", who.ID, who.Slots)
	}
	if err := who.check(); err != nil {
		return fmt.Errorf("register %.100q: %w", who.ID, err)
	}
	m.Lose(who.ID, fmt.Errorf("it registered again"))
	for _, old := range m.earlier(who) {
		m.Lose(old, fmt.Errorf("%s has begun anew at its address", who.ID))
	}
	m.mu.Lock()
	m.came++
	m.members[who.ID] = &member{Member: who, draining: who.Drains, heard: time.Now(), order: m.came}
	var answers []Answer
	if who.Slots > 0 {
		answers = m.pool.AddWorker(who.ID, who.Slots)
	}
	m.signal(&m.arrived)
	m.signal(&m.changed)
	m.deliver(answers)
	if who.Slots == 0 {
		m.drains()
	}
	return nil
}

// earlier are the members whose address and role a new one has.
func (m *Manager) earlier(who Member) (out []id.Worker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w, known := range m.members {
		if who.Address != "" && known.Address == who.Address && (known.Slots > 0) == (who.Slots > 0) {
			out = append(out, w)
		}
	}
	return out
}

// Limits of a member: what it says of itself is kept, and plans are made of it.
const (
	maxSlots     = 10_000
	maxNameBytes = 512
)

// check refuses a member that no machine can be.
func (m Member) check() error {
	switch {
	case m.Slots > maxSlots:
		return failure.Errorf(failure.Usage, "%d slots, want at most %d", m.Slots, maxSlots)
	case m.Memory < 0:
		return failure.Errorf(failure.Usage, "%d bytes of memory", m.Memory)
	}
	for _, name := range []string{string(m.ID), m.Server.ID, m.Server.Host, m.Server.Socket, m.Server.Address, m.Daemon, m.Address} {
		if len(name) > maxNameBytes {
			return failure.Errorf(failure.Usage, "a name of %d bytes, want at most %d", len(name), maxNameBytes)
		}
	}
	return nil
}

// signal wakes whoever waits; the caller holds the lock.
func (m *Manager) signal(c *chan struct{}) {
	close(*c)
	*c = make(chan struct{})
}

// Heartbeat notes that a member lives, and reports whether it is known.
func (m *Manager) Heartbeat(w id.Worker, memoryUsed int64, draining bool) bool {
	known := m.note(w, func(known *member) {
		known.heard, known.memoryUsed, known.draining = time.Now(), memoryUsed, known.draining || draining
	})
	m.putBack(w)
	return known
}

// NoteFull notes why a shuffle server has no room on disk; empty: it has.
func (m *Manager) NoteFull(w id.Worker, why string) {
	m.note(w, func(known *member) { known.full = why })
}

// Members lists all members, oldest first.
func (m *Manager) Members() []State {
	m.mu.Lock()
	defer m.mu.Unlock()
	sorted := slices.SortedFunc(maps.Values(m.members), func(a, b *member) int { return a.order - b.order })
	out := make([]State, len(sorted))
	for i, k := range sorted {
		out[i] = k.state(m.pool.FreeOf(k.ID))
	}
	return out
}

func (k *member) state(free int) State {
	return State{Member: k.Member, Free: free, MemoryUsed: k.memoryUsed, Draining: k.draining, Drained: k.drained, Full: k.full, Heard: k.heard}
}

// Reads is where the pipelined partitions are kept that tasks of a worker read; false:
// the worker is gone, or in the master's process.
func (m *Manager) Reads(w id.Worker) (shuffle.Server, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.members[w]
	if !ok || k.Server.ID == "" {
		return shuffle.Server{}, false
	}
	return k.Server, true
}

// Writes is where the stored lanes are kept that tasks of a worker write: the server
// that it prefers, one on its host, or any, but none that drains, and none whose disk is full
// while another one has room; false: there is no server. Workers without a preference are spread over the servers.
func (m *Manager) Writes(w id.Worker) (shuffle.Server, bool) {
	all := m.Members()
	var self *State
	var servers, full []shuffle.Server
	for i := range all {
		switch s := &all[i]; {
		case s.ID == w:
			self = s
		case s.Slots > 0 || s.Draining:
		case s.Full != "":
			full = append(full, s.Server)
		default:
			servers = append(servers, s.Server)
		}
	}
	if len(servers) == 0 {
		servers = full
	}
	if len(servers) == 0 {
		return shuffle.Server{}, false
	}
	best, score := 0, -1
	for i, s := range servers {
		now := 0
		switch {
		case self != nil && self.Daemon != "" && self.Daemon == s.ID:
			now = 2
		case self != nil && self.Server.Host != "" && self.Server.Host == s.Host:
			now = 1
		}
		if now > score || now == score && spread(w, s.ID) < spread(w, servers[best].ID) {
			best, score = i, now
		}
	}
	return servers[best], true
}

// spread gives each worker its own order of servers.
func spread(w id.Worker, server string) uint64 { return xxh3.HashString(string(w) + "\x00" + server) }

// Lose forgets a worker; an unknown one is no error.
func (m *Manager) Lose(w id.Worker, cause error) {
	m.mu.Lock()
	known := m.members[w]
	if known != nil {
		delete(m.members, w)
		m.end(known)
		m.pool.RemoveWorker(w)
		m.signal(&m.changed)
	}
	m.mu.Unlock()
	if known != nil && m.opts.Lost != nil {
		m.opts.Lost(known.Member, cause)
	}
}

// Workers lists the workers, also those that are set aside, oldest first.
func (m *Manager) Workers() []id.Worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pool.Workers()
}

// Slots counts all slots and the free ones, without those of workers that are set aside.
func (m *Manager) Slots() (total, free int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pool.Total(), m.pool.Free()
}

// Arrived is closed when the next member registers, or is no longer set aside.
func (m *Manager) Arrived() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.arrived
}

// Changed is closed when the next member comes or goes.
func (m *Manager) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// Freed is closed when there are free slots that no request has taken, after some were
// given back or a worker has come.
func (m *Manager) Freed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.freed
}

// Await waits until there is a worker that is not set aside and returns the number of slots.
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

// Ask asks for at least and at most so many slots; answer is called once, from any
// goroutine and perhaps before Ask returns, unless the request is withdrawn.
func (m *Manager) Ask(r Request, least, most int, answer func(Answer)) {
	m.mu.Lock()
	m.asking[r] = asked{answer: answer, since: time.Now()}
	m.deliver(m.pool.Ask(r, least, most))
}

// Fixed says whether no worker will come beyond those that registered.
func (m *Manager) Fixed() bool { return m.opts.Fixed }

// Foresee is what requests of a job for so many slots each would get now if it gave back what
// it has.
func (m *Manager) Foresee(job id.Job, counts []int) [][]id.Slot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pool.Foresee(job, counts)
}

// Withdraw forgets a request; its answer does not come unless it is on its way.
func (m *Manager) Withdraw(r Request) {
	m.mu.Lock()
	delete(m.asking, r)
	m.deliver(m.pool.Withdraw(r))
}

// Waiting lists the requests of a job that wait, by region.
func (m *Manager) Waiting(job id.Job) []Waiting {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Waiting
	for r, a := range m.asking {
		if r.Job != job {
			continue
		}
		if reason, owner, waits := m.pool.Why(r); waits {
			out = append(out, Waiting{Request: r, Reason: reason, Owner: owner, Since: a.since})
		}
	}
	slices.SortFunc(out, func(a, b Waiting) int { return a.Region - b.Region })
	return out
}

// Release gives slots back that a job has.
func (m *Manager) Release(job id.Job, slots []id.Slot) {
	m.mu.Lock()
	m.deliver(m.pool.Release(job, slots))
}

// deliver unlocks mu and calls the askers.
func (m *Manager) deliver(answers []Answer) {
	calls := make([]func(Answer), len(answers))
	for i, a := range answers {
		calls[i] = m.asking[a.Request].answer
		delete(m.asking, a.Request)
	}
	if m.pool.Free() > 0 {
		m.signal(&m.freed)
	}
	m.mu.Unlock()
	for i, call := range calls {
		call(answers[i])
	}
}
