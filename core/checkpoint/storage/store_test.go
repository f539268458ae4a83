package storage_test

import (
	"context"
	"errors"
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
	workermemory "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

var spec = state.TableSpec{
	ID: 3, Name: "groups",
	Keys:   datatype.Schema{{Name: "k", Type: datatype.Of(datatype.Varchar)}},
	Values: datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt).WithNull(false)}, {Name: "t", Type: datatype.Of(datatype.Timestamp).WithPrecision(2)}},
}

// chunks is a snapshot of some batches, each of one key group.
type chunks struct{ batches []string }

func (c chunks) Release()               {}
func (c chunks) Copy(int) (bool, error) { return true, nil }

func (c chunks) Whole() keygroup.Range { return keygroup.Range{Last: 8} }
func (c chunks) Write(_ context.Context, emit func(state.Piece) error) error {
	fields := []arrow.Field{{Name: "namespace", Type: arrow.PrimitiveTypes.Int64}}
	fields = append(fields, append(append(datatype.Schema{}, spec.Keys...), spec.Values...).Arrow().Fields()...)
	for i, text := range c.batches {
		r, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(text))
		if err != nil {
			return err
		}
		err = emit(state.Piece{Table: spec, Kind: state.PutKey, Groups: keygroup.Range{First: keygroup.Group(i), Last: keygroup.Group(i + 1)}, Rows: r})
		r.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// restored collects what Restore is given.
type restored struct {
	state.Backend
	t    *testing.T
	rows []string
}

func (r *restored) Restore(p state.Piece, stale []bool) error {
	have := p.Table
	if p.Kind != state.PutKey || stale != nil || p.Groups.Len() != 1 {
		r.t.Errorf("have a %v of groups %v, stale %v", p.Kind, p.Groups, stale)
	}
	if have.ID != spec.ID || have.Name != spec.Name || !have.Keys.Equal(spec.Keys) || !have.Values.Equal(spec.Values) {
		r.t.Errorf("have table %+v", have)
	}
	text, err := p.Rows.MarshalJSON()
	r.rows = append(r.rows, strings.TrimSpace(string(text)))
	return err
}

var snapshot = chunks{[]string{
	`[{"namespace":7,"k":"a","n":1,"t":"2026-01-01 00:00:00"}]`,
	`[]`,
	`[{"namespace":8,"k":"b","n":2,"t":null}]`,
}}

func TestWriteAndRestore(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	fsys := memfs.New(memfs.Options{})
	s := storage.New(fsys, "/ckpt", mem)
	job := id.Job{1}
	handles, err := s.Write(t.Context(), job, 5, "0-1-0.2", snapshot)
	if err != nil || len(handles) != 2 {
		t.Fatalf("have %v, %v", handles, err)
	}
	m := &checkpoint.Manifest{Job: job[:], Checkpoint: 5, Vertices: []*checkpoint.VertexState{{
		Uid: "v", Parallelism: 1, Subtasks: []*checkpoint.SubtaskState{{Operators: []*checkpoint.OperatorState{{Uid: "o", Handles: handles}}}},
	}}}
	name, err := s.Save(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	// Moved as a whole, it is still good.
	if err := fsys.Rename(t.Context(), "/ckpt/"+job.String(), "/moved"); err != nil {
		t.Fatal(err)
	}
	if m, err = s.Load(t.Context(), "/moved/chk-5/MANIFEST"); err != nil {
		t.Fatal(err)
	}
	back := &restored{t: t}
	if err := s.Restore(t.Context(), checkpoint.Chain{Handles: m.Vertices[0].Subtasks[0].Operators[0].Handles}, 8, back); err != nil {
		t.Fatal(err)
	}
	want := `[{"k":"a","n":1,"namespace":7,"t":"2026-01-01T00:00:00"}` + "\n]|[" + `{"k":"b","n":2,"namespace":8,"t":null}` + "\n]"
	if have := strings.Join(back.rows, "|"); have != want {
		t.Errorf("have %s", have)
	}
	if _, err := s.Load(t.Context(), name); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
		t.Errorf("have %v", err)
	}
	if handles, err = s.Write(t.Context(), job, 6, "empty", chunks{}); err != nil || handles != nil {
		t.Errorf("have %v, %v", handles, err)
	}
	if err := s.Drop(t.Context(), job, 6); err != nil {
		t.Error(err)
	}
}

// Any damage to a state file is found and told by the file's name.
func TestDamageIsNamed(t *testing.T) {
	fsys := memfs.New(memfs.Options{})
	s := storage.New(fsys, "/ckpt", memory.DefaultAllocator)
	handles, err := s.Write(t.Context(), id.Job{1}, 5, "x", snapshot)
	if err != nil {
		t.Fatal(err)
	}
	name := handles[0].Path
	f, err := fsys.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, f.Size())
	if _, err := f.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(whole); i += 11 {
		bad := append([]byte(nil), whole...)
		bad[i] ^= 0x10
		if i > 7 && i < 16 {
			continue // the checkpoint's number is for people
		}
		overwrite(t, fsys, name, bad)
		if err := s.Restore(t.Context(), checkpoint.Chain{Handles: handles}, 8, &restored{t: t}); err == nil || !strings.Contains(err.Error(), name) {
			t.Fatalf("byte %d: have %v", i, err)
		}
	}
	for n := 0; n < len(whole); n += 97 {
		overwrite(t, fsys, name, whole[:n])
		if err := s.Restore(t.Context(), checkpoint.Chain{Handles: handles}, 8, &restored{t: t}); !errors.Is(err, checkpoint.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: have %v", n, err)
		}
	}
}

