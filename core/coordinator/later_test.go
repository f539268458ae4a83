package coordinator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/rpc"
)

// growing has a split for subtask 1 at once, and for subtask 0 after a while.
type growing struct {
	fake
	begun time.Time
	given [2]bool
}

func (g *growing) Enumerator(context.Context, connector.SourceSpec, []byte) (connector.Enumerator, error) {
	return g, nil
}

func (g *growing) Next(_ context.Context, subtask int) (connector.Split, bool, error) {
	if g.given[subtask] || subtask == 0 && time.Since(g.begun) < 90*time.Second {
		return connector.Split{}, false, &connector.LaterError{After: time.Second}
	}
	g.given[subtask] = true
	return connector.Split{ID: "s"}, true, nil
}

// A subtask for which there is no split yet does not keep others from theirs. It is told to
// ask again, and gets one when there is; the end of its patience ends its request.
func TestSplitsThatComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &growing{begun: time.Now()}
		h := New(func(string) (connector.Connector, error) { return g, nil }, nil)
		if err := h.Start(t.Context(), request(nil)); err != nil {
			t.Fatal(err)
		}
		ask := func(ctx context.Context, subtask uint32) (*rpc.SplitReply, error) {
			return h.NextSplit(ctx, &rpc.SplitRequest{Job: rpc.Ref(job, 1), Attempt: attempt(subtask, 0), Sequence: 1})
		}
		first := make(chan []string, 1)
		go func() {
			var got []string
			for {
				r, err := ask(t.Context(), 0)
				switch {
				case err != nil:
					t.Error(err)
				case r.GetLater():
					got = append(got, "later")
					continue
				}
				first <- append(got, r.GetSplit().GetId())
				return
			}
		}()
		synctest.Wait()
		if r, err := ask(t.Context(), 1); err != nil || r.GetSplit().GetId() != "s" || time.Since(g.begun) != 0 {
			t.Errorf("%v, %v after %v", r, err, time.Since(g.begun))
		}
		if got := <-first; len(got) != 2 || got[1] != "s" {
			t.Errorf("%v", got)
		}
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		if r, err := h.NextSplit(ctx, &rpc.SplitRequest{Job: rpc.Ref(job, 1), Attempt: attempt(1, 0), Sequence: 2}); err == nil {
			t.Errorf("%v", r)
		}
		if err := h.Stop(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	})
}
