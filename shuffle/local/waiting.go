package local

import (
	"context"
	"time"
)

// Waiting has a producer do something while it waits for credit; see
// shuffle.PatientWriter. The zero value only waits.
type Waiting struct {
	Wanted <-chan struct{} // signalled when Do should be called; nil: never
	Do     func()
}

// meanwhileAfter is how long a writer waits for credit before it does what is wanted
// meanwhile: readers that are only slow give credit sooner.
const meanwhileAfter = 50 * time.Millisecond

// Await waits until changed is signalled.
func (w *Waiting) Await(ctx context.Context, changed <-chan struct{}) error {
	var due <-chan time.Time
	for {
		select {
		case <-changed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-w.Wanted:
			if due == nil {
				timer := time.NewTimer(meanwhileAfter)
				defer timer.Stop()
				due = timer.C
			}
		case <-due:
			due = nil
			w.Do()
		}
	}
}
