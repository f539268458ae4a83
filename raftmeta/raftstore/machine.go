package raftstore

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/raftmeta"
)

// buckets is the whole state; values and keys are immutable.
type buckets map[raftmeta.Bucket]map[string]raftmeta.Entry

// maxStateBytes bounds the state, which every master holds in memory and writes whole as
// a snapshot. All masters must agree on it: to change it is a new version of commands.
const maxStateBytes = 256 << 20

// sizeOf is what an entry counts: more than it takes in a snapshot.
func sizeOf(e raftmeta.Entry) int { return len(e.Bucket) + len(e.Key) + len(e.Value) + 64 }

// size is the sum of all entries.
func (s buckets) size() (n int) {
	for _, keys := range s {
		for _, e := range keys {
			n += sizeOf(e)
		}
	}
	return n
}

// clone copies the maps, not the entries.
func (s buckets) clone() buckets {
	c := make(buckets, len(s))
	for b, keys := range s {
		c[b] = maps.Clone(keys)
	}
	return c
}

// machine is the replicated state with its recent history and its watchers.
// Only apply, restore and fail change state, and only Raft's FSM goroutine
// calls them.
type machine struct {
	historyLen int
	dead       chan struct{} // closed by fail

	mu       sync.RWMutex
	state    buckets
	size     int // of state
	revision raftmeta.Revision
	failed   error // set once: the log cannot be followed any more
	closed   bool
	watchers map[*watcher]struct{}

	// history holds the events after revision forgotten, oldest first.
	history   []raftmeta.Event
	forgotten raftmeta.Revision
}

func newMachine(historyLen int) *machine {
	return &machine{
		historyLen: historyLen,
		dead:       make(chan struct{}),
		state:      buckets{},
		watchers:   map[*watcher]struct{}{},
	}
}

// apply performs a transaction that the log holds under term.
func (m *machine) apply(term id.Term, t raftmeta.Txn) (raftmeta.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		return 0, m.failed
	}
	if t.Term != 0 && t.Term != term {
		return 0, failure.Errorf(failure.Conflict, "%w: term %d, now %d", raftmeta.ErrFenced, t.Term, term)
	}
	for _, op := range t.Ops {
		if actual := m.state[op.Bucket][op.Key].Revision; op.Expect != raftmeta.Any && op.Expect != actual {
			return 0, failure.Wrap(failure.Conflict, &raftmeta.ConflictError{
				Bucket: op.Bucket, Key: op.Key, Expected: op.Expect, Actual: actual,
			})
		}
	}
	grown := m.size + m.growth(t.Ops)
	if grown > m.size && grown > maxStateBytes {
		return 0, failure.Errorf(failure.Fatal, "%w: the store would hold %d bytes, the limit is %d",
			raftmeta.ErrTooLarge, grown, maxStateBytes)
	}
	m.size = grown
	if events := m.perform(t.Ops); len(events) > 0 {
		m.revision++
		m.remember(events)
		for w := range m.watchers {
			w.offer(events)
		}
	}
	return m.revision, nil
}

// growth is by how much operations change the size.
func (m *machine) growth(ops []raftmeta.Op) (n int) {
	for _, op := range ops {
		if op.Kind == raftmeta.OpCheck {
			continue
		}
		if old, ok := m.state[op.Bucket][op.Key]; ok {
			n -= sizeOf(old)
		}
		if op.Kind == raftmeta.OpPut {
			n += sizeOf(raftmeta.Entry{Bucket: op.Bucket, Key: op.Key, Value: op.Value})
		}
	}
	return n
}

// perform writes the operations' effects with the next revision.
func (m *machine) perform(ops []raftmeta.Op) []raftmeta.Event {
	var events []raftmeta.Event
	for _, op := range ops {
		e := raftmeta.Entry{Bucket: op.Bucket, Key: op.Key, Value: op.Value, Revision: m.revision + 1}
		keys := m.state[op.Bucket]
		switch op.Kind {
		case raftmeta.OpPut:
			if keys == nil {
				keys = map[string]raftmeta.Entry{}
				m.state[op.Bucket] = keys
			}
			keys[op.Key] = e
			events = append(events, raftmeta.Event{Kind: raftmeta.EventPut, Entry: e})
		case raftmeta.OpDelete:
			if _, ok := keys[op.Key]; !ok {
				continue
			}
			if delete(keys, op.Key); len(keys) == 0 {
				delete(m.state, op.Bucket)
			}
			e.Value = nil
			events = append(events, raftmeta.Event{Kind: raftmeta.EventDelete, Entry: e})
		}
	}
	return events
}

// remember appends to the history and forgets whole transactions beyond its
// length.
func (m *machine) remember(events []raftmeta.Event) {
	m.history = append(m.history, events...)
	n := max(0, len(m.history)-m.historyLen)
	for n > 0 && n < len(m.history) && m.history[n].Entry.Revision == m.history[n-1].Entry.Revision {
		n++
	}
	if n > 0 {
		m.forgotten = m.history[n-1].Entry.Revision
		m.history = slices.Delete(m.history, 0, n)
	}
}

// restore replaces the state by a snapshot's. What lies between is unknown, so
// watchers have to list again.
func (m *machine) restore(state buckets, revision raftmeta.Revision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.size, m.revision = state, state.size(), revision
	m.history, m.forgotten = nil, revision
	for w := range m.watchers {
		w.lose(revision)
	}
}

// fail ends the machine, whose state may not be served any more, and returns the
// reason: the first one given.
func (m *machine) fail(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == nil {
		m.failed = err
		close(m.dead)
	}
	for w := range m.watchers {
		w.end(m.failed)
	}
	return m.failed
}

// close ends all watchers; the state stays.
func (m *machine) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for w := range m.watchers {
		w.end(errClosed())
	}
	clear(m.watchers)
}

// usable says why the machine does not serve; the caller holds mu.
func (m *machine) usable() error {
	if m.closed {
		return errClosed()
	}
	return m.failed
}

func (m *machine) get(b raftmeta.Bucket, key string) (raftmeta.Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(); err != nil {
		return raftmeta.Entry{}, err
	}
	e, ok := m.state[b][key]
	if !ok {
		return raftmeta.Entry{}, failure.Errorf(failure.NotFound, "%w: %s/%s", raftmeta.ErrNotFound, b, key)
	}
	return e, nil
}

func (m *machine) list(b raftmeta.Bucket, prefix string) ([]raftmeta.Entry, raftmeta.Revision, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(); err != nil {
		return nil, 0, err
	}
	var entries []raftmeta.Entry
	for k, e := range m.state[b] {
		if strings.HasPrefix(k, prefix) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b raftmeta.Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries, m.revision, nil
}

// snapshot returns the state as it is now; it stays as it is.
func (m *machine) snapshot() (buckets, raftmeta.Revision, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.failed != nil {
		return nil, 0, fmt.Errorf("snapshot: %w", m.failed)
	}
	return m.state.clone(), m.revision, nil
}
