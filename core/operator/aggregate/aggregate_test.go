package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// The tests run each function in a single phase and as partial and final phases
// one after the other, through every variation of the harness.

// call reads "SUM(1) DISTINCT FILTER 3 -> BIGINT", columns by position.
func call(in datatype.Schema, text string) *jobgraph.AggregateCall {
	head, result, _ := strings.Cut(text, " -> ")
	c := &jobgraph.AggregateCall{Name: "x", Filter: -1, Type: result}
	if before, filter, ok := strings.Cut(head, " FILTER "); ok {
		head = before
		if _, err := fmt.Sscan(filter, &c.Filter); err != nil {
			panic(err)
		}
	}
	head, c.Distinct = strings.CutSuffix(head, " DISTINCT")
	name, args, _ := strings.Cut(strings.TrimSuffix(head, ")"), "(")
	c.Function = name
	for _, a := range strings.Fields(args) {
		var n uint32
		if _, err := fmt.Sscan(a, &n); err != nil {
			panic(err)
		}
		c.Args = append(c.Args, n)
		c.ArgTypes = append(c.ArgTypes, in[n].Type.String())
	}
	return c
}

func calls(in datatype.Schema, texts ...string) []*jobgraph.AggregateCall {
	var out []*jobgraph.AggregateCall
	for _, t := range texts {
		out = append(out, call(in, t))
	}
	return out
}

const sample = `
k STRING, i INT, d DECIMAL(10, 2), f DOUBLE, s STRING, b BOOLEAN
a | 1 | 1.50 | 0.5 | x | true
b | 2 | 2.25 | 1.5 | a longer text than sixteen bytes | false
a | 3 | 0.01 | NULL | y | true
NULL | 4 | NULL | 2.5 | NULL | NULL
b | NULL | -7.00 | -1.5 | x | true
a | 1 | 99999999.99 | 4 | x | NULL
NULL | 2 | 1.00 | 2.5 | z | false`

var functions = []struct{ call, want string }{
	{"COUNT() -> BIGINT NOT NULL", "a | 3, b | 2, NULL | 2"},
	{"COUNT(1) -> BIGINT NOT NULL", "a | 3, b | 1, NULL | 2"},
	{"COUNT() FILTER 5 -> BIGINT NOT NULL", "a | 2, b | 1, NULL | 0"},
	{"$SEEN() FILTER 5 -> BOOLEAN NOT NULL", "a | true, b | true, NULL | false"},
	{"$DISTINCT_ESTIMATE(4) -> BIGINT NOT NULL", "a | 2, b | 2, NULL | 1"},
	{"COUNT(4) DISTINCT -> BIGINT NOT NULL", "a | 2, b | 2, NULL | 1"},
	{"SUM(1) -> INT", "a | 5, b | 2, NULL | 6"},
	{"SUM(1) DISTINCT -> INT", "a | 4, b | 2, NULL | 6"},
	{"SUM(1) FILTER 5 -> INT", "a | 4, b | NULL, NULL | NULL"},
	{"SUM0(1) FILTER 5 -> INT NOT NULL", "a | 4, b | 0, NULL | 0"},
	{"SUM(2) -> DECIMAL(38, 2)", "a | 100000001.50, b | -4.75, NULL | 1.00"},
	{"SUM(3) -> DOUBLE", "a | 4.5, b | 0, NULL | 5"},
	{"AVG(1) -> INT", "a | 1, b | 2, NULL | 3"},
	{"AVG(2) -> DECIMAL(38, 6)", "a | 33333333.833333, b | -2.375000, NULL | 1.000000"},
	{"AVG(3) -> DOUBLE", "a | 2.25, b | 0, NULL | 2.5"},
	{"MIN(1) -> INT", "a | 1, b | 2, NULL | 2"},
	{"MAX(2) -> DECIMAL(10, 2)", "a | 99999999.99, b | 2.25, NULL | 1.00"},
	{"MIN(4) -> STRING", "a | x, b | a longer text than sixteen bytes, NULL | z"},
	{"MAX(4) -> STRING", "a | y, b | x, NULL | z"},
	{"MAX(3) -> DOUBLE", "a | 4, b | 1.5, NULL | 2.5"},
	{"FIRST_VALUE(4) -> STRING", "a | x, b | a longer text than sixteen bytes, NULL | z"},
	{"LAST_VALUE(4) -> STRING", "a | x, b | x, NULL | z"},
	{"BOOL_AND(5) -> BOOLEAN", "a | true, b | false, NULL | false"},
	{"BOOL_OR(5) -> BOOLEAN", "a | true, b | true, NULL | false"},
	{"VAR_POP(3) -> DOUBLE", "a | 3.0625, b | 2.25, NULL | 0"},
	{"VAR_SAMP(3) -> DOUBLE", "a | 6.125, b | 4.5, NULL | 0"},
	{"STDDEV_POP(3) -> DOUBLE", "a | 1.75, b | 1.5, NULL | 0"},
	{"LISTAGG(4) -> STRING", "a | 'x,y,x', b | 'a longer text than sixteen bytes,x', NULL | z"},
	{"JSON_ARRAYAGG(4) -> STRING NOT NULL", "a | [], b | '[ longer text than sixteen byte]', NULL | []"}, // of texts taken for arrays
	{"LISTAGG(4 0) -> STRING", "a | xayax, b | a longer text than sixteen bytesbx, NULL | NULL"},
}

