package flight_test

import (
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/shuffletest"
)

// The suite of all shuffle services, with everything at one other process, at two, and
// some of it in this one.
func TestConformance(t *testing.T) {
	for _, servers := range [][]string{{"a"}, {"me"}, {"me", "a"}, {"a", "b", "me"}} {
		t.Run(fmt.Sprint(servers), func(t *testing.T) {
			shuffletest.Run(t, func(t *testing.T, o shuffletest.Options) shuffle.Service {
				return newCluster(t, options{alloc: o.Alloc, guarantee: o.LaneGuarantee, servers: servers})
			})
		})
	}
}
