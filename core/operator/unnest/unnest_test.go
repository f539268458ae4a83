package unnest_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/unnest"
	"github.com/tidemill/tidemill/core/stream"
)

func table(schema string, rows ...[]any) operatortest.Table {
	t := operatortest.Table{Schema: operatortest.ParseSchema(schema)}
	for _, r := range rows {
		t.Steps = append(t.Steps, operatortest.Step{Row: r})
	}
	return t
}

type list = []any

func numbers() operatortest.Table {
	return table("id BIGINT NOT NULL, s STRING, a ARRAY<INT>",
		list{int64(1), "x", list{int64(10), int64(11), nil}},
		list{int64(2), "y", list{}},
		list{int64(3), nil, nil},
		list{int64(4), "z", list{int64(12), int64(13), int64(14), int64(15), int64(16), int64(17)}},
		list{int64(5), "x", list{nil}},
	)
}

// twin unnests column 2, of which fields gives the columns of an element.
func twin(spec *jobgraph.Unnest, fields func(element any) []any) func(in [][][]any) [][]any {
	return func(in [][][]any) (out [][]any) {
		for _, row := range in[0] {
			elements, _ := row[spec.Column].([]any)
			var made [][]any
			for _, e := range elements {
				made = append(made, fields(e))
			}
			if len(made) == 0 && spec.Outer {
				made = [][]any{nil}
			}
			for i, m := range made {
				var r []any
				for _, c := range spec.Keep {
					r = append(r, row[c])
				}
				for _, f := range spec.Fields {
					if m == nil {
						r = append(r, nil)
						continue
					}
					r = append(r, m[f])
				}
				if spec.Ordinality {
					r = append(r, int64(i+1))
					if m == nil {
						r[len(r)-1] = nil
					}
				}
				out = append(out, r)
			}
		}
		return out
	}
}

func scalar(e any) []any { return []any{e} }

func fieldsOf(e any) []any {
	if e == nil {
		return []any{nil, nil}
	}
	return e.([]any)
}

func TestUnnest(t *testing.T) {
	rows := table("id BIGINT NOT NULL, s STRING, a ARRAY<ROW<x INT, y STRING>>",
		list{int64(1), "x", list{list{int64(1), "a"}, nil, list{nil, "b"}}},
		list{int64(2), "y", list{}},
		list{int64(3), "z", nil},
		list{int64(4), "w", list{list{int64(2), nil}}},
	)
	pairs := table("id BIGINT NOT NULL, s ARRAY<STRING>, a MAP<STRING, INT>",
		list{int64(1), list{"p", "q"}, list{"a", int64(1)}},
		list{int64(2), nil, list{}},
		list{int64(3), list{}, nil},
		list{int64(4), list{"r"}, list{"b", nil}},
	)
	entry := func(in [][][]any) [][][]any { // of maps: one list of entries
		out := [][][]any{nil}
		for _, row := range in[0] {
			r := append([]any(nil), row...)
			if m, ok := r[2].([]any); ok && len(m) > 0 {
				r[2] = list{m}
			}
			out[0] = append(out[0], r)
		}
		return out
	}
	all := []uint32{0, 1}
	for _, c := range []struct {
		name   string
		in     operatortest.Table
		spec   *jobgraph.Unnest
		out    string
		fields func(any) []any
		maps   bool
	}{
		{"inner", numbers(), &jobgraph.Unnest{Column: 2, Keep: all, Fields: []uint32{0}}, "id BIGINT NOT NULL, s STRING, x INT", scalar, false},
		{"outer", numbers(), &jobgraph.Unnest{Column: 2, Keep: all, Fields: []uint32{0}, Outer: true}, "id BIGINT NOT NULL, s STRING, x INT", scalar, false},
		{"ordinality", numbers(), &jobgraph.Unnest{Column: 2, Keep: []uint32{0}, Fields: []uint32{0}, Ordinality: true}, "id BIGINT NOT NULL, x INT, o INT NOT NULL", scalar, false},
		{"outer ordinality alone", numbers(), &jobgraph.Unnest{Column: 2, Ordinality: true, Outer: true}, "o INT", scalar, false},
		{"beside itself", numbers(), &jobgraph.Unnest{Column: 2, Keep: []uint32{2, 0}, Fields: []uint32{0}}, "a ARRAY<INT>, id BIGINT NOT NULL, x INT", scalar, false},
		{"rows", rows, &jobgraph.Unnest{Column: 2, Keep: all, Fields: []uint32{1, 0}}, "id BIGINT NOT NULL, s STRING, y STRING, x INT", fieldsOf, false},
		{"rows, outer", rows, &jobgraph.Unnest{Column: 2, Keep: all, Fields: []uint32{0}, Outer: true, Ordinality: true}, "id BIGINT NOT NULL, s STRING, x INT, o INT", fieldsOf, false},
		{"map", pairs, &jobgraph.Unnest{Column: 2, Keep: all, Fields: []uint32{0, 1}}, "id BIGINT NOT NULL, s ARRAY<STRING>, k STRING NOT NULL, v INT", fieldsOf, true},
		{"map, outer", pairs, &jobgraph.Unnest{Column: 2, Keep: []uint32{0}, Fields: []uint32{1}, Outer: true}, "id BIGINT NOT NULL, v INT", fieldsOf, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := operatortest.ParseSchema(c.out)
			expected := twin(c.spec, c.fields)
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{c.in}, Output: out, Ordered: true,
				New: func() (operator.Operator, error) { return unnest.New(c.spec, c.in.Schema, out) },
				Twin: func(in [][][]any) [][]any {
					if c.maps {
						in = entry(in)
					}
					return expected(in)
				},
			})
		})
	}
}

