package resource

import (
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
)

// Drain has a shuffle server get no new lanes; it is never undone.
func (m *Manager) Drain(w id.Worker) { m.note(w, func(known *member) { known.draining = true }) }

// Drained notes that nobody needs a server any more that drains.
func (m *Manager) Drained(w id.Worker) { m.note(w, func(known *member) { known.drained = true }) }

// Of servers that were drained and have ended, how many are remembered, and how long.
const (
	maxEnded  = 16
	endedLife = 10 * time.Minute
)

// Ended lists servers that were drained and have ended, for those who waited for it. They
// are forgotten after some minutes.
func (m *Manager) Ended() []State {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = slices.DeleteFunc(m.ended, func(s State) bool { return time.Since(s.Heard) > endedLife })
	return slices.Clone(m.ended)
}

// Forget drops a server from those that have ended; false: it is none of them.
func (m *Manager) Forget(w id.Worker) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.ended)
	m.ended = slices.DeleteFunc(m.ended, func(s State) bool { return s.ID == w })
	return len(m.ended) < before
}

// end remembers a server that goes, if it was drained; the caller holds the lock.
func (m *Manager) end(k *member) {
	if !k.drained {
		return
	}
	m.ended = append(m.ended, k.state(0))
	m.ended = m.ended[max(0, len(m.ended)-maxEnded):]
}

// note changes what is known of a member, and tells who has to know when it begins to
// drain. It reports whether the member is known.
func (m *Manager) note(w id.Worker, change func(*member)) bool {
	m.mu.Lock()
	known := m.members[w]
	drains := false
	if known != nil {
		before := known.draining
		change(known)
		drains = known.draining && !before
	}
	m.mu.Unlock()
	if drains {
		m.drains()
	}
	return known != nil
}

// drains tells who has to know that there are other servers that drain, or others to take
// over from them.
func (m *Manager) drains() {
	if m.opts.Drains != nil {
		m.opts.Drains()
	}
}

// Drains are the shuffle servers that drain, by what keeps there (shuffle.Server.ID); nil:
// there are none.
func (m *Manager) Drains() (out map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.members {
		if k.draining && k.Slots == 0 {
			if out == nil {
				out = map[string]bool{}
			}
			out[k.Server.ID] = true
		}
	}
	return out
}

// Elsewhere is a shuffle server that does not drain; each key has its own order of them.
// False: there is none.
func (m *Manager) Elsewhere(key string) (best shuffle.Server, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.members {
		if k.Slots > 0 || k.draining {
			continue
		}
		if !ok || spread(id.Worker(key), k.Server.ID) < spread(id.Worker(key), best.ID) {
			best, ok = k.Server, true
		}
	}
	return best, ok
}
