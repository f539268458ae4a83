package raftstore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

// A leader gives a third master its vote, of which the second one does not hear any more,
// and dies with its disk. The two that are left are a majority, and must elect the one of
// them that knows everything, though the other one does not know that it may be elected.
func TestLeaderDiesBeforeAllKnowTheVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 2, raftstore.Options{})
		between := func(a, b int, on bool) {
			c.net.stall(address(a), address(b), on)
			c.net.stall(address(b), address(a), on)
		}
		defer func() { between(0, 1, false); c.close() }()
		c.put("k", "v")
		c.storages, c.stores = append(c.storages, raftstore.MemoryStorage()), append(c.stores, nil)
		c.start(2)
		c.net.delay(func() time.Duration { return time.Millisecond })
		joined := make(chan error, 1)
		leader := c.leader()
		go func() {
			joined <- leader.Join(context.Background(), raftmeta.Member{ID: name(2), Address: address(2)})
		}()
		known := func(i int) (voters, others int) {
			members, err := c.stores[i].Members(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range members {
				if m.Voter {
					voters++
				} else {
					others++
				}
			}
			return voters, others
		}
		for others := 0; others == 0; _, others = known(1) {
			time.Sleep(time.Millisecond)
		}
		c.net.stall(address(2), address(0), true) // that it has caught up is not known
		time.Sleep(10 * time.Millisecond)         // that the second one knows it is
		between(0, 1, true)
		c.net.stall(address(2), address(0), false)
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{3, 2, 3} {
			if voters, _ := known(i); voters != want {
				t.Fatalf("master %d knows of %d voters, want %d", i, voters, want)
			}
		}
		c.net.cut(c.net.listener(address(0)))
		between(0, 1, false)
		c.stop(0)
		c.storages[0] = raftstore.MemoryStorage()
		within, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		var l raftmeta.Leadership
		for !l.Leading {
			var err error
			if l, err = c.stores[2].Leadership(within, l); err != nil {
				t.Fatalf("nobody leads: %v", err)
			}
		}
		c.get("k", "v")
		opts := c.opts
		opts.ID, opts.Network = name(0), c.net.network(address(0))
		c.stores[0] = open(c, c.storages[0], opts)
		c.join(0)
	})
}
