package filesystem

// On a store that takes long to answer, a table is read without asking twice: one
// listing, each footer once for all splits and queries, no request to open a file
// that was listed, and the next split is begun while one is read.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/parquet"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
	"github.com/tidemill/tidemill/fs/readahead"
)

// slowFS is a file system in memory that counts what a store would be asked; its
// files were written yesterday.
type slowFS struct {
	*memfs.FileSystem
	mu                   sync.Mutex
	opens, infos, ranges int
}

func old(i fs.Info) fs.Info { i.ModTime = time.Now().Add(-24 * time.Hour); return i }

func (s *slowFS) count(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

func (s *slowFS) Stat(ctx context.Context, p string) (fs.Info, error) {
	i, err := s.FileSystem.Stat(ctx, p)
	return old(i), err
}

func (s *slowFS) List(ctx context.Context, dir string, o fs.ListOptions, visit func(fs.Info) error) error {
	return s.FileSystem.List(ctx, dir, o, func(i fs.Info) error { return visit(old(i)) })
}

func (s *slowFS) Open(ctx context.Context, p string) (fs.File, error) {
	s.count(&s.opens)
	return s.open(ctx, p)
}

func (s *slowFS) OpenInfo(ctx context.Context, i fs.Info) (fs.File, error) {
	s.count(&s.infos)
	return s.open(ctx, i.Path)
}

func (s *slowFS) open(ctx context.Context, p string) (fs.File, error) {
	f, err := s.FileSystem.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	return &slowFile{in: f, File: readahead.New(ctx, readahead.Options{
		Size: f.Size(), PartBytes: 8 << 20, Pool: readahead.NewPool(0),
		Fetch: func(_ context.Context, p []byte, off int64) error {
			s.count(&s.ranges)
			_, err := f.ReadAt(p, off)
			return err
		},
	})}, nil
}

type slowFile struct {
	*readahead.File
	in fs.File
}

func (f *slowFile) Size() int64   { return f.in.Size() }
func (f *slowFile) Info() fs.Info { return old(f.in.Info()) }

// slowWorld has a table of three files in days that are larger than what is kept of
// a file's end.
func slowWorld(t *testing.T) (*world, *slowFS) {
	s := &slowFS{FileSystem: memfs.New(memfs.Options{})}
	w := daysWorld(t, s)
	s.opens, s.infos, s.ranges = 0, 0, 0
	return w, s
}

// daysWorld has that table on any file system.
func daysWorld(t *testing.T, s fs.FileSystem) *world {
	w := newWorld(t)
	registry := fs.NewRegistry()
	encodings, err := formats.NewRegistry(parquet.Format{})
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Register("mem", s); err != nil {
		t.Fatal(err)
	}
	w.c = New(registry, encodings)
	for day := range 3 {
		rows := make([]string, 20_000)
		for n := range rows {
			rows[n] = fmt.Sprintf(`{"n": %d, "day": "2024-01-0%d", "place": "x"}`, n*7919*(day+1), day+1)
		}
		sink := w.sink(false)
		if err := w.commit(sink, w.stage(sink, "["+strings.Join(rows, ",")+"]")); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestSlowStore(t *testing.T) {
	w, s := slowWorld(t)
	first := w.read(nil, 8192)
	if len(first) != 60_000 || s.opens != 0 || s.infos != 6 || s.ranges != 6 { // a footer and a column each
		t.Errorf("%d rows: %d opens, %d by info, %d ranges", len(first), s.opens, s.infos, s.ranges)
	}
	s.infos, s.ranges = 0, 0
	again := w.read(nil, 8192)
	if !slices.Equal(first, again) || s.opens != 0 || s.infos != 6 || s.ranges != 3 {
		t.Errorf("again: %d opens, %d by info, %d ranges", s.opens, s.infos, s.ranges)
	}
}

func TestNextSplitEarly(t *testing.T) {
	w, s := slowWorld(t)
	spec := connector.SourceSpec{Table: w.table, Columns: w.table.Schema, Parallelism: 1}
	e, err := w.c.Enumerator(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.c.Reader(t.Context(), spec, connector.ReaderEnv{Alloc: w.mem, BatchRows: 8192})
	if err != nil {
		t.Fatal(err)
	}
	var splits []connector.Split
	for range 3 {
		split, _, err := e.Next(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		splits = append(splits, split)
	}
	early := r.(connector.EarlyReader)
	if s.infos = 0; early.Early() {
		t.Error("a second split is wanted before the first")
	}
	for i, wants := range []bool{true, false} {
		if err := r.Add(splits[i]); err != nil {
			t.Fatal(err)
		}
		b, _, err := r.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
		if s.infos != i+1 || early.Early() != wants {
			t.Errorf("with %d splits %d files are open; another is wanted: %v", i+1, s.infos, early.Early())
		}
	}
	splits, err = r.Snapshot()
	if err != nil || len(splits) != 2 {
		t.Errorf("%d splits in the snapshot, %v", len(splits), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Where only asking is slow, the next split is wanted once half of this one was read.
func TestNextSplitAtHalf(t *testing.T) {
	w := daysWorld(t, memfs.New(memfs.Options{}))
	spec := connector.SourceSpec{Table: w.table, Columns: w.table.Schema, Parallelism: 1}
	for _, slow := range []bool{false, true} {
		e, err := w.c.Enumerator(t.Context(), spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.c.Reader(t.Context(), spec, connector.ReaderEnv{Alloc: w.mem, BatchRows: 8192, SlowSplits: slow})
		if err != nil {
			t.Fatal(err)
		}
		split, _, err := e.Next(t.Context(), 0)
		if err == nil {
			err = r.Add(split)
		}
		if err != nil {
			t.Fatal(err)
		}
		for rows := 0; rows < 20_000; {
			b, _, err := r.Poll(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			rows += b.PhysicalRows()
			b.Release()
			if want := slow && rows >= 10_000; r.(connector.EarlyReader).Early() != want {
				t.Errorf("slow %v, after %d rows: another is wanted: %v", slow, rows, !want)
			}
		}
		if err := errors.Join(r.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	}
}

// What is not looked at goes first, and a file that has just been written is not
// remembered: its ETag may not change with the next write.
func TestMemos(t *testing.T) {
	m := newMemos()
	file := func(name string) formats.Memo { return m.of("mem", old(fs.Info{Path: name, ETag: "e", Size: 1})) }
	for _, name := range []string{"a", "b", "c"} {
		file(name).Store(name, maxMemoBytes/3)
	}
	if file("a").Load() != "a" {
		t.Error("a is forgotten")
	}
	file("d").Store("d", maxMemoBytes/3)
	file("d").Store("D", maxMemoBytes/3)
	for name, want := range map[string]any{"a": "a", "b": nil, "c": "c", "d": "D"} {
		if got := file(name).Load(); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if m.of("mem", fs.Info{Path: "x", ETag: "e", ModTime: time.Now()}) != nil || m.of("mem", old(fs.Info{Path: "x"})) != nil {
		t.Error("a file without a version has a memo")
	}
}

var _ fs.InfoOpener = (*slowFS)(nil)
