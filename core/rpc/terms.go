package rpc

import (
	"fmt"
	"sync"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// Terms remembers the highest term seen of each job. All methods may be called
// concurrently.
type Terms struct {
	mu   sync.Mutex
	seen map[id.Job]id.Term
}

// Admit decodes a message's job and refuses a lower term than one seen before
// with ErrFenced. newer says that the term is higher than all before it.
func (t *Terms) Admit(r *JobRef) (job id.Job, newer bool, err error) {
	if job, err = r.ID(); err != nil {
		return job, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	term, known := t.seen[job]
	switch now := id.Term(r.GetTerm()); {
	case now < term:
		return job, false, failure.Wrap(failure.Conflict, fmt.Errorf("job %v: term %d, seen %d: %w", job, now, term, ErrFenced))
	case now > term:
		if t.seen == nil {
			t.seen = map[id.Job]id.Term{}
		}
		t.seen[job] = now
		return job, known, nil
	}
	return job, false, nil
}

// Forget drops what is remembered of a job that has ended.
func (t *Terms) Forget(job id.Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.seen, job)
}
