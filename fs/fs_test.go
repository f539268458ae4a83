package fs_test

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/fstest"
	"github.com/tidemill/tidemill/fs/memfs"
)

// The files of testdata say what paths, globs and partitions mean.
func TestPathsGlobsPartitions(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		m := memfs.New(memfs.Options{})
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for _, line := range strings.Split(strings.TrimRight(d.Input, "\n"), "\n") {
				fmt.Fprintln(&out, eval(t, m, d.Cmd, line))
			}
			return out.String()
		})
	})
}

func eval(t *testing.T, m *memfs.FileSystem, cmd, line string) string {
	switch cmd {
	case "files":
		if err := fstest.WriteFile(t.Context(), m, line, ""); err != nil {
			return err.Error()
		}
		return "ok"
	case "glob":
		infos, err := fs.Glob(t.Context(), m, line)
		if err != nil {
			return "error: " + err.Error()
		}
		names := []string{line + " ->"}
		for _, info := range infos {
			names = append(names, info.Path)
		}
		return strings.Join(names, " ")
	case "split":
		dir, name := fs.Split(line)
		scheme, p := fs.SplitURI(line)
		return fmt.Sprintf("%s -> dir %q name %q, scheme %q path %q", line, dir, name, scheme, p)
	case "join":
		parts := strings.Fields(line)
		return fs.Join(parts[0], parts[1:]...)
	case "partitions":
		var b strings.Builder
		values := fs.ParsePartitions(line)
		for _, v := range values {
			fmt.Fprintf(&b, "%s=%q null=%v; ", v.Key, v.Value, v.Null)
		}
		return b.String() + "back " + fs.PartitionPath(values)
	}
	t.Fatalf("unknown command %s", cmd)
	return ""
}

func TestRegistry(t *testing.T) {
	r, file, mem := fs.NewRegistry(), memfs.New(memfs.Options{}), memfs.New(memfs.Options{})
	for scheme, fsys := range map[string]fs.FileSystem{"file": file, "MEM": mem} {
		if err := r.Register(scheme, fsys); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		uri, path string
		fsys      fs.FileSystem
	}{
		{"/a/b", "/a/b", file}, {"a", "a", file}, {"file:///a", "/a", file}, {"mem://x/y", "x/y", mem},
	} {
		if got, p, err := r.Resolve(c.uri); err != nil || got != c.fsys || p != c.path {
			t.Errorf("%s: %v, %q, %v", c.uri, got, p, err)
		}
	}
	_, _, err := r.Resolve("s3://b/x")
	if want := `s3://b/x: unknown file system scheme "s3" (known: file, mem)`; !errors.Is(err, fs.ErrUnknownScheme) || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err := r.Register("mem", mem); !errors.Is(err, fs.ErrExist) {
		t.Errorf("taken scheme: %v", err)
	}
	if err := r.Register("not a scheme", mem); err == nil {
		t.Error("a bad scheme was taken")
	}
}

// counting is a file system that asked a server for things.
type counting struct {
	fs.FileSystem
	fs.Counters
}

// A file system under two schemes is counted once, and the metrics are those of
// the moment.
func TestRegistryStats(t *testing.T) {
	r, c := fs.NewRegistry(), &counting{FileSystem: memfs.New(memfs.Options{})}
	for scheme, fsys := range map[string]fs.FileSystem{"c": c, "ca": c, "mem": memfs.New(memfs.Options{}), "d": &counting{}} {
		if err := r.Register(scheme, fsys); err != nil {
			t.Fatal(err)
		}
	}
	metrics := metric.NewRegistry(metric.Options{})
	stop := r.Show(metrics)
	c.Requests.Add(3)
	c.BytesRead.Add(10)
	before := r.Stats()
	if want := (fs.Stats{Requests: 3, BytesRead: 10}); before != want {
		t.Errorf("got %+v", before)
	}
	c.Errors.Add(1)
	if got := r.Stats().Minus(before); got != (fs.Stats{Errors: 1}) {
		t.Errorf("got %+v", got)
	}
	shown := func() (names []string) {
		for s := range metrics.All() {
			if s.Value > 0 {
				names = append(names, fmt.Sprintf("%s{%s} %v", s.Name, s.Labels[0].Value, s.Value))
			}
		}
		return names
	}
	if got := strings.Join(shown(), ", "); got != "tidemill_fs_errors{c} 1, tidemill_fs_read_bytes{c} 10, tidemill_fs_requests{c} 3" {
		t.Error(got)
	}
	stop()
	if got := shown(); got != nil {
		t.Error(got)
	}
}

