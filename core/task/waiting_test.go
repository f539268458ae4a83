package task_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// Sources of one input have no rows for as long as the test likes, as those that wait for
// their rate: with little credit, all rows of the other input come through meanwhile, and
// so does a checkpoint.
func TestInputWithoutRowsHoldsNobody(t *testing.T) {
	const total = 6000
	for _, waits := range []id.Vertex{0, 1} {
		t.Run(fmt.Sprint(waits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return 0 })
				const at = total * 5 / 6
				f.gate = &gate{at: at}
				f.splits[1-waits] = []connector.Split{span(0, at/2), span(at/2, at)}
				f.splits[waits] = []connector.Split{span(at, (at+total)/2), span((at+total)/2, total)}
				f.start(2, nil)
				time.Sleep(time.Second) // of the bubble: until nothing is left to do
				f.trigger(1)
				f.collect(1, time.Second)
				f.check(at)
				f.gate.release()
				f.finish()
				f.check(total)
			})
		})
	}
}
