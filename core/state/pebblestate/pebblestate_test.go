package pebblestate_test

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/state/statetest"
	"github.com/tidemill/tidemill/core/stream"
)

// home is one on a file system in memory, which leaves nothing behind.
func home(t *testing.T) *pebblestate.Home {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	fs := vfs.NewMem()
	h, err := pebblestate.Open(pebblestate.Options{Dir: "state", FS: fs, CacheBytes: 1 << 20, BufferBytes: 64 << 10, RecentBytes: 128 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if left, err := fs.List("state"); err == nil {
			t.Errorf("files are left: %v", left)
		}
	})
	return h
}

// TestConformance runs the suite with everything in the store between calls, and with
// little memory.
func TestConformance(t *testing.T) {
	for _, budget := range []int64{0, 8 << 10} {
		t.Run(fmt.Sprint(budget), func(t *testing.T) {
			h := home(t)
			var all []*memstate.Backend
			statetest.Run(t, func(owned keygroup.Range, alloc memory.Allocator, account stream.Account) (state.Backend, error) {
				b := h.New(statetest.Groups, owned, alloc, account, budget)
				all = append(all, b)
				return b, nil
			})
			read, written := int64(0), int64(0)
			for _, b := range all {
				read, written = read+b.Traffic().Read, written+b.Traffic().Written
			}
			if read == 0 || written == 0 {
				t.Errorf("%d keys were read from the store, %d written", read, written)
			}
		})
	}
}
