package formats_test

import (
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

type named struct {
	formats.Format
	name string
	exts []string
}

func (n named) Name() string         { return n.name }
func (n named) Extensions() []string { return n.exts }

func TestRegistry(t *testing.T) {
	r, err := formats.NewRegistry(named{name: "parquet", exts: []string{".parquet", ".pq"}}, named{name: "csv", exts: []string{".csv"}})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := r.Lookup("Parquet"); err != nil || f.Name() != "parquet" {
		t.Errorf("lookup: %v, %v", f, err)
	}
	if f, ok := r.ForPath("dir.csv/a.b.PQ"); !ok || f.Name() != "parquet" {
		t.Errorf("extension: %v, %v", f, ok)
	}
	if _, ok := r.ForPath("dir.csv/file"); ok {
		t.Error("a directory's extension counted")
	}
	_, err = r.Lookup("orc")
	if failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "csv, parquet") {
		t.Errorf("unknown format: %v", err)
	}
}

func TestRegistryRefusesTwins(t *testing.T) {
	csv := named{name: "csv", exts: []string{".csv"}}
	for _, other := range []named{{name: "csv"}, {name: "tsv", exts: []string{".csv"}}} {
		if _, err := formats.NewRegistry(csv, other); err == nil {
			t.Errorf("%s with %v was accepted beside csv", other.name, other.exts)
		}
	}
}
