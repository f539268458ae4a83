package raftstore_test

// The Raft store passes the suite in memory and on disk, in fake time where no
// disk takes part, starts fast, and refuses what it cannot trust.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/metatest"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, s raftstore.Storage, opts raftstore.Options) *raftstore.Store {
	t.Helper()
	store, err := raftstore.New(context.Background(), s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func openDir(t testing.TB, dir string, opts raftstore.Options) *raftstore.Store {
	t.Helper()
	s, err := raftstore.DirStorage(dir)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, s, opts)
}

func TestConformanceMemory(t *testing.T) {
	metatest.Run(t, func(t *testing.T) func() raftmeta.Store {
		s := raftstore.MemoryStorage()
		return func() raftmeta.Store { return open(t, s, raftstore.Options{}) }
	})
}

func TestConformanceDir(t *testing.T) {
	metatest.Run(t, func(t *testing.T) func() raftmeta.Store {
		dir := filepath.Join(t.TempDir(), "meta")
		return func() raftmeta.Store { return openDir(t, dir, raftstore.Options{}) }
	})
}

// A tiny snapshot threshold cuts the log under the suite's feet.
func TestConformanceWithSnapshots(t *testing.T) {
	metatest.Run(t, func(t *testing.T) func() raftmeta.Store {
		s := raftstore.MemoryStorage()
		return func() raftmeta.Store { return open(t, s, raftstore.Options{SnapshotEntries: 1}) }
	})
}

