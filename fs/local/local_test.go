package local

// The local file system passes the suite with and without a root, keeps out of
// trouble with links, and reports each failing system call.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/fstest"
)

func newLocal(t *testing.T, opts Options) *FileSystem {
	t.Helper()
	l, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestConformance(t *testing.T) {
	fstest.Run(t, func(t *testing.T) (fs.FileSystem, string) { return newLocal(t, Options{}), t.TempDir() })
}

func TestConformanceRooted(t *testing.T) {
	fstest.Run(t, func(t *testing.T) (fs.FileSystem, string) { return newLocal(t, Options{Root: t.TempDir()}), "/a/b" })
}

func TestRelativePaths(t *testing.T) {
	t.Chdir(t.TempDir())
	fstest.Run(t, func(t *testing.T) (fs.FileSystem, string) {
		t.Chdir(t.TempDir())
		return newLocal(t, Options{}), "data"
	})
	l := newLocal(t, Options{})
	if err := fstest.WriteFile(t.Context(), l, "x.csv", "1"); err != nil {
		t.Fatal(err)
	}
	if got, err := fs.Glob(t.Context(), l, "*.csv"); err != nil || len(got) != 1 || got[0].Path != "x.csv" {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestLinks(t *testing.T) {
	ctx, dir, l := t.Context(), t.TempDir(), newLocal(t, Options{})
	write := func(p, s string) {
		t.Helper()
		if err := fstest.WriteFile(ctx, l, p, s); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, from string) {
		t.Helper()
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	write(dir+"/outside/precious", "precious")
	write(dir+"/table/part", "1")
	link(dir+"/outside/precious", dir+"/table/linked")
	link(dir+"/outside", dir+"/table/dir")
	link(dir+"/nowhere", dir+"/table/broken")
	link(dir+"/table", dir+"/table/cycle")

	var listed []string
	err := l.List(ctx, dir+"/table", fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		listed = append(listed, i.Name())
		return nil
	})
	if err != nil || len(listed) != 2 || listed[0] != "linked" || listed[1] != "part" {
		t.Fatalf("listed %v, %v; want the linked file and no linked directory", listed, err)
	}
	write(dir+"/table/linked", "new") // replaces the link, not its target
	if err := l.RemoveAll(ctx, dir+"/table"); err != nil {
		t.Fatal(err)
	}
	if got, err := fstest.ReadFile(ctx, l, dir+"/outside/precious"); err != nil || got != "precious" {
		t.Fatalf("the link's target: %q, %v", got, err)
	}
}

func TestRootConfines(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	l := newLocal(t, Options{Root: root})
	for _, p := range []string{"../secret", "/../secret", "link", "a/../../secret"} {
		if f, err := l.Open(ctx, p); err == nil {
			_ = f.Close()
			t.Errorf("%s could be opened", p)
		}
		if _, err := l.Create(ctx, "../made", fs.CreateOptions{}); err == nil {
			t.Errorf("%s could be created", p)
		}
	}
	if _, err := New(Options{Root: filepath.Join(dir, "no")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing root: %v", err)
	}
}

// A token of somebody else's making cannot name files to truncate or delete.
func TestForeignToken(t *testing.T) {
	l := newLocal(t, Options{})
	w, err := l.CreateRecoverable(t.Context(), filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	r := w.(*recoverable)
	staged := r.name
	for _, name := range []string{"/etc/passwd", filepath.Dir(staged) + "/x", "/" + filepath.Base(staged)} {
		r.name = name
		tok, err := r.sync(t.Context(), "persist", 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Discard(t.Context(), tok); !errors.Is(err, fs.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.name = staged
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestShortStagedFile(t *testing.T) {
	l := newLocal(t, Options{})
	w, err := l.CreateRecoverable(t.Context(), filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	tok, err := w.Persist(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(w.(*recoverable).name, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Resume(t.Context(), tok); err == nil {
		t.Fatal("a staged file that lost data was resumed")
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// failing is a disk on which one kind of call fails.
type failing struct {
	machine
	call string
	err  error
}

func (d failing) fail(call string) error {
	if d.call == call {
		return &os.PathError{Op: call, Path: "staged name", Err: d.err}
	}
	return nil
}

func (d failing) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	if err := d.fail("open"); err != nil {
		return nil, err
	}
	f, err := d.machine.OpenFile(name, flag, perm)
	if err == nil && d.call == "write" && flag&os.O_CREATE != 0 { // a closed file takes no data
		_ = f.Close()
	}
	return f, err
}

func (d failing) Stat(name string) (os.FileInfo, error) {
	if err := d.fail("stat"); err != nil {
		return nil, err
	}
	return d.machine.Stat(name)
}

func (d failing) MkdirAll(name string, perm os.FileMode) error {
	return errors.Join(d.fail("mkdir"), d.machine.MkdirAll(name, perm))
}

func (d failing) Rename(from, to string) error {
	if err := d.fail("rename"); err != nil {
		return err
	}
	return d.machine.Rename(from, to)
}

func (d failing) Link(from, to string) error {
	if err := d.fail("link"); err != nil {
		return err
	}
	return d.machine.Link(from, to)
}

func (d failing) Remove(name string) error {
	if err := d.fail("remove"); err != nil {
		return err
	}
	return d.machine.Remove(name)
}

func (d failing) RemoveAll(name string) error {
	if err := d.fail("removeall"); err != nil {
		return err
	}
	return d.machine.RemoveAll(name)
}

func TestFailingCalls(t *testing.T) {
	ctx := t.Context()
	create := func(opts fs.CreateOptions) func(l *FileSystem, p string) error {
		return func(l *FileSystem, p string) error {
			w, err := l.Create(ctx, p+"/new/x", opts)
			if err != nil {
				return err
			}
			_, werr := w.Write([]byte("x"))
			err = w.Commit(ctx)
			if werr != nil && !errors.Is(err, werr) {
				t.Errorf("write failed with %v, commit with %v", werr, err)
			}
			l.disk = machine{}
			return errors.Join(err, w.Abort(ctx))
		}
	}
	open := func(l *FileSystem, p string) error { _, err := l.Open(ctx, p+"/x"); return err }
	list := func(l *FileSystem, p string) error {
		return l.List(ctx, p, fs.ListOptions{}, func(fs.Info) error { return nil })
	}
	for _, c := range []struct {
		call string
		run  func(l *FileSystem, p string) error
	}{
		{"open", open},
		{"open", create(fs.CreateOptions{})},
		{"write", create(fs.CreateOptions{})},
		{"mkdir", create(fs.CreateOptions{})},
		{"stat", create(fs.CreateOptions{})},
		{"rename", create(fs.CreateOptions{})},
		{"link", create(fs.CreateOptions{IfNotExists: true})},
		{"open", list},
		{"stat", list},
		{"rename", func(l *FileSystem, p string) error { return l.Rename(ctx, p+"/x", p+"/y") }},
		{"stat", func(l *FileSystem, p string) error { return l.Rename(ctx, p+"/x", p+"/y") }},
		{"remove", func(l *FileSystem, p string) error { return l.Remove(ctx, p+"/x") }},
		{"removeall", func(l *FileSystem, p string) error { return l.RemoveAll(ctx, p+"/x") }},
		{"open", func(l *FileSystem, p string) error { return l.SyncDir(ctx, p) }},
		{"open", func(l *FileSystem, p string) error { _, err := l.CreateRecoverable(ctx, p+"/x"); return err }},
	} {
		dir, good := t.TempDir(), newLocal(t, Options{})
		if err := fstest.WriteFile(ctx, good, dir+"/x", "old"); err != nil {
			t.Fatal(err)
		}
		l := &FileSystem{disk: failing{call: c.call, err: syscall.EACCES}}
		err := c.run(l, dir)
		var pe *fs.PathError
		if !errors.As(err, &pe) || pe.Path == "staged name" {
			t.Errorf("%s: got %v, want an error that names the caller's path", c.call, err)
		}
		if c.call != "write" && (!errors.Is(err, fs.ErrPermission) || failure.Of(err) != failure.Unauthorized) {
			t.Errorf("%s: got %v of class %v, want a permission error", c.call, err, failure.Of(err))
		}
		left := 0
		if err := good.List(ctx, dir, fs.ListOptions{Recursive: true, Staged: true}, func(fs.Info) error { left++; return nil }); err != nil {
			t.Fatal(err)
		}
		if left != 1 {
			t.Errorf("%s: %d files left, want the old one alone", c.call, left)
		}
		if got, err := fstest.ReadFile(ctx, good, dir+"/x"); err != nil || got != "old" {
			t.Errorf("%s: old file: %q, %v", c.call, got, err)
		}
	}
}

// Opening a pipe would wait for a writer, and no context ends that.
func TestPipesAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(t.Context(), dir+"/pipe"); failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("%v", err)
	}
}

// Two jobs, or two masters, may finish one publication at the same time: both succeed.
func TestPublishedTwiceAtATime(t *testing.T) {
	fsys, err := New(Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	for i := range 100 {
		w, err := fsys.CreateRecoverable(t.Context(), fmt.Sprintf("/t/%d", i))
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := fsys.Publish(t.Context(), token); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
}
