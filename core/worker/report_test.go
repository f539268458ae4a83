package worker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// What tasks report comes in order; that one runs comes a moment later, and not at all if
// it has ended by then. A report that nobody takes is tried again.
func TestOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []string
		begun, away := time.Now(), 2
		say := func(text string) func(context.Context) error {
			return func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				if text == "b ends" && away > 0 {
					away--
					return failure.Errorf(failure.Transient, "the master is away")
				}
				if text == "refused" {
					return failure.Errorf(failure.Conflict, "another master leads")
				}
				sent = append(sent, text+" "+time.Since(begun).String())
				return nil
			}
		}
		o := newOutbox(slog.New(slog.DiscardHandler), 6)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { o.run(ctx) })
		a, b, c := attemptOf{attempt: id.Attempt{N: 1}}, attemptOf{attempt: id.Attempt{N: 2}}, attemptOf{job: id.Job{1}, attempt: id.Attempt{N: 1}}
		o.addSoon(a, say("a runs"))
		o.addSoon(b, say("b runs"))
		time.Sleep(5 * time.Millisecond)
		o.addSoon(c, say("c runs"))
		o.addInstead(a, say("a ends"))
		time.Sleep(30 * time.Millisecond)
		o.addInstead(b, say("b ends"))
		o.add(say("refused"))
		o.add(say("last"))
		time.Sleep(time.Second)
		synctest.Wait()
		want := []string{"a ends 5ms", "b runs 20ms", "c runs 25ms", "b ends 185ms", "last 185ms"}
		if !slices.Equal(sent, want) {
			t.Errorf("%q", sent)
		}
		mu.Lock()
		sent = nil
		mu.Unlock()
		for range 9 { // beyond the limit they are lost
			o.addSoon(a, say("more"))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(sent) != 6 {
			t.Errorf("%q", sent)
		}
		stop()
		running.Wait()
	})
}
