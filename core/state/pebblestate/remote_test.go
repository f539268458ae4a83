package pebblestate_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/state/statetest"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// remoteOptions are a home whose tables lie in a file system, with little of them at hand.
func remoteOptions(fsys fs.FileSystem) pebblestate.Options {
	return pebblestate.Options{
		Dir: "state", FS: vfs.NewMem(), CacheBytes: 64 << 10, BufferBytes: 64 << 10, RecentBytes: 128 << 10,
		Remote: fsys, RemoteDir: "job/home", LocalBytes: 256 << 10,
	}
}

func all() keygroup.Range { return keygroup.Range{Last: 64} }

// homes are the directories in which tables lie.
func homes(t *testing.T, fsys fs.FileSystem) (names []string) {
	t.Helper()
	err := fsys.List(t.Context(), "job/home", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		names = append(names, i.Path)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

// TestRemoteConformance runs the suite with everything elsewhere between calls.
func TestRemoteConformance(t *testing.T) {
	remote := memfs.New(memfs.Options{})
	h, err := pebblestate.Open(remoteOptions(remote))
	if err != nil {
		t.Fatal(err)
	}
	var all []*memstate.Backend
	statetest.Run(t, func(owned keygroup.Range, alloc memory.Allocator, account stream.Account) (state.Backend, error) {
		b, name, err := h.NewAt(7, statetest.Groups, owned, alloc, account, 0)
		if c, ok := checkpoint.HomeBegan(name); err == nil && (!ok || c != 7) {
			t.Errorf("home %q", name)
		}
		all = append(all, b)
		return b, err
	})
	read, written := int64(0), int64(0)
	for _, b := range all {
		read, written = read+b.Traffic().Read, written+b.Traffic().Written
	}
	if read == 0 || written == 0 {
		t.Errorf("%d keys were read from the store, %d written", read, written)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if left := homes(t, remote); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	goleak.VerifyNone(t)
}

// fill writes keys that memory and local disk do not hold all.
func fill(b *memstate.Backend, keys int64) (state.Rows, error) {
	table, err := b.Table(sums)
	if err != nil {
		return nil, err
	}
	rows, err := table.Namespace(0)
	for from := int64(0); from < keys && err == nil; from += 1000 {
		err = update(b, rows, from)
	}
	return rows, err
}

// Tables are on the other file system and nowhere else; of what is read there a bounded
// part is kept on local disk. Looking up cold keys waits for a few reads and not for one
// after the other.
func TestRemoteIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote, local := memfs.New(memfs.Options{}), vfs.NewMem()
		d := diskOf(64 << 20)
		o := remoteOptions(faultfs.Slow(remote, 20*time.Millisecond))
		o.FS, o.Disk, o.RecentBytes = local, d, 0
		h, err := pebblestate.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := h.NewAt(0, 64, all(), memory.DefaultAllocator, &account{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := fill(b, 40_000)
		if err != nil {
			t.Fatal(err)
		}
		before, began := h.Stats(), time.Now()
		if err := update(b, rows, 3000); err != nil {
			t.Fatal(err)
		}
		took, after := time.Since(began), h.Stats()
		if reads := after.Remote - before.Remote; reads < 10 {
			t.Errorf("%d reads of cold keys", reads)
		}
		// 64 goroutines look 16 keys up each, of a file's index and filter once: some 40 reads
		// one after the other, with compactions of a few tables between.
		t.Logf("took %v, %d reads", took, after.Remote-before.Remote)
		if took > 3*time.Second {
			t.Errorf("looking 1,000 cold keys up took %v and %d reads", took, after.Remote-before.Remote)
		}
		if after.Elsewhere < 512<<10 {
			t.Errorf("the state has %d bytes", after.Elsewhere)
		}
		onDisk := 64<<20 - d.left.Load()
		if onDisk < 128<<10 || onDisk > 256<<10+64<<10 {
			t.Errorf("%d bytes are on local disk", onDisk)
		}
		for _, name := range homes(t, remote) {
			if !strings.HasPrefix(name, "job/home/0-") || !strings.HasSuffix(name, ".sst") {
				t.Errorf("file %s", name)
			}
		}
		if err := errors.Join(b.Close(), h.Close()); err != nil {
			t.Error(err)
		}
		if left := homes(t, remote); len(left) > 0 || d.left.Load() != 64<<20 {
			t.Errorf("files are left: %v, %d bytes on disk", left, 64<<20-d.left.Load())
		}
	})
}

// Whatever call of the file system fails: what cannot go on is an error, nothing hangs,
// nothing is left but what could not be removed, and a backend opened once it is well again
// works.
func TestRemoteFails(t *testing.T) {
	for _, op := range []faultfs.Op{
		faultfs.Create, faultfs.Write, faultfs.Commit, faultfs.Open, faultfs.Read, faultfs.Close,
		faultfs.Abort, faultfs.Remove, faultfs.RemoveAll,
	} {
		for _, skip := range []int{0, 5} {
			t.Run(fmt.Sprintf("%v after %d", op, skip), func(t *testing.T) {
				inner := memfs.New(memfs.Options{})
				faulty := faultfs.New(inner)
				var charged, own account
				o := remoteOptions(faulty)
				o.Account = &charged
				h, err := pebblestate.Open(o)
				if err != nil {
					t.Fatal(err)
				}
				b, _, err := h.NewAt(0, 64, all(), memory.DefaultAllocator, &own, 0)
				if err != nil {
					t.Fatal(err)
				}
				faulty.Inject(faultfs.Rule{Op: op, Skip: skip, Err: syscall.EIO})
				_, err = fill(b, 20_000)
				switch op {
				case faultfs.Create, faultfs.Write, faultfs.Commit, faultfs.Open, faultfs.Read:
					if !errors.Is(err, syscall.EIO) || failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "job/home") {
						t.Errorf("%v (%v)", err, failure.Of(err))
					}
				default:
					if err != nil {
						t.Error(err)
					}
				}
				_ = b.Close() // it may say the same again
				faulty.Heal()
				if left := homes(t, inner); len(left) > 0 && op != faultfs.RemoveAll {
					t.Errorf("files are left: %v", left)
				}
				b, _, err = h.NewAt(0, 64, all(), memory.DefaultAllocator, &own, 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(life(b, 10), b.Close(), h.Close()); err != nil {
					t.Errorf("with a file system that is well: %v", err)
				}
				if charged.used != 0 || own.used != 0 {
					t.Errorf("%d and %d bytes stay charged", charged.used, own.used)
				}
			})
		}
	}
	goleak.VerifyNone(t)
}

// A home that somebody has removed is an error that another attempt may not meet. There is
// more state than buffers, cache and local disk hold.
func TestRemoteIsRemoved(t *testing.T) {
	faulty := faultfs.New(memfs.New(memfs.Options{}))
	o := remoteOptions(faulty)
	o.LocalBytes = 64 << 10
	h, err := pebblestate.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := h.NewAt(0, 64, all(), memory.DefaultAllocator, &account{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := fill(b, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	faulty.Inject(faultfs.Rule{Op: faultfs.Open, Err: fs.ErrNotExist})
	faulty.Inject(faultfs.Rule{Op: faultfs.Read, Err: fs.ErrChanged})
	for from := int64(0); from < 20_000 && err == nil; from += 1000 {
		err = update(b, rows, from)
	}
	if failure.Of(err) != failure.Transient || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrChanged) {
		t.Errorf("%v (%v)", err, failure.Of(err))
	}
	_ = b.Close()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// A local disk that fails, or that has no room, costs reads and nothing else.
func TestWithoutBlocks(t *testing.T) {
	for _, name := range []string{"fails", "full"} {
		t.Run(name, func(t *testing.T) {
			var left atomic.Int64
			left.Store(5)
			o := remoteOptions(memfs.New(memfs.Options{}))
			if name == "full" {
				o.Disk = diskOf(100 << 10) // two blocks; the rest is left to Pebble's own files
			} else {
				o.FS = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
					if strings.HasSuffix(op.Path, ".blocks") && op.Kind != errorfs.OpRemove && left.Add(-1) < 0 {
						return syscall.EIO
					}
					return nil
				}))
			}
			h, err := pebblestate.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := h.NewAt(0, 64, all(), memory.DefaultAllocator, &account{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := fill(b, 20_000)
			for range 2 {
				for from := int64(0); from < 20_000 && err == nil; from += 4000 {
					err = update(b, rows, from)
				}
			}
			if err := errors.Join(err, b.Close(), h.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}
