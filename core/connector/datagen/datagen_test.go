package datagen

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

func schema(t testing.TB, columns ...string) datatype.Schema {
	t.Helper()
	var s datatype.Schema
	for _, c := range columns {
		name, kind, _ := strings.Cut(c, " ")
		parsed, err := datatype.Parse(kind)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, datatype.Field{Name: name, Type: parsed})
	}
	return s
}

func spec(t testing.TB, parallelism int, options map[string]string, columns ...string) connector.SourceSpec {
	options["connector"] = Name
	s := schema(t, columns...)
	return connector.SourceSpec{
		Table: connector.Table{Name: "g", Options: options, Schema: s}, Columns: s, Parallelism: parallelism,
	}
}

func open(t testing.TB, s connector.SourceSpec, subtask int, mem memory.Allocator, now func() time.Time) connector.Reader {
	t.Helper()
	r, err := Connector{}.Reader(t.Context(), s, connector.ReaderEnv{Subtask: subtask, Alloc: mem, BatchRows: 7, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drain reads until the reader asks for another split, or stops after limit
// batches, and returns each row as text.
func drain(t testing.TB, r connector.Reader, limit int) (rows []string) {
	t.Helper()
	for range limit {
		b, wait, err := r.Poll(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			if wait != connector.ForSplit {
				t.Fatalf("waits %v without a rate", wait)
			}
			return rows
		}
		for i := range b.PhysicalRows() {
			var row []string
			for _, c := range b.Record.Columns() {
				row = append(row, c.ValueStr(i))
			}
			rows = append(rows, strings.Join(row, " "))
		}
		b.Release()
	}
	return rows
}

// The rows of a table are the same at any parallelism, and after a restart in
// the middle: a checker can compute the result of a job in closed form.
func TestSameRowsAtAnyParallelismAndAfterRestart(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	columns := []string{
		"id BIGINT", "k INT", "d DOUBLE", "s STRING", "b BOOLEAN", "f FLOAT", "m DECIMAL(9, 2)", "t SMALLINT", "y TINYINT", "c CHAR(3)", "x BYTES",
	}
	var want []string
	for _, parallelism := range []int{1, 3} {
		options := map[string]string{
			"rows-per-second": "0", "number-of-rows": "100", "fields.id.kind": "sequence", "fields.id.start": "5",
			"fields.k.min": "1", "fields.k.max": "3", "fields.s.length": "20", "fields.s.var-len": "true", "fields.d.null-rate": "0.2",
		}
		s := spec(t, parallelism, options, columns...)
		e, err := Connector{}.Enumerator(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range parallelism {
			split, ok, err := e.Next(t.Context(), i)
			if err != nil || !ok {
				t.Fatalf("subtask %d: %v, %v", i, ok, err)
			}
			r := open(t, s, i, mem, time.Now)
			if err := r.Add(split); err != nil {
				t.Fatal(err)
			}
			got = append(got, drain(t, r, 2)...)
			left, err := r.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			r = open(t, s, i, mem, time.Now)
			for _, split := range left {
				if err := r.Add(split); err != nil {
					t.Fatal(err)
				}
			}
			got = append(got, drain(t, r, 1000)...)
			r.Close()
		}
		slices.Sort(got)
		if len(got) != 100 {
			t.Fatalf("parallelism %d: %d rows", parallelism, len(got))
		}
		if want != nil && !slices.Equal(got, want) {
			t.Fatalf("parallelism %d gives other rows", parallelism)
		}
		want = got
		if _, ok, _ := e.Next(t.Context(), 0); ok {
			t.Fatal("a split too many")
		}
	}
	for _, row := range want {
		if k := strings.Fields(row)[1]; k != "1" && k != "2" && k != "3" {
			t.Fatalf("k = %s is out of its bounds", k)
		}
	}
}

// A rate is a rate of all subtasks together, and a sleeping reader wakes up when
// the next row is due.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := spec(t, 2, map[string]string{"rows-per-second": "10", "fields.id.kind": "sequence"}, "id BIGINT")
		r := open(t, s, 0, memory.DefaultAllocator, time.Now)
		defer r.Close()
		e, err := Connector{}.Enumerator(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		split, _, _ := e.Next(t.Context(), 0)
		if err := r.Add(split); err != nil {
			t.Fatal(err)
		}
		start, rows := time.Now(), int64(0)
		for time.Since(start) < 10*time.Second {
			b, wait, err := r.Poll(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b != nil {
				ids := b.Column(0).(*array.Int64)
				if ids.Value(0) != rows*2 {
					t.Fatalf("row %d is %d", rows, ids.Value(0))
				}
				rows += int64(b.Len())
				b.Release()
				continue
			}
			if wait != connector.ForData {
				t.Fatalf("waits for %v", wait)
			}
			<-r.Ready()
		}
		if rows < 49 || rows > 51 {
			t.Errorf("one of two readers gave %d rows in 10 s at 10 rows/s", rows)
		}
	})
}

func TestRefusesBadOptions(t *testing.T) {
	for _, c := range []struct {
		options map[string]string
		columns string
		want    string
	}{
		{map[string]string{"rows-per-secnd": "1"}, "a INT", "did you mean 'rows-per-second'?"},
		{map[string]string{"rows-per-second": "many"}, "a INT", `"many" is not a whole number`},
		{map[string]string{"fields.a.kind": "serial"}, "a INT", "is not random or sequence"},
		{map[string]string{"fields.a.kind": "sequence"}, "a STRING", "a sequence must be an integer"},
		{map[string]string{"fields.a.min": "5", "fields.a.max": "4"}, "a INT", "from 5 to"},
		{map[string]string{"fields.a.min": "-129"}, "a TINYINT", "from -128 to 127"},
		{map[string]string{"fields.b.min": "1"}, "a INT", "unknown option 'fields.b.min'"},
		{map[string]string{"fields.a.null-rate": "0.5"}, "a INT NOT NULL", "is NOT NULL"},
		{map[string]string{}, "a ARRAY<INT>", "cannot generate ARRAY<INT>"},
	} {
		_, err := Connector{}.Describe(t.Context(), spec(t, 1, c.options, c.columns).Table, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || failure.Of(err) != failure.InvalidSQL {
			t.Errorf("%v %s: got %v, want %q", c.options, c.columns, err, c.want)
		}
	}
	if _, err := (Connector{}).Writer(t.Context(), connector.SinkSpec{}, connector.WriterEnv{}); err == nil {
		t.Error("datagen accepted a writer")
	}
}

func TestRestoreKeepsSplitsNotHandedOut(t *testing.T) {
	s := spec(t, 3, map[string]string{}, "a INT")
	e, err := Connector{}.Enumerator(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := e.Next(t.Context(), 0)
	data, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if e, err = (Connector{}).Enumerator(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	e.Return([]connector.Split{first})
	if got := fmt.Sprint(handedOut(t, e, 3)); got != "[0 mod 3 1 mod 3 2 mod 3]" {
		t.Errorf("got %s", got)
	}
}

// handedOut asks for splits until there are none, subtask by subtask.
func handedOut(t *testing.T, e connector.Enumerator, subtasks int) []string {
	t.Helper()
	var ids []string
	for i := range subtasks {
		for {
			split, ok, err := e.Next(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			ids = append(ids, split.ID)
		}
	}
	return ids
}

// A fast subtask that comes back before a slow one has asked gets nothing: with
// the slow one's rows its event time would jump back, and they would be late.
func TestSubtasksKeepToTheirClasses(t *testing.T) {
	s := spec(t, 3, map[string]string{}, "a INT")
	e, err := Connector{}.Enumerator(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if first, ok, err := e.Next(t.Context(), 1); err != nil || !ok || first.ID != "1 mod 3" {
		t.Fatalf("got %s, %t, %v", first.ID, ok, err)
	}
	if second, ok, err := e.Next(t.Context(), 1); err != nil || ok {
		t.Fatalf("got %s, %v as well", second.ID, err)
	}
	data, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s.Parallelism = 2 // rescaled: class 2 goes to subtask 0
	if e, err = (Connector{}).Enumerator(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(handedOut(t, e, 2)); got != "[0 mod 3 2 mod 3]" {
		t.Errorf("got %s", got)
	}
}

// Long texts come in batches of fewer rows: 32-bit offsets hold 2 GiB.
func TestLongTexts(t *testing.T) {
	s := spec(t, 1, map[string]string{"number-of-rows": "200", "rows-per-second": "0", "fields.s.length": "1048576"}, "s STRING", "n BIGINT")
	r, err := Connector{}.Reader(t.Context(), s, connector.ReaderEnv{Alloc: memory.DefaultAllocator, BatchRows: 8192, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Connector{}.Enumerator(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	split, _, err := e.Next(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add(split); err != nil {
		t.Fatal(err)
	}
	b, _, err := r.Poll(t.Context())
	if err != nil || b.Len() != 64 {
		t.Fatalf("%v rows, %v", b, err)
	}
	b.Release()
}

// A job goes on with another parallelism: each subtask has something to read, and every row
// is read once.
func TestClassesOfAnotherParallelism(t *testing.T) {
	for _, c := range []struct {
		before, after int
		want          string
	}{{1, 3, "[0 mod 4 2 mod 4 1 mod 2]"}, {3, 2, "[0 mod 3, 2 mod 3 1 mod 3]"}, {2, 2, "[0 mod 2 1 mod 2]"}} {
		e, err := Connector{}.Enumerator(t.Context(), spec(t, c.before, map[string]string{}, "a INT"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var back []connector.Split
		for i := range c.before {
			split, _, _ := e.Next(t.Context(), i)
			back = append(back, split)
		}
		data, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if e, err = (Connector{}).Enumerator(t.Context(), spec(t, c.after, map[string]string{}, "a INT"), data); err != nil {
			t.Fatal(err)
		}
		e.Return(back)
		if got := fmt.Sprint(handedOut(t, e, c.after)); got != c.want {
			t.Errorf("from %d to %d: %s, want %s", c.before, c.after, got, c.want)
		}
	}
}

// A subtask that has several classes without an end, as after the job went on with fewer
// subtasks, reads all of them.
func TestEndlessClassesTakeTurns(t *testing.T) {
	options := map[string]string{"rows-per-second": "100", "fields.n.kind": "sequence"}
	now := time.Unix(0, 0)
	r := open(t, spec(t, 1, options, "n BIGINT"), 0, memory.DefaultAllocator, func() time.Time { return now })
	for first := range int64(2) {
		split, err := class{First: first, Step: 2}.split()
		if err == nil {
			err = r.Add(split)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(100 * time.Millisecond)
	seen := map[int64]int{}
	for {
		b, wait, err := r.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			if wait != connector.ForData {
				t.Errorf("waits %v", wait)
			}
			break
		}
		for _, n := range b.Column(0).(*array.Int64).Int64Values() {
			seen[n%2]++
		}
		b.Release()
	}
	if seen[0] != 5 || seen[1] != 5 {
		t.Errorf("rows by class: %v", seen)
	}
}

// With fewer subtasks than before the one that gets several classes has them at once, also
// where none of them ends, and hands their rows out in their order: none is late, although
// the classes had come to different rows.
func TestRowsOfSeveralClassesComeInOrder(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, options := range []map[string]string{
		{"rows-per-second": "0", "number-of-rows": "1000", "fields.a.kind": "sequence"},
		{"rows-per-second": "0", "fields.a.kind": "sequence"},
	} {
		s := spec(t, 3, options, "a BIGINT")
		e, err := Connector{}.Enumerator(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		var rows []int64
		var back []connector.Split
		for i := range 3 {
			split, _, _ := e.Next(t.Context(), i)
			r := open(t, s, i, mem, time.Now)
			if err := r.Add(split); err != nil {
				t.Fatal(err)
			}
			for range 10 * i { // the first one has not begun, the last one is far ahead
				rows = append(rows, values(t, r)...)
			}
			left, err := r.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			back = append(back, left...)
			r.Close()
		}
		e.Return(back)
		data, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if e, err = (Connector{}).Enumerator(t.Context(), spec(t, 1, options, "a BIGINT"), data); err != nil {
			t.Fatal(err)
		}
		split, _, err := e.Next(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, s, 0, mem, time.Now)
		if err := r.Add(split); err != nil {
			t.Fatal(err)
		}
		before := int64(-1)
		for len(rows) < 1000 {
			batch := values(t, r)
			if len(batch) == 0 || len(batch) > 7 || slices.Min(batch) <= before {
				t.Fatalf("after row %d: rows %v", before, batch)
			}
			before, rows = slices.Max(batch), append(rows, batch...)
		}
		r.Close()
		slices.Sort(rows)
		for i, row := range rows[:400] { // of an endless table the classes differ at the end
			if row != int64(i) {
				t.Fatalf("row %d is %d", i, row)
			}
		}
	}
}

// values are those of the next batch's only column.
func values(t *testing.T, r connector.Reader) []int64 {
	t.Helper()
	b, _, err := r.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	return slices.Clone(b.Column(0).(*array.Int64).Int64Values())
}

func TestRefusesDamagedSplits(t *testing.T) {
	for _, data := range []string{"", "[]", "{", `{"First": -1, "Step": 1}`, `[{"First": 0, "Step": 2}, {"First": 0}]`} {
		r := open(t, spec(t, 1, map[string]string{}, "a BIGINT"), 0, memory.DefaultAllocator, time.Now)
		if err := r.Add(connector.Split{ID: "x", Data: []byte(data)}); failure.Of(err) != failure.Fatal {
			t.Errorf("%q: %v", data, err)
		}
		r.Close()
	}
}
