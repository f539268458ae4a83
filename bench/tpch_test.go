package bench

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/bench/tpch"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

func TestTPCHOptions(t *testing.T) {
	missing := Programs{Binary: "/nowhere/tidemill"}
	for name, o := range map[string]TPCHOptions{
		"no directory":      {},
		"no TPC-H query 23": {Dir: "x", Queries: []int{23}},
		"/nowhere/tidemill": {Dir: "x", Programs: missing},
		`peer "oracle"`:     {Dir: "x", Peers: []string{"oracle"}},
		"make bench-peers":  {Dir: "x", Peers: []string{"duckdb"}, Programs: Programs{Python: "/nowhere/python"}},
		"one at a time":     {Dir: "x", Local: "y", Parallelism: []int{1, 2}},
		"want 1 or more":    {Dir: "x", Parallelism: []int{0}},
		"read local files":  {Dir: "s3://b/x", Peers: []string{"duckdb"}},
	} {
		o.Out = io.Discard
		if err := TPCH(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func names(all []contestant) (list []string) {
	for _, c := range all {
		list = append(list, c.name)
	}
	return list
}

func TestContestantsAndTheirBase(t *testing.T) {
	for _, c := range []struct {
		o    TPCHOptions
		want []string
		base string
	}{
		{TPCHOptions{Dir: "d"}, []string{"tidemill"}, ""},
		{TPCHOptions{Dir: "d", Peers: []string{"polars", "duckdb"}}, []string{"tidemill", "polars", "duckdb"}, "duckdb"},
		{TPCHOptions{Dir: "d", Peers: []string{"polars"}}, []string{"tidemill", "polars"}, "polars"},
		{TPCHOptions{Dir: "s3://b/d", Local: "d"}, []string{"tidemill", "local"}, "local"},
		{TPCHOptions{Dir: "d", Programs: Programs{Memory: []string{"100MB", "none"}}}, []string{"100MB", "no limit"}, "no limit"},
		{TPCHOptions{Dir: "d", Workers: 2}, []string{"cluster", "embedded"}, "embedded"},
		{TPCHOptions{Dir: "d", Parallelism: []int{1, 4, 2}}, []string{"4 slots", "2 slots", "1 slot"}, "1 slot"},
	} {
		o, err := c.o.complete()
		if err != nil {
			t.Fatal(err)
		}
		got, base := names(o.contestants(nil)), ""
		if l := o.layout(); l.Base >= 0 {
			base = got[l.Base]
		}
		if !slices.Equal(got, c.want) || base != c.base {
			t.Errorf("got %v with base %q, want %v with %q", got, base, c.want, c.base)
		}
	}
}

func TestCommandOfOurs(t *testing.T) {
	args, err := Programs{Binary: "b", Memory: []string{"1 gb"}, Settings: map[string]string{"k": "v"}}.command(contestant{slots: 3})
	if err != nil {
		t.Fatal(err)
	}
	unlimited, err := Programs{Binary: "b", Memory: []string{"1 gb", "none"}}.command(contestant{slots: 3, memory: "none"})
	if err != nil || strings.Contains(strings.Join(unlimited, " "), "memory") {
		t.Errorf("got %q, %v", unlimited, err)
	}
	if got, want := strings.Join(args, " "), "b bench serve --cluster= -D parallelism.default=3 -D worker.slots=3 -D worker.memory.size=1 gb -D k=v"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// One that cannot be started, that ends before it serves, or in another way than it
// is told to, is an error with its last words; each leaves nothing behind but what
// explains the last.
func TestClusterThatEnds(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	program := func(text string) Programs {
		path := filepath.Join(dir, "program")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return Programs{Binary: path, Settings: map[string]string{"k": "v"}}
	}
	if _, err := (Programs{Binary: "/nowhere/tidemill"}).up(t.Context(), 2, 2); err == nil || !strings.Contains(err.Error(), "start a cluster") {
		t.Errorf("got %v", err)
	}
	if _, err := program("echo master; echo no port >&2; exit 75").up(t.Context(), 2, 2); err == nil || !strings.Contains(err.Error(), "no port") {
		t.Errorf("got %v", err)
	}
	r, err := program(`sleep 100 >/dev/null 2>&1 & trap "kill $!; exit 130" INT; echo "use $*"; wait`).up(t.Context(), 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.down(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "tidemill-bench-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if r, err = program("trap '' INT; echo use it; echo out of memory >&2; exit 1").up(t.Context(), 2, 2); err != nil {
		t.Fatal(err)
	}
	if err := r.down(); err == nil || !strings.Contains(err.Error(), "out of memory") || !strings.Contains(err.Error(), r.dir) {
		t.Errorf("got %v", err)
	}
}

// storage is two file systems: near, and far://.
func storage(t *testing.T) (o TPCHOptions, near, far *faultfs.FileSystem) {
	t.Helper()
	near, far = faultfs.New(memfs.New(memfs.Options{})), faultfs.New(memfs.New(memfs.Options{}))
	o.FileSystems = fs.NewRegistry()
	for scheme, fsys := range map[string]fs.FileSystem{"file": near, "far": far} {
		if err := o.FileSystems.Register(scheme, fsys); err != nil {
			t.Fatal(err)
		}
	}
	return o, near, far
}

func put(t *testing.T, fsys fs.FileSystem, name, text string) {
	t.Helper()
	if err := fs.WriteFile(t.Context(), fsys, name, []byte(text), fs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Whole data is kept, half-made data made anew, and other data left alone.
func TestGeneratedDataIsFound(t *testing.T) {
	o, near, _ := storage(t)
	o.Scale = 0.01
	for _, c := range []struct{ dir, mark, data, refused string }{
		{"whole", "0.01", "x", ""},
		{"larger", "10", "x", "scale 10"},
		{"half of a larger", "10 unfinished", "x", "scale 10"},
		{"official", "", "x", "not generated"},
	} {
		if c.mark != "" {
			put(t, near, fs.Join(c.dir, markName), c.mark)
		}
		put(t, near, fs.Join(c.dir, "lineitem.parquet"), c.data)
		err := o.generate(t.Context(), c.dir)
		if c.refused == "" && err != nil || c.refused != "" && (failure.Of(err) != failure.Conflict || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: got %v", c.dir, err)
		}
	}
	put(t, near, fs.Join("half", markName), "0.01 unfinished")
	put(t, near, fs.Join("half", "lineitem.parquet"), "x")
	if whole, err := o.generated(t.Context(), near, "half"); whole || err != nil {
		t.Errorf("half: %t, %v", whole, err)
	}
	if whole, err := o.generated(t.Context(), near, "nothing"); whole || err != nil {
		t.Errorf("nothing: %t, %v", whole, err)
	}
	near.Inject(faultfs.Rule{Op: faultfs.Open, Times: 1, Err: errors.New("broken")})
	if _, err := o.generated(t.Context(), near, "whole"); err == nil {
		t.Error("an unreadable mark was passed over")
	}
	if err := o.generate(t.Context(), "nowhere://x"); !errors.Is(err, fs.ErrUnknownScheme) {
		t.Errorf("got %v", err)
	}
}

func TestCopiesWhatIsMissing(t *testing.T) {
	o, near, far := storage(t)
	o.Dir, o.Local = "far://d", "l"
	for _, table := range tpch.Tables() {
		put(t, near, fs.Join("l", table+".parquet"), "content of "+table)
	}
	put(t, far, "d/region.parquet", "has the same size") // and is taken for the same
	if err := o.copy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]string{"lineitem": "content of lineitem", "region": "has the same size"} {
		data, err := fs.ReadFile(t.Context(), far, fs.Join("d", table+".parquet"), 100)
		if err != nil || string(data) != want {
			t.Errorf("%s is %q, %v", table, data, err)
		}
	}
	put(t, near, "l/nation.parquet", "changed")
	far.Inject(faultfs.Rule{Op: faultfs.Write, Err: errors.New("full")})
	if err := o.copy(t.Context()); err == nil || !strings.Contains(err.Error(), "copy table nation") {
		t.Errorf("got %v", err)
	}
	o.Local = "nothing"
	if err := o.copy(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestDataDir(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/c")
	if got, err := DataDir(0.01); err != nil || filepath.Base(got) != "tpch-0.01" {
		t.Errorf("%s, %v", got, err)
	}
}
