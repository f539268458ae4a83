package window_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/window"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// Windows of every kind in one phase and in two, restored after every step,
// against windows that a plain loop computes from all rows. Times are chosen
// around the edges of windows; late rows come with the watermarks.

func backend(mem memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
}

var calls = []*jobgraph.AggregateCall{
	{Function: "COUNT", Filter: -1, Type: "BIGINT NOT NULL", Name: "n"},
	{Function: "SUM", Filter: -1, Type: "INT", Name: "s", Args: []uint32{2}, ArgTypes: []string{"INT"}},
	{Function: "MAX", Filter: -1, Type: "STRING", Name: "m", Args: []uint32{0}, ArgTypes: []string{"STRING"}},
}

const events = `
k STRING, ts TIMESTAMP(3), v INT
a | 1970-01-01 00:00:00 | 1
b | 1970-01-01 00:00:04.999 | 2
a | 1970-01-01 00:00:05 | 3
a | 1970-01-01 00:00:09.999 | 4
watermark 4999
a key that is longer than sixteen | 1970-01-01 00:00:10 | 5
a | 1970-01-01 00:00:12 | 6
b | 1970-01-01 00:00:06 | 7
watermark 9999
a | 1970-01-01 00:00:14.999 | 8
b | 1970-01-01 00:00:31 | 9
a | 1969-12-31 23:59:59 | 10
watermark 17000
b | 1970-01-01 00:00:20 | 11
b | 1970-01-01 00:00:03 | 12
a | 1970-01-01 00:00:20 | 13`

var shapes = map[string]*jobgraph.Window{
	"tumble":        {Kind: jobgraph.WindowKind_WINDOW_TUMBLE, SizeMillis: 5000},
	"tumble offset": {Kind: jobgraph.WindowKind_WINDOW_TUMBLE, SizeMillis: 5000, OffsetMillis: 1000},
	"hop":           {Kind: jobgraph.WindowKind_WINDOW_HOP, SizeMillis: 10000, SlideMillis: 5000},
	"hop uneven":    {Kind: jobgraph.WindowKind_WINDOW_HOP, SizeMillis: 10000, SlideMillis: 4000},
	"hop gaps":      {Kind: jobgraph.WindowKind_WINDOW_HOP, SizeMillis: 4000, SlideMillis: 10000},
	"cumulate":      {Kind: jobgraph.WindowKind_WINDOW_CUMULATE, SizeMillis: 15000, SlideMillis: 5000},
}

// ends are the ends of the windows that contain t, by trying them all.
func ends(w *jobgraph.Window, t int64) (out []int64) {
	const far = 60_000
	switch w.Kind {
	case jobgraph.WindowKind_WINDOW_CUMULATE:
		for start := int64(-far); start < far; start += w.SizeMillis {
			for end := start + w.SlideMillis; end <= start+w.SizeMillis; end += w.SlideMillis {
				if start <= t && t < end {
					out = append(out, end)
				}
			}
		}
	default:
		every := w.SlideMillis
		if w.Kind == jobgraph.WindowKind_WINDOW_TUMBLE {
			every = w.SizeMillis
		}
		for start := -far + w.OffsetMillis; start < far; start += every {
			if start <= t && t < start+w.SizeMillis {
				out = append(out, start+w.SizeMillis)
			}
		}
	}
	return out
}

func startOf(w *jobgraph.Window, end int64) int64 {
	if w.Kind != jobgraph.WindowKind_WINDOW_CUMULATE {
		return end - w.SizeMillis
	}
	n := (end - 1) / w.SizeMillis
	if end-1 < 0 {
		n = (end - w.SizeMillis) / w.SizeMillis
	}
	return n * w.SizeMillis
}

// twin computes what a window aggregate emits, late rows being those of which all
// windows have fired. Rows that come between belong to the windows that have not.
func twin(w *jobgraph.Window, in operatortest.Table) (rows [][]any) {
	type key struct {
		k   any
		end int64
	}
	type group struct {
		n, s int64
		some bool
	}
	groups := map[key]*group{}
	mark := int64(-1 << 60)
	for _, s := range in.Steps {
		if s.Row == nil {
			mark = int64(s.Watermark)
			continue
		}
		for _, end := range ends(w, s.Row[1].(int64)) {
			if end-1 <= mark {
				continue
			}
			g := groups[key{s.Row[0], end}]
			if g == nil {
				g = &group{}
				groups[key{s.Row[0], end}] = g
			}
			g.n++
			if v, ok := s.Row[2].(int64); ok {
				g.s, g.some = g.s+v, true
			}
		}
	}
	for k, g := range groups {
		var sum any
		if g.some {
			sum = g.s
		}
		rows = append(rows, []any{k.k, g.n, sum, k.k, startOf(w, k.end), k.end, k.end - 1})
	}
	return rows
}

