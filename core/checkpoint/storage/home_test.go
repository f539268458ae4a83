package storage_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// tieredStore is a store of a job whose state is tiered, with a file in each home.
func tieredStore(t *testing.T, fsys fs.FileSystem, settings map[string]string, job id.Job, homes ...string) (*storage.Store, string) {
	t.Helper()
	r := fs.NewRegistry()
	if err := r.Register("mem", fsys); err != nil {
		t.Fatal(err)
	}
	c, err := config.FromMap(settings, "job")
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := storage.Open(r, c, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	_, dir, err := s.Homes(job)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range homes {
		if err := fs.WriteFile(t.Context(), fsys, dir+"/"+h+"/000001.sst", []byte("table"), fs.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return s, dir
}

// below lists the homes that are left.
func below(t *testing.T, fsys fs.FileSystem, dir string) (names []string) {
	t.Helper()
	err := fsys.List(t.Context(), dir, fs.ListOptions{}, func(i fs.Info) error {
		names = append(names, i.Name())
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

// manifestWith is one of a checkpoint in which a subtask names homes.
func manifestWith(job id.Job, c id.Checkpoint, homes ...string) *checkpoint.Manifest {
	return &checkpoint.Manifest{Job: job[:], Checkpoint: uint64(c), Vertices: []*checkpoint.VertexState{
		{Subtasks: []*checkpoint.SubtaskState{{Index: 0, Homes: homes}, {Index: 1, Homes: homes}}},
	}}
}

// What was opened before the newest checkpoint and is named by no kept one goes: not what is
// named, what may have been opened since, and what is no home.
func TestSweepHomes(t *testing.T) {
	for _, settings := range []map[string]string{
		{"state.backend.type": "tiered", "state.checkpoints.dir": "mem://ck"},
		{"state.backend.type": "tiered", "state.checkpoints.dir": "mem://ck", "state.backend.tiered.dir": "mem://else"},
	} {
		fsys, job := memfs.New(memfs.Options{}), id.NewJob()
		old, used, former, late := checkpoint.NewHome(0), checkpoint.NewHome(0), checkpoint.NewHome(3), checkpoint.NewHome(9)
		s, dir := tieredStore(t, fsys, settings, job, old, used, former, late, "other")
		if err := s.Sweep(t.Context(), job, []*checkpoint.Manifest{manifestWith(job, 8, former), manifestWith(job, 9, used)}); err != nil {
			t.Fatal(err)
		}
		want := []string{used, former, late, "other"}
		slices.Sort(want)
		if got := below(t, fsys, dir); !slices.Equal(got, want) {
			t.Errorf("%v are left, want %v", got, want)
		}
		if err := s.DropHomes(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if got := below(t, fsys, dir); len(got) > 0 {
			t.Errorf("%v are left of a job that is over", got)
		}
		if err := errors.Join(s.Sweep(t.Context(), job, nil), s.DropJob(t.Context(), job)); err != nil {
			t.Errorf("with nothing there: %v", err)
		}
	}
}

// Errors of the file system are those of the sweep, and the next one makes good for them.
func TestSweepHomesFails(t *testing.T) {
	for _, op := range []faultfs.Op{faultfs.List, faultfs.RemoveAll} {
		faulty, job := faultfs.New(memfs.New(memfs.Options{})), id.NewJob()
		s, dir := tieredStore(t, faulty, map[string]string{"state.backend.type": "tiered", "state.checkpoints.dir": "mem://ck"}, job, checkpoint.NewHome(0))
		faulty.Inject(faultfs.Rule{Op: op, Path: dir + "*", Err: syscall.EIO})
		faulty.Inject(faultfs.Rule{Op: op, Path: dir + "/*", Err: syscall.EIO})
		keep := []*checkpoint.Manifest{manifestWith(job, 1)}
		if err := s.Sweep(t.Context(), job, keep); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v: %v", op, err)
		}
		faulty.Heal()
		if err := s.Sweep(t.Context(), job, keep); err != nil || len(below(t, faulty, dir)) > 0 {
			t.Errorf("%v: %v, %v are left", op, err, below(t, faulty, dir))
		}
	}
}

// Jobs whose state is not tiered have no homes.
func TestNoHomes(t *testing.T) {
	s := storage.New(memfs.New(memfs.Options{}), "ck", memory.DefaultAllocator)
	if _, _, err := s.Homes(id.NewJob()); err == nil {
		t.Error("there is a home")
	}
	if err := s.DropHomes(t.Context(), id.NewJob()); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "12", "x-12", "-1", "chk-3"} {
		if c, ok := checkpoint.HomeBegan(name); ok {
			t.Errorf("%q is a home of %d", name, c)
		}
	}
}