func TestFunctions(t *testing.T) {
	in := operatortest.Parse(sample)
	for _, f := range functions {
		t.Run(f.call, func(t *testing.T) {
			c := call(in.Schema, f.call)
			run := operatortest.Case{
				Inputs: []operatortest.Table{in},
				Output: operatortest.ParseSchema("k STRING, x " + c.Type),
				Want:   lines(f.want),
				New: func() (operator.Operator, error) {
					return aggregate.New(&jobgraph.Aggregate{
						Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, Calls: []*jobgraph.AggregateCall{c},
					}, in.Schema)
				},
			}
			if strings.HasPrefix(c.Function, "LISTAGG") && len(c.Args) > 1 {
				run.Want = strings.ReplaceAll(run.Want, "NULL | NULL", "NULL | NULL")
			}
			operatortest.Run(t, run)
			if aggregate.Splittable(c) {
				run.New = func() (operator.Operator, error) { return twoPhases(in.Schema, []uint32{0}, c) }
				operatortest.Run(t, run)
			}
		})
	}
}

// lines turns "a | 1, b | 2" into a row a line; quotes keep commas.
func lines(s string) string {
	quoted := false
	return strings.Map(func(r rune) rune {
		if r == '\'' {
			quoted = !quoted
		}
		if r == ',' && !quoted {
			return '\n'
		}
		return r
	}, s)
}

// twoPhases chains a partial and a final aggregate.
func twoPhases(in datatype.Schema, keys []uint32, calls ...*jobgraph.AggregateCall) (operator.Operator, error) {
	partial, err := aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_PARTIAL, Keys: keys, Calls: calls}, in)
	if err != nil {
		return nil, err
	}
	var between datatype.Schema
	for _, k := range keys {
		between = append(between, in[k])
	}
	for _, c := range calls {
		types, err := aggregate.AccumulatorTypes(c)
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			between = append(between, datatype.Field{Name: "acc", Type: t})
		}
	}
	final, err := aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_FINAL, Keys: keys, Calls: calls}, between)
	if err != nil {
		return nil, err
	}
	return operatortest.Chain(partial, final), nil
}

func TestWithoutKeys(t *testing.T) {
	empty := operatortest.Parse("i INT, s STRING")
	full := operatortest.Parse("i INT, s STRING\n1 | a\n2 | b\nNULL | c")
	for name, c := range map[string]struct {
		in   operatortest.Table
		want string
	}{"empty": {empty, "0 | NULL | NULL"}, "full": {full, "3 | 3 | a"}} {
		t.Run(name, func(t *testing.T) {
			cs := calls(c.in.Schema, "COUNT() -> BIGINT NOT NULL", "SUM(0) -> INT", "MIN(1) -> STRING")
			run := operatortest.Case{
				Inputs: []operatortest.Table{c.in}, Want: c.want,
				Output: operatortest.ParseSchema("n BIGINT, i INT, s STRING"),
				New: func() (operator.Operator, error) {
					return aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Calls: cs}, c.in.Schema)
				},
			}
			operatortest.Run(t, run)
			run.New = func() (operator.Operator, error) { return twoPhases(c.in.Schema, nil, cs...) }
			operatortest.Run(t, run)
		})
	}
}

