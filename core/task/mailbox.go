package task

import (
	"sync"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// maxLetters bounds the mailbox: many more than a coordinator has in flight.
const maxLetters = 1024

// letter is something that others want of a task. Exactly one of trigger, completed and
// givenUp is set.
type letter struct {
	trigger   *stream.Barrier
	overtake  bool // the barrier is not waited for
	completed id.Checkpoint
	givenUp   id.Checkpoint
}

// mailbox takes letters from any goroutine; the task's takes them out.
type mailbox struct {
	ready   chan struct{} // capacity one
	mu      sync.Mutex
	letters []letter
}

func newMailbox() *mailbox { return &mailbox{ready: make(chan struct{}, 1)} }

// post reports whether there was room.
func (m *mailbox) post(l letter) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.letters) == maxLetters {
		return false
	}
	m.letters = append(m.letters, l)
	select {
	case m.ready <- struct{}{}:
	default:
	}
	return true
}

func (m *mailbox) take() (letter, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.letters) == 0 {
		return letter{}, false
	}
	l := m.letters[0]
	m.letters = append(m.letters[:0], m.letters[1:]...)
	return l, true
}
