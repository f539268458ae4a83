package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/session"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// Sessions against sorting all rows and cutting where the gap is; rows out of order,
// sessions that one row makes one, late rows, any batches, restored after any step.

func backend(mem memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
}

var calls = []*jobgraph.AggregateCall{
	{Function: "COUNT", Filter: -1, Type: "BIGINT NOT NULL", Name: "n"},
	{Function: "SUM", Filter: -1, Type: "INT", Name: "s", Args: []uint32{2}, ArgTypes: []string{"INT"}},
	{Function: "MAX", Filter: -1, Type: "STRING", Name: "m", Args: []uint32{3}, ArgTypes: []string{"STRING"}},
	{Function: "AVG", Filter: -1, Type: "INT", Name: "a", Args: []uint32{2}, ArgTypes: []string{"INT"}},
}

const (
	columns = "k STRING, ts TIMESTAMP(3) NOT NULL, v INT, t STRING"
	results = "k STRING, n BIGINT, s INT, m STRING, a INT, ws TIMESTAMP(3), we TIMESTAMP(6), wt TIMESTAMP(3)"
)

func spec(keys ...uint32) *jobgraph.WindowAggregate {
	return &jobgraph.WindowAggregate{
		Phase: jobgraph.Phase_PHASE_SINGLE, Window: &jobgraph.Window{Kind: jobgraph.WindowKind_WINDOW_SESSION, SizeMillis: 1000},
		TimeColumn: 1, Keys: keys, Calls: calls,
		Properties: []jobgraph.WindowProperty{jobgraph.WindowProperty_WINDOW_START, jobgraph.WindowProperty_WINDOW_END, jobgraph.WindowProperty_WINDOW_TIME},
	}
}

// twin sorts the rows of each key by time and cuts them.
func twin(rows [][]any) (out [][]any) {
	by := map[any][][]any{}
	for _, r := range rows {
		by[r[0]] = append(by[r[0]], r)
	}
	for k, rows := range by {
		slices.SortFunc(rows, func(a, b []any) int { return int(a[1].(int64) - b[1].(int64)) })
		for from := 0; from < len(rows); {
			to := from + 1
			for to < len(rows) && rows[to][1].(int64)-rows[to-1][1].(int64) <= 1000 {
				to++
			}
			out = append(out, result(k, rows[from:to]))
			from = to
		}
	}
	return out
}

func result(k any, rows [][]any) []any {
	var sum, values int64
	var most, average, total any
	for _, r := range rows {
		if v, ok := r[2].(int64); ok {
			sum, values = sum+v, values+1
			total, average = sum, sum/values
		}
		if t, ok := r[3].(string); ok && (most == nil || t > most.(string)) {
			most = t
		}
	}
	end := rows[len(rows)-1][1].(int64) + 1000
	return []any{k, int64(len(rows)), total, most, average, rows[0][1], end * 1000, end - 1}
}

// table makes rows that are at most so many milliseconds out of order, with watermarks
// behind them.
func table(seed uint64, n, disorder int, watermarks bool) operatortest.Table {
	r := rand.New(rand.NewPCG(seed, 9))
	t := operatortest.Table{Schema: operatortest.ParseSchema(columns)}
	for i := range n {
		at := int64(i*400 - r.IntN(disorder))
		if watermarks && r.IntN(4) == 0 {
			t.Steps = append(t.Steps, operatortest.Step{Watermark: stream.Watermark(i*400 - disorder - 1)})
		}
		t.Steps = append(t.Steps, operatortest.Step{Row: []any{
			[]string{"a", "b", "a long key of more than sixteen"}[r.IntN(3)], at, int64(r.IntN(9)), fmt.Sprint("a text that is no short one ", r.IntN(5)),
		}})
	}
	return t
}

func TestAgainstCutting(t *testing.T) {
	out := operatortest.ParseSchema(results)
	for name, in := range map[string]operatortest.Table{
		"in order":         table(1, 20, 1, true),
		"out of order":     table(2, 20, 3000, true),
		"far out of order": table(3, 20, 12000, false),
	} {
		t.Run(name, func(t *testing.T) {
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in}, Output: out, Stateful: true, Backend: backend,
				New:  func() (operator.Operator, error) { return session.New(spec(0), in.Schema, out) },
				Twin: func(in [][][]any) [][]any { return twin(in[0]) },
			})
		})
	}
}

func TestWithoutState(t *testing.T) {
	in, out := table(4, 20, 3000, false), operatortest.ParseSchema(results)
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: out,
		New:  func() (operator.Operator, error) { return session.New(spec(0), in.Schema, out) },
		Twin: func(in [][][]any) [][]any { return twin(in[0]) },
	})
}

