package filesystem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/parquet"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// world is a connector over one table on a file system in memory whose calls can
// be made to fail.
type world struct {
	t      *testing.T
	mem    *memory.CheckedAllocator
	faults *faultfs.FileSystem
	c      *Connector
	table  connector.Table

	filters []predicate.RowFilter // of those who read
}

func newWorld(t *testing.T) *world {
	faults := faultfs.New(memfs.New(memfs.Options{}))
	registry := fs.NewRegistry()
	if err := registry.Register("mem", faults); err != nil {
		t.Fatal(err)
	}
	encodings, err := formats.NewRegistry(parquet.Format{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, mem: memory.NewCheckedAllocator(memory.NewGoAllocator()), faults: faults, c: New(registry, encodings)}
	t.Cleanup(func() { w.mem.AssertSize(t, 0) })
	w.table = connector.Table{
		Name:    "t",
		Options: map[string]string{"connector": Name, "path": "mem://t", "format": "parquet"},
		Schema: datatype.Schema{
			{Name: "n", Type: datatype.Of(datatype.BigInt)},
			{Name: "day", Type: datatype.Of(datatype.Date)},
			{Name: "place", Type: datatype.Of(datatype.Varchar)},
		},
		Partitions: []string{"day", "place"},
	}
	return w
}

func (w *world) sink(overwrite bool) connector.SinkSpec {
	return connector.SinkSpec{Job: id.NewJob(), Table: w.table, Columns: w.table.Schema, Overwrite: overwrite, Bounded: true}
}

// stage writes rows and returns what is ready to publish.
func (w *world) stage(s connector.SinkSpec, rows string) []connector.Committable {
	w.t.Helper()
	writer, err := w.c.Writer(w.t.Context(), s, connector.WriterEnv{Alloc: w.mem})
	if err != nil {
		w.t.Fatal(err)
	}
	defer writer.Close()
	record, _, err := array.RecordFromJSON(w.mem, s.Columns.Arrow(), strings.NewReader(rows))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := writer.Write(w.t.Context(), stream.NewBatch(record)); err != nil {
		w.t.Fatal(err)
	}
	c, err := writer.Prepare(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func filesOf(t *testing.T, committables []connector.Committable) []staged {
	t.Helper()
	files, _, err := apart(committables)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (w *world) commit(s connector.SinkSpec, c []connector.Committable) error {
	committer, err := w.c.Committer(w.t.Context(), s)
	if err != nil {
		return err
	}
	defer committer.Close()
	return committer.Commit(w.t.Context(), 0, c, true)
}

func (w *world) abort(s connector.SinkSpec, c []connector.Committable) {
	w.t.Helper()
	committer, err := w.c.Committer(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := committer.Abort(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// read returns every row as text, sorted.
func (w *world) read(pred *predicate.Predicate, batchRows int) []string {
	w.t.Helper()
	s := connector.SourceSpec{Table: w.table, Columns: w.table.Schema, Predicate: pred, Parallelism: 1}
	e, err := w.c.Enumerator(w.t.Context(), s, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := w.c.Reader(w.t.Context(), s, connector.ReaderEnv{Alloc: w.mem, BatchRows: batchRows, Filters: w.filters})
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	var rows []string
	given := uint64(0)
	for {
		b, wait, err := r.Poll(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if b == nil && wait == connector.ForSplit {
			split, more, err := e.Next(w.t.Context(), 0)
			if err != nil {
				w.t.Fatal(err)
			}
			if !more {
				break
			}
			given++
			if err := r.Add(split); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		rows = append(rows, texts(b, s.Columns)...)
		b.Release()
	}
	if total, _ := e.(interface{ Total() (uint64, int64) }).Total(); total != given {
		w.t.Errorf("%d splits in all, %d were handed out", total, given)
	}
	slices.Sort(rows)
	return rows
}

func texts(b *stream.Batch, schema datatype.Schema) (rows []string) {
	for i := range b.PhysicalRows() {
		var row []string
		for k, f := range schema {
			row = append(row, string(datatype.AppendText(nil, b.Column(k), i, f.Type, nil)))
		}
		rows = append(rows, strings.Join(row, " "))
	}
	return rows
}

func (w *world) visible() (paths []string) {
	w.t.Helper()
	err := w.faults.List(context.Background(), "t", fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		paths = append(paths, i.Path)
		return nil
	})
	if err != nil && failure.Of(err) != failure.NotFound {
		w.t.Fatal(err)
	}
	return paths
}

const (
	first  = `[{"n": 1, "day": "2026-01-01", "place": "a/b"}, {"n": 2, "day": "2026-01-02", "place": null}, {"n": 3, "day": "2026-01-01", "place": "a/b"}]`
	second = `[{"n": 4, "day": "2026-01-02", "place": null}, {"n": 5, "day": "2026-01-03", "place": "x"}]`
)

// What is written is read back: partition values with characters that paths
// cannot hold, and nulls.
func TestPartitionsRoundTrip(t *testing.T) {
	w := newWorld(t)
	s := w.sink(false)
	staged := w.stage(s, first)
	if got := w.visible(); len(got) != 0 {
		t.Fatalf("visible before the commit: %v", got)
	}
	if err := w.commit(s, staged); err != nil {
		t.Fatal(err)
	}
	want := []string{"1 2026-01-01 a/b", "2 2026-01-02 NULL", "3 2026-01-01 a/b"}
	for _, batchRows := range []int{1, 8192} {
		if got := w.read(nil, batchRows); !slices.Equal(got, want) {
			t.Errorf("batches of %d: got %q", batchRows, got)
		}
	}
	if got := w.visible(); !slices.ContainsFunc(got, func(p string) bool { return strings.HasSuffix(p, "/_SUCCESS") }) {
		t.Errorf("no manifest: %v", got)
	}
}

// INSERT adds, OVERWRITE replaces just the partitions that got rows, and running
// it again changes nothing.
func TestOverwriteReplacesPartitionsWithRows(t *testing.T) {
	w := newWorld(t)
	for i, overwrite := range []bool{false, true, true} {
		s := w.sink(overwrite)
		rows := second
		if i == 0 {
			rows = first
		}
		if err := w.commit(s, w.stage(s, rows)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"1 2026-01-01 a/b", "3 2026-01-01 a/b", "4 2026-01-02 NULL", "5 2026-01-03 x"}
	if got := w.read(nil, 8192); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestStaticPartition(t *testing.T) {
	w := newWorld(t)
	s := w.sink(true)
	s.Columns = slices.Clone(w.table.Schema)[:1]
	s.Columns = append(s.Columns, w.table.Schema[2])
	s.StaticPartition = map[string]string{"day": "2026-05-05"}
	if err := w.commit(s, w.stage(s, `[{"n": 9, "place": "z"}]`)); err != nil {
		t.Fatal(err)
	}
	if got := w.read(nil, 8192); !slices.Equal(got, []string{"9 2026-05-05 z"}) {
		t.Errorf("got %q", got)
	}
}

// After a failure at any call of a publication the same can be tried again;
// aborted, it leaves the old rows, whole.
func TestFailedPublication(t *testing.T) {
	before := []string{"1 2026-01-01 a/b", "2 2026-01-02 NULL", "3 2026-01-01 a/b"}
	after := []string{"1 2026-01-01 a/b", "3 2026-01-01 a/b", "4 2026-01-02 NULL", "5 2026-01-03 x"}
	for _, op := range []faultfs.Op{faultfs.Rename, faultfs.Publish} {
		for i := range 4 {
			skip, again := i/2, i%2 == 1
			t.Run(fmt.Sprintf("%v after %d/%v", op, skip, again), func(t *testing.T) {
				w := newWorld(t)
				s := w.sink(false)
				if err := w.commit(s, w.stage(s, first)); err != nil {
					t.Fatal(err)
				}
				s = w.sink(true)
				staged := w.stage(s, second)
				w.faults.Inject(faultfs.Rule{Op: op, Skip: skip, Times: 1, Err: fmt.Errorf("the disk is gone")})
				err := w.commit(s, staged)
				if w.faults.Count(op) <= skip {
					if err != nil {
						t.Fatal(err)
					}
					return // the publication makes fewer such calls
				}
				if err == nil || !strings.Contains(err.Error(), "the disk is gone") {
					t.Fatalf("got %v", err)
				}
				w.faults.Heal()
				if again {
					if err := w.commit(s, staged); err != nil {
						t.Fatal(err)
					}
				} else {
					w.abort(s, staged)
					if got := w.read(nil, 8192); !slices.Equal(got, before) {
						t.Fatalf("after the failure: %q", got)
					}
					s = w.sink(true)
					if err := w.commit(s, w.stage(s, second)); err != nil {
						t.Fatal(err)
					}
				}
				if got := w.read(nil, 8192); !slices.Equal(got, after) {
					t.Errorf("after another try: %q", got)
				}
			})
		}
	}
}

// The same committables may come again: after a crash nobody knows whether they
// were published.
func TestCommitIsIdempotent(t *testing.T) {
	w := newWorld(t)
	s := w.sink(true)
	staged := w.stage(s, first)
	for range 2 {
		if err := w.commit(s, staged); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.read(nil, 8192); len(got) != 3 {
		t.Errorf("got %q", got)
	}
}

// A job that was killed while it published leaves a journal; whoever writes to
// the table next finishes it first.
func TestInterruptedPublicationIsFinishedByTheNextJob(t *testing.T) {
	w := newWorld(t)
	s := w.sink(false)
	if err := w.commit(s, w.stage(s, first)); err != nil {
		t.Fatal(err)
	}
	killed := w.sink(true)
	loc, err := w.c.sinkLocation(killed)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCommitter(t.Context(), loc, killed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.plan(t.Context(), filesOf(t, w.stage(killed, second))); err != nil { // and no further
		t.Fatal(err)
	}
	next := w.sink(false)
	if err := w.commit(next, w.stage(next, `[{"n": 6, "day": "2026-01-04", "place": "x"}]`)); err != nil {
		t.Fatal(err)
	}
	want := []string{"1 2026-01-01 a/b", "3 2026-01-01 a/b", "4 2026-01-02 NULL", "5 2026-01-03 x", "6 2026-01-04 x"}
	if got := w.read(nil, 8192); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// A job that died while it wrote its journal or manifest leaves what it had staged of
// them; its own end, when it runs again, or the next job's removes it. The journals of
// other jobs stay: a burst of jobs into one table failed when each swept those of all.
func TestSweepOfJournals(t *testing.T) {
	w := newWorld(t)
	ours, theirs := w.sink(true), w.sink(false)
	for _, name := range []string{
		journalPrefix + overwriteName + journalSuffix, successFile,
		journalPrefix + ours.Job.String() + journalSuffix, journalPrefix + theirs.Job.String() + journalSuffix,
	} {
		if err := fs.WriteFile(t.Context(), w.faults, "t/"+fs.StagedName(name), []byte("{"), fs.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := w.c.Committer(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(connector.Sweeper).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = w.faults.List(t.Context(), "t", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		left = append(left, i.Name())
		return nil
	})
	if err != nil || len(left) != 1 || !strings.Contains(left[0], theirs.Job.String()) {
		t.Errorf("%q are left, %v", left, err)
	}
}

// Two jobs that overwrite one table at the same time, as a job does that was repeated
// while a new leader had it run again: wherever the first one is when the second one
// publishes, the table holds the rows of one of them.
func TestOverwritesAreOneAfterTheOther(t *testing.T) {
	committerOf := func(w *world, s connector.SinkSpec) *committer {
		loc, err := w.c.sinkLocation(s)
		if err != nil {
			t.Fatal(err)
		}
		c, err := newCommitter(t.Context(), loc, s)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	steps := map[string]func(w *world, one, other *committer, staged []connector.Committable){
		"before its journal": func(*world, *committer, *committer, []connector.Committable) {},
		"with its journal": func(_ *world, one, _ *committer, staged []connector.Committable) {
			if _, err := one.plan(t.Context(), filesOf(t, staged)); err != nil {
				t.Fatal(err)
			}
		},
		"half published": func(_ *world, one, _ *committer, staged []connector.Committable) {
			j, err := one.plan(t.Context(), filesOf(t, staged))
			if err != nil {
				t.Fatal(err)
			}
			j.New = j.New[:1]
			if err := one.exchange(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		},
		"published": func(_ *world, one, _ *committer, staged []connector.Committable) {
			if err := one.Commit(t.Context(), 0, staged, true); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.sink(true)
			if err := w.commit(s, w.stage(s, first)); err != nil {
				t.Fatal(err)
			}
			a, b := w.sink(true), w.sink(true)
			stagedA, stagedB := w.stage(a, first), w.stage(b, first)
			one, other := committerOf(w, a), committerOf(w, b) // both are there before either begins
			step(w, one, other, stagedA)
			if err := other.Commit(t.Context(), 0, stagedB, true); err != nil {
				t.Fatal(err)
			}
			err := one.Commit(t.Context(), 0, stagedA, true)
			if err != nil && failure.Of(err) != failure.Conflict {
				t.Error(err)
			}
			if err != nil {
				if err := one.Abort(t.Context(), stagedA); err != nil {
					t.Error(err)
				}
			}
			if got := w.read(nil, 8192); len(got) != 3 {
				t.Errorf("the first ended with %v, the table holds %q", err, got)
			}
			left := 0
			if err := w.faults.List(t.Context(), "t", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
				if strings.Contains(i.Path, fs.StagedPrefix) || strings.Contains(i.Path, journalPrefix) {
					left++
				}
				return nil
			}); err != nil || left != 0 {
				t.Errorf("%d files are left, %v", left, err)
			}
		})
	}
}

func TestDamagedJournalIsAConflict(t *testing.T) {
	w := newWorld(t)
	path := "t/" + journalPrefix + id.NewJob().String() + journalSuffix
	if err := fs.WriteFile(t.Context(), w.faults, path, []byte("{"), fs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := w.c.Committer(t.Context(), w.sink(false))
	if failure.Of(err) != failure.Conflict || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestAbandonedWriterLeavesNothing(t *testing.T) {
	w := newWorld(t)
	writer, err := w.c.Writer(t.Context(), w.sink(false), connector.WriterEnv{Alloc: w.mem})
	if err != nil {
		t.Fatal(err)
	}
	record, _, err := array.RecordFromJSON(w.mem, w.table.Schema.Arrow(), strings.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Write(t.Context(), stream.NewBatch(record)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	staged := 0
	_ = w.faults.List(t.Context(), "t", fs.ListOptions{Recursive: true, Staged: true}, func(fs.Info) error { staged++; return nil })
	if staged != 0 {
		t.Errorf("%d staged files left", staged)
	}
}

// A master that takes over publishes again what its predecessor has published, and what
// other jobs have added since stays.
func TestAnOverwriteIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	over, more := w.sink(true), w.sink(false)
	staged, added := w.stage(over, first), w.stage(more, first)
	for _, err := range []error{w.commit(over, staged), w.commit(more, added), w.commit(over, staged)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := w.read(nil, 8192); len(got) != 6 {
		t.Errorf("got %q", got)
	}
}

// What was staged by a worker that is gone with its names is found at the job's end; what
// other jobs stage stays.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	ours, theirs := w.sink(false), w.sink(false)
	w.stage(ours, first)
	kept := w.stage(theirs, first)
	published := w.stage(ours, first)
	if err := w.commit(ours, published); err != nil {
		t.Fatal(err)
	}
	before := w.visible()
	committer, err := w.c.Committer(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := committer.(connector.Sweeper).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	staged := 0
	_ = w.faults.List(t.Context(), "t", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		if fs.Staged(i.Name()) {
			staged++
		}
		return nil
	})
	if staged != len(kept) || !slices.Equal(w.visible(), before) {
		t.Errorf("%d staged files of %d left, visible %v, before %v", staged, len(kept), w.visible(), before)
	}
	if err := w.commit(theirs, kept); err != nil {
		t.Error(err)
	}
}

func TestPruning(t *testing.T) {
	w := newWorld(t)
	s := w.sink(false)
	if err := w.commit(s, w.stage(s, first)); err != nil {
		t.Fatal(err)
	}
	pred := predicate.Compare(predicate.Eq, "day", int64(20454)) // 2026-01-01
	d, err := w.c.Describe(t.Context(), w.table, &pred)
	if err != nil {
		t.Fatal(err)
	}
	if d.TotalPartitions != 2 || d.MatchPartitions != 1 || d.Rows != 2 || !d.Bounded {
		t.Errorf("got %+v", d)
	}
	if got := w.read(&pred, 8192); len(got) != 2 {
		t.Errorf("read %q", got)
	}
}

// A table without declared columns takes them from its files and directories.
func TestInfersSchema(t *testing.T) {
	w := newWorld(t)
	s := w.sink(false)
	if err := w.commit(s, w.stage(s, first)); err != nil {
		t.Fatal(err)
	}
	w.table.Schema, w.table.Partitions = nil, nil
	d, err := w.c.Describe(t.Context(), w.table, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Schema.String(); got != "n BIGINT, `day` DATE, place STRING" && got != "n BIGINT, day DATE, place STRING" {
		t.Errorf("schema %s", got)
	}
	if !slices.Equal(d.Partitions, []string{"day", "place"}) {
		t.Errorf("partitions %v", d.Partitions)
	}
}

// A restart goes on after the rows that were handed out, not before and not
// later, wherever it was interrupted.
func TestReaderRestartsAnywhere(t *testing.T) {
	w := newWorld(t)
	s := w.sink(false)
	if err := w.commit(s, w.stage(s, first)); err != nil {
		t.Fatal(err)
	}
	want := w.read(nil, 1)
	spec := connector.SourceSpec{Table: w.table, Columns: w.table.Schema, Parallelism: 1}
	for stop := range len(want) + 1 {
		e, err := w.c.Enumerator(t.Context(), spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		var splits []connector.Split
		for {
			split, more, err := e.Next(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			splits = append(splits, split)
		}
		var got []string
		for _, limit := range []int{stop, 1000} {
			r, err := w.c.Reader(t.Context(), spec, connector.ReaderEnv{Alloc: w.mem, BatchRows: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, split := range splits {
				if err := r.Add(split); err != nil {
					t.Fatal(err)
				}
			}
			for range limit {
				b, _, err := r.Poll(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if b == nil {
					break
				}
				got = append(got, texts(b, spec.Columns)...)
				b.Release()
			}
			if splits, err = r.Snapshot(); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("stopped after %d rows: %q", stop, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		key, value, want string
		class            failure.Class
	}{
		{"pth", "x", "did you mean 'path'?", failure.InvalidSQL},
		{"path", "", "option 'path' is missing", failure.InvalidSQL},
		{"path", "ftp://x", "unknown file system scheme", failure.InvalidSQL},
		{"format", "xls", "option 'format'", failure.InvalidSQL},
		{"sink.rolling-policy.file-size", "big", "is not a size", failure.InvalidSQL},
		{"source.allow-missing-columns", "maybe", "is not true or false", failure.InvalidSQL},
	} {
		table := w.table
		table.Options = map[string]string{"connector": Name, "path": "mem://t", "format": "parquet"}
		table.Options[c.key] = c.value
		_, err := w.c.Describe(t.Context(), table, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || failure.Of(err) != c.class {
			t.Errorf("%s = %q: got %v, class %v", c.key, c.value, err, failure.Of(err))
		}
	}
	w.table.Schema = nil
	if _, err := w.c.Describe(t.Context(), w.table, nil); failure.Of(err) != failure.NotFound {
		t.Errorf("a missing directory: got %v", err)
	}
}

func TestFailingCallsAreErrors(t *testing.T) {
	for _, op := range []faultfs.Op{faultfs.List, faultfs.Open, faultfs.Read} {
		w := newWorld(t)
		s := w.sink(false)
		if err := w.commit(s, w.stage(s, first)); err != nil {
			t.Fatal(err)
		}
		w.faults.Inject(faultfs.Rule{Op: op, Err: fmt.Errorf("network down")})
		spec := connector.SourceSpec{Table: w.table, Columns: w.table.Schema, Parallelism: 1}
		e, err := w.c.Enumerator(t.Context(), spec, nil)
		if err == nil {
			_, _, err = e.Next(t.Context(), 0)
		}
		if err == nil || !strings.Contains(err.Error(), "network down") {
			t.Errorf("%v: got %v", op, err)
		}
	}
}
