package storage_test

import (
	"context"
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// gathered is a checkpoint on one file system, to be copied to another one.
type gathered struct {
	registry *fs.Registry
	from, to *faultfs.FileSystem
	store    *storage.Store
	manifest *checkpoint.Manifest
}

func open(t *testing.T, r *fs.Registry, options map[string]string) *storage.Store {
	t.Helper()
	c, err := config.FromMap(options, "test")
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := storage.Open(r, c, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// setUp has three snapshots, of which the manifest names pieces: two subtasks name one.
func setUp(t *testing.T) *gathered {
	t.Helper()
	g := &gathered{registry: fs.NewRegistry(), from: faultfs.New(memfs.New(memfs.Options{})), to: faultfs.New(memfs.New(memfs.Options{}))}
	for scheme, f := range map[string]fs.FileSystem{"one": g.from, "two": g.to} {
		if err := g.registry.Register(scheme, f); err != nil {
			t.Fatal(err)
		}
	}
	g.store = open(t, g.registry, map[string]string{config.CheckpointDir.Key(): "one:///ckpt"})
	job := id.Job{1}
	var all []*checkpoint.Handle
	for n := range 3 {
		handles, err := g.store.Write(t.Context(), job, id.Checkpoint(n), "x", snapshot)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, handles...)
	}
	subtask := func(handles ...*checkpoint.Handle) *checkpoint.SubtaskState {
		return &checkpoint.SubtaskState{Operators: []*checkpoint.OperatorState{{Uid: "o", State: []byte("own"), Handles: handles}}}
	}
	g.manifest = g.store.Locate(&checkpoint.Manifest{Job: job[:], Checkpoint: 3, Vertices: []*checkpoint.VertexState{{
		Uid: "v", Parallelism: 2, Subtasks: []*checkpoint.SubtaskState{subtask(all[0], all[3], all[5]), subtask(all[3], all[4])},
	}}})
	return g
}

func (g *gathered) gather(ctx context.Context) error {
	_, err := storage.Gather(ctx, g.registry, g.manifest, "two:///save/point")
	return err
}

// left lists what is in the directory, staged files included.
func (g *gathered) left(t *testing.T) (names []string) {
	t.Helper()
	err := g.to.List(t.Context(), "/save", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		names = append(names, i.Path)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

func TestGather(t *testing.T) {
	g := setUp(t)
	if err := g.gather(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.gather(t.Context()); err != nil { // again: it is there
		t.Fatal(err)
	}
	if have := strings.Join(g.left(t), " "); have != "/save/point/MANIFEST /save/point/state/0-0-x.state /save/point/state/1-1-x.state /save/point/state/2-2-x.state" {
		t.Errorf("have %s", have)
	}
	if err := g.from.RemoveAll(t.Context(), "/ckpt"); err != nil { // it is not needed any more
		t.Fatal(err)
	}
	if err := g.to.Rename(t.Context(), "/save/point", "/moved"); err != nil {
		t.Fatal(err)
	}
	// A job that keeps its checkpoints elsewhere reads it by URIs.
	m, err := open(t, g.registry, map[string]string{config.RestorePath.Key(): "two:///moved"}).Load(t.Context(), "/moved/MANIFEST")
	if err != nil {
		t.Fatal(err)
	}
	m = open(t, g.registry, map[string]string{config.RestorePath.Key(): "two:///moved"}).Locate(m)
	for i, want := range []int{3, 2} {
		back := &restored{t: t}
		err := g.store.Restore(t.Context(), checkpoint.Chain{Handles: m.Vertices[0].Subtasks[i].Operators[0].Handles}, 8, back)
		if err != nil || len(back.rows) != want {
			t.Errorf("subtask %d: have %v, %v", i, back.rows, err)
		}
	}
	g.manifest.Checkpoint++
	if _, err := storage.Gather(t.Context(), g.registry, g.manifest, "two:///moved"); failure.Of(err) != failure.Conflict {
		t.Errorf("have %v", err)
	}
}

// Whatever call fails, nothing stays, and the next try succeeds.
func TestGatherFails(t *testing.T) {
	broken := errors.New("disk is gone")
	for _, c := range []struct {
		from bool
		op   faultfs.Op
	}{{true, faultfs.Open}, {true, faultfs.Read}, {false, faultfs.Open}, {false, faultfs.Create}, {false, faultfs.Write}, {false, faultfs.Commit}} {
		for skip := range 4 {
			g := setUp(t)
			at := g.to
			if c.from {
				at = g.from
			}
			at.Inject(faultfs.Rule{Op: c.op, Err: broken, Skip: skip})
			err := g.gather(t.Context())
			if err == nil && skip > 0 {
				continue // it takes fewer calls
			}
			if !errors.Is(err, broken) {
				t.Errorf("%v after %d: have %v", c.op, skip, err)
			}
			if left := g.left(t); len(left) > 0 {
				t.Errorf("%v after %d: %v stay", c.op, skip, left)
			}
			at.Heal()
			if err := g.gather(t.Context()); err != nil {
				t.Errorf("%v after %d, again: %v", c.op, skip, err)
			}
		}
	}
	g := setUp(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := g.gather(ctx); !errors.Is(err, context.Canceled) || len(g.left(t)) > 0 {
		t.Errorf("have %v", err)
	}
	if _, err := storage.Gather(t.Context(), g.registry, g.manifest, "three:///x"); failure.Of(err) != failure.Usage {
		t.Errorf("have %v", err)
	}
}

// What is damaged is found while it is copied, and named.
func TestGatherFindsDamage(t *testing.T) {
	for _, bad := range []func(t *testing.T, g *gathered, name string){
		func(t *testing.T, g *gathered, name string) { overwrite(t, g.from, name, make([]byte, 5000)) },
		func(t *testing.T, g *gathered, name string) { overwrite(t, g.from, name, make([]byte, 3)) },
		func(t *testing.T, g *gathered, name string) {
			if err := g.from.Remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		},
	} {
		g := setUp(t)
		name := path.Join("/ckpt", id.Job{1}.String(), "state/1-x.state")
		bad(t, g, name)
		err := g.gather(t.Context())
		if !errors.Is(err, checkpoint.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) || len(g.left(t)) > 0 {
			t.Errorf("have %v", err)
		}
	}
}
