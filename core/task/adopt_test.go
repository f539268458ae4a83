package task_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// tiered has the cluster's tasks keep their state in a file system.
func (c *cluster) tiered() {
	c.t.Helper()
	fsys, r := memfs.New(memfs.Options{}), fs.NewRegistry()
	if err := r.Register("mem", fsys); err != nil {
		c.t.Fatal(err)
	}
	settings, err := config.FromMap(map[string]string{config.StateBackend.Key(): "tiered", config.CheckpointDir.Key(): "mem:///ckpt"}, "test")
	if err != nil {
		c.t.Fatal(err)
	}
	if c.snapshots, _, err = storage.Open(r, settings, c.ledger.Child("checkpoints", 0).Allocator()); err != nil {
		c.t.Fatal(err)
	}
	homes, dir, err := c.snapshots.Homes(c.job)
	if err != nil {
		c.t.Fatal(err)
	}
	c.home, err = pebblestate.Open(pebblestate.Options{
		Dir: "state", FS: vfs.NewMem(), CacheBytes: 1 << 20, BufferBytes: 64 << 10, RecentBytes: 128 << 10, Remote: homes, RemoteDir: dir,
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// A job of tiered state is restored again and again, at other parallelisms, from files that it
// goes on reading: each checkpoint names those, until the sums are as if nothing had happened.
func TestTieredIsAdopted(t *testing.T) {
	for _, lives := range [][]int{{2, 2, 2}, {1, 2, 1}, {2, 1, 3}} {
		t.Run(fmt.Sprint(lives), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.tiered()
				const total = 12_000
				c.splits[0] = []connector.Split{span(0, total/2), span(total/2, total)}
				for n, parallelism := range lives {
					restore := c.lastLife(id.Checkpoint(n), lives, n)
					if n == len(lives)-1 {
						c.numbers.gate = nil
						_, wait := c.start(parallelism, true, restore)
						rows, err := c.result(t.Context())
						if err := errors.Join(append(wait(), err)...); err != nil {
							t.Fatal(err)
						}
						c.wantSums(rows, total)
						break
					}
					c.numbers.gate = &gate{at: 2000 * int64(n+1)}
					tasks, wait := c.start(parallelism, true, restore)
					time.Sleep(time.Second) // of the bubble: until the readers stand at the gate
					for _, one := range tasks {
						one.Trigger(stream.Barrier{Checkpoint: id.Checkpoint(n + 1), Kind: stream.CheckpointKind})
					}
					for range tasks {
						select {
						case <-c.acked:
						case <-time.After(time.Minute): // of the bubble
							t.Fatalf("life %d: no checkpoint: %v, %v", n, c.causes, c.denied)
						}
					}
					c.numbers.gate.release()
					for _, one := range tasks {
						one.Cancel()
					}
					for _, err := range wait() {
						if err != nil && failure.Of(err) != failure.Cancelled {
							t.Fatal(err)
						}
					}
					for at, ack := range c.acks[id.Checkpoint(n+1)] {
						if files := ack.State.GetFiles(); len(files) > 0 != (n > 0 && at.Vertex == 1) {
							t.Errorf("life %d: %v reads files %v", n, at, files)
						}
					}
				}
				if err := c.home.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// lastLife is what a life begins with: the checkpoint of the one before.
func (c *cluster) lastLife(at id.Checkpoint, lives []int, n int) (restore map[id.Vertex][]*checkpoint.Restore) {
	if n == 0 {
		return nil
	}
	restore = c.restores(at, lives[n-1], lives[n])
	for ex := range id.Exchange(2) {
		if err := c.service.Drop(c.t.Context(), c.job, ex); err != nil {
			c.t.Fatal(err)
		}
	}
	c.forget()
	return restore
}
