package physical

import (
	"testing"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// TestBroadcast shows which built sides are sent everywhere: small ones, and larger
// ones of which that moves less than exchanging both sides, where the other one would
// have to move. Sizes are in MiB.
func TestBroadcast(t *testing.T) {
	sized := func(name string, size int64) *plan.Scan {
		s := scan(name)
		s.Columns = s.Columns[:1]
		s.Known.Schema, s.Known.Rows = s.Columns, size<<20/8
		return s
	}
	for _, c := range []struct {
		left, right int64
		o           Options
		met         bool // equal keys of the left side are in one place
		want        bool
	}{
		{left: 1, right: 9, o: Options{Parallelism: 2}, want: true},
		{left: 100, right: 9, o: Options{Parallelism: 2, BroadcastBytes: -1}},
		{left: 100, right: 30, o: Options{Parallelism: 2}, want: true},
		{left: 100, right: 30, o: Options{Slots: 2}, want: true},
		{left: 100, right: 30},
		{left: 100, right: 30, o: Options{Parallelism: 8}},
		{left: 50, right: 30, o: Options{Parallelism: 2}},
		{left: 1000, right: 50, o: Options{Parallelism: 2}},
		{left: 100, right: 30, o: Options{Parallelism: 2}, met: true},
	} {
		var left plan.Node = sized("l", c.left)
		if c.met {
			left = join(left, sized("m", 200))
		}
		g, _, err := Build([]plan.Node{join(left, sized("r", c.right))}, c.o)
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, e := range g.Exchanges {
			got = got || e.Distribution == jobgraph.Distribution_DISTRIBUTION_BROADCAST
		}
		if got != c.want {
			t.Errorf("%+v: broadcast %v", c, got)
		}
	}
}
