package checkpointing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
)

var job = id.Job{1}

// row is a snapshot of one row.
type row struct{}

func (row) Release()               {}
func (row) Copy(int) (bool, error) { return true, nil }

func (row) Whole() keygroup.Range { return keygroup.Range{Last: 8} }
func (row) Write(_ context.Context, emit func(state.Piece) error) error {
	spec := state.TableSpec{ID: 1, Name: "t", Keys: datatype.Schema{{Name: "k", Type: datatype.Of(datatype.BigInt)}}}
	fields := append([]arrow.Field{{Name: "namespace", Type: arrow.PrimitiveTypes.Int64}}, spec.Keys.Arrow().Fields()...)
	r, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(`[{"namespace":1,"k":1}]`))
	if err != nil {
		return err
	}
	defer r.Release()
	return emit(state.Piece{Table: spec, Kind: state.PutKey, Groups: keygroup.Range{Last: 8}, Rows: r})
}

// kept has checkpoints 1 to n complete, of which each names the file of the one before, too.
func kept(t *testing.T, n int) (*checkpointing.Store, *faultfs.FileSystem) {
	t.Helper()
	fsys := faultfs.New(memfs.New(memfs.Options{}))
	files := storage.New(fsys, "/ckpt", memory.DefaultAllocator)
	meta, term := leading(t)
	s := &checkpointing.Store{Files: files, FileSystem: fsys, Meta: meta, Term: term}
	var chain []*checkpoint.Handle
	for i := 1; i <= n; i++ {
		handles, err := files.Write(t.Context(), job, id.Checkpoint(i), "x", row{})
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, handles...)
		chain = chain[max(0, len(chain)-2):]
		if _, err := s.Save(t.Context(), manifest(i, chain)); err != nil {
			t.Fatal(err)
		}
	}
	return s, fsys
}

