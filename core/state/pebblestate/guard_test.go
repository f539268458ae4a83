package pebblestate

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Small writes are put together, and a file that is closed, or asked for its size, has all
// of them.
func TestWritesArePutTogether(t *testing.T) {
	calls := 0
	g := newGuard(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			calls++
		}
		return nil
	})), "state", nil)
	f, err := g.Create("a", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i := range 100 {
		block := bytes.Repeat([]byte{byte(i)}, 4<<10)
		if n, err := f.Write(block); n != len(block) || err != nil {
			t.Fatal(n, err)
		}
		want = append(want, block...)
	}
	if i, err := f.Stat(); err != nil || i.Size() != int64(len(want)) {
		t.Errorf("size %v, %v", i, err)
	}
	if _, err := f.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), g.err()); err != nil || calls != 5 {
		t.Errorf("%d calls for %d bytes, want 5; %v", calls, len(want), err)
	}
	f, err = g.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	have, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil || !bytes.Equal(have, append(want, "end"...)) {
		t.Errorf("%d bytes are read, %v", len(have), err)
	}
}

// What fails when a file is closed ends the store as any write does.
func TestLastWriteFails(t *testing.T) {
	g := newGuard(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			return syscall.EIO
		}
		return nil
	})), "state", nil)
	f, err := g.Create("a", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("pending")); err != nil || g.err() != nil {
		t.Fatal(err, g.err())
	}
	if err := f.Close(); err != nil || !errors.Is(g.err(), syscall.EIO) {
		t.Errorf("Pebble is told %v, the store %v", err, g.err())
	}
}
