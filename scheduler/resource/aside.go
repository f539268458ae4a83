package resource

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/id"
)

// After a worker has failed to answer, and was set aside, several times without a call that
// it answered between them, its heartbeats alone are not believed: what can tell the master
// that it lives, and cannot be told anything, is tried again after longer and longer pauses.
const (
	firstRest = time.Second
	mostRest  = 30 * time.Second
)

// Unreachable says that a call to a worker has failed because nobody answered there. Its
// slots are not offered, nor counted, until it is heard of again; those that jobs have stay
// theirs. False: it was set aside before, is not known, or no other worker will ever come.
func (m *Manager) Unreachable(w id.Worker, cause error) bool {
	m.mu.Lock()
	known := m.members[w]
	if m.opts.Fixed || known == nil || !m.pool.SetAside(w, cause.Error()) {
		m.mu.Unlock()
		return false
	}
	rest := time.Duration(0)
	if known.refused > 0 {
		rest = min(firstRest<<min(known.refused-1, 10), mostRest)
	}
	known.refused++
	known.restUntil = time.Now().Add(rest)
	m.mu.Unlock()
	m.tellAside(w, cause)
	return true
}

// Reached says that a worker has answered a call.
func (m *Manager) Reached(w id.Worker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.members[w]; known != nil {
		known.refused = 0
	}
}

// silent sets workers aside that were not heard of for half of the time after which they
// are lost.
func (m *Manager) silent(now time.Time) {
	m.mu.Lock()
	aside := map[id.Worker]error{}
	for w, known := range m.members {
		if since := now.Sub(known.heard); known.Slots > 0 && since > m.opts.Timeout/2 {
			if cause := fmt.Errorf("no heartbeat for %v", since); m.pool.SetAside(w, cause.Error()) {
				aside[w] = cause
			}
		}
	}
	m.mu.Unlock()
	for w, cause := range aside {
		m.tellAside(w, cause)
	}
}

// putBack offers the slots of a worker again that was heard of.
func (m *Manager) putBack(w id.Worker) {
	m.mu.Lock()
	known := m.members[w]
	if known == nil || time.Now().Before(known.restUntil) {
		m.mu.Unlock()
		return
	}
	answers, back := m.pool.PutBack(w)
	if !back {
		m.mu.Unlock()
		return
	}
	m.signal(&m.arrived)
	m.deliver(answers)
	m.tellAside(w, nil)
}

// tellAside tells who wants to know.
func (m *Manager) tellAside(w id.Worker, cause error) {
	if m.opts.Aside != nil {
		m.opts.Aside(w, cause)
	}
}

// Usable lists the workers that are not set aside, oldest first.
func (m *Manager) Usable() []id.Worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pool.Usable()
}

// Aside says which workers are set aside and why; nil: none is.
func (m *Manager) Aside() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, _ := m.pool.asides()
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// SetAside has a worker's slots neither offered nor counted, until PutBack. False: it is
// not known, or was set aside before.
func (p *Pool) SetAside(w id.Worker, why string) bool {
	for _, l := range p.workers {
		if l.id == w && !l.isAside {
			l.isAside, l.aside = true, why
			return true
		}
	}
	return false
}

// PutBack offers a worker's slots again. False: it was not set aside.
func (p *Pool) PutBack(w id.Worker) ([]Answer, bool) {
	for _, l := range p.workers {
		if l.id == w && l.isAside {
			l.isAside, l.aside = false, ""
			return p.serve(), true
		}
	}
	return nil, false
}

// Usable lists the workers that are not set aside, in the order in which they came.
func (p *Pool) Usable() (out []id.Worker) {
	for _, l := range p.workers {
		if !l.isAside {
			out = append(out, l.id)
		}
	}
	return out
}

// asides says which workers are set aside, and why, and names the first.
func (p *Pool) asides() (text string, first id.Worker) {
	var all []string
	for _, l := range p.workers {
		if l.isAside {
			if first == "" {
				first = l.id
			}
			all = append(all, fmt.Sprintf("worker %s is set aside until it is heard of: %s", l.id, l.aside))
		}
	}
	return strings.Join(all, "; "), first
}