// One row makes two sessions one; rows exactly a gap apart are one; without keys there
// is one.
func TestBridge(t *testing.T) {
	in := operatortest.Parse(columns + `
a | 1970-01-01 00:00:01 | 1 | x
b | 1970-01-01 00:00:02.500 | 2 | y
a | 1970-01-01 00:00:03.500 | 4 | z
a | 1970-01-01 00:00:04.501 | 16 | v
a | 1970-01-01 00:00:01.750 | 8 | w`)
	out := operatortest.ParseSchema("n BIGINT, s INT, m STRING, a INT, ws TIMESTAMP(3), we TIMESTAMP(3), wt TIMESTAMP(3)")
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: out, Ordered: true, Stateful: true, Backend: backend,
		New: func() (operator.Operator, error) { return session.New(spec(), in.Schema, out) },
		Want: `
4 | 15 | z | 3 | 1970-01-01 00:00:01 | 1970-01-01 00:00:04.500 | 1970-01-01 00:00:04.499
1 | 16 | v | 16 | 1970-01-01 00:00:04.501 | 1970-01-01 00:00:05.501 | 1970-01-01 00:00:05.500`,
	})
}

// A row is late where the session that it joins has ended; one that would be late
// alone is not where a session that goes on takes it in, if that was there before it.
func TestLate(t *testing.T) {
	in := operatortest.Parse(columns + `
a | 1970-01-01 00:00:01 | 1 | x
a | 1970-01-01 00:00:05 | 2 | x
watermark 4999
a | 1970-01-01 00:00:01.100 | 4 | x
a | 1970-01-01 00:00:03.900 | 8 | x
b | 1970-01-01 00:00:03.900 | 16 | x
b | 1970-01-01 00:00:04.500 | 32 | x
b | 1970-01-01 00:00:04 | 64 | x
a | 1970-01-01 00:00:04.100 | 128 | x
a | 1970-01-01 00:00:03.500 | 256 | x`)
	out := operatortest.ParseSchema(results)
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: out, Stateful: true, Backend: backend,
		New: func() (operator.Operator, error) { return session.New(spec(0), in.Schema, out) },
		Want: `
a | 1 | 1 | x | 1 | 1970-01-01 00:00:01 | 1970-01-01 00:00:02 | 1970-01-01 00:00:01.999
a | 3 | 386 | x | 128 | 1970-01-01 00:00:03.500 | 1970-01-01 00:00:06 | 1970-01-01 00:00:05.999
b | 2 | 96 | x | 48 | 1970-01-01 00:00:04 | 1970-01-01 00:00:05.500 | 1970-01-01 00:00:05.499`,
	})
	small := spec(0)
	small.Calls, small.Properties = calls[:1], small.Properties[:2] // as many columns as come in
	op, err := session.New(small, in.Schema, operatortest.ParseSchema("k STRING, n BIGINT, ws TIMESTAMP(3), we TIMESTAMP(3)"))
	if err != nil {
		t.Fatal(err)
	}
	f := operatortest.NewFeed(t, op, in)
	f.Rows(2)
	if err := op.Watermark(4999); err != nil {
		t.Fatal(err)
	}
	f.Skip(1)
	f.Rows(7)
	if op.Late() != 3 {
		t.Errorf("%d late rows, want 3", op.Late())
	}
	f.Close()
}

func TestRefused(t *testing.T) {
	in, out := operatortest.ParseSchema(columns), operatortest.ParseSchema(results)
	for name, change := range map[string]func(*jobgraph.WindowAggregate){
		"phase":  func(s *jobgraph.WindowAggregate) { s.Phase = jobgraph.Phase_PHASE_PARTIAL },
		"window": func(s *jobgraph.WindowAggregate) { s.Window = nil },
		"gap": func(s *jobgraph.WindowAggregate) {
			s.Window = &jobgraph.Window{Kind: jobgraph.WindowKind_WINDOW_SESSION}
		},
		"time":   func(s *jobgraph.WindowAggregate) { s.TimeColumn = 0 },
		"key":    func(s *jobgraph.WindowAggregate) { s.Keys = []uint32{9} },
		"output": func(s *jobgraph.WindowAggregate) { s.Properties = nil },
		"distinct": func(s *jobgraph.WindowAggregate) {
			s.Calls = append(slices.Clone(calls[:3]), &jobgraph.AggregateCall{Function: "COUNT", Distinct: true, Filter: -1, Type: "BIGINT", Args: []uint32{2}, ArgTypes: []string{"INT"}})
		},
	} {
		s := spec(0)
		change(s)
		if _, err := session.New(s, in, out); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	in = operatortest.ParseSchema("k STRING, ts TIMESTAMP(3), v INT, t STRING")
	op, err := session.New(spec(0), in, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := operatortest.Feed(t, op, operatortest.Table{Schema: in, Steps: []operatortest.Step{{Row: []any{"a", nil, nil, nil}}}}); err == nil {
		t.Error("a row without a time is accepted")
	}
}
