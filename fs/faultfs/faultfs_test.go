package faultfs_test

// faultfs without rules is the file system that it wraps; with rules it fails
// exactly the calls that they name.

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/fstest"
	"github.com/tidemill/tidemill/fs/memfs"
)

func TestConformance(t *testing.T) {
	fstest.Run(t, func(*testing.T) (fs.FileSystem, string) {
		return faultfs.New(memfs.New(memfs.Options{})), "t"
	})
}

var errDisk = failure.Wrap(failure.Transient, errors.New("the disk is on fire"))

// run performs each operation once and returns the first error.
func run(ctx context.Context, f *faultfs.FileSystem) error {
	if err := fstest.WriteFile(ctx, f, "d/x", "x"); err != nil {
		return err
	}
	if _, err := fstest.ReadFile(ctx, f, "d/x"); err != nil {
		return err
	}
	if _, err := f.Stat(ctx, "d/x"); err != nil {
		return err
	}
	if err := f.List(ctx, "d", fs.ListOptions{}, func(fs.Info) error { return nil }); err != nil {
		return err
	}
	if err := f.Rename(ctx, "d/x", "d/y"); err != nil {
		return err
	}
	if err := f.Remove(ctx, "d/y"); err != nil {
		return err
	}
	if err := f.SyncDir(ctx, "d"); err != nil {
		return err
	}
	if err := recoverable(ctx, f); err != nil {
		return err
	}
	return f.RemoveAll(ctx, "d")
}

func recoverable(ctx context.Context, f *faultfs.FileSystem) error {
	r, _ := fs.RecovererOf(f)
	w, err := r.CreateRecoverable(ctx, "d/z")
	if err != nil {
		return err
	}
	token, err := w.Persist(ctx)
	if err != nil {
		return err
	}
	if w, err = r.Resume(ctx, token); err != nil {
		return err
	}
	if token, err = w.Seal(ctx); err != nil {
		return err
	}
	if err := w.Abort(ctx); err != nil {
		return err
	}
	if err := r.Publish(ctx, token); err != nil {
		return err
	}
	return r.Discard(ctx, token)
}

func TestEveryOperationFails(t *testing.T) {
	for op := faultfs.Open; op <= faultfs.Discard; op++ {
		for _, after := range []bool{false, true} {
			f := faultfs.New(memfs.New(memfs.Options{}))
			f.Inject(faultfs.Rule{Op: op, After: after, Times: 1, Err: errDisk})
			err := run(t.Context(), f)
			if !errors.Is(err, errDisk) || failure.Of(err) != failure.Transient {
				t.Errorf("%v, after %v: got %v of class %v", op, after, err, failure.Of(err))
			}
			if f.Count(op) == 0 {
				t.Errorf("%v was not counted", op)
			}
			if err := run(t.Context(), f); err != nil {
				t.Errorf("%v, after %v: the second run: %v", op, after, err)
			}
		}
	}
}

func TestRules(t *testing.T) {
	ctx, f := t.Context(), faultfs.New(memfs.New(memfs.Options{}))
	f.Inject(faultfs.Rule{Op: faultfs.Commit, Path: "d/*", Skip: 1, Times: 2, Err: errDisk})
	var got []bool
	for _, p := range []string{"d/a", "e/a", "d/b", "d/c", "d/d"} {
		got = append(got, fstest.WriteFile(ctx, f, p, "x") == nil)
	}
	if want := [5]bool{true, true, false, false, true}; [5]bool(got) != want {
		t.Fatalf("succeeded: %v, want %v", got, want)
	}
	f.Inject(faultfs.Rule{Op: faultfs.Commit, After: true, Err: errDisk})
	if err := fstest.WriteFile(ctx, f, "lost reply", "x"); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	if _, err := f.Stat(ctx, "lost reply"); err != nil {
		t.Fatalf("the commit took no effect: %v", err)
	}
	f.Heal()
	if err := fstest.WriteFile(ctx, f, "d/b", "x"); err != nil || f.Count(faultfs.Commit) != 7 {
		t.Fatalf("%v, %d commits", err, f.Count(faultfs.Commit))
	}
}

// Reads of a slow file system take longer, and say the same.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := faultfs.Slow(memfs.New(memfs.Options{}), 20*time.Millisecond)
		if err := fs.WriteFile(t.Context(), fsys, "a", []byte("abc"), fs.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		data, err := fs.ReadFile(t.Context(), fsys, "a", 10)
		if took := time.Since(began); err != nil || string(data) != "abc" || took != 20*time.Millisecond {
			t.Errorf("%q after %v, %v", data, took, err)
		}
		if _, err := fsys.Open(t.Context(), "b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}
