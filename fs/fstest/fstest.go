package fstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/fs"
)

// Maker returns a fresh file system for one test and the directory in it below
// which the test may do what it likes; nothing needs to exist there.
type Maker func(t *testing.T) (fsys fs.FileSystem, dir string)

// Run checks the whole contract.
func Run(t *testing.T, make Maker) {
	RunObjects(t, make)
	t.Run("files and directories exclude each other", func(t *testing.T) {
		fsys, dir := make(t)
		testExclusion(&env{T: t, fs: fsys, dir: dir, ctx: t.Context()})
	})
}

// RunObjects checks the contract as object stores keep it, where a directory is
// no more than a common beginning of names: all but that a file can neither
// replace a directory nor lie below another file.
func RunObjects(t *testing.T, make Maker) {
	tests := []struct {
		name string
		run  func(e *env)
	}{
		{"write and read", testWriteRead},
		{"range reads", testRanges},
		{"concurrent readers", testConcurrentReaders},
		{"unpublished writes are invisible", testInvisible},
		{"abort leaves nothing", testAbort},
		{"commit replaces, readers keep what they opened", testReplace},
		{"open by what a listing said", testOpenInfo},
		{"create if not exists", testIfNotExists},
		{"create race has one winner", testCreateRace},
		{"writer after its end", testWriterEnd},
		{"listing order", testListOrder},
		{"listing hides staged data", testListStaged},
		{"listing a file, a missing directory, a failing visitor", testListEdges},
		{"missing files", testMissing},
		{"directories are not files", testDirectories},
		{"rename file", testRenameFile},
		{"rename directory", testRenameDir},
		{"remove", testRemove},
		{"remove all", testRemoveAll},
		{"etag changes with content", testETag},
		{"done contexts", testContext},
		{"odd names", testOddNames},
		{"recoverable: persist, lose the tail, resume, publish", testRecover},
		{"recoverable: publish twice, discard", testPublishTwice},
		{"recoverable: abort and damaged tokens", testRecoverErrors},
		{"recoverable: sealed, then resumed from before", testStaleSeal},
		{"sync dir", testSyncDir},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fsys, dir := make(t)
			test.run(&env{T: t, fs: fsys, dir: dir, ctx: t.Context()})
		})
	}
}

// env is one test's file system with helpers that fail the test.
type env struct {
	*testing.T
	fs  fs.FileSystem
	dir string
	ctx context.Context
}

func (e *env) path(name string) string { return fs.Join(e.dir, name) }

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// fails checks the kind of an error and that it names the path.
func (e *env) fails(err, want error, p string) {
	e.Helper()
	var pe *fs.PathError
	if !errors.Is(err, want) || !errors.As(err, &pe) || !strings.Contains(err.Error(), p) {
		e.Fatalf("got error %v, want %v that names %s", err, want, p)
	}
}

func (e *env) write(name, data string) {
	e.Helper()
	e.ok(WriteFile(e.ctx, e.fs, e.path(name), data))
}

func (e *env) read(name string) string {
	e.Helper()
	data, err := ReadFile(e.ctx, e.fs, e.path(name))
	e.ok(err)
	return data
}

func (e *env) list(opts fs.ListOptions) []string {
	e.Helper()
	return e.listDir(e.dir, opts)
}

// listDir returns the visited paths relative to the test's directory; a
// directory has a slash at its end.
func (e *env) listDir(dir string, opts fs.ListOptions) []string {
	e.Helper()
	names := []string{}
	e.ok(e.fs.List(e.ctx, dir, opts, func(info fs.Info) error {
		name := strings.TrimPrefix(info.Path, fs.Join(e.dir)+"/")
		if info.Dir {
			name += "/"
		}
		names = append(names, name)
		return nil
	}))
	return names
}

func (e *env) want(got, want any) {
	e.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		e.Fatalf("got  %v\nwant %v", got, want)
	}
}

// WriteFile publishes text at path, replacing what is there.
func WriteFile(ctx context.Context, fsys fs.FileSystem, path, text string) error {
	return fs.WriteFile(ctx, fsys, path, []byte(text), fs.CreateOptions{})
}

