package pebblestate

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// A file is read as long as the Pebble has something of it, and no longer: then it is not
// named any more, and may go.
func TestReferredUntilRewritten(t *testing.T) {
	bigint := datatype.Of(datatype.BigInt).NotNull()
	spec := state.TableSpec{ID: 1, Name: "sums", Keys: datatype.Schema{{Name: "k", Type: bigint}}, Values: datatype.Schema{{Name: "v", Type: bigint}}}
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for i := range int64(1000) {
		b.Append(i % 2)
	}
	spaces := b.NewArray()
	defer spaces.Release()
	for i := range int64(1000) {
		b.Append(i)
	}
	keys := b.NewArray()
	defer keys.Release()
	rows := array.NewRecordBatch(state.PieceSchema(spec, state.PutKey), []arrow.Array{spaces, keys, keys}, 1000)
	defer rows.Release()
	sorted, err := memstate.Sort(state.Piece{Table: spec, Kind: state.PutKey, Groups: keygroup.Range{Last: 64}, Rows: rows})
	if err != nil || len(sorted) != 1 || !slices.Equal(sorted[0].Counts, []uint64{500, 500}) {
		t.Fatalf("%v, %v", sorted, err)
	}
	var file bytes.Buffer
	if err := WriteTable(&file, sorted[0], state.PutKey, false); err != nil {
		t.Fatal(err)
	}
	fsys := memfs.New(memfs.Options{})
	if err := fs.WriteFile(t.Context(), fsys, "a.state", file.Bytes(), fs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	h, err := Open(Options{Dir: "state", FS: vfs.NewMem(), CacheBytes: 1 << 20, BufferBytes: 64 << 10, RecentBytes: 128 << 10, Remote: fsys, RemoteDir: "home"})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{home: h}
	round := []memstate.Reference{{
		Place:  state.Place{FS: fsys, Path: "a.state", Name: "a.state", Length: int64(file.Len())},
		Ranges: []memstate.KeyRange{{From: sorted[0].First, To: sorted[0].Last}},
	}}
	if err := s.Refer(t.Context(), [][]memstate.Reference{round}); err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	read := func() (n int) {
		all = all[:0]
		_ = sorted[0].Each(func(key, _ []byte) error {
			all = append(all, bytes.Clone(key))
			return nil
		})
		err := s.Get(all, func(int, []byte) error { n++; return nil })
		if err != nil {
			t.Error(err)
		}
		return n
	}
	if n, names := read(), s.Referred(); n != 1000 || !slices.Equal(names, []string{"a.state"}) {
		t.Errorf("%d keys of %v", n, names)
	}
	change := s.Change()
	err = errors.Join(change.Set(all[0], []byte("new")), change.Commit(), s.db.pebble.Flush())
	if err == nil {
		err = s.db.pebble.Compact(t.Context(), s.prefix[:], []byte{1}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.db.pebble.TestOnlyWaitForCleaning()
	if names := s.Referred(); len(names) > 0 {
		t.Errorf("%v is read although all of it was rewritten", names)
	}
	if err := fsys.Remove(t.Context(), "a.state"); err != nil {
		t.Fatal(err)
	}
	if n := read(); n != 1000 {
		t.Errorf("%d keys", n)
	}
	if err := errors.Join(s.Close(), h.Close()); err != nil {
		t.Error(err)
	}
}
