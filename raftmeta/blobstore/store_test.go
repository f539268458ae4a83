package blobstore

// Blobs pass the suite in a directory and in memory, are on a majority when Put returns,
// are fetched and repaired from peers, and survive faults of every file operation.

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/metatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string, peers ...Peer) *Store {
	t.Helper()
	s, err := Open(dir, Options{Peers: func() []Peer { return peers }, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	metatest.RunBlobs(t, 1<<20, func(t *testing.T) raftmeta.Blobs { return open(t, t.TempDir()) })
}

func TestConformanceMemory(t *testing.T) {
	metatest.RunBlobs(t, 1<<20, func(*testing.T) raftmeta.Blobs { return NewMemory(Options{MaxBytes: 1 << 20}) })
}

func TestConformanceCluster(t *testing.T) {
	metatest.RunBlobs(t, 1<<20, func(t *testing.T) raftmeta.Blobs {
		return open(t, t.TempDir(), open(t, t.TempDir()).Local(), open(t, t.TempDir()).Local())
	})
}

// link is a peer that can be cut off or hang.
type link struct {
	Peer
	mu   sync.Mutex
	cut  bool
	gate chan struct{} // nil, or holds calls back
}

var errCut = failure.Wrap(failure.Transient, errors.New("cut off"))

func (l *link) pass(ctx context.Context) error {
	l.mu.Lock()
	cut, gate := l.cut, l.gate
	l.mu.Unlock()
	if cut {
		return errCut
	}
	if gate == nil {
		return ctx.Err()
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *link) Put(ctx context.Context, name raftmeta.BlobName, data []byte) error {
	if err := l.pass(ctx); err != nil {
		return err
	}
	return l.Peer.Put(ctx, name, data)
}

func (l *link) Get(ctx context.Context, name raftmeta.BlobName) ([]byte, error) {
	if err := l.pass(ctx); err != nil {
		return nil, err
	}
	return l.Peer.Get(ctx, name)
}

func TestMajority(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	b, c := &link{Peer: open(t, t.TempDir()).Local()}, &link{Peer: open(t, t.TempDir()).Local(), cut: true}
	a := open(t, dir, b, c)
	name, err := a.Put(ctx, []byte("one"))
	if err != nil {
		t.Fatalf("two of three: %v", err)
	}
	if got, err := b.Get(ctx, name); err != nil || string(got) != "one" {
		t.Errorf("the peer has %q, %v", got, err)
	}
	b.cut = true
	if _, err := a.Put(ctx, []byte("two")); !errors.Is(err, errCut) || failure.Of(err) != failure.Transient {
		t.Errorf("one of three: %v", err)
	}
	// Whoever lacks a blob cannot know that it does not exist.
	if _, err := a.Get(ctx, raftmeta.NameOf([]byte("three"))); !errors.Is(err, errCut) || errors.Is(err, raftmeta.ErrNotFound) {
		t.Errorf("without peers: %v", err)
	}
	b.cut, c.cut = false, false
	if _, err := a.Get(ctx, raftmeta.NameOf([]byte("three"))); !errors.Is(err, raftmeta.ErrNotFound) {
		t.Errorf("with peers: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, string(name))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // fetched, and then its own again
		if got, err := a.Get(ctx, name); err != nil || string(got) != "one" {
			t.Errorf("lost here: %q, %v", got, err)
		}
		b.cut, c.cut = true, true
	}
}

// A peer that hangs keeps nobody waiting, and gets the blob later unless it takes too long.
func TestStragglers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		slow := &link{Peer: open(t, t.TempDir()).Local(), gate: make(chan struct{})}
		a := open(t, t.TempDir(), open(t, t.TempDir()).Local(), slow)
		var names []raftmeta.BlobName
		for i := range maxStragglers + 5 {
			name, err := a.Put(ctx, []byte{byte(i)})
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
			synctest.Wait()
		}
		time.Sleep(straggleTime / 2)
		close(slow.gate)
		synctest.Wait()
		slow.mu.Lock()
		slow.gate = make(chan struct{})
		slow.mu.Unlock()
		for i, name := range names {
			if _, err := slow.Peer.Get(ctx, name); (err == nil) != (i < maxStragglers) {
				t.Errorf("blob %d of %d: %v", i, len(names), err)
			}
		}
		name, err := a.Put(ctx, []byte("late"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(straggleTime + time.Second)
		close(slow.gate)
		synctest.Wait()
		if _, err := slow.Peer.Get(ctx, name); !errors.Is(err, raftmeta.ErrNotFound) {
			t.Errorf("a straggler past its time: %v", err)
		}
	})
}

// A peer that hangs does not keep the next one from being asked.
func TestFetchPastHangingPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		has := open(t, t.TempDir())
		name, err := has.Put(t.Context(), []byte("value"))
		if err != nil {
			t.Fatal(err)
		}
		hangs := &link{Peer: has.Local(), gate: make(chan struct{})}
		if got, err := open(t, t.TempDir(), hangs, has.Local()).Get(t.Context(), name); err != nil || string(got) != "value" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestDamagedBlob(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	peer := open(t, t.TempDir())
	a := open(t, dir, peer.Local())
	name, err := a.Put(ctx, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, string(name))
	for kind, content := range map[string]string{"flipped": "vblue", "cut": "val", "empty": "", "longer": "value!"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Local().Get(ctx, name); !errors.Is(err, raftmeta.ErrCorrupt) || failure.Of(err) != failure.Fatal {
			t.Errorf("%s: %v of class %v", kind, err, failure.Of(err))
		}
		if got, err := a.Get(ctx, name); err != nil || string(got) != "value" {
			t.Errorf("%s: not repaired: %q, %v", kind, got, err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != "value" {
			t.Errorf("%s: the file has %q, %v", kind, got, err)
		}
	}
	liar := &liar{}
	b := open(t, t.TempDir(), liar)
	if _, err := b.Get(ctx, name); !errors.Is(err, raftmeta.ErrCorrupt) {
		t.Errorf("a peer that lies: %v", err)
	}
	if err := a.Local().Put(ctx, name, []byte("other")); !errors.Is(err, raftmeta.ErrCorrupt) {
		t.Errorf("put under another name: %v", err)
	}
}

type liar struct{}

func (*liar) Put(context.Context, raftmeta.BlobName, []byte) error { return nil }

func (*liar) Get(context.Context, raftmeta.BlobName) ([]byte, error) { return []byte("lie"), nil }

func TestCollect(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	a := open(t, dir)
	old := time.Now().Add(-time.Hour)
	age := func(name raftmeta.BlobName) {
		if err := os.Chtimes(filepath.Join(dir, string(name)), old, old); err != nil {
			t.Fatal(err)
		}
	}
	put := func(data string) raftmeta.BlobName {
		name, err := a.Put(ctx, []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	used, unused, again, young := put("used"), put("unused"), put("again"), put("young")
	age(used)
	age(unused)
	age(again)
	put("again") // its entry is being written
	if err := os.WriteFile(filepath.Join(dir, "stranger"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Collect(ctx, func(n raftmeta.BlobName) bool { return n == used }); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[raftmeta.BlobName]bool{used: true, unused: false, again: true, young: true} {
		if _, err := a.Get(ctx, name); (err == nil) != there {
			t.Errorf("blob %.8s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "stranger")); err != nil {
		t.Error(err)
	}
}

func TestMemoryCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, m := t.Context(), NewMemory(Options{})
		used, _ := m.Put(ctx, []byte("used"))
		unused, _ := m.Put(ctx, []byte("unused"))
		time.Sleep(time.Hour)
		if err := m.Collect(ctx, func(n raftmeta.BlobName) bool { return n == used }); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Get(ctx, unused); !errors.Is(err, raftmeta.ErrNotFound) {
			t.Errorf("unused: %v", err)
		}
		if _, err := m.Get(ctx, used); err != nil {
			t.Errorf("used: %v", err)
		}
	})
}

// Whatever operation on a file fails, Put says so, leaves nothing half done, and succeeds
// when it is tried again.
func TestFaults(t *testing.T) {
	errFull := errors.New("no space left on device")
	for _, step := range []string{"create", "write", "sync", "rename", "sync directory", "read", "remove", "list"} {
		t.Run(step, func(t *testing.T) {
			ctx, dir := t.Context(), t.TempDir()
			a := open(t, dir)
			failing := true
			a.files.fault = func(s string) error {
				if failing && s == step {
					return errFull
				}
				return nil
			}
			var err error
			switch step {
			case "read":
				_, err = a.Get(ctx, raftmeta.NameOf(nil))
			case "list", "remove":
				name, e := a.Put(ctx, []byte("value"))
				old := time.Now().Add(-time.Hour)
				e = errors.Join(e, os.Chtimes(filepath.Join(dir, string(name)), old, old))
				if e != nil {
					t.Fatal(e)
				}
				err = a.Collect(ctx, func(raftmeta.BlobName) bool { return false })
			default:
				_, err = a.Put(ctx, []byte("value"))
			}
			if !errors.Is(err, errFull) || failure.Of(err) != failure.Fatal || !strings.Contains(err.Error(), "blob") {
				t.Errorf("got %v of class %v", err, failure.Of(err))
			}
			failing = false
			if _, err := a.Put(ctx, []byte("value")); err != nil {
				t.Errorf("later: %v", err)
			}
			files, err := filepath.Glob(filepath.Join(dir, unfinished+"*"))
			if err != nil || len(files) > 0 {
				t.Errorf("left behind: %v, %v", files, err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, unfinished+"X")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unfinished file stayed: %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Put(t.Context(), nil); !errors.Is(err, raftmeta.ErrClosed) {
		t.Errorf("put after close: %v", err)
	}
	if _, err := s.Get(t.Context(), raftmeta.NameOf(nil)); !errors.Is(err, raftmeta.ErrClosed) {
		t.Errorf("get after close: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); failure.Of(err) != failure.Fatal {
		t.Errorf("a file as a directory: %v", err)
	}
	bad := filepath.Join(dir, "bad")
	if err := os.MkdirAll(filepath.Join(bad, unfinished+"dir", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(bad, Options{}); failure.Of(err) != failure.Fatal {
		t.Errorf("a directory that cannot be cleaned: %v", err)
	}
}