// Groups of several keys, with nulls in random places, against a plain loop.
func TestAgainstTwin(t *testing.T) {
	in := operatortest.Parse(`
k STRING, j BIGINT, v BIGINT
a | 1 | 10
b | 1 | 20
a | 2 | 30
a | 1 | 40
c | 9 | 50
b | 1 | 60
c | 9 | 70`)
	cs := calls(in.Schema, "COUNT(2) -> BIGINT NOT NULL", "SUM(2) -> BIGINT", "MAX(2) -> BIGINT")
	run := operatortest.Case{
		Inputs: []operatortest.Table{in},
		Output: operatortest.ParseSchema("k STRING, j BIGINT, n BIGINT, s BIGINT, m BIGINT"),
		Twin:   twin,
		New: func() (operator.Operator, error) {
			return aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0, 1}, Calls: cs}, in.Schema)
		},
	}
	operatortest.Run(t, run)
	run.New = func() (operator.Operator, error) { return twoPhases(in.Schema, []uint32{0, 1}, cs...) }
	operatortest.Run(t, run)
}

func twin(in [][][]any) [][]any {
	var out [][]any
	at := map[[2]any]int{}
	for _, row := range in[0] {
		key := [2]any{row[0], row[1]}
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, []any{row[0], row[1], int64(0), nil, nil})
		}
		v, ok := row[2].(int64)
		if !ok {
			continue
		}
		g := out[i]
		g[2] = g[2].(int64) + 1
		if g[3] == nil {
			g[3], g[4] = int64(0), v
		}
		g[3], g[4] = g[3].(int64)+v, max(g[4].(int64), v)
	}
	return out
}

func TestCollections(t *testing.T) {
	in := operatortest.Parse("k INT, s STRING\n1 | a\n2 | b\n1 | NULL\n1 | a\n2 | c")
	for f, want := range map[string]string{
		"ARRAY_AGG(1) -> ARRAY<STRING>":                    "1 | [a <nil> a]\n2 | [b c]",
		"COLLECT(1) -> MULTISET<STRING NOT NULL> NOT NULL": "1 | [a 2]\n2 | [b 1 c 1]",
	} {
		c := call(in.Schema, f)
		run := operatortest.Case{
			Inputs: []operatortest.Table{in}, Want: want,
			Output: operatortest.ParseSchema("k INT, x STRING"),
			New:    func() (operator.Operator, error) { return twoPhases(in.Schema, []uint32{0}, c) },
		}
		operatortest.Run(t, run)
	}
}

func TestScalarSubquery(t *testing.T) {
	in := operatortest.Parse("v INT\n7")
	run := operatortest.Case{
		Inputs: []operatortest.Table{in}, Want: "7", Output: operatortest.ParseSchema("v INT"),
		New: func() (operator.Operator, error) {
			return aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Calls: calls(in.Schema, "SINGLE_VALUE(0) -> INT")}, in.Schema)
		},
	}
	operatortest.Run(t, run)
}

func TestRefused(t *testing.T) {
	in := operatortest.ParseSchema("k INT, a ARRAY<INT>")
	for _, spec := range []*jobgraph.Aggregate{
		{Phase: jobgraph.Phase_PHASE_PARTIAL, Calls: calls(in, "COUNT(0) DISTINCT -> BIGINT")},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Calls: calls(in, "MEDIAN(0) -> INT")},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Calls: calls(in, "MIN(1) -> ARRAY<INT>")},
		{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{9}},
		{},
	} {
		if _, err := aggregate.New(spec, in); err == nil {
			t.Errorf("%v accepted", spec)
		}
	}
}

// Groups in keyed state, distinct values included, survive a restore.
func TestInState(t *testing.T) {
	in := operatortest.Parse(sample)
	for _, keys := range [][]uint32{{0}, nil} {
		cs := calls(in.Schema, "COUNT(4) DISTINCT -> BIGINT NOT NULL", "SUM(1) -> INT", "MIN(4) -> STRING")
		out, want := "k STRING, n BIGINT, s INT, m STRING", "a | 2 | 5 | x\nb | 2 | 2 | a longer text than sixteen bytes\nNULL | 1 | 6 | z"
		if keys == nil {
			out, want = "n BIGINT, s INT, m STRING", "4 | 13 | a longer text than sixteen bytes"
		}
		operatortest.Run(t, operatortest.Case{
			Inputs: []operatortest.Table{in}, Output: operatortest.ParseSchema(out), Want: want, Stateful: true,
			Backend: func(mem memory.Allocator, account stream.Account) (state.Backend, error) {
				return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
			},
			New: func() (operator.Operator, error) {
				return aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: keys, Calls: cs}, in.Schema)
			},
		})
	}
}

