package scheduler

import "sync"

// joining are the masters that are being added. What is known of the members may be ahead of
// what a majority has: one that is about to count is not yet to be relied on.
type joining struct {
	mu    sync.Mutex
	calls map[string]int // under way
}

// add notes a call for a master; the function that is returned ends it.
func (j *joining) add(name string) func() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.calls == nil {
		j.calls = map[string]int{}
	}
	j.calls[name]++
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.calls[name]--; j.calls[name] == 0 {
			delete(j.calls, name)
		}
	}
}

// has says whether a master is being added.
func (j *joining) has(name string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.calls[name] > 0
}
