package fstest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/fs"
)

func testRenameFile(e *env) {
	e.write("a/x", "x")
	e.write("y", "y")
	e.ok(e.fs.Rename(e.ctx, e.path("a/x"), e.path("y")))
	e.want(e.read("y"), "x")
	_, err := e.fs.Stat(e.ctx, e.path("a/x"))
	e.fails(err, fs.ErrNotExist, e.path("a/x"))
	e.ok(e.fs.Rename(e.ctx, e.path("y"), e.path("new/dir/z")))
	e.want(e.read("new/dir/z"), "x")
	e.fails(e.fs.Rename(e.ctx, e.path("new/dir/z"), e.path("new")), fs.ErrExist, e.path("new"))
	e.want(e.read("new/dir/z"), "x")
}

func testRenameDir(e *env) {
	e.write("d/1", "1")
	e.write("d/sub/2", "2")
	e.write("full/3", "3")
	e.ok(e.fs.Rename(e.ctx, e.path("d"), e.path("e/f")))
	e.want(e.listDir(e.path("e"), fs.ListOptions{Recursive: true}), "[e/f/1 e/f/sub/2]")
	e.fails(e.fs.Rename(e.ctx, e.path("e"), e.path("full")), fs.ErrExist, e.path("full"))
	if e.fs.Rename(e.ctx, e.path("e"), e.path("e/f/inside")) == nil {
		e.Fatal("a directory can be moved into itself")
	}
	e.want(e.read("e/f/sub/2"), "2")
	e.want(e.read("full/3"), "3")
}

func testRemove(e *env) {
	e.write("d/x", "x")
	e.write("d/y", "y")
	e.ok(e.fs.Remove(e.ctx, e.path("d/x")))
	e.want(e.list(fs.ListOptions{Recursive: true}), "[d/y]")
	e.fails(e.fs.Remove(e.ctx, e.path("d/x")), fs.ErrNotExist, e.path("d/x"))
}

func testRemoveAll(e *env) {
	for _, name := range []string{"d/1", "d/sub/2", "d/_temporary/3", "dd", "x"} {
		e.write(name, "")
	}
	e.ok(e.fs.RemoveAll(e.ctx, e.path("d")))
	e.ok(e.fs.RemoveAll(e.ctx, e.path("x")))
	e.want(e.list(fs.ListOptions{Recursive: true, Staged: true}), "[dd]")
	if e.fs.RemoveAll(e.ctx, "") == nil || e.fs.RemoveAll(e.ctx, "/") == nil {
		e.Fatal("the root can be removed")
	}
}

func testETag(e *env) {
	tag := func() string {
		info, err := e.fs.Stat(e.ctx, e.path("x"))
		e.ok(err)
		return info.ETag
	}
	e.write("x", "a")
	first := tag()
	if first == "" || tag() != first {
		e.Fatalf("etag %q is empty or changes by itself", first)
	}
	e.write("x", "b")
	if tag() == first {
		e.Fatal("same etag for other content")
	}
	f, err := e.fs.Open(e.ctx, e.path("x"))
	e.ok(err)
	e.want(f.Info().ETag, tag())
	e.ok(f.Close())
}