// A partial phase in which every row is a group passes rows on after a while, one
// whose groups are runs of neighbours passes the runs on, one that reduces goes on
// grouping; the final result is the same.
func TestAdaptivePartial(t *testing.T) {
	const rows, batch = 1 << 18, 8192
	for _, c := range []struct {
		groups, out int64
		clustered   bool
	}{
		{groups: 100, out: 100},
		{groups: rows, out: rows},
		{groups: rows / 4, out: rows / 4, clustered: true},
	} {
		spec := &jobgraph.Aggregate{
			Phase: jobgraph.Phase_PHASE_PARTIAL, Keys: []uint32{0},
			Calls: calls(operatortest.ParseSchema("k BIGINT"), "COUNT() -> BIGINT NOT NULL", "SUM(0) -> BIGINT"),
		}
		op, err := aggregate.New(spec, operatortest.ParseSchema("k BIGINT"))
		if err != nil {
			t.Fatal(err)
		}
		n := &counter{}
		next := func(from int64) *stream.Batch { return numbers(from, batch, c.groups) }
		if c.clustered {
			next = func(from int64) *stream.Batch { return clustered(from, batch, rows/c.groups) }
		}
		feed(t, op, n, rows, batch, next)
		if n.count != rows {
			t.Errorf("%d groups: counts sum to %d, want %d", c.groups, n.count, rows)
		}
		if n.rows != c.out {
			t.Errorf("%d groups: %d rows came out, want %d", c.groups, n.rows, c.out)
		}
	}
}

// counter sums the counts of what a partial emits.
type counter struct{ rows, count int64 }

func (c *counter) Emit(b *stream.Batch) error {
	defer b.Release()
	c.rows += int64(b.Len())
	for _, n := range b.Column(1).(*array.Int64).Int64Values() {
		c.count += n
	}
	return nil
}

type unlimited struct{}

func (unlimited) Grow(int64) error { return nil }
func (unlimited) Shrink(int64)     {}

// feed runs an operator over batches that make gives by their first row.
func feed(t testing.TB, op operator.Operator, out operator.Output, rows, batch int, make func(from int64) *stream.Batch) {
	t.Helper()
	err := op.Open(&operator.Context{
		Context: context.Background(), Output: out, Memory: unlimited{}, Alloc: memory.DefaultAllocator, BatchRows: batch,
	})
	if err != nil {
		t.Fatal(err)
	}
	for from := 0; from < rows; from += batch {
		if err := op.Process(0, make(int64(from))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(op.EndInput(0), op.Close()); err != nil {
		t.Fatal(err)
	}
}

// numbers is a batch of a BIGINT column of so many groups.
func numbers(from int64, n int, groups int64) *stream.Batch {
	return bigints(n, func(i int64) int64 { return (from + i) * 7919 % groups })
}

// clustered is numbers with so many rows of a group beside each other.
func clustered(from int64, n int, each int64) *stream.Batch {
	return bigints(n, func(i int64) int64 { return (from + i) / each })
}

func bigints(n int, value func(i int64) int64) *stream.Batch {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for i := range int64(n) {
		b.Append(value(i))
	}
	a := b.NewArray()
	defer a.Release()
	return operator.NewBatch(operatortest.ParseSchema("k BIGINT").Arrow(), []arrow.Array{a}, n)
}

// SUM and COUNT by a BIGINT key, the hash table's cost included.
func BenchmarkAggregate(b *testing.B) {
	const rows, batch = 4 << 20, 8192
	in := operatortest.ParseSchema("k BIGINT")
	for _, groups := range []int64{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(groups), func(b *testing.B) {
			var batches []*stream.Batch
			r := rand.New(rand.NewPCG(1, 1))
			for range rows / batch {
				batches = append(batches, numbers(r.Int64N(groups), batch, groups))
			}
			for b.Loop() {
				op, err := aggregate.New(&jobgraph.Aggregate{
					Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0},
					Calls: calls(in, "COUNT() -> BIGINT NOT NULL", "SUM(0) -> BIGINT"),
				}, in)
				if err != nil {
					b.Fatal(err)
				}
				if err := op.Open(&operator.Context{
					Context: context.Background(), Output: &counter{}, Memory: unlimited{}, Alloc: memory.DefaultAllocator, BatchRows: batch,
				}); err != nil {
					b.Fatal(err)
				}
				for _, batch := range batches {
					if err := op.Process(0, batch.Share()); err != nil {
						b.Fatal(err)
					}
				}
				if err := errors.Join(op.EndInput(0), op.Close()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
