package memfs_test

// memfs passes the suite, and a crash keeps what the contract calls durable
// and nothing else: the simulation's results rest on that.

import (
	"errors"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/fstest"
	"github.com/tidemill/tidemill/fs/memfs"
)

func TestConformance(t *testing.T) {
	fstest.Run(t, func(*testing.T) (fs.FileSystem, string) { return memfs.New(memfs.Options{}), "t" })
}

func TestConformanceAfterCrash(t *testing.T) {
	fstest.Run(t, func(*testing.T) (fs.FileSystem, string) { return memfs.New(memfs.Options{}).Crash(), "/t" })
}

func TestCrash(t *testing.T) {
	ctx, m := t.Context(), memfs.New(memfs.Options{})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	exists := func(m *memfs.FileSystem, p string, want bool) {
		t.Helper()
		if _, err := m.Stat(ctx, p); errors.Is(err, fs.ErrNotExist) == want {
			t.Fatalf("%s: %v, want it to exist: %v", p, err, want)
		}
	}
	for _, p := range []string{"kept", "removed", "synced/removed", "old"} {
		ok(fstest.WriteFile(ctx, m, p, p))
	}
	ok(m.Remove(ctx, "removed"))
	ok(m.Remove(ctx, "synced/removed"))
	ok(m.SyncDir(ctx, "synced"))
	ok(m.Rename(ctx, "old", "new"))
	half, err := m.Create(ctx, "half", fs.CreateOptions{})
	ok(err)
	_, err = half.Write([]byte("half"))
	ok(err)
	w, err := m.CreateRecoverable(ctx, "sink/part")
	ok(err)
	_, err = w.Write([]byte("persisted"))
	ok(err)
	token, err := w.Persist(ctx)
	ok(err)
	_, err = w.Write([]byte(" and lost"))
	ok(err)

	after := m.Crash()
	for p, want := range map[string]bool{
		"kept": true, "removed": true, "synced/removed": false, "old": false, "new": true, "half": false, "sink/part": false,
	} {
		exists(after, p, want)
	}
	ok(half.Commit(ctx)) // the one that did not crash goes on
	exists(m, "half", true)
	exists(after, "half", false)

	w, err = after.Resume(ctx, token)
	ok(err)
	token, err = w.Seal(ctx)
	ok(err)
	ok(after.Publish(ctx, token))
	if got, err := fstest.ReadFile(ctx, after, "sink/part"); err != nil || got != "persisted" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// The limit counts what is held: deleting and aborting give room back.
func TestLimit(t *testing.T) {
	ctx, m := t.Context(), memfs.New(memfs.Options{LimitBytes: 10})
	full := func() {
		t.Helper()
		err := fstest.WriteFile(ctx, m, "more", "1234567")
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v, want ENOSPC", err)
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		ok(fstest.WriteFile(ctx, m, "a", "12345"))
		full()
		ok(m.Rename(ctx, "a", "b"))
		full()
		ok(m.Remove(ctx, "b"))
		for range 2 {
			w, err := m.CreateRecoverable(ctx, "c")
			ok(err)
			_, err = w.Write([]byte("123"))
			ok(err)
			token, err := w.Persist(ctx)
			ok(err)
			_, err = w.Write([]byte("45"))
			ok(err)
			full()
			ok(w.Abort(ctx))
			ok(m.Discard(ctx, token))
		}
	}
	ok(fstest.WriteFile(ctx, m, "all", "1234567890"))
}
