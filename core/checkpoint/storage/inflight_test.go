package storage_test

import (
	"errors"
	"iter"
	"strings"
	"testing"

	arrowmem "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

func blocks(all ...string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, one := range all {
			if !yield([]byte(one), nil) {
				return
			}
		}
	}
}

// Blocks come back; their file is kept for as long as a manifest names it; damage is told
// by the file's name.
func TestInFlightBlocks(t *testing.T) {
	files := memfs.New(memfs.Options{})
	s := storage.New(files, "/ckpt", arrowmem.DefaultAllocator)
	job := id.Job{7}
	handles, err := s.WriteInFlight(t.Context(), job, 3, "1-0-0.in0", blocks("first", "the second"))
	if err != nil || len(handles) != 2 {
		t.Fatal(handles, err)
	}
	m := &checkpoint.Manifest{Job: job[:], Checkpoint: 3, Vertices: []*checkpoint.VertexState{{Uid: "v", Parallelism: 1, Subtasks: []*checkpoint.SubtaskState{
		{InFlight: []*checkpoint.InFlight{{Blocks: handles}}},
	}}}}
	name, err := s.Save(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = s.Load(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context(), job, []*checkpoint.Manifest{m}); err != nil {
		t.Fatal(err)
	}
	handles = m.Vertices[0].Subtasks[0].InFlight[0].Blocks
	for i, want := range []string{"first", "the second"} {
		if data, err := s.ReadInFlight(t.Context(), handles[i]); err != nil || string(data) != want {
			t.Errorf("%q, %v", data, err)
		}
	}
	handles[0].Crc32C++
	handles[1].Length++
	for _, h := range handles {
		if _, err := s.ReadInFlight(t.Context(), h); !errors.Is(err, checkpoint.ErrCorrupt) || !strings.Contains(err.Error(), "3-1-0-0.in0.inflight") {
			t.Error(err)
		}
	}
	if err := s.Sweep(t.Context(), job, []*checkpoint.Manifest{{Checkpoint: 4}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadInFlight(t.Context(), handles[0]); err == nil {
		t.Error("nobody names it any more, and it is there")
	}
	if none, err := s.WriteInFlight(t.Context(), job, 5, "x", blocks()); err != nil || none != nil {
		t.Error(none, err)
	}
}

// Each call of the file system may fail.
func TestInFlightFails(t *testing.T) {
	gone := errors.New("disk is gone")
	for _, op := range []faultfs.Op{faultfs.Create, faultfs.Write, faultfs.Commit, faultfs.Open, faultfs.Read} {
		files := faultfs.New(memfs.New(memfs.Options{}))
		files.Inject(faultfs.Rule{Op: op, Err: gone})
		s := storage.New(files, "/ckpt", arrowmem.DefaultAllocator)
		handles, err := s.WriteInFlight(t.Context(), id.Job{7}, 3, "1", blocks("first"))
		if err == nil {
			_, err = s.ReadInFlight(t.Context(), handles[0])
		}
		if !errors.Is(err, gone) || !strings.Contains(err.Error(), "in-flight file /ckpt/") {
			t.Errorf("%v: %v", op, err)
		}
	}
	s := storage.New(memfs.New(memfs.Options{}), "/ckpt", arrowmem.DefaultAllocator)
	fails := func(yield func([]byte, error) bool) { yield(nil, gone) }
	if _, err := s.WriteInFlight(t.Context(), id.Job{7}, 3, "1", fails); !errors.Is(err, gone) {
		t.Error(err)
	}
}