func TestWindows(t *testing.T) {
	in := operatortest.Parse(events)
	out := operatortest.ParseSchema("k STRING, n BIGINT, s INT, m STRING, ws TIMESTAMP(3), we TIMESTAMP(3), wt TIMESTAMP(3)")
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		w := shapes[name]
		spec := &jobgraph.WindowAggregate{
			Phase: jobgraph.Phase_PHASE_SINGLE, Window: w, TimeColumn: 1, Keys: []uint32{0}, Calls: calls,
			Properties: []jobgraph.WindowProperty{jobgraph.WindowProperty_WINDOW_START, jobgraph.WindowProperty_WINDOW_END, jobgraph.WindowProperty_WINDOW_TIME},
		}
		want := ""
		for _, row := range twin(w, in) {
			want += operatortest.FormatRow(out, row) + "\n"
		}
		run := operatortest.Case{
			Inputs: []operatortest.Table{in}, Output: out, Want: want, Stateful: true, Backend: backend,
			New: func() (operator.Operator, error) { return window.New(spec, in.Schema, out) },
		}
		t.Run(name, func(t *testing.T) { operatortest.Run(t, run) })
		run.Backend = nil
		run.Stateful = false
		t.Run(name+" without state", func(t *testing.T) { operatortest.Run(t, run) })
		run.New = func() (operator.Operator, error) { return twoPhases(spec, in.Schema, out) }
		run.Backend, run.Stateful = backend, true
		t.Run(name+" in two phases", func(t *testing.T) { operatortest.Run(t, run) })
	}
}

func twoPhases(spec *jobgraph.WindowAggregate, in, out datatype.Schema) (operator.Operator, error) {
	var between datatype.Schema
	for _, k := range spec.Keys {
		between = append(between, in[k])
	}
	between = append(between, datatype.Field{Name: "slice", Type: datatype.Of(datatype.BigInt)})
	for _, c := range spec.Calls {
		types, err := aggregate.AccumulatorTypes(c)
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			between = append(between, datatype.Field{Name: "acc", Type: t})
		}
	}
	first := &jobgraph.WindowAggregate{Phase: jobgraph.Phase_PHASE_PARTIAL, Window: spec.Window, TimeColumn: spec.TimeColumn, Keys: spec.Keys, Calls: spec.Calls}
	partial, err := window.New(first, in, between)
	if err != nil {
		return nil, err
	}
	second := &jobgraph.WindowAggregate{Phase: jobgraph.Phase_PHASE_FINAL, Window: spec.Window, Keys: spec.Keys, Calls: spec.Calls, Properties: spec.Properties}
	final, err := window.New(second, between, out)
	if err != nil {
		return nil, err
	}
	return operatortest.Chain(partial, final), nil
}

func TestWithoutKeys(t *testing.T) {
	in := operatortest.Parse(events)
	out := operatortest.ParseSchema("n BIGINT, we TIMESTAMP(6)")
	spec := &jobgraph.WindowAggregate{
		Phase: jobgraph.Phase_PHASE_SINGLE, Window: shapes["tumble"], TimeColumn: 1, Calls: calls[:1],
		Properties: []jobgraph.WindowProperty{jobgraph.WindowProperty_WINDOW_END},
	}
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: out, Stateful: true, Backend: backend, Ordered: true,
		Want: `
2 | 1970-01-01 00:00:05
3 | 1970-01-01 00:00:10
3 | 1970-01-01 00:00:15
2 | 1970-01-01 00:00:25
1 | 1970-01-01 00:00:35`,
		New: func() (operator.Operator, error) { return window.New(spec, in.Schema, out) },
	})
}

