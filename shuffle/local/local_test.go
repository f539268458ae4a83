package local_test

import (
	"os"
	"testing"

	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/partition"
	"github.com/tidemill/tidemill/shuffle/shuffletest"
)

func TestConformance(t *testing.T) {
	shuffletest.Run(t, func(_ *testing.T, o shuffletest.Options) shuffle.Service {
		return local.New(local.Options{Alloc: o.Alloc, LaneGuarantee: o.LaneGuarantee})
	})
}

// The same with hardly any memory for what is stored: everything goes to disk
// and back, and no file is left.
func TestConformanceSpilled(t *testing.T) {
	shuffletest.Run(t, func(t *testing.T, o shuffletest.Options) shuffle.Service {
		path := t.TempDir()
		dir, err := os.OpenRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		tier := partition.NewTier(partition.TierOptions{MemoryBytes: 500, Dir: dir, PackBytes: 10_000})
		t.Cleanup(func() {
			_ = dir.Close()
			if left, err := os.ReadDir(path); err != nil || len(left) > 0 {
				t.Errorf("files left: %v, %v", left, err)
			}
			if memory, disk := tier.Used(); memory != 0 || disk != 0 {
				t.Errorf("still used: %d bytes of memory, %d of disk", memory, disk)
			}
		})
		return local.New(local.Options{Alloc: o.Alloc, LaneGuarantee: o.LaneGuarantee, Tier: tier})
	})
}
