package process

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
	"github.com/tidemill/tidemill/shuffle/partition"
)

const (
	deadLife   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	livingLife = "ZYXWVUTSRQPONMLKJIHGFEDCBA"
)

func put(t *testing.T, files fs.FileSystem, path string) {
	t.Helper()
	w, err := files.Create(t.Context(), path, fs.CreateOptions{})
	if err == nil {
		err = w.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func listed(t *testing.T, files fs.FileSystem) (paths []string) {
	t.Helper()
	err := files.List(context.Background(), "", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		paths = append(paths, i.Path)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return paths
}

// A shuffle server that was killed leaves objects in the remote tier. The next one in its
// directory removes them, and nothing that belongs to another one; and nothing is left of its
// own when it ends.
func TestRemoteTierOfAnEarlierLife(t *testing.T) {
	p := newPlace(t)
	m := p.master()
	defer end(t, m)
	o := p.options(security.Shuffle, "shuffle", m.Address().Address)
	files := memfs.New(memfs.Options{})
	if err := o.FileSystems.Register("mem", files); err != nil {
		t.Fatal(err)
	}
	var err error
	if o.Config, err = o.Config.With(config.RemoteDir.Key(), "mem://exchanges", "test"); err != nil {
		t.Fatal(err)
	}
	dead, living := "exchanges/"+deadLife+"/00000001/00000001.tms", "exchanges/"+livingLife+"/00000001/00000001.tms"
	put(t, files, dead)
	put(t, files, living)
	rest := deadLife + " mem://exchanges\n"
	name := filepath.Join(o.DataDir, livesFile)
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(sumOfLives(rest)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := StartShuffle(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil || !strings.Contains(string(text), " mem://exchanges\n") {
		t.Errorf("%q, %v", text, err)
	}
	end(t, s)
	if _, err := os.Stat(name); err == nil {
		// It ended before it had swept: the next one does.
		if text, err = os.ReadFile(name); err != nil || !strings.HasSuffix(string(text), "\n"+rest) {
			t.Errorf("%q, %v", text, err)
		}
	} else if have := listed(t, files); !slices.Equal(have, []string{living}) {
		t.Errorf("left: %v", have)
	}
	if o.Config, err = o.Config.With(config.RemoteDir.Key(), "nowhere://x", "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := StartShuffle(t.Context(), o); failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), config.RemoteDir.Key()) {
		t.Errorf("%v", err)
	}
}

// What cannot be removed is tried again, and forgotten only then.
func TestSweepTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := openDirectory(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.close() }()
		stored := memfs.New(memfs.Options{})
		faults := faultfs.New(stored)
		registry := fs.NewRegistry()
		if err := registry.Register("mem", faults); err != nil {
			t.Fatal(err)
		}
		l, err := readLives(d, registry, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range []oneLife{{deadLife, "mem://a b"}, {livingLife, "gone://x"}} {
			if err := l.add(one); err != nil {
				t.Fatal(err)
			}
		}
		put(t, stored, "a b/"+deadLife+"/1/1.tms")
		faults.Inject(faultfs.Rule{Op: faultfs.RemoveAll, Times: 3, Err: errors.New("not now")})
		if l, err = readLives(d, registry, l.log); err != nil || len(l.all) != 2 {
			t.Fatalf("%v, %v", l, err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		l.sweep(ctx, slices.Clone(l.all))
		if left := listed(t, stored); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if l, err = readLives(d, registry, l.log); err != nil || len(l.all) != 1 || l.all[0].name != livingLife {
			t.Errorf("a directory whose file system is not known any more is kept in mind: %v, %v", l.all, err)
		}
	})
}

// A file that is damaged names nothing that may be removed.
func TestDamagedLives(t *testing.T) {
	good := deadLife + " mem://x\n"
	for _, text := range []string{
		"", "1\n", "1 00000000\n" + good, sumOfLives(good) + "\n" + good[1:], sumOfLives("X mem://x\n") + "\nX mem://x\n",
		sumOfLives(deadLife+"\n") + "\n" + deadLife + "\n", "2" + sumOfLives(good)[1:] + "\n" + good,
	} {
		if all, err := parseLives(text); failure.Of(err) != failure.BadData || len(all) > 0 {
			t.Errorf("%q: %v, %v", text, all, err)
		}
	}
	if all, err := parseLives(sumOfLives(good) + "\n" + good); err != nil || len(all) != 1 || all[0] != (oneLife{deadLife, "mem://x"}) {
		t.Errorf("%v, %v", all, err)
	}
}

// A shuffle server whose disk is full names its directory to who writes, and tells the
// masters until it has room again.
func TestFullDiskIsTold(t *testing.T) {
	p := newPlace(t)
	m := p.master()
	defer end(t, m)
	o := p.options(security.Shuffle, "shuffle", m.Address().Address)
	var err error
	if o.Config, err = o.Config.With(config.SpillLimit.Key(), "100", "test"); err != nil {
		t.Fatal(err)
	}
	s, err := StartShuffle(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer end(t, s)
	if q := s.heartbeat(); q.GetFull() != "" {
		t.Errorf("full from the start: %v", q)
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	kept := partition.New(s.store.tier, memory.DefaultAllocator, schema, 1, 1) // of no job, or the master would have it dropped
	defer func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	}()
	for err = kept.Begin(0, 0); err == nil; {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		b.AppendValues(make([]int64, 1<<20), nil)
		column := b.NewArray()
		err = kept.Append(t.Context(), 0, 0, 0, stream.NewBatch(array.NewRecordBatch(schema, []arrow.Array{column}, 1<<20)))
		column.Release()
		b.Release()
	}
	dir := filepath.Join(o.DataDir, "shuffle")
	tries := 10
	if !strings.Contains(err.Error(), dir) || !strings.Contains(s.heartbeat().GetFull(), dir) {
		t.Errorf("%v; %v", err, s.heartbeat())
	}
	// A heartbeat of its own that was on its way before may come in between.
	var r *rpc.NodesReply
	for told := false; !told; {
		if _, err := s.network.Master().Heartbeat(t.Context(), s.heartbeat()); err != nil {
			t.Fatal(err)
		}
		if r, err = m.Client().Nodes(t.Context(), &rpc.NodesRequest{}); err != nil {
			t.Fatal(err)
		}
		told = slices.ContainsFunc(r.GetNodes(), func(n *rpc.Node) bool { return strings.Contains(n.GetFull(), dir) })
		if tries--; tries == 0 && !told {
			t.Fatalf("%v", r)
		}
	}
}
