package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
)

func batch(t *testing.T, mem memory.Allocator, schema datatype.Schema, rows string) *stream.Batch {
	t.Helper()
	record, _, err := array.RecordFromJSON(mem, schema.Arrow(), strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	return stream.NewBatch(record)
}

func render(t *testing.T, o Options, edit func(*stream.Batch)) string {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	schema := datatype.Schema{{Name: "name", Type: datatype.Of(datatype.Varchar)}, {Name: "n", Type: datatype.Of(datatype.BigInt)}}
	b := batch(t, mem, schema, `[{"name": "x|y", "n": 1}, {"name": "\u001b[2Jé\n", "n": null}, {"name": "z", "n": 100}]`)
	defer b.Release()
	edit(b)
	none, err := formats.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p, err := New(&out, schema, none, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Batch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A value can never reach the terminal as a control sequence.
func TestTable(t *testing.T) {
	want := ` name   | n
--------+------
 x|y    |    1
 �[2Jé⏎ | NULL
 z      |  100
`
	if got := render(t, Options{}, func(*stream.Batch) {}); got != want {
		t.Errorf("got\n%s", got)
	}
}

// Plans keep their lines, and are no way to the terminal either.
func TestVerbatim(t *testing.T) {
	want := "x|y\n1\n�[2Jé\nNULL\nz\n100\n"
	if got := render(t, Options{Verbatim: true}, func(*stream.Batch) {}); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestChangelogAndSelection(t *testing.T) {
	want := ` op | name | n
----+------+-----
 +I | x|y  |   1
 -D | z    | 100
`
	got := render(t, Options{Changelog: true}, func(b *stream.Batch) {
		b.Sel, b.Kinds = []int32{0, 2}, []stream.RowKind{stream.Insert, stream.Insert, stream.Delete}
	})
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

// Every form says what rows do, not the table alone.
func TestChangelogAsMarkdown(t *testing.T) {
	want := "| op | name | n |\n|---|---|---:|\n| -U | x\\|y | 1 |\n"
	got := render(t, Options{Format: "md", Changelog: true}, func(b *stream.Batch) {
		b.Sel, b.Kinds = []int32{0}, []stream.RowKind{stream.UpdateBefore, stream.Insert, stream.Insert}
	})
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestMarkdown(t *testing.T) {
	want := "| name | n |\n|---|---:|\n| x\\|y | 1 |\n"
	if got := render(t, Options{Format: "md"}, func(b *stream.Batch) { b.Sel = []int32{0} }); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestUnknownFormat(t *testing.T) {
	none, _ := formats.NewRegistry()
	if _, err := New(nil, nil, none, Options{Format: "xml"}); err == nil || !strings.Contains(err.Error(), "table, csv") {
		t.Errorf("got %v", err)
	}
}

func TestLongCellsAreCut(t *testing.T) {
	if got := clean(strings.Repeat("ab", 100)); len([]rune(got)) != maxCell || !strings.HasSuffix(got, "…") {
		t.Errorf("%d runes: %s", len([]rune(got)), got)
	}
}

// What is printed as JSON is one document, however the rows arrive.
func TestArray(t *testing.T) {
	for _, c := range []struct {
		writes []string
		want   string
	}{
		{nil, "[]\n"},
		{[]string{"{\"a\":1}\n"}, "[\n{\"a\":1}\n]\n"},
		{[]string{"{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}\n"}, "[\n{\"a\":1},\n{\"a\":2},\n{\"a\":3}\n]\n"},
		{[]string{"{\"a\"", ":1}", "\n{}", "\n"}, "[\n{\"a\":1},\n{}\n]\n"},
	} {
		var out bytes.Buffer
		a := &jsonArray{out: &out}
		for _, w := range c.writes {
			if n, err := a.Write([]byte(w)); err != nil || n != len(w) {
				t.Fatalf("wrote %d: %v", n, err)
			}
		}
		if err := a.end(); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("%q: got %q", c.writes, out.String())
		}
	}
}