// ReadFile returns the text of a small file.
func ReadFile(ctx context.Context, fsys fs.FileSystem, path string) (string, error) {
	data, err := fs.ReadFile(ctx, fsys, path, 1<<20)
	return string(data), err
}

func testWriteRead(e *env) {
	e.write("a/b/x", "hello")
	e.write("empty", "")
	e.want(e.read("a/b/x"), "hello")
	e.want(e.read("empty"), "")
	info, err := e.fs.Stat(e.ctx, e.path("a/b/x"))
	e.ok(err)
	if info.Path != e.path("a/b/x") || info.Size != 5 || info.Dir || info.Name() != "x" {
		e.Fatalf("stat: %+v", info)
	}
	info, err = e.fs.Stat(e.ctx, e.path("a/b"))
	e.ok(err)
	if !info.Dir || info.Path != e.path("a/b") {
		e.Fatalf("stat of a directory: %+v", info)
	}
}

func testRanges(e *env) {
	e.write("x", "0123456789")
	f, err := e.fs.Open(e.ctx, e.path("x"))
	e.ok(err)
	if f.Size() != 10 || f.Info().Path != e.path("x") || f.Info().Size != 10 {
		e.Fatalf("size %d, info %+v", f.Size(), f.Info())
	}
	for _, c := range []struct {
		off, n int
		want   string
		err    error
	}{
		{0, 3, "012", nil},
		{4, 2, "45", nil},
		{8, 4, "89", io.EOF},
		{10, 1, "", io.EOF},
		{12, 1, "", io.EOF},
		{3, 0, "", nil},
	} {
		b := make([]byte, c.n)
		n, err := f.ReadAt(b, int64(c.off))
		if string(b[:n]) != c.want || !errors.Is(err, c.err) {
			e.Fatalf("ReadAt(%d bytes, %d) = %q, %v", c.n, c.off, b[:n], err)
		}
	}
	e.ok(f.Close())
	_, err = f.ReadAt(make([]byte, 1), 0)
	e.fails(err, fs.ErrClosed, "x")
}

func testConcurrentReaders(e *env) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	e.write("x", string(data))
	f, err := e.fs.Open(e.ctx, e.path("x"))
	e.ok(err)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			b := make([]byte, 777)
			for off := g * 100; off+len(b) <= len(data); off += 1999 {
				if n, err := f.ReadAt(b, int64(off)); err != nil || !bytes.Equal(b[:n], data[off:off+len(b)]) {
					e.Errorf("read at %d: %v", off, err)
					return
				}
			}
		})
	}
	wg.Wait()
	e.ok(f.Close())
}

func testInvisible(e *env) {
	w, err := e.fs.Create(e.ctx, e.path("d/x"), fs.CreateOptions{})
	e.ok(err)
	_, err = w.Write([]byte("half"))
	e.ok(err)
	_, err = e.fs.Stat(e.ctx, e.path("d/x"))
	e.fails(err, fs.ErrNotExist, e.path("d/x"))
	_, err = e.fs.Open(e.ctx, e.path("d/x"))
	e.fails(err, fs.ErrNotExist, e.path("d/x"))
	e.write("other", "")
	e.want(e.list(fs.ListOptions{Recursive: true}), "[other]")
	_, err = w.Write([]byte(" and half"))
	e.ok(err)
	e.ok(w.Commit(e.ctx))
	e.want(e.read("d/x"), "half and half")
	e.ok(w.Abort(e.ctx))
	e.want(e.list(fs.ListOptions{Recursive: true, Staged: true}), "[d/x other]")
}

func testAbort(e *env) {
	e.write("x", "old")
	w, err := e.fs.Create(e.ctx, e.path("x"), fs.CreateOptions{})
	e.ok(err)
	_, err = w.Write([]byte("new"))
	e.ok(err)
	e.ok(w.Abort(e.ctx))
	e.ok(w.Abort(e.ctx))
	e.want(e.read("x"), "old")
	e.want(e.list(fs.ListOptions{Recursive: true, Staged: true}), "[x]")
	e.fails(w.Commit(e.ctx), fs.ErrClosed, e.path("x"))
}

