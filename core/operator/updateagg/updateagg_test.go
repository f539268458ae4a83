package updateagg_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// Each function over random histories of changes, in one phase and in two, with and
// without keys: what the changes leave must be what the batch aggregate says of the rows
// that the history leaves.

func backend(mem memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
}

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

const columns = "k STRING, i INT, d DECIMAL(10, 2), w DECIMAL(30, 2), f DOUBLE, s STRING, b BOOLEAN, p DOUBLE NOT NULL"

var functions = map[string][]string{
	"values": {
		"COUNT() -> BIGINT NOT NULL",
		"COUNT(1) -> BIGINT NOT NULL",
		"COUNT() FILTER 6 -> BIGINT NOT NULL",
		"COUNT(5) DISTINCT -> BIGINT NOT NULL",
		"COUNT(5 1) DISTINCT -> BIGINT NOT NULL",
		"COUNT(4) DISTINCT FILTER 6 -> BIGINT NOT NULL",
		"$SEEN() FILTER 6 -> BOOLEAN NOT NULL",
		"APPROX_COUNT_DISTINCT(1) -> BIGINT NOT NULL",
		"MIN(1) -> INT",
		"MAX(1) FILTER 6 -> INT",
		"MAX(2) -> DECIMAL(10, 2)",
		"MIN(3) -> DECIMAL(30, 2)",
		"MAX(4) -> DOUBLE",
		"MIN(5) -> STRING",
		"MAX(5) -> STRING",
		"BOOL_AND(6) -> BOOLEAN",
		"BOOL_OR(6) -> BOOLEAN",
	},
	"sums": {
		"SUM(1) -> INT",
		"SUM(1) DISTINCT -> INT",
		"SUM(1) FILTER 6 -> INT",
		"SUM0(1) FILTER 6 -> INT NOT NULL",
		"SUM(2) -> DECIMAL(38, 2)",
		"SUM(3) -> DECIMAL(38, 2)",
		"AVG(1) -> INT",
		"AVG(2) -> DECIMAL(38, 6)",
		"AVG(3) -> DECIMAL(38, 6)",
		"AVG(1) DISTINCT FILTER 6 -> INT",
		"SUM(4) -> DOUBLE",
		"SUM0(4) -> DOUBLE NOT NULL",
		"SUM(4) DISTINCT -> DOUBLE",
		"AVG(4) -> DOUBLE",
		"VAR_POP(4) -> DOUBLE",
		"VAR_SAMP(1) -> DOUBLE",
		"STDDEV_POP(2) -> DOUBLE",
		"STDDEV_SAMP(3) -> DOUBLE",
	},
	"lists": {
		"FIRST_VALUE(5) -> STRING",
		"LAST_VALUE(1) -> INT",
		"LAST_VALUE(5) FILTER 6 -> STRING",
		"LISTAGG(5) -> STRING",
		"LISTAGG(5 0) -> STRING",
		"ARRAY_AGG(1) -> ARRAY<INT>",
		"PERCENTILE(4 7) -> DOUBLE",
	},
}

func row(r *rand.Rand, _ int) []any {
	small := func(n int64) int64 { return r.Int64N(n) - n/2 }
	return []any{
		string(rune('a' + r.IntN(3))), small(6), small(500), decimal128.FromI64(small(700)), float64(small(40)) / 8,
		strings.Repeat(string(rune('x'+r.IntN(3))), 1+9*r.IntN(3)), r.IntN(2) == 0, 0.25,
	}
}

// ordered is a row of which equal values are equal rows: which of two equal values goes
// is not said otherwise.
func ordered(r *rand.Rand, _ int) []any {
	i := r.Int64N(8)
	return []any{string(rune('a' + i%3)), i, i, decimal128.FromI64(i), float64(i), strings.Repeat("x", int(i)), i%2 == 0, 0.25}
}

// specOf is a single phase.
func specOf(calls []*jobgraph.AggregateCall, keys []uint32, retracting bool) *jobgraph.UpdatingAggregate {
	return &jobgraph.UpdatingAggregate{
		Phase: jobgraph.Phase_PHASE_SINGLE, Keys: keys, Calls: calls, Retracting: retracting, UpdateBefore: true,
	}
}

func outputOf(spec *jobgraph.UpdatingAggregate, in datatype.Schema) datatype.Schema {
	var out datatype.Schema
	for _, k := range spec.Keys {
		out = append(out, in[k])
	}
	for i, c := range spec.Calls {
		t, err := datatype.Parse(c.Type)
		if err != nil {
			panic(err)
		}
		out = append(out, datatype.Field{Name: fmt.Sprintf("x%d", i), Type: t})
	}
	return out
}

// collector keeps rows.
type collector struct{ rows [][]any }

func (c *collector) Emit(b *stream.Batch) error {
	c.rows = append(c.rows, operatortest.ReadRows(b)...)
	b.Release()
	return nil
}

// unlimited is an account.
type unlimited struct{}

func (unlimited) Grow(int64) error { return nil }
func (unlimited) Shrink(int64)     {}

// batchTwin is what the batch aggregate says.
func batchTwin(t *testing.T, spec *jobgraph.UpdatingAggregate, schema datatype.Schema) func([][][]any) [][]any {
	return func(in [][][]any) [][]any {
		op, err := aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: spec.Keys, Calls: spec.Calls}, schema)
		if err != nil {
			t.Fatal(err)
		}
		out := &collector{}
		ctx := &operator.Context{
			Context: context.Background(), Parallelism: 1, Output: out, Memory: unlimited{}, Alloc: memory.DefaultAllocator,
			Contend: func() *ledger.Share { return nil }, BatchRows: 1 << 12, Log: slog.New(slog.DiscardHandler),
		}
		if err := op.Open(ctx); err != nil {
			t.Fatal(err)
		}
		if len(in[0]) > 0 {
			if err := op.Process(0, stream.NewBatch(operatortest.Record(ctx.Alloc, schema, in[0]))); err != nil {
				t.Fatal(err)
			}
		}
		if err := op.EndInput(0); err != nil {
			t.Fatal(err)
		}
		if err := op.Close(); err != nil {
			t.Fatal(err)
		}
		return out.rows
	}
}

