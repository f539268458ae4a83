package raftstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

// Leaders are deposed while they send the entries of many clients to slow disks, and close,
// or are started again and followed.
func TestLeadersComeAndGoUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &masters{TB: t, net: newFabric()}
		c.net.delay(func() time.Duration { return rand.N(20 * time.Millisecond) })
		for i := range 3 {
			disk := newDisk(func() time.Duration { return rand.N(10 * time.Millisecond) })
			c.storages, c.stores = append(c.storages, disk.mount()), append(c.stores, nil)
			c.start(i)
			c.join(i)
		}
		defer c.close()
		for round := range 60 {
			leader := c.leader()
			ctx, stop := context.WithCancel(t.Context())
			var clients sync.WaitGroup
			for i := range 8 {
				clients.Go(func() {
					for ctx.Err() == nil {
						_, _ = raftmeta.Put(ctx, leader, "b", fmt.Sprint(i), []byte("v"), raftmeta.Any) // until it is closed
						time.Sleep(time.Duration(i+1) * 300 * time.Microsecond)
					}
				})
			}
			time.Sleep(50*time.Millisecond + time.Duration(round)*time.Millisecond)
			i := c.index(leader)
			closed := make(chan error, 1)
			go func() { closed <- leader.Close() }()
			select {
			case err := <-closed:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(time.Minute):
				t.Fatalf("round %d: master %d does not end", round, i)
			}
			stop()
			clients.Wait()
			c.stores[i] = nil
			opts := c.opts
			opts.ID, opts.Network = name(i), c.net.network(address(i))
			c.stores[i] = open(c, c.storages[i], opts)
		}
		c.put("k", "v")
		c.get("k", "v")
	})
}

// Entries are not sent before those before them are answered. In Raft's pipeline, when a
// follower refuses one of three that are under way, nobody takes the answers to the others,
// and whoever waits for room in it waits for ever: the follower gets no entry any more while
// it is led, and Close does not return. A leader that handed over ended so in about one of
// fifty runs under the race detector.
func TestEntriesAreNotPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 2, raftstore.Options{})
		defer c.close()
		if err := c.leader().Pipeline("", raft.ServerAddress(address(1))); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
			t.Errorf("there is a pipeline: %v", err)
		}
	})
}