// leading is a store with the term under which it leads.
func leading(t *testing.T) (raftmeta.Store, id.Term) {
	t.Helper()
	store, err := raftstore.New(t.Context(), raftstore.MemoryStorage(), raftstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := store.Leadership(t.Context(), raftmeta.Leadership{})
	if err != nil {
		t.Fatal(err)
	}
	return store, l.Term
}

func manifest(n int, handles []*checkpoint.Handle) *checkpoint.Manifest {
	return &checkpoint.Manifest{Job: job[:], Checkpoint: uint64(n), Vertices: []*checkpoint.VertexState{{
		Uid: "v", Name: "Aggregate", Parallelism: 1, Subtasks: []*checkpoint.SubtaskState{{Operators: []*checkpoint.OperatorState{{Uid: "o", Handles: handles}}}},
	}}}
}

// Each kind of file, damaged in each way: it is named, and the checkpoint before it taken,
// by the entries of a job that runs and by what lies in a directory.
func TestDamagedIsPassedOver(t *testing.T) {
	manifestFile := fmt.Sprintf("/ckpt/%v/chk-3/MANIFEST", job)
	stateFile := fmt.Sprintf("/ckpt/%v/state/3-x.state", job)
	for name, damage := range map[string]func(data []byte) []byte{
		"a bit":   func(data []byte) []byte { data[len(data)/2] ^= 4; return data },
		"cut":     func(data []byte) []byte { return data[:len(data)-9] },
		"missing": nil,
		"empty":   func([]byte) []byte { return []byte{} },
		"foreign": func([]byte) []byte { return []byte(strings.Repeat("something else ", 100)) },
	} {
		for _, file := range []string{manifestFile, stateFile} {
			s, fsys := kept(t, 3)
			spoil(t, fsys, file, damage)
			var named []string
			skipped := func(manifest string, cause error) { named = append(named, manifest+": "+cause.Error()) }
			for _, find := range []func() (*checkpoint.Manifest, error){
				func() (*checkpoint.Manifest, error) {
					m, complete, err := s.Latest(t.Context(), job, skipped)
					if !slices.Equal(complete, []id.Checkpoint{1, 2, 3}) {
						t.Errorf("complete are %v", complete)
					}
					return m, err
				},
				func() (*checkpoint.Manifest, error) { return s.Find(t.Context(), "/ckpt", skipped) },
			} {
				m, err := find()
				if err != nil || m.GetCheckpoint() != 2 {
					t.Errorf("%s of %s: have %d, %v", name, file, m.GetCheckpoint(), err)
				}
			}
			for _, text := range named {
				if !strings.HasPrefix(text, manifestFile) || !strings.Contains(text, file) {
					t.Errorf("%s of %s is called %q", name, file, text)
				}
			}
			if len(named) == 0 || file == stateFile && len(named) != 2 {
				t.Errorf("%s of %s: named are %q", name, file, named)
			}
			if _, err := s.Find(t.Context(), manifestFile, skipped); err == nil {
				t.Errorf("%s of %s: what is named itself must be whole", name, file)
			}
		}
	}
	s, fsys := kept(t, 1)
	spoil(t, fsys, fmt.Sprintf("/ckpt/%v/state/1-x.state", job), nil)
	if _, _, err := s.Latest(t.Context(), job, func(string, error) {}); failure.Of(err) != failure.BadData {
		t.Errorf("none is whole: have %v", err)
	}
}

func spoil(t *testing.T, fsys fs.FileSystem, file string, damage func([]byte) []byte) {
	t.Helper()
	if damage == nil {
		if err := fsys.Remove(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := fs.ReadFile(t.Context(), fsys, file, 1<<20)
	if err == nil {
		err = fs.WriteFile(t.Context(), fsys, file, damage(data), fs.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Cleaning up is done again after a failure, and then there is nothing left of what nobody
// needs, and all of what somebody does.
func TestCleanUpAgain(t *testing.T) {
	broken := errors.New("disk is gone")
	steps := map[string]func(s *checkpointing.Store) error{
		"subsume": func(s *checkpointing.Store) error { return s.Subsume(t.Context(), job, 1) },
		"remove":  func(s *checkpointing.Store) error { return s.Remove(t.Context(), job) },
	}
	for name, step := range steps {
		for _, op := range []faultfs.Op{faultfs.Remove, faultfs.RemoveAll, faultfs.List, faultfs.Open, faultfs.Read} {
			s, fsys := kept(t, 3)
			fsys.Inject(faultfs.Rule{Op: op, Err: broken})
			failed := step(s)
			if failed != nil && !errors.Is(failed, broken) {
				t.Errorf("%s, %v fails: have %v", name, op, failed)
			}
			fsys.Heal()
			if err := step(s); err != nil {
				t.Errorf("%s again after %v: %v", name, op, err)
			}
			var left []string
			err := fsys.List(t.Context(), "/ckpt", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
				left = append(left, strings.TrimPrefix(i.Path, "/ckpt/"+job.String()+"/"))
				return nil
			})
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			want := "chk-2/MANIFEST chk-3/MANIFEST state/1-x.state state/2-x.state state/3-x.state"
			if name == "remove" {
				want = ""
			}
			if have := strings.Join(left, " "); have != want {
				t.Errorf("%s, %v had failed: %q are left", name, op, have)
			}
			if name == "subsume" {
				if m, _, err := s.Latest(t.Context(), job, func(name string, err error) { t.Errorf("%s: %v", name, err) }); err != nil || m.GetCheckpoint() != 3 {
					t.Errorf("have %v, %v", m, err)
				}
			}
		}
	}
}

// To save a checkpoint may fail although it was saved. Who gives it up forgets it, or, if
// another master leads by then, leaves it as it is: that one may have started from it.
func TestGivenUpThoughSaved(t *testing.T) {
	never := func(name string, err error) { t.Errorf("%s: %v", name, err) }
	s, _ := kept(t, 3)
	if err := s.Discard(t.Context(), job, 3); err != nil {
		t.Fatal(err)
	}
	if m, _, err := s.Latest(t.Context(), job, never); err != nil || m.GetCheckpoint() != 2 {
		t.Errorf("have %d, %v", m.GetCheckpoint(), err)
	}
	if err := s.Subsume(t.Context(), job, 1); err != nil {
		t.Errorf("files are not swept: %v", err)
	}
	s, _ = kept(t, 3)
	deposed := *s
	deposed.Term--
	if err := deposed.Discard(t.Context(), job, 3); !errors.Is(err, raftmeta.ErrFenced) {
		t.Errorf("have %v", err)
	}
	if m, _, err := s.Latest(t.Context(), job, never); err != nil || m.GetCheckpoint() != 3 {
		t.Errorf("have %d, %v", m.GetCheckpoint(), err)
	}
}

// A manifest that has no entry is removed, and none that has one; whatever fails meanwhile is
// told, and done by the next try.
func TestDropIncomplete(t *testing.T) {
	s, fsys := kept(t, 2)
	drop := func() error { return s.DropIncomplete(t.Context(), job) }
	if _, err := s.Files.Save(t.Context(), manifest(3, nil)); err != nil {
		t.Fatal(err)
	}
	for _, op := range []faultfs.Op{faultfs.List, faultfs.RemoveAll} {
		fsys.Inject(faultfs.Rule{Op: op, Times: 1, Err: errors.New("no disk")})
		if err := drop(); err == nil {
			t.Errorf("%v failed and nobody was told", op)
		}
	}
	if err := errors.Join(drop(), drop()); err != nil {
		t.Fatal(err)
	}
	left, err := s.Files.Checkpoints(t.Context(), job)
	if err != nil || !slices.Equal(left, []id.Checkpoint{1, 2}) {
		t.Errorf("left %v, %v", left, err)
	}
	if all, err := s.Files.Checkpoints(t.Context(), id.Job{9}); err != nil || len(all) > 0 {
		t.Errorf("a job without checkpoints has %v, %v", all, err)
	}
}

// A checkpoint that cannot be read now is not damaged: the one before it would publish again
// what it has published.
func TestUnreadableIsNotPassedOver(t *testing.T) {
	for _, op := range []faultfs.Op{faultfs.Open, faultfs.Read, faultfs.Stat} {
		s, fsys := kept(t, 3)
		skipped := func(manifest string, cause error) { t.Errorf("%v: %s is passed over: %v", op, manifest, cause) }
		for name, find := range map[string]func() (*checkpoint.Manifest, error){
			"latest": func() (*checkpoint.Manifest, error) {
				m, _, err := s.Latest(t.Context(), job, skipped)
				return m, err
			},
			"find": func() (*checkpoint.Manifest, error) { return s.Find(t.Context(), "/ckpt", skipped) },
		} {
			fsys.Inject(faultfs.Rule{Op: op, Times: 1, Err: failure.Errorf(failure.Transient, "no answer")})
			if m, err := find(); failure.Of(err) != failure.Transient || m != nil {
				t.Errorf("%s, %v: have %d, %v", name, op, m.GetCheckpoint(), err)
			}
			if m, err := find(); err != nil || m.GetCheckpoint() != 3 {
				t.Errorf("%s, %v, again: have %d, %v", name, op, m.GetCheckpoint(), err)
			}
		}
	}
}