// In fake time a start that waited for a heartbeat would show.
func TestStartWaitsForNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, begin := raftstore.MemoryStorage(), time.Now()
		for range 3 {
			store := open(t, s, raftstore.Options{})
			if _, err := raftmeta.Put(t.Context(), store, "b", "k", nil, raftmeta.Any); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(begin); waited != 0 {
				t.Fatalf("the start waited %v", waited)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Days pass: snapshots are taken, the log stays short, the lead is kept.
func TestLongRunInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s := t.Context(), raftstore.MemoryStorage()
		store := open(t, s, raftstore.Options{SnapshotEntries: 16})
		lead, err := store.Leadership(ctx, raftmeta.Leadership{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 400 {
			if _, err := raftmeta.Put(ctx, store, "b", "k", []byte{byte(i)}, raftmeta.Any); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		first, err := s.Log.FirstIndex()
		if err != nil || first < 300 {
			t.Fatalf("the log begins at %d, %v: it was never cut", first, err)
		}
		if now, err := store.Leadership(ctx, raftmeta.Leadership{}); err != nil || now != lead {
			t.Fatalf("leadership %+v, %v, was %+v", now, err, lead)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		store = open(t, s, raftstore.Options{})
		e, err := store.Get(ctx, "b", "k")
		if err != nil || e.Value[0] != byte(399%256) || e.Revision != 400 {
			t.Fatalf("after the restart: %+v, %v", e, err)
		}
		w, err := store.Watch(ctx, "b", "", 1)
		if err != nil {
			t.Fatal(err)
		}
		if ev, err := w.Next(ctx); err != nil || ev.Kind != raftmeta.EventResync {
			t.Fatalf("a watch across a snapshot: %v, %v", ev, err)
		}
		w.Close()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// damage breaks one byte in the middle of the data of the newest log entry.
func damage(t *testing.T, s raftstore.Storage) uint64 {
	t.Helper()
	last, err := s.Log.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	var l raft.Log
	for ; ; last-- {
		if err := s.Log.GetLog(last, &l); err != nil {
			t.Fatal(err)
		}
		if l.Type == raft.LogCommand {
			break
		}
	}
	l.Data = slices.Clone(l.Data)
	l.Data[len(l.Data)/2] ^= 1
	if err := s.Log.StoreLog(&l); err != nil {
		t.Fatal(err)
	}
	return last
}

func TestDamagedLogEntry(t *testing.T) {
	s := raftstore.MemoryStorage()
	store := open(t, s, raftstore.Options{})
	if _, err := raftmeta.Put(t.Context(), store, "b", "k", []byte("value"), raftmeta.Any); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	damage(t, s)
	_, err := raftstore.New(t.Context(), s, raftstore.Options{})
	if !errors.Is(err, raftmeta.ErrCorrupt) || failure.Of(err) != failure.Fatal || !strings.Contains(err.Error(), "log entry") {
		t.Fatalf("got %v of class %v", err, failure.Of(err))
	}
}

func TestDamagedSnapshot(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := raftstore.DirStorage(dir)
		if err != nil {
			t.Fatal(err)
		}
		store := open(t, s, raftstore.Options{SnapshotEntries: 1})
		for range 10 {
			if _, err := raftmeta.Put(t.Context(), store, "b", "k", []byte("value"), raftmeta.Any); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
	files, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", "state.bin"))
	if err != nil || len(files) == 0 {
		t.Fatalf("snapshots: %v, %v", files, err)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte("not a snapshot"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := raftstore.DirStorage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if store, err := raftstore.New(t.Context(), s, raftstore.Options{}); err == nil {
		t.Errorf("a damaged snapshot was restored: %v", store.Close())
	}
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	store := openDir(t, dir, raftstore.Options{})
	if _, err := raftstore.DirStorage(dir); failure.Of(err) != failure.Conflict || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a directory in use: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := raftstore.DirStorage(file); err == nil {
		t.Error("a file was taken for a directory")
	}
	bad := filepath.Join(dir, "bad")
	if err := os.MkdirAll(filepath.Join(bad, "raft.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := raftstore.DirStorage(bad); err == nil {
		t.Error("a directory was taken for a log")
	}
}

// failingLog stops taking entries when told to.
type failingLog struct {
	raftstore.LogStore
	broken chan struct{}
}

var errDisk = errors.New("disk full")

func (l *failingLog) StoreLogs(logs []*raft.Log) error {
	select {
	case <-l.broken:
		return errDisk
	default:
		return l.LogStore.StoreLogs(logs)
	}
}

// A log that cannot be written stops the master, which says why; nothing is acknowledged.
func TestFailingLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s := t.Context(), raftstore.MemoryStorage()
		log := &failingLog{LogStore: s.Log, broken: make(chan struct{})}
		s.Log = log
		store := open(t, s, raftstore.Options{})
		lead, err := store.Leadership(ctx, raftmeta.Leadership{})
		if err != nil {
			t.Fatal(err)
		}
		w, err := store.Watch(ctx, "b", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		close(log.broken)
		for name, call := range map[string]func() error{
			"apply":      func() error { _, err := raftmeta.Put(ctx, store, "b", "k", nil, raftmeta.Any); return err },
			"leadership": func() error { _, err := store.Leadership(ctx, lead); return err },
			"watcher":    func() error { _, err := w.Next(ctx); return err },
		} {
			_, _ = raftmeta.Put(ctx, store, "b", "k", nil, raftmeta.Any)
			if err := call(); !errors.Is(err, errDisk) || failure.Of(err) != failure.Fatal || !strings.Contains(err.Error(), "write metadata log") {
				t.Errorf("%s: %v of class %v", name, err, failure.Of(err))
			}
		}
		time.Sleep(time.Minute) // Raft tries to be elected
		for name, call := range map[string]func() error{
			"get":   func() error { _, err := store.Get(ctx, "b", "k"); return err },
			"list":  func() error { _, _, err := store.List(ctx, "b", ""); return err },
			"apply": func() error { _, err := raftmeta.Put(ctx, store, "b", "k", nil, raftmeta.Any); return err },
			"watch": func() error { _, err := store.Watch(ctx, "b", "", 0); return err },
		} {
			if err := call(); !errors.Is(err, errDisk) {
				t.Errorf("%s later: %v", name, err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// slowLog takes entries only once it is let.
type slowLog struct {
	raftstore.LogStore
	gate chan struct{}
}

func (l *slowLog) StoreLogs(logs []*raft.Log) error {
	<-l.gate
	return l.LogStore.StoreLogs(logs)
}

// A call gives up with its context however long the disk takes, and Close waits
// for what it left behind.
func TestSlowLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := raftstore.MemoryStorage()
		log := &slowLog{LogStore: s.Log, gate: make(chan struct{}, 100)}
		s.Log = log
		log.gate <- struct{}{} // the entry with which the leader begins
		log.gate <- struct{}{} // and the one with which it settles
		store := open(t, s, raftstore.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := raftmeta.Put(ctx, store, "b", "k", nil, raftmeta.Any); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		w, err := store.Watch(t.Context(), "b", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		close(log.gate) // the transaction goes on without its caller
		if ev, err := w.Next(t.Context()); err != nil || ev.Entry.Key != "k" {
			t.Errorf("got %v, %v", ev, err)
		}
		w.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What was acknowledged is in the files: a copy of them taken without Close, as
// a crash leaves them, has it.
func TestCrash(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	store := openDir(t, filepath.Join(dir, "live"), raftstore.Options{})
	for i := range 20 {
		if _, err := raftmeta.Put(ctx, store, "b", "k", []byte{byte(i)}, raftmeta.Any); err != nil {
			t.Fatal(err)
		}
		if i%5 != 0 {
			continue
		}
		crashed := filepath.Join(dir, fmt.Sprint("crashed", i))
		if err := os.CopyFS(crashed, os.DirFS(filepath.Join(dir, "live"))); err != nil {
			t.Fatal(err)
		}
		after := openDir(t, crashed, raftstore.Options{})
		if e, err := after.Get(ctx, "b", "k"); err != nil || e.Value[0] != byte(i) {
			t.Errorf("after the crash at %d: %+v, %v", i, e, err)
		}
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStartFails(t *testing.T) {
	s := raftstore.MemoryStorage()
	log := &failingLog{LogStore: s.Log, broken: make(chan struct{})}
	s.Log = log
	store := open(t, s, raftstore.Options{})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	close(log.broken)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := raftstore.New(ctx, s, raftstore.Options{}); !errors.Is(err, errDisk) {
			t.Errorf("a log that takes nothing: %v", err)
		}
	})
}

func BenchmarkStart(b *testing.B) {
	for range b.N {
		store := open(b, raftstore.MemoryStorage(), raftstore.Options{})
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	ctx, store := context.Background(), open(b, raftstore.MemoryStorage(), raftstore.Options{})
	value := make([]byte, 256)
	b.Run("put", func(b *testing.B) {
		for range b.N {
			if _, err := raftmeta.Put(ctx, store, "b", "k", value, raftmeta.Any); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		for range b.N {
			if _, err := store.Get(ctx, "b", "k"); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}