func overwrite(t *testing.T, fsys fs.FileSystem, name string, data []byte) {
	t.Helper()
	w, err := fsys.Create(t.Context(), name, fs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Whatever call of the file system fails, the error says so, and no part of a
// file becomes visible.
func TestEachCallMayFail(t *testing.T) {
	broken := errors.New("disk is gone")
	for _, op := range []faultfs.Op{faultfs.Create, faultfs.Write, faultfs.Commit} {
		inner := memfs.New(memfs.Options{})
		fsys := faultfs.New(inner)
		fsys.Inject(faultfs.Rule{Op: op, Err: broken})
		s := storage.New(fsys, "/ckpt", memory.DefaultAllocator)
		if _, err := s.Write(t.Context(), id.Job{1}, 1, "x", snapshot); !errors.Is(err, broken) {
			t.Errorf("%v: state file: have %v", op, err)
		}
		if _, err := s.Save(t.Context(), &checkpoint.Manifest{}); !errors.Is(err, broken) {
			t.Errorf("%v: manifest: have %v", op, err)
		}
		err := inner.List(t.Context(), "/", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
			t.Errorf("%v: %s is left", op, i.Path)
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	fsys := faultfs.New(memfs.New(memfs.Options{}))
	s := storage.New(fsys, "/ckpt", memory.DefaultAllocator)
	handles, err := s.Write(t.Context(), id.Job{1}, 1, "x", snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []faultfs.Op{faultfs.Open, faultfs.Read} {
		fsys.Heal()
		fsys.Inject(faultfs.Rule{Op: op, Err: broken})
		if err := s.Restore(t.Context(), checkpoint.Chain{Handles: handles}, 8, &restored{t: t}); !errors.Is(err, broken) {
			t.Errorf("%v: have %v", op, err)
		}
	}
}

// staging is a backend that does something while a piece is staged.
type staging struct {
	*restored
	do func()
}

func (s *staging) Foresee(map[uint16]int) {}

func (s *staging) Stage(p state.Piece, stale []bool) func() error {
	s.do()
	return func() error { return s.Restore(p, stale) }
}

// Pieces are read on a goroutine of their own: memory that is refused there, and a panic, fail
// the restore and not the process, and nothing stays allocated.
func TestPanicWhileReadingAhead(t *testing.T) {
	fsys := memfs.New(memfs.Options{})
	handles, err := storage.New(fsys, "/ckpt", memory.DefaultAllocator).Write(t.Context(), id.Job{1}, 5, "x", snapshot)
	if err != nil {
		t.Fatal(err)
	}
	restore := func(limit int64, into state.Backend) error {
		ledger, err := workermemory.New(workermemory.Options{Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		err = storage.New(fsys, "/ckpt", ledger.Child("checkpoints", 0).Allocator()).Restore(t.Context(), checkpoint.Chain{Handles: handles}, 8, into)
		if ledger.Used() != 0 {
			t.Errorf("%d bytes stay allocated", ledger.Used())
		}
		return err
	}
	err = restore(64, &restored{t: t})
	if _, ok := errors.AsType[*workermemory.ExhaustedError](err); !ok || failure.Of(err) != failure.Fatal {
		t.Errorf("without memory: %v", err)
	}
	err = restore(1<<20, &staging{restored: &restored{t: t}, do: func() { panic("no idea") }})
	if failure.Of(err) != failure.Internal || !strings.Contains(err.Error(), "no idea") || !strings.Contains(err.Error(), handles[0].Path) {
		t.Errorf("a panic: %v", err)
	}
	all := &restored{t: t}
	if err := restore(1<<20, &staging{restored: all, do: func() {}}); err != nil || len(all.rows) != 2 {
		t.Errorf("have %v, %v", all.rows, err)
	}
}
