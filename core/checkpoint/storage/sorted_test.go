package storage_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
)

const sortedGroups = 16

var counts = state.TableSpec{
	ID: 2, Name: "counts", Keys: datatype.Schema{{Name: "k", Type: datatype.Of(datatype.BigInt).NotNull()}},
	Values: datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt).NotNull()}}, Evictable: true,
}

// unlimited is an account.
type unlimited struct{}

func (unlimited) Grow(int64) error { return nil }
func (unlimited) Shrink(int64)     {}

// keptJob is a job whose checkpoints are written with a kind of state.
type keptJob struct {
	t     *testing.T
	fsys  fs.FileSystem
	store *storage.Store
	id    id.Job
	homes *pebblestate.Home
}

func startJob(t *testing.T, fsys fs.FileSystem, backend string) *keptJob {
	t.Helper()
	r := fs.NewRegistry()
	if err := r.Register("mem", fsys); err != nil {
		t.Fatal(err)
	}
	j := &keptJob{t: t, fsys: fsys, id: id.Job{9}, store: open(t, r, map[string]string{
		config.StateBackend.Key(): backend, config.CheckpointDir.Key(): "mem:///ck",
	})}
	var err error
	j.homes, err = pebblestate.Open(pebblestate.Options{
		Dir: "state", FS: vfs.NewMem(), CacheBytes: 1 << 20, BufferBytes: 64 << 10, RecentBytes: 128 << 10, Remote: fsys, RemoteDir: "homes",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.homes.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// backend is one of tiered state, or in memory.
func (j *keptJob) backend(tiered bool, owned keygroup.Range) *memstate.Backend {
	j.t.Helper()
	if !tiered {
		return memstate.New(sortedGroups, owned, memory.DefaultAllocator, unlimited{})
	}
	b, _, err := j.homes.NewAt(1, sortedGroups, owned, memory.DefaultAllocator, unlimited{}, 0)
	if err != nil {
		j.t.Fatal(err)
	}
	return b
}

// add counts keys [from, to) of a namespace, those of the backend's groups.
func add(t *testing.T, table state.Table, ns int64, owned keygroup.Range, from, to int64) {
	t.Helper()
	rows, err := table.Namespace(ns)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for k := from; k < to; k++ {
		b.Append(k)
	}
	keys := []arrow.Array{b.NewArray()}
	defer compute.ReleaseAll(keys)
	var sel []int32
	for i, h := range compute.HashColumns(keys, nil, nil) {
		if owned.Contains(keygroup.Of(h, sortedGroups)) {
			sel = append(sel, int32(i))
		}
	}
	slots := make([]int32, len(sel))
	if err := rows.Resolve(keys, sel, compute.HashColumns(keys, sel, nil), slots); err != nil {
		t.Fatal(err)
	}
	for _, s := range slots {
		rows.Values()[0].Int64[s]++
		rows.Values()[0].Valid[s] = true
	}
}

// written is a chain of two snapshots: all keys of two namespaces, then some again and one
// namespace gone.
func (j *keptJob) written() checkpoint.Chain {
	j.t.Helper()
	b := j.backend(false, everyGroup)
	table, err := b.Table(counts)
	if err != nil {
		j.t.Fatal(err)
	}
	var chain checkpoint.Chain
	snapshot := func(n id.Checkpoint) {
		s, err := b.Snapshot(state.Changes)
		if err == nil {
			err = state.Complete(s)
		}
		if err != nil {
			j.t.Fatal(err)
		}
		handles, err := j.store.Write(j.t.Context(), j.id, n, "0-0-0.0", s)
		if err != nil {
			j.t.Fatal(err)
		}
		chain.Add(handles, s.Whole(), sortedGroups)
		s.Release()
	}
	for ns := range int64(2) {
		add(j.t, table, ns, everyGroup, 0, 1000)
	}
	snapshot(1)
	table.Drop(1)
	add(j.t, table, 0, everyGroup, 990, 1010)
	snapshot(2)
	if err := b.Close(); err != nil {
		j.t.Fatal(err)
	}
	return chain
}

var everyGroup = keygroup.Range{Last: sortedGroups}

// restored restores a chain into backends that share the groups, adds 1 to each key, and
// looks whether all is there. It returns the files that are still read.
func (j *keptJob) restored(tiered bool, chain checkpoint.Chain, ranges ...keygroup.Range) (files []string) {
	j.t.Helper()
	have := map[int64]int64{}
	for _, owned := range ranges {
		b := j.backend(tiered, owned)
		if err := j.store.Restore(j.t.Context(), chain, sortedGroups, b); err != nil {
			j.t.Fatal(err)
		}
		table, err := b.Table(counts)
		if err != nil {
			j.t.Fatal(err)
		}
		files = append(files, b.Adopted()...)
		add(j.t, table, 0, owned, 0, 1010)
		if spaces := table.Namespaces(); !slices.Equal(spaces, []int64{0}) {
			j.t.Errorf("namespaces %v", spaces)
		}
		rows, err := table.Namespace(0)
		if err != nil {
			j.t.Fatal(err)
		}
		err = rows.Each(func(v state.View, from, to int) error {
			keys, err := v.Keys(from, to)
			if err != nil {
				return err
			}
			defer compute.ReleaseAll(keys)
			for i, k := range keys[0].(*array.Int64).Int64Values() {
				have[k] += v.Values()[0].Int64[from+i]
			}
			return nil
		})
		if err := errors.Join(err, b.Close()); err != nil {
			j.t.Fatal(err)
		}
	}
	for k := range int64(1010) {
		want := int64(2)
		if k >= 990 && k < 1000 {
			want = 3
		}
		if have[k] != want {
			j.t.Fatalf("key %d has %d, want %d", k, have[k], want)
		}
	}
	if len(have) != 1010 {
		j.t.Errorf("%d keys", len(have))
	}
	return files
}

// Whatever kind of state wrote a checkpoint, any kind goes on with it, at any parallelism.
// Tiered state goes on with what tiered state wrote where it lies; it reads everything else.
func TestSortedIsRestored(t *testing.T) {
	halves := []keygroup.Range{{Last: 7}, {First: 7, Last: sortedGroups}}
	for _, from := range []string{"tiered", "hashmap"} {
		for _, tiered := range []bool{true, false} {
			j := startJob(t, memfs.New(memfs.Options{}), from)
			chain := j.written()
			for _, ranges := range [][]keygroup.Range{{everyGroup}, halves} {
				files := j.restored(tiered, chain, ranges...)
				if adopted := len(files) > 0; adopted != (tiered && from == "tiered") {
					t.Errorf("%s, then tiered %v: files %v are read", from, tiered, files)
				}
			}
		}
	}
}

// A savepoint of tiered state stands alone: what is copied elsewhere is restored by reading
// it, although the job's own files are gone.
func TestSortedIsGathered(t *testing.T) {
	j := startJob(t, memfs.New(memfs.Options{}), "tiered")
	chain := j.written()
	m := &checkpoint.Manifest{Job: j.id[:], Checkpoint: 2, Vertices: []*checkpoint.VertexState{{Uid: "v", Parallelism: 1, Subtasks: []*checkpoint.SubtaskState{
		{Operators: []*checkpoint.OperatorState{{Uid: "o", Handles: chain.Handles, Shares: chain.Shares}}, Files: []string{"0-gone.state"}},
	}}}}
	r := fs.NewRegistry()
	if err := r.Register("mem", j.fsys); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Gather(t.Context(), r, j.store.Locate(m), "mem:///ck/save"); err != nil {
		t.Fatal(err)
	}
	if err := j.store.DropJob(t.Context(), j.id); err != nil {
		t.Fatal(err)
	}
	m, err := j.store.Load(t.Context(), "/ck/save/MANIFEST")
	if err != nil {
		t.Fatal(err)
	}
	o := m.GetVertices()[0].GetSubtasks()[0].GetOperators()[0]
	if files := j.restored(true, checkpoint.Chain{Handles: o.GetHandles(), Shares: o.GetShares()}, everyGroup); len(files) > 0 {
		t.Errorf("files %v of a savepoint are read", files)
	}
}

// Files that a subtask says it reads stay, although no piece of theirs is needed.
func TestSweepLeavesWhatIsRead(t *testing.T) {
	j := startJob(t, memfs.New(memfs.Options{}), "tiered")
	chain := j.written()
	keep := func(files ...string) int {
		m := &checkpoint.Manifest{Job: j.id[:], Checkpoint: 3, Vertices: []*checkpoint.VertexState{{Subtasks: []*checkpoint.SubtaskState{{Files: files}}}}}
		if err := j.store.Sweep(t.Context(), j.id, []*checkpoint.Manifest{m}); err != nil {
			t.Fatal(err)
		}
		return len(below(t, j.fsys, "/ck/"+j.id.String()+"/state"))
	}
	var files []string
	for _, h := range chain.Handles {
		_, name := fs.Split(h.GetPath())
		files = append(files, name)
	}
	if n := keep(slices.Compact(files)...); n != 2 {
		t.Errorf("%d files are left of 2 that are read", n)
	}
	if n := keep(files[0]); n != 1 {
		t.Errorf("%d files are left of 1 that is read", n)
	}
	if n := keep("../chk-3/MANIFEST"); n != 0 {
		t.Errorf("%d files are left of none that is read", n)
	}
}

// Damage of what a restore reads is found and named; so are files that are gone.
func TestSortedIsDamaged(t *testing.T) {
	j := startJob(t, memfs.New(memfs.Options{}), "tiered")
	chain := j.written()
	name := chain.Handles[0].GetPath()
	good, err := fs.ReadFile(t.Context(), j.fsys, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	at := chain.Handles[0].GetOffset()
	for what, spoil := range map[string]func(data []byte) []byte{
		"a description": func(data []byte) []byte { data[at] = 'x'; return data },
		"a header":      func(data []byte) []byte { data[0] = 'x'; return data },
		"an end":        func(data []byte) []byte { return data[:at+100] },
	} {
		overwrite(t, j.fsys, name, spoil(slices.Clone(good)))
		for _, tiered := range []bool{true, false} {
			b := j.backend(tiered, everyGroup)
			err := j.store.Restore(t.Context(), chain, sortedGroups, b)
			if !errors.Is(err, checkpoint.ErrCorrupt) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, tiered %v: %v", what, tiered, err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := j.fsys.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	b := j.backend(true, everyGroup)
	if err := j.store.Restore(t.Context(), chain, sortedGroups, b); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
		t.Errorf("a file is gone: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
