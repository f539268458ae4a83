package storage_test

import (
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/fs/memfs"
)

// A state file of version 1, whose chunks have no kinds, is read as what it was.
func TestVersion1(t *testing.T) {
	data, err := os.ReadFile("testdata/version1.state")
	if err != nil {
		t.Fatal(err)
	}
	fsys := memfs.New(memfs.Options{})
	overwrite(t, fsys, "/old.state", data)
	back := &restored{t: t}
	chain := checkpoint.Chain{Handles: []*checkpoint.Handle{
		{Path: "/old.state", Offset: 16, Length: 1016, Crc32C: 809003020, FirstGroup: 0, LastGroup: 1, Table: 3, Rows: 1},
		{Path: "/old.state", Offset: 1032, Length: 1080, Crc32C: 1153982584, FirstGroup: 2, LastGroup: 3, Table: 3, Rows: 1},
	}}
	if err := storage.New(fsys, "/ckpt", memory.DefaultAllocator).Restore(t.Context(), chain, 8, back); err != nil {
		t.Fatal(err)
	}
	want := `[{"k":"a","n":1,"namespace":7,"t":"2026-01-01T00:00:00"}` + "\n]|[" + `{"k":"b","n":2,"namespace":8,"t":null}` + "\n]"
	if have := strings.Join(back.rows, "|"); have != want {
		t.Errorf("have %s", have)
	}
}

// A state file of version 3, whose chunks are sorted tables, is read as what it was.
func TestVersion3(t *testing.T) {
	data, err := os.ReadFile("testdata/version3.state")
	if err != nil {
		t.Fatal(err)
	}
	fsys := memfs.New(memfs.Options{})
	overwrite(t, fsys, "/old.state", data)
	back := &restored{t: t}
	chain := checkpoint.Chain{Handles: []*checkpoint.Handle{
		{Path: "/old.state", Offset: 16, Length: 1113, Crc32C: 2402831665, FirstGroup: 0, LastGroup: 1, Table: 3, Rows: 1, Kind: 4, Described: 146},
		{Path: "/old.state", Offset: 1129, Length: 1108, Crc32C: 2017423979, FirstGroup: 2, LastGroup: 3, Table: 3, Rows: 1, Kind: 4, Described: 146},
	}}
	if err := storage.New(fsys, "/ckpt", memory.DefaultAllocator).Restore(t.Context(), chain, 8, back); err != nil {
		t.Fatal(err)
	}
	want := `[{"k":"a","n":1,"namespace":7,"t":"2026-01-01T00:00:00"}` + "\n]|[" + `{"k":"b","n":2,"namespace":8,"t":null}` + "\n]"
	if have := strings.Join(back.rows, "|"); have != want {
		t.Errorf("have %s", have)
	}
}