func testReplace(e *env) {
	e.write("x", "first")
	f, err := e.fs.Open(e.ctx, e.path("x"))
	e.ok(err)
	e.write("x", "the second")
	e.want(e.read("x"), "the second")
	same := func() {
		b := make([]byte, 5)
		if _, err := f.ReadAt(b, 0); !errors.Is(err, fs.ErrChanged) {
			e.ok(err)
			e.want(string(b), "first")
		}
	}
	same()
	e.ok(e.fs.Remove(e.ctx, e.path("x")))
	same()
	e.ok(f.Close())
}

func testOpenInfo(e *env) {
	opener, ok := e.fs.(fs.InfoOpener)
	if !ok {
		return
	}
	e.write("x", "first")
	info, err := e.fs.Stat(e.ctx, e.path("x"))
	e.ok(err)
	f, err := opener.OpenInfo(e.ctx, info)
	e.ok(err)
	b := make([]byte, 6)
	n, err := f.ReadAt(b, 0)
	if !errors.Is(err, io.EOF) || f.Info() != info || f.Size() != 5 {
		e.Errorf("read %d bytes of %+v: %v", n, f.Info(), err)
	}
	e.want(string(b[:n]), "first")
	e.ok(f.Close())
	e.write("x", "other")
	f, err = opener.OpenInfo(e.ctx, info)
	if err == nil {
		_, err = f.ReadAt(b[:5], 0)
		e.ok(f.Close())
	}
	e.fails(err, fs.ErrChanged, e.path("x"))
}

func testIfNotExists(e *env) {
	opts := fs.CreateOptions{IfNotExists: true}
	late, err := e.fs.Create(e.ctx, e.path("x"), opts)
	e.ok(err)
	first, err := e.fs.Create(e.ctx, e.path("x"), opts)
	e.ok(err)
	_, err = first.Write([]byte("first"))
	e.ok(err)
	e.ok(first.Commit(e.ctx))
	e.fails(late.Commit(e.ctx), fs.ErrExist, e.path("x"))
	e.ok(late.Abort(e.ctx))
	w, err := e.fs.Create(e.ctx, e.path("x"), opts)
	if err == nil { // refusing early is allowed, refusing late is a must
		err = w.Commit(e.ctx)
		e.ok(w.Abort(e.ctx))
	}
	e.fails(err, fs.ErrExist, e.path("x"))
	e.want(e.read("x"), "first")
	e.want(e.list(fs.ListOptions{Recursive: true, Staged: true}), "[x]")
}