func TestReadWriteFile(t *testing.T) {
	ctx, f := t.Context(), faultfs.New(memfs.New(memfs.Options{}))
	boom := errors.New("boom")
	for _, op := range []faultfs.Op{faultfs.Create, faultfs.Write, faultfs.Commit} {
		f.Inject(faultfs.Rule{Op: op, Times: 1, Err: boom})
		if err := fs.WriteFile(ctx, f, "x", []byte("data"), fs.CreateOptions{}); !errors.Is(err, boom) {
			t.Errorf("a failing %v: %v", op, err)
		}
	}
	if f.Count(faultfs.Abort) != 2 {
		t.Errorf("%d aborts", f.Count(faultfs.Abort))
	}
	if err := fs.WriteFile(ctx, f, "x", []byte("data"), fs.CreateOptions{IfNotExists: true}); err != nil {
		t.Fatal(err)
	}
	for _, op := range []faultfs.Op{faultfs.Open, faultfs.Read, faultfs.Close} {
		f.Inject(faultfs.Rule{Op: op, Times: 1, Err: boom})
		if _, err := fs.ReadFile(ctx, f, "x", 4); !errors.Is(err, boom) {
			t.Errorf("a failing %v: %v", op, err)
		}
	}
	if data, err := fs.ReadFile(ctx, f, "x", 4); err != nil || string(data) != "data" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := fs.ReadFile(ctx, f, "x", 3); err == nil || err.Error() != "read x: 4 bytes, the limit is 3" {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestGlobFailures(t *testing.T) {
	ctx, f := t.Context(), faultfs.New(memfs.New(memfs.Options{}))
	for _, p := range []string{"a/b/x", "a/c/x"} {
		if err := fstest.WriteFile(ctx, f, p, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		op      faultfs.Op
		pattern string
	}{{faultfs.List, "a/*/x"}, {faultfs.List, "**"}, {faultfs.Stat, "a/*/x"}, {faultfs.Stat, "a/b/x"}} {
		f.Inject(faultfs.Rule{Op: c.op, Times: 1, Err: fs.ErrPermission})
		if _, err := fs.Glob(ctx, f, c.pattern); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s with a failing %v: %v", c.pattern, c.op, err)
		}
	}
	many := "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"
	for _, bad := range []string{many, "{a", "x/[", "[a-"} {
		if _, err := fs.Glob(ctx, f, bad); !errors.Is(err, fs.ErrPattern) {
			t.Errorf("%q: got %v, want %v", bad, err, fs.ErrPattern)
		}
	}
}

// FuzzPartition: what PartitionPath writes is one path part a value and reads
// back the same.
func FuzzPartition(f *testing.F) {
	f.Add("dt", "2020/01")
	f.Add("a=b", "100%")
	f.Add("k", "__HIVE_DEFAULT_PARTITION__")
	f.Fuzz(func(t *testing.T, k, v string) {
		if k == "" || v == "" || v == fs.DefaultPartition {
			return
		}
		want := []fs.PartitionValue{{Key: k, Value: v}, {Key: "n", Null: true}}
		dir := fs.PartitionPath(want)
		if strings.Count(dir, "/") != 1 {
			t.Fatalf("%q has more than two parts", dir)
		}
		got := fs.ParsePartitions("t/" + dir + "/part-0")
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Fatalf("%q: got %v, want %v", dir, got, want)
		}
	})
}

// FuzzGlob compares Glob over a flat directory with path.Match.
func FuzzGlob(f *testing.F) {
	for _, p := range []string{"a*", "?b", "[ab]*", `\*`, "ab"} {
		f.Add(p)
	}
	names := []string{"a", "ab", "abc", "b", "bb", "*", "x[y]"}
	f.Fuzz(func(t *testing.T, pattern string) {
		if strings.ContainsAny(pattern, "/{}") || pattern == "**" || pattern == "." || pattern == ".." {
			return
		}
		m := memfs.New(memfs.Options{})
		var want []string
		for _, n := range names {
			if err := fstest.WriteFile(t.Context(), m, n, ""); err != nil {
				t.Fatal(err)
			}
			if ok, err := path.Match(pattern, n); ok && err == nil {
				want = append(want, n)
			}
		}
		infos, err := fs.Glob(t.Context(), m, pattern)
		if err != nil {
			return
		}
		var got []string
		for _, info := range infos {
			got = append(got, info.Path)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: got %v, want %v", pattern, got, want)
		}
	})
}