func TestUnnestRefusesSpecs(t *testing.T) {
	in := operatortest.ParseSchema("id BIGINT, a ARRAY<INT>, m MAP<STRING, INT>")
	out := operatortest.ParseSchema("x INT")
	for want, spec := range map[string]*jobgraph.Unnest{
		"column 7 of 3":           {Column: 7, Fields: []uint32{0}},
		"column id is no collect": {Column: 0, Fields: []uint32{0}},
		"kept column 3 of 3":      {Column: 1, Keep: []uint32{3}},
		"field 1 of 1":            {Column: 1, Fields: []uint32{1}},
		"field 2 of 2":            {Column: 2, Fields: []uint32{2}},
		"1 columns for 2":         {Column: 2, Fields: []uint32{0, 1}},
	} {
		if _, err := unnest.New(spec, in, out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// collector keeps what it is given.
type collector struct{ batches []*stream.Batch }

func (c *collector) Emit(b *stream.Batch) error {
	c.batches = append(c.batches, b)
	return nil
}

type free struct{}

func (free) Grow(int64) error { return nil }
func (free) Shrink(int64)     {}

// emitted is what the operator makes of one batch.
func emitted(t *testing.T, mem memory.Allocator, spec *jobgraph.Unnest, in, out datatype.Schema, b *stream.Batch) []*stream.Batch {
	t.Helper()
	op, err := unnest.New(spec, in, out)
	if err != nil {
		t.Fatal(err)
	}
	var c collector
	ctx := &operator.Context{
		Context: context.Background(), Output: &c, Memory: free{}, Alloc: mem,
		BatchRows: stream.TargetRows, Log: slog.New(slog.DiscardHandler),
	}
	if err := op.Open(ctx); err != nil {
		t.Fatal(err)
	}
	if err := op.Process(0, b); err != nil {
		t.Fatal(err)
	}
	if err := op.Close(); err != nil {
		t.Fatal(err)
	}
	return c.batches
}

// A long array becomes batches that are slices of it, and a long text beside it
// makes them shorter: no batch is larger than a batch may be.
func TestUnnestBoundsBatches(t *testing.T) {
	const n = 100_000
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	in := operatortest.ParseSchema("s STRING, a ARRAY<INT>")
	elements := make([]any, n)
	for i := range elements {
		elements[i] = int64(i)
	}
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name  string
		keep  []uint32
		out   string
		n     int
		batch int
	}{
		{"alone", nil, "x INT", n, stream.TargetRows},
		{"beside a long text", []uint32{0}, "s STRING, x INT", 1000, stream.TargetBytes / 100_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			record := operatortest.Record(mem, in, [][]any{{long, elements[:c.n]}})
			child := &record.Column(1).(*array.List).ListValues().Data().Buffers()[1].Bytes()[0]
			spec := &jobgraph.Unnest{Column: 1, Keep: c.keep, Fields: []uint32{0}}
			all := emitted(t, mem, spec, in, operatortest.ParseSchema(c.out), stream.NewBatch(record))
			rows := 0
			for _, b := range all {
				if b.Len() > c.batch {
					t.Errorf("a batch of %d rows, want at most %d", b.Len(), c.batch)
				}
				x := b.Column(len(c.keep))
				if &x.Data().Buffers()[1].Bytes()[0] != child {
					t.Error("elements were copied")
				}
				if got := compute.ValueAt(x, 0); got != int64(rows) {
					t.Errorf("element %v, want %d", got, rows)
				}
				rows += b.Len()
				b.Release()
			}
			if rows != c.n {
				t.Errorf("%d rows, want %d", rows, c.n)
			}
		})
	}
}

// What a stream takes back is taken back element by element.
func TestUnnestKeepsKinds(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	in := operatortest.ParseSchema("id BIGINT, a ARRAY<INT>")
	record := operatortest.Record(mem, in, [][]any{{int64(1), list{int64(1)}}, {int64(2), list{int64(2), int64(3)}}, {int64(3), list{}}})
	b := stream.NewBatch(record)
	b.Kinds = []stream.RowKind{stream.Insert, stream.UpdateBefore, stream.Delete}
	b.Sel = []int32{1, 2}
	spec := &jobgraph.Unnest{Column: 1, Keep: []uint32{0}, Fields: []uint32{0}, Outer: true}
	all := emitted(t, mem, spec, in, operatortest.ParseSchema("id BIGINT, x INT"), b)
	if len(all) != 1 || all[0].Len() != 3 {
		t.Fatalf("%d batches", len(all))
	}
	for i, want := range []stream.RowKind{stream.UpdateBefore, stream.UpdateBefore, stream.Delete} {
		if got := all[0].Kind(i); got != want {
			t.Errorf("row %d is %v, want %v", i, got, want)
		}
	}
	all[0].Release()
}
