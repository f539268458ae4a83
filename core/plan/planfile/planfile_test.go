package planfile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan/planfile"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file of this version")

func example() planfile.Plan {
	column := []*jobgraph.Field{{Name: "a<b>", Type: "BIGINT"}}
	return planfile.Plan{
		Tables: []planfile.Table{
			{
				Name: "c.d.t", Read: true, Ends: true, Connector: "datagen", Watermark: "a AS a", PrimaryKey: []string{"a<b>"},
				Columns: []planfile.Column{{Name: "a<b>", Type: "BIGINT"}, {Name: "c", Type: "INT", As: "1 < 2"}, {Name: "m", Type: "INT", Metadata: "offset"}},
				Options: map[string]string{"lookup.cache": "NONE"},
			},
			{Name: "out.csv", File: true, Written: true, Connector: "filesystem"},
		},
		Graph: &jobgraph.Graph{
			Version: jobgraph.Version, Name: "job", Mode: jobgraph.Mode_MODE_STREAMING, KeyGroups: 16,
			Vertices: []*jobgraph.Vertex{{Uid: "v", Name: "copy", Chain: []*jobgraph.Operator{
				{Uid: "source-1", Name: "Scan", Output: column, Spec: &jobgraph.Operator_Source{Source: &jobgraph.Source{Connector: "datagen", Table: "c.d.t", Columns: column, Bounded: true}}},
				{Uid: "sink-1", Name: "Insert", Output: column, Spec: &jobgraph.Operator_Sink{Sink: &jobgraph.Sink{Connector: "filesystem", Table: "out.csv", Columns: column}}},
			}}},
		},
	}
}

// Files of each version that there was are read: those in testdata stay.
func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "format-1.json")
	data, err := planfile.Encode(example(), "0.1")
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, golden) {
		t.Errorf("written:\n%s\nwant:\n%s", data, golden)
	}
	p, err := planfile.Decode(golden)
	if err != nil {
		t.Fatal(err)
	}
	if want := example(); !reflect.DeepEqual(p.Tables, want.Tables) || !proto.Equal(p.Graph, want.Graph) {
		t.Errorf("read %+v\nwant %+v", p, want)
	}
	var plain bytes.Buffer
	if err := json.Compact(&plain, golden); err != nil {
		t.Fatal(err)
	}
	if _, err := planfile.Decode(plain.Bytes()); err != nil {
		t.Errorf("without white space: %v", err)
	}
}

// No byte of a plan can change without being noticed.
func TestDamage(t *testing.T) {
	data, err := planfile.Encode(example(), "0.1")
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.Index(data, []byte(`"checksum"`))
	for i := begin; i < len(data); i++ {
		if strings.ContainsRune(" \n", rune(data[i])) {
			continue
		}
		for _, cut := range []bool{false, true} {
			wrong := bytes.Clone(data)
			wrong[i] ^= 1
			if cut {
				wrong = wrong[:i]
			}
			if _, err := planfile.Decode(wrong); failure.Of(err) != failure.BadData {
				t.Fatalf("byte %d, cut %t: %v\n%s", i, cut, err, wrong)
			}
		}
	}
	broken := example()
	broken.Graph.KeyGroups = 0
	if data, err = planfile.Encode(broken, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := planfile.Decode(data); err == nil || !strings.Contains(err.Error(), "what another version wrote: job graph") {
		t.Errorf("a graph that is none: %v", err)
	}
	large := example()
	large.Tables[0].Watermark = strings.Repeat("a", planfile.MaxBytes)
	if _, err := planfile.Encode(large, ""); failure.Of(err) != failure.Usage {
		t.Errorf("a large plan: %v", err)
	}
}

func TestDifference(t *testing.T) {
	table := example().Tables[0]
	for want, change := range map[string]func(*planfile.Table){
		"":                 func(*planfile.Table) {},
		"column c is gone": func(t *planfile.Table) { t.Columns = t.Columns[:1] },
		"column m: INT METADATA FROM 'offset' was planned, it is INT": func(t *planfile.Table) { t.Columns[2].Metadata = "" },
		"column x is new": func(t *planfile.Table) { t.Columns = append(t.Columns, planfile.Column{Name: "x", Type: "INT"}) },
		"column c: INT AS 1 < 2 was planned, it is BIGINT":    func(t *planfile.Table) { t.Columns[1] = planfile.Column{Name: "c", Type: "BIGINT"} },
		"column c has another place among the columns":        func(t *planfile.Table) { t.Columns[0], t.Columns[1] = t.Columns[1], t.Columns[0] },
		"connector: datagen was planned, it is kafka":         func(t *planfile.Table) { t.Connector = "kafka" },
		"watermark: a AS a was planned, it is none":           func(t *planfile.Table) { t.Watermark = "" },
		"primary key: a<b> was planned, it is none":           func(t *planfile.Table) { t.PrimaryKey = nil },
		"partition columns: none was planned, it is c":        func(t *planfile.Table) { t.Partitions = []string{"c"} },
		"its rows came to an end, and do not any more":        func(t *planfile.Table) { t.Ends = false },
		"option 'lookup.cache': NONE was planned, it is none": func(t *planfile.Table) { t.Options = nil },
	} {
		now := example().Tables[0]
		change(&now)
		if got := table.Difference(now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