func testCreateRace(e *env) {
	const racers = 8
	var wg sync.WaitGroup
	won := make([]bool, racers)
	for i := range racers {
		wg.Go(func() {
			w, err := e.fs.Create(e.ctx, e.path("lock"), fs.CreateOptions{IfNotExists: true})
			if err == nil {
				_, err = fmt.Fprint(w, i)
				err = errors.Join(err, w.Commit(e.ctx))
				err = errors.Join(err, w.Abort(e.ctx))
			}
			won[i] = err == nil
			if err != nil && !errors.Is(err, fs.ErrExist) {
				e.Errorf("racer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	winner := slices.Index(won, true)
	if winner < 0 || slices.Contains(won[winner+1:], true) {
		e.Fatalf("winners: %v", won)
	}
	e.want(e.read("lock"), fmt.Sprint(winner))
}

func testWriterEnd(e *env) {
	w, err := e.fs.Create(e.ctx, e.path("x"), fs.CreateOptions{})
	e.ok(err)
	e.ok(w.Commit(e.ctx))
	_, err = w.Write([]byte("late"))
	e.fails(err, fs.ErrClosed, e.path("x"))
	e.fails(w.Commit(e.ctx), fs.ErrClosed, e.path("x"))
	e.want(e.read("x"), "")
}

func testListOrder(e *env) {
	for _, name := range []string{"b/2", "b/10", "a/x/1", "a-b", "a.txt", "c", "Z"} {
		e.write(name, name)
	}
	e.want(e.list(fs.ListOptions{}), "[Z a/ a-b a.txt b/ c]")
	e.want(e.list(fs.ListOptions{Recursive: true}), "[Z a-b a.txt a/x/1 b/10 b/2 c]")
	e.want(e.listDir(e.path("b"), fs.ListOptions{}), "[b/10 b/2]")
	e.want(e.listDir(e.path("b")+"/", fs.ListOptions{}), "[b/10 b/2]")
	e.ok(e.fs.List(e.ctx, e.dir, fs.ListOptions{}, func(info fs.Info) error {
		again, err := e.fs.Stat(e.ctx, info.Path)
		if err != nil || again.Size != info.Size || again.ETag != info.ETag || again.Dir != info.Dir {
			e.Errorf("listed %+v, stat %+v, %v", info, again, err)
		}
		return nil
	}))
}

func testListStaged(e *env) {
	e.write("_temporary/0/part", "x")
	e.write("d/.tm-left", "x")
	e.write("d/_SUCCESS", "x")
	e.want(e.list(fs.ListOptions{}), "[d/]")
	e.want(e.list(fs.ListOptions{Recursive: true}), "[d/_SUCCESS]")
	e.want(e.list(fs.ListOptions{Recursive: true, Staged: true}), "[_temporary/0/part d/.tm-left d/_SUCCESS]")
}

func testListEdges(e *env) {
	e.write("d/x", "x")
	e.write("d/y", "y")
	e.want(e.listDir(e.path("d/x"), fs.ListOptions{Recursive: true}), "[d/x]")
	none := func(fs.Info) error { return nil }
	e.fails(e.fs.List(e.ctx, e.path("no"), fs.ListOptions{}, none), fs.ErrNotExist, e.path("no"))
	stop, visits := fmt.Errorf("stop: %w", fs.ErrNotExist), 0
	for _, opts := range []fs.ListOptions{{}, {Recursive: true}} {
		visits = 0
		err := e.fs.List(e.ctx, e.path("d"), opts, func(fs.Info) error { visits++; return stop })
		if !errors.Is(err, stop) || visits != 1 {
			e.Fatalf("visitor's error: got %v after %d visits", err, visits)
		}
	}
}

func testMissing(e *env) {
	e.write("x", "x")
	for _, name := range []string{"no", "no/such/file", "x/below"} {
		p := e.path(name)
		_, err := e.fs.Open(e.ctx, p)
		e.fails(err, fs.ErrNotExist, p)
		_, err = e.fs.Stat(e.ctx, p)
		e.fails(err, fs.ErrNotExist, p)
		e.fails(e.fs.Remove(e.ctx, p), fs.ErrNotExist, p)
	}
	p := e.path("no")
	e.fails(e.fs.Rename(e.ctx, p, e.path("y")), fs.ErrNotExist, p)
	e.ok(e.fs.RemoveAll(e.ctx, p))
}

func testDirectories(e *env) {
	e.write("d/x", "x")
	if f, err := e.fs.Open(e.ctx, e.path("d")); err == nil {
		_ = f.Close()
		e.Fatal("a directory can be opened as a file")
	}
	if e.fs.Remove(e.ctx, e.path("d")) == nil {
		e.Fatal("Remove took a directory")
	}
	e.want(e.read("d/x"), "x")
}

func testExclusion(e *env) {
	e.write("d/x", "x")
	w, err := e.fs.Create(e.ctx, e.path("d"), fs.CreateOptions{})
	if err == nil {
		err = w.Commit(e.ctx)
		e.ok(w.Abort(e.ctx))
	}
	if err == nil {
		e.Fatal("a file can replace a directory")
	}
	w, err = e.fs.Create(e.ctx, e.path("d/x/y"), fs.CreateOptions{})
	if err == nil {
		err = w.Commit(e.ctx)
		e.ok(w.Abort(e.ctx))
	}
	if err == nil {
		e.Fatal("a file can lie below a file")
	}
	e.want(e.read("d/x"), "x")
}