func testContext(e *env) {
	e.write("x", "x")
	ctx, cancel := context.WithCancel(e.ctx)
	f, err := e.fs.Open(ctx, e.path("x"))
	e.ok(err)
	w, err := e.fs.Create(ctx, e.path("w"), fs.CreateOptions{})
	e.ok(err)
	cancel()
	_, err = f.ReadAt(make([]byte, 1), 0)
	e.fails(err, context.Canceled, e.path("x"))
	e.ok(f.Close())
	e.fails(w.Commit(ctx), context.Canceled, e.path("w"))
	e.ok(w.Abort(ctx))

	_, err = e.fs.Open(ctx, e.path("x"))
	e.fails(err, context.Canceled, e.path("x"))
	_, err = e.fs.Create(ctx, e.path("y"), fs.CreateOptions{})
	e.fails(err, context.Canceled, e.path("y"))
	_, err = e.fs.Stat(ctx, e.path("x"))
	e.fails(err, context.Canceled, e.path("x"))
	list := e.fs.List(ctx, e.dir, fs.ListOptions{}, func(fs.Info) error { return nil })
	e.fails(list, context.Canceled, e.dir)
	e.fails(e.fs.Rename(ctx, e.path("x"), e.path("y")), context.Canceled, e.path("x"))
	e.fails(e.fs.Remove(ctx, e.path("x")), context.Canceled, e.path("x"))
	e.fails(e.fs.RemoveAll(ctx, e.path("x")), context.Canceled, e.path("x"))
	e.want(e.list(fs.ListOptions{Recursive: true, Staged: true}), "[x]")

	ctx, cancel = context.WithCancel(e.ctx)
	e.write("y", "y")
	list = e.fs.List(ctx, e.dir, fs.ListOptions{}, func(fs.Info) error { cancel(); return nil })
	e.fails(list, context.Canceled, e.dir)
}

func testOddNames(e *env) {
	names := []string{"a b", "dt=2020%2F01", "hash#tag", "q?x", "star*", "ümläut", "[set]", "back\\slash", "a:b"}
	for i, name := range names {
		err := WriteFile(e.ctx, e.fs, e.path("odd/"+name), fmt.Sprint(i))
		if errors.Is(err, fs.ErrInvalid) && strings.Contains(name, ":") {
			names = names[:i] // the last; HDFS knows no colons
			continue
		}
		e.ok(err)
	}
	for i, name := range names {
		e.want(e.read("odd/"+name), fmt.Sprint(i))
	}
	if got := e.listDir(e.path("odd"), fs.ListOptions{}); len(got) != len(names) {
		e.Fatalf("listed %q", got)
	}
}

// recoverer returns the ability, or nil when the file system lacks it.
func (e *env) recoverer() fs.Recoverer {
	r, ok := fs.RecovererOf(e.fs)
	if !ok {
		e.Log("no fs.Recoverer: nothing to check")
		return nil
	}
	return r
}

func testRecover(e *env) {
	r := e.recoverer()
	if r == nil {
		return
	}
	p := e.path("out/part-0")
	w, err := r.CreateRecoverable(e.ctx, p)
	e.ok(err)
	_, err = w.Write([]byte("kept,"))
	e.ok(err)
	kept, err := w.Persist(e.ctx)
	e.ok(err)
	_, err = w.Write([]byte("lost"))
	e.ok(err)
	_, err = w.Persist(e.ctx) // a checkpoint that never completes
	e.ok(err)
	e.write("mark", "")
	e.want(e.list(fs.ListOptions{Recursive: true}), "[mark]")

	for _, tail := range []string{"first try", "more"} { // resuming twice starts twice from the same place
		w, err = r.Resume(e.ctx, kept)
		e.ok(err)
		_, err = w.Write([]byte(tail))
		e.ok(err)
	}
	sealed, err := w.Seal(e.ctx)
	e.ok(err)
	_, err = w.Write([]byte("late"))
	e.fails(err, fs.ErrClosed, p)
	e.ok(w.Abort(e.ctx))
	_, err = e.fs.Stat(e.ctx, p)
	e.fails(err, fs.ErrNotExist, p)
	e.ok(r.Publish(e.ctx, sealed))
	e.want(e.read("out/part-0"), "kept,more")
	e.want(e.list(fs.ListOptions{Recursive: true, Staged: true}), "[mark out/part-0]")
	_, err = r.Resume(e.ctx, kept)
	e.fails(err, fs.ErrNotExist, p)
}