// Each window counts a value once, also when it is restored in its midst.
func TestDistinct(t *testing.T) {
	in := operatortest.Parse(`
k STRING, ts TIMESTAMP(3), v INT
a | 1970-01-01 00:00:00 | 1
a | 1970-01-01 00:00:01 | 1
b | 1970-01-01 00:00:02 | 1
a | 1970-01-01 00:00:03 | 2
a | 1970-01-01 00:00:06 | 1
watermark 4999
a | 1970-01-01 00:00:07 | NULL
a | 1970-01-01 00:00:08 | 1`)
	for _, keys := range [][]uint32{{0}, nil} {
		out, want := "k STRING, n BIGINT, we TIMESTAMP(3)", "a | 2 | 1970-01-01 00:00:05\nb | 1 | 1970-01-01 00:00:05\na | 1 | 1970-01-01 00:00:10"
		if keys == nil {
			out, want = "n BIGINT, we TIMESTAMP(3)", "2 | 1970-01-01 00:00:05\n1 | 1970-01-01 00:00:10"
		}
		spec := &jobgraph.WindowAggregate{
			Phase: jobgraph.Phase_PHASE_SINGLE, Window: shapes["tumble"], TimeColumn: 1, Keys: keys,
			Calls:      []*jobgraph.AggregateCall{{Function: "COUNT", Distinct: true, Filter: -1, Type: "BIGINT NOT NULL", Args: []uint32{2}, ArgTypes: []string{"INT"}}},
			Properties: []jobgraph.WindowProperty{jobgraph.WindowProperty_WINDOW_END},
		}
		schema := operatortest.ParseSchema(out)
		operatortest.Run(t, operatortest.Case{
			Inputs: []operatortest.Table{in}, Output: schema, Stateful: true, Backend: backend, Want: want,
			New: func() (operator.Operator, error) { return window.New(spec, in.Schema, schema) },
		})
	}
}

// Rows of fired windows are counted, not lost in silence.
func TestLate(t *testing.T) {
	in := operatortest.Parse(events)
	spec := &jobgraph.WindowAggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Window: shapes["tumble"], TimeColumn: 1, Calls: calls}
	op, err := window.New(spec, in.Schema, operatortest.ParseSchema("n BIGINT, s INT, m STRING"))
	if err != nil {
		t.Fatal(err)
	}
	f := operatortest.NewFeed(t, op, in)
	f.Rows(4)
	f.Skip(1)
	f.Rows(3)
	if err := op.Watermark(14999); err != nil {
		t.Fatal(err)
	}
	f.Skip(1)
	f.Rows(3)
	if late := op.(*window.Aggregate).Late(); late != 2 {
		t.Errorf("%d late rows, want 2", late)
	}
	f.Close()
}

func TestRefused(t *testing.T) {
	in := operatortest.Parse(events).Schema
	tumble := shapes["tumble"]
	out := operatortest.ParseSchema("n BIGINT")
	for _, spec := range []*jobgraph.WindowAggregate{
		{},
		{Phase: jobgraph.Phase_PHASE_SINGLE, TimeColumn: 1, Calls: calls[:1], Window: &jobgraph.Window{Kind: jobgraph.WindowKind_WINDOW_SESSION, SizeMillis: 1}},
		{Phase: jobgraph.Phase_PHASE_SINGLE, TimeColumn: 1, Calls: calls[:1], Window: &jobgraph.Window{Kind: jobgraph.WindowKind_WINDOW_CUMULATE, SizeMillis: 5, SlideMillis: 2}},
		{Phase: jobgraph.Phase_PHASE_SINGLE, TimeColumn: 1, Calls: calls[:1], Window: &jobgraph.Window{Kind: jobgraph.WindowKind_WINDOW_HOP, SizeMillis: 5}},
		{Phase: jobgraph.Phase_PHASE_SINGLE, TimeColumn: 0, Calls: calls[:1], Window: tumble},
		{Phase: jobgraph.Phase_PHASE_SINGLE, TimeColumn: 1, Calls: calls[:2], Window: tumble},
		{Phase: jobgraph.Phase_PHASE_SINGLE, TimeColumn: 1, Calls: calls[:1], Window: tumble, Keys: []uint32{5}},
		{Phase: jobgraph.Phase_PHASE_SINGLE, TimeColumn: 1, Window: shapes["hop"], Calls: []*jobgraph.AggregateCall{{Function: "COUNT", Distinct: true, Type: "BIGINT"}}},
		{Phase: jobgraph.Phase_PHASE_PARTIAL, TimeColumn: 1, Window: tumble, Calls: []*jobgraph.AggregateCall{{Function: "COUNT", Distinct: true, Type: "BIGINT"}}},
	} {
		if _, err := window.New(spec, in, out); err == nil {
			t.Errorf("%v accepted", spec)
		}
	}
}
