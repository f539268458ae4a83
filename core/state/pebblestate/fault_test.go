package pebblestate_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/pebblestate"
)

// Whatever write or read of the disk fails from some moment on: what is asked for then is
// an error that names the directory, nothing hangs, nothing is left, and a backend opened
// once the disk is well again works.

var bigint = datatype.Of(datatype.BigInt).NotNull()

// account counts.
type account struct{ used int64 }

func (a *account) Grow(n int64) error { a.used += n; return nil }
func (a *account) Shrink(n int64)     { a.used -= n }

var sums = state.TableSpec{
	ID: 1, Name: "sums", Keys: datatype.Schema{{Name: "k", Type: bigint}}, Values: datatype.Schema{{Name: "v", Type: bigint}}, Evictable: true,
}

// life writes keys until something fails, reads some, and snapshots.
func life(b *memstate.Backend, batches int) error {
	table, err := b.Table(sums)
	if err != nil {
		return err
	}
	rows, err := table.Namespace(0)
	if err != nil {
		return err
	}
	for n := range int64(batches) {
		if err := update(b, rows, n%7*1000); err != nil {
			return err
		}
		if n%5 == 4 {
			s, err := b.Snapshot(state.Changes)
			if err != nil {
				return err
			}
			if err := state.Complete(s); err != nil {
				return err
			}
			err = s.Write(context.Background(), func(state.Piece) error { return nil })
			s.Release()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// update looks 1,000 keys up and has them leave.
func update(b *memstate.Backend, rows state.Rows, first int64) error {
	keys := array.NewInt64Builder(memory.DefaultAllocator)
	defer keys.Release()
	for i := range int64(1000) {
		keys.Append(first + i)
	}
	column := keys.NewArray()
	defer column.Release()
	columns, slots := []arrow.Array{column}, make([]int32, 1000)
	if err := rows.Resolve(columns, nil, compute.HashColumns(columns, nil, nil), slots); err != nil {
		return err
	}
	for _, s := range slots {
		rows.Values()[0].Int64[s]++
	}
	return b.Evict()
}

func TestDiskFails(t *testing.T) {
	for _, recent := range []int64{0, 128 << 10} {
		diskFails(t, recent)
	}
	goleak.VerifyNone(t)
}

func diskFails(t *testing.T, recent int64) {
	for _, kind := range []errorfs.OpReadWrite{errorfs.OpIsWrite, errorfs.OpIsRead} {
		for _, from := range []int64{0, 1, 5, 20, 60} {
			var broken atomic.Bool
			var left atomic.Int64
			broken.Store(true)
			left.Store(from)
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == kind && broken.Load() && left.Add(-1) < 0 {
					return syscall.EIO
				}
				return nil
			}))
			broken.Store(false)
			var charged account
			h, err := pebblestate.Open(pebblestate.Options{Dir: "state", FS: fs, Account: &charged, CacheBytes: 64 << 10, BufferBytes: 64 << 10, RecentBytes: recent})
			if err != nil {
				t.Fatal(err)
			}
			var own account
			b := h.New(64, keygroup.Range{Last: 64}, memory.DefaultAllocator, &own, 0)
			broken.Store(true)
			err = life(b, 60)
			if err == nil && (kind == errorfs.OpIsWrite || from == 0) {
				t.Errorf("kind %v from %d: no error", kind, from)
			}
			if err != nil && (!strings.Contains(err.Error(), "state") || !errors.Is(err, syscall.EIO) || failure.Of(err) != failure.Transient) {
				t.Errorf("kind %v from %d: %v (%v, %v)", kind, from, err, failure.Of(err), errors.Is(err, syscall.EIO))
			}
			_ = b.Close() // it may say the same again
			broken.Store(false)
			b = h.New(64, keygroup.Range{Last: 64}, memory.DefaultAllocator, &own, 0)
			if err := errors.Join(life(b, 10), b.Close(), h.Close()); err != nil {
				t.Errorf("kind %v from %d: with a disk that is well: %v", kind, from, err)
			}
			if charged.used != 0 || own.used != 0 {
				t.Errorf("kind %v from %d: %d and %d bytes stay charged", kind, from, charged.used, own.used)
			}
		}
	}
}

// disk has a limit.
type disk struct {
	limit int64
	left  atomic.Int64
}

func diskOf(n int64) *disk {
	d := &disk{limit: n}
	d.left.Store(n)
	return d
}

var errFull = errors.New("disk limit")

func (d *disk) Reserve(n int64) error {
	if d.left.Add(-n) < 0 {
		d.left.Add(n)
		return errFull
	}
	return nil
}
func (d *disk) Give(n int64) { d.left.Add(n) }

func (d *disk) Level() (used, limit int64) { return d.limit - d.left.Load(), d.limit }

func TestDiskLimit(t *testing.T) {
	d := diskOf(100 << 10)
	h, err := pebblestate.Open(pebblestate.Options{Dir: "state", FS: vfs.NewMem(), Disk: d, BufferBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	b := h.New(64, keygroup.Range{Last: 64}, memory.DefaultAllocator, &account{}, 0)
	if err := life(b, 200); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	_ = b.Close()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if left := d.left.Load(); left != 100<<10 {
		t.Errorf("%d bytes are left of %d", left, 100<<10)
	}
}

// Time does not pass in a store's life: it works in a bubble of fake time.
func TestFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := pebblestate.Open(pebblestate.Options{Dir: "state", FS: vfs.NewMem(), BufferBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		b := h.New(64, keygroup.Range{Last: 64}, memory.DefaultAllocator, &account{}, 0)
		if err := errors.Join(life(b, 30), b.Close(), h.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

// A home that is in use cannot be closed, and one that is closed takes nobody in.
func TestHome(t *testing.T) {
	h := home(t)
	b := h.New(64, keygroup.Range{Last: 64}, memory.DefaultAllocator, &account{}, 0)
	if err := life(b, 3); err != nil {
		t.Fatal(err)
	}
	if s := h.Stats(); s == (pebblestate.Stats{}) {
		t.Error("nothing is counted")
	}
	if err := h.Close(); err == nil {
		t.Error("closed in use")
	}
	late := h.New(64, keygroup.Range{Last: 64}, memory.DefaultAllocator, &account{}, 0)
	if err := life(late, 3); err == nil {
		t.Error("used after it was closed")
	}
	if err := errors.Join(late.Close(), b.Close()); err != nil {
		t.Error(err)
	}
}