// Whoever goes back to an older token gives up what was sealed after it.
func testStaleSeal(e *env) {
	r := e.recoverer()
	if r == nil {
		return
	}
	p := e.path("x")
	w, err := r.CreateRecoverable(e.ctx, p)
	e.ok(err)
	old, err := w.Persist(e.ctx)
	e.ok(err)
	_, err = w.Write([]byte("data"))
	e.ok(err)
	sealed, err := w.Seal(e.ctx)
	e.ok(err)
	w, err = r.Resume(e.ctx, old)
	e.ok(err)
	if r.Publish(e.ctx, sealed) == nil {
		e.Fatal("published a file that lacks what was sealed")
	}
	sealed, err = w.Seal(e.ctx)
	e.ok(err)
	e.ok(r.Publish(e.ctx, sealed))
	e.want(e.read("x"), "")
}

func (e *env) sealed(r fs.Recoverer, p, data string) []byte {
	e.Helper()
	w, err := r.CreateRecoverable(e.ctx, p)
	e.ok(err)
	_, err = w.Write([]byte(data))
	e.ok(err)
	token, err := w.Seal(e.ctx)
	e.ok(err)
	return token
}

func testPublishTwice(e *env) {
	r := e.recoverer()
	if r == nil {
		return
	}
	one := e.sealed(r, e.path("one"), "1")
	two := e.sealed(r, e.path("two"), "22")
	e.ok(r.Publish(e.ctx, one))
	e.ok(r.Publish(e.ctx, one))
	e.ok(r.Discard(e.ctx, one))
	e.ok(r.Discard(e.ctx, two))
	e.ok(r.Discard(e.ctx, two))
	e.fails(r.Publish(e.ctx, two), fs.ErrNotExist, e.path("two"))
	e.want(e.read("one"), "1")
	e.want(e.list(fs.ListOptions{Recursive: true, Staged: true}), "[one]")
}

func testRecoverErrors(e *env) {
	r := e.recoverer()
	if r == nil {
		return
	}
	w, err := r.CreateRecoverable(e.ctx, e.path("x"))
	e.ok(err)
	persisted, err := w.Persist(e.ctx)
	e.ok(err)
	if err := r.Publish(e.ctx, persisted); !errors.Is(err, fs.ErrToken) {
		e.Fatalf("publishing an unsealed file: %v", err)
	}
	for i := range persisted {
		bad := append([]byte{}, persisted...)
		bad[i] ^= 0x40
		if _, err := r.Resume(e.ctx, bad); !errors.Is(err, fs.ErrToken) {
			e.Fatalf("token with byte %d damaged: %v", i, err)
		}
		if err := r.Discard(e.ctx, bad); !errors.Is(err, fs.ErrToken) {
			e.Fatalf("discard of a token with byte %d damaged: %v", i, err)
		}
	}
	e.ok(w.Abort(e.ctx))
	e.ok(w.Abort(e.ctx))
	_, err = w.Persist(e.ctx)
	e.fails(err, fs.ErrClosed, e.path("x"))
	_, err = r.Resume(e.ctx, persisted)
	e.fails(err, fs.ErrNotExist, e.path("x"))

	done, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err = r.CreateRecoverable(done, e.path("x"))
	e.fails(err, context.Canceled, e.path("x"))
	e.fails(r.Publish(done, persisted), context.Canceled, "")
	e.fails(r.Discard(done, persisted), context.Canceled, "")
}

func testSyncDir(e *env) {
	s, ok := e.fs.(fs.DirSyncer)
	if !ok {
		e.Log("no fs.DirSyncer: nothing to check")
		return
	}
	e.write("d/x", "x")
	e.write("d/y", "y")
	e.ok(e.fs.Remove(e.ctx, e.path("d/x")))
	e.ok(s.SyncDir(e.ctx, e.path("d")))
	done, cancel := context.WithCancel(e.ctx)
	cancel()
	e.fails(s.SyncDir(done, e.path("d")), context.Canceled, e.path("d"))
}
