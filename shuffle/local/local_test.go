package local_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
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

// The same with a remote tier that takes everything as soon as it is sealed, one object a
// lane: what is read has been there, and no object is left.
func TestConformanceRemote(t *testing.T) {
	moved := uint64(0)
	shuffletest.Run(t, func(t *testing.T, o shuffletest.Options) shuffle.Service {
		dir, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		objects := memfs.New(memfs.Options{})
		tier := partition.NewTier(partition.TierOptions{
			MemoryBytes: 1, Dir: dir, QuotaBytes: 1 << 30, PackBytes: 10_000,
			Remote: &partition.RemoteOptions{FS: objects, Dir: "here", After: 1e-12, SegmentBytes: 1, ObjectBytes: 1000},
		})
		t.Cleanup(func() {
			_ = dir.Close()
			u := tier.Usage()
			if moved += u.Moved; u.Memory != 0 || u.Disk != 0 || u.Remote != 0 {
				t.Errorf("still used: %+v", u)
			}
			err := objects.List(context.Background(), "", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
				return errors.New("left: " + i.Path)
			})
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
		return closing{local.New(local.Options{Alloc: o.Alloc, LaneGuarantee: o.LaneGuarantee, Tier: tier}), tier}
	})
	if moved == 0 {
		t.Error("nothing was moved")
	}
}

// closing is a service whose tier is closed with it, and whose readers read back what is
// stored.
type closing struct {
	*local.Service
	io.Closer
}

func (closing) Apart() bool { return true }
