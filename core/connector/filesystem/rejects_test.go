package filesystem

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/csv"
	"github.com/tidemill/tidemill/formats/json"
	"github.com/tidemill/tidemill/formats/parquet"
	"github.com/tidemill/tidemill/fs"
)

// A reader that is thrown away after any of its batches, and goes on from its snapshot, tells
// each record that is no row once, as it returns each row once.
func TestRejectsOnce(t *testing.T) {
	for name, lines := range map[string]struct{ good, bad string }{"csv": {"%d,a\n", "%d\n"}, "json": {"{\"n\":%d}\n", "{%d}\n"}} {
		w := newWorld(t)
		encodings, err := formats.NewRegistry(parquet.Format{}, csv.Format{}, json.Format{})
		if err != nil {
			t.Fatal(err)
		}
		w.c.formats = encodings
		w.table.Options = map[string]string{"connector": Name, "path": "mem://t", "format": name}
		w.table.Schema = datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt)}, {Name: "s", Type: datatype.Of(datatype.Varchar)}}
		w.table.Partitions = nil
		var text strings.Builder
		var want []string
		for i := range 60 {
			line, is := lines.good, "row"
			if i%7 == 0 || i > 20 && i < 35 || i > 55 {
				line, is = lines.bad, "bad"
			}
			fmt.Fprintf(&text, line, i)
			if is == "bad" {
				want = append(want, fmt.Sprintf("bad t/f.%s:%d", name, i+1))
			} else {
				want = append(want, fmt.Sprintf("row %d", i))
			}
		}
		if err := fs.WriteFile(t.Context(), w.faults, "t/f."+name, []byte(text.String()), fs.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, batch := range []int{1, 3, 4, 100} {
			for _, restarts := range []bool{false, true} {
				got := w.rejecting(batch, restarts)
				if have := strings.Join(sortedBy(got, want), "\n"); have != strings.Join(want, "\n") {
					t.Errorf("%s, batches of %d, restarts %v: got\n%s", name, batch, restarts, have)
				}
			}
		}
		d, err := w.c.Describe(t.Context(), w.table, nil)
		if err != nil || !d.Rejects {
			t.Errorf("%s tells no bad records: %v", name, err)
		}
		if _, err := w.readAll(connector.ReaderEnv{Alloc: w.mem, BatchRows: 4}, false, func(string) {}); failure.Of(err) != failure.BadData {
			t.Errorf("nobody takes them: %v", err)
		}
	}
}

// sortedBy is got in the order of want, for rows come behind what was rejected between them;
// what want does not have, or got has twice, comes last.
func sortedBy(got, want []string) (out []string) {
	left := map[string]int{}
	for _, g := range got {
		left[g]++
	}
	for _, w := range want {
		if left[w] > 0 {
			left[w]--
			out = append(out, w)
		}
	}
	for g, n := range left {
		for range n {
			out = append(out, "too often: "+g)
		}
	}
	return out
}

func (w *world) rejecting(batch int, restarts bool) (got []string) {
	w.t.Helper()
	env := connector.ReaderEnv{Alloc: w.mem, BatchRows: batch, Reject: func(r connector.Rejected) { got = append(got, "bad "+r.Place) }}
	_, err := w.readAll(env, restarts, func(row string) { got = append(got, "row "+row) })
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// readAll reads the table with one reader, or one for each batch.
func (w *world) readAll(env connector.ReaderEnv, restarts bool, row func(n string)) (polls int, err error) {
	w.t.Helper()
	s := connector.SourceSpec{Table: w.table, Columns: w.table.Schema, Parallelism: 1}
	if len(w.table.Schema) > 1 && w.table.Options["format"] == "json" {
		s.Columns = w.table.Schema[:1]
	}
	e, err := w.c.Enumerator(w.t.Context(), s, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer e.Close()
	var splits []connector.Split
	for {
		split, ok, err := e.Next(w.t.Context(), 0)
		if err != nil {
			w.t.Fatal(err)
		}
		if !ok {
			break
		}
		splits = append(splits, split)
	}
	for len(splits) > 0 {
		if splits, err = w.poll(s, env, splits, restarts, row); err != nil {
			return polls, err
		}
		polls++
	}
	return polls, nil
}

// poll reads splits, to their end or one batch of them, and returns what is left.
func (w *world) poll(s connector.SourceSpec, env connector.ReaderEnv, splits []connector.Split, one bool, row func(n string)) ([]connector.Split, error) {
	r, err := w.c.Reader(w.t.Context(), s, env)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for _, split := range splits {
		if err := r.Add(split); err != nil {
			return nil, err
		}
	}
	for {
		b, wait, err := r.Poll(w.t.Context())
		if err != nil || wait == connector.ForSplit {
			return nil, err
		}
		for i := range b.Len() {
			row(b.Column(0).ValueStr(i))
		}
		b.Release()
		if one {
			return r.Snapshot()
		}
	}
}
