package filesystem

import "sync"

// mostTogether is how many files are sealed, hidden, published or removed at a time: each
// waits for a disk or a store, which serve many together as fast as one.
const mostTogether = 16

// together calls f for 0 to n-1, several at a time, and returns when all calls have ended.
// After one has failed no other begins; its error is returned.
func together(n int, f func(i int) error) error {
	var mu sync.Mutex
	var failed error
	next := 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || next == n {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var running sync.WaitGroup
	for range min(n, mostTogether) {
		running.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := f(i); err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
				}
			}
		})
	}
	running.Wait()
	return failed
}