// twoPhases is a partial and a final phase of spec in a chain.
func twoPhases(spec *jobgraph.UpdatingAggregate, in, out datatype.Schema) (operator.Operator, error) {
	var between datatype.Schema
	final := &jobgraph.UpdatingAggregate{
		Phase: jobgraph.Phase_PHASE_FINAL, Calls: spec.Calls, Retracting: spec.Retracting, UpdateBefore: spec.UpdateBefore,
		HoldMillis: spec.HoldMillis, KeepMillis: spec.KeepMillis,
	}
	for i, k := range spec.Keys {
		between, final.Keys = append(between, in[k]), append(final.Keys, uint32(i))
		if spec.Closing != nil && spec.Closing.Column == k {
			final.Closing = &jobgraph.Closing{Column: uint32(i), AfterMillis: spec.Closing.AfterMillis}
		}
	}
	for _, c := range spec.Calls {
		types, err := updateagg.AccumulatorTypes(c, spec.Retracting)
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			between = append(between, datatype.Field{Name: "acc", Type: t})
		}
	}
	between = append(between, datatype.Field{Name: "rows", Type: datatype.Of(datatype.BigInt).NotNull()})
	first, err := updateagg.New(&jobgraph.UpdatingAggregate{
		Phase: jobgraph.Phase_PHASE_PARTIAL, Keys: spec.Keys, Calls: spec.Calls, Retracting: spec.Retracting, HoldMillis: spec.HoldMillis,
	}, in, between)
	if err != nil {
		return nil, err
	}
	second, err := updateagg.New(final, between, out)
	if err != nil {
		return nil, err
	}
	return operatortest.Chain(first, second), nil
}

func inserts(t operatortest.Table) operatortest.Table {
	out := operatortest.Table{Schema: t.Schema}
	for _, row := range t.Rows() {
		out.Steps = append(out.Steps, operatortest.Step{Row: row})
	}
	return out
}

func TestFunctions(t *testing.T) {
	schema := operatortest.ParseSchema(columns)
	for _, group := range slices.Sorted(maps.Keys(functions)) {
		make := row
		if group == "lists" {
			make = ordered
		}
		history := operatortest.History(uint64(len(group)), schema, 14, make, nil)
		for _, way := range []struct {
			name       string
			in         operatortest.Table
			keys       []uint32
			retracting bool
		}{
			{group + " of inserts", inserts(history), []uint32{0}, false},
			{group + " of changes", history, []uint32{0}, true},
			{group + " of changes without keys", history, nil, true},
		} {
			spec := specOf(calls(schema, functions[group]...), way.keys, way.retracting)
			t.Run(way.name, func(t *testing.T) { run(t, spec, way.in, updateagg.New) })
			if spec.Calls = splittable(spec.Calls, way.retracting); len(spec.Calls) > 0 {
				t.Run(way.name+" in two phases", func(t *testing.T) { run(t, spec, way.in, twoPhases) })
			}
		}
	}
}

// Values that grow: each row that is taken back is followed by one that has more. Of others
// the calls take back as ever.
func TestGrowing(t *testing.T) {
	schema := operatortest.ParseSchema("k STRING NOT NULL, i INT NOT NULL, s STRING NOT NULL, b BOOLEAN NOT NULL")
	spec := specOf(calls(schema, "MAX(1) -> INT", "MAX(2) -> STRING", "BOOL_OR(3) -> BOOLEAN", "SUM(1) -> INT"), []uint32{0}, true)
	for _, c := range spec.Calls[:3] {
		c.Growing = true
	}
	in := operatortest.Table{Schema: schema}
	last := map[string][]any{}
	for i := range int64(24) {
		key := string(rune('a' + i*i%3))
		now := []any{key, i / 2, strings.Repeat("y", int(i)), i > 9}
		kind := stream.Insert
		if before := last[key]; before != nil {
			in.Steps = append(in.Steps, operatortest.Step{Kind: stream.UpdateBefore, Row: before})
			kind = stream.UpdateAfter
		}
		in.Steps = append(in.Steps, operatortest.Step{Kind: kind, Row: now})
		last[key] = now
	}
	t.Run("in one phase", func(t *testing.T) { run(t, spec, in, updateagg.New) })
	t.Run("in two phases", func(t *testing.T) { run(t, spec, in, twoPhases) })
}

type constructor func(spec *jobgraph.UpdatingAggregate, in, out datatype.Schema) (operator.Operator, error)

// run compares what an aggregate leaves of in with what the batch aggregate says.
func run(t *testing.T, spec *jobgraph.UpdatingAggregate, in operatortest.Table, make constructor) {
	out := outputOf(spec, in.Schema)
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: out, Twin: batchTwin(t, spec, in.Schema), Changelog: true,
		Stateful: true, Backend: backend,
		New: func() (operator.Operator, error) { return make(spec, in.Schema, out) },
	})
}

func splittable(calls []*jobgraph.AggregateCall, retracting bool) []*jobgraph.AggregateCall {
	out := []*jobgraph.AggregateCall{}
	for _, c := range calls {
		if updateagg.Splittable(c, retracting) {
			out = append(out, c)
		}
	}
	return out
}
