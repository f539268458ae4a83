package dispatcher

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// A query is cancelled a while after its client has asked for news of it last, under the
// next leader, too; one whose client asks is not, and neither is a job without a result.
func TestQueriesWithoutClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, store := start(t, Options{})
		query := func() id.Job {
			g := graph("query", "")
			g.Exchanges = []*jobgraph.Exchange{{Result: true}}
			j, err := d.Submit(t.Context(), g)
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		deserted, followed, plain := query(), query(), submit(t, d, "plain")
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan struct{})
		follow := func() {
			defer close(gone)
			for ctx.Err() == nil {
				_, _ = d.Poll(ctx, followed, "CREATED", false)
			}
		}
		cancelled := func(j id.Job) bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.jobs[j].rec.Cancelled
		}
		expect := func(after time.Duration, want ...bool) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			for i, j := range []id.Job{deserted, followed, plain} {
				if cancelled(j) != want[i] {
					t.Errorf("job %d is cancelled: %v, want %v", i, !want[i], want[i])
				}
			}
		}
		go follow()
		expect(ClientTimeout-time.Second, false, false, false)
		expect(ClientTimeout, true, false, false)
		expect(5*ClientTimeout, true, false, false)
		leave()
		<-gone
		expect(ClientTimeout/2, true, false, false)
		d.Suspend()
		d = next(t, store, Options{})
		expect(ClientTimeout-time.Second, true, false, false)
		expect(ClientTimeout, true, true, false)
	})
}
