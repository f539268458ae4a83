package updateover_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/over"
	"github.com/tidemill/tidemill/core/operator/updateover"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// What the changes leave, and what is told once, is what core/operator/over says of all
// rows, sorted: in any batches, with rows out of order, from any snapshot on.

func backend(mem memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
}

const columns = "g STRING, ts TIMESTAMP(3) NOT NULL, v BIGINT, t STRING, id BIGINT NOT NULL"

var schema = operatortest.ParseSchema(columns)

// call makes a call with a frame such as "ROWS 2 PRECEDING".
func call(function, typ, frame string, args ...uint32) *jobgraph.OverCall {
	c := &jobgraph.AggregateCall{Function: function, Args: args, Filter: -1, Type: typ, Name: strings.ToLower(function)}
	for _, a := range args {
		c.ArgTypes = append(c.ArgTypes, schema[a].Type.String())
	}
	unit, text, _ := strings.Cut(frame, " ")
	from, to, both := strings.Cut(text, " .. ")
	if !both {
		to = "CURRENT ROW"
	}
	f := &jobgraph.Frame{Unit: jobgraph.FrameUnit_FRAME_ROWS, From: bound(from), To: bound(to)}
	if unit == "RANGE" {
		f.Unit = jobgraph.FrameUnit_FRAME_RANGE
	}
	return &jobgraph.OverCall{Call: c, Frame: f}
}

func bound(text string) *jobgraph.FrameBound {
	kinds := map[string]jobgraph.BoundKind{
		"UNBOUNDED PRECEDING": jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING, "CURRENT ROW": jobgraph.BoundKind_BOUND_CURRENT_ROW,
		"UNBOUNDED FOLLOWING": jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING,
	}
	if k, ok := kinds[text]; ok {
		return &jobgraph.FrameBound{Kind: k}
	}
	var n int64
	var side string
	if _, err := fmt.Sscan(text, &n, &side); err != nil {
		panic(err)
	}
	if side == "MONTHS" {
		return &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_PRECEDING, Offset: n, Months: true}
	}
	return &jobgraph.FrameBound{Kind: map[string]jobgraph.BoundKind{"PRECEDING": jobgraph.BoundKind_BOUND_PRECEDING, "FOLLOWING": jobgraph.BoundKind_BOUND_FOLLOWING}[side], Offset: n}
}

func output(calls []*jobgraph.OverCall) datatype.Schema {
	out := slices.Clone(schema)
	for _, c := range calls {
		t, err := datatype.Parse(c.Call.Type)
		if err != nil {
			panic(err)
		}
		out = append(out, datatype.Field{Name: c.Call.Name, Type: t})
	}
	return out
}

func row(r *rand.Rand, at int64, id int) []any {
	return []any{[]string{"a", "b", "a partition with a long name"}[r.IntN(3)], at, int64(r.IntN(6)), fmt.Sprint("some text ", r.IntN(5)), int64(id)}
}

// events are rows out of order, with watermarks behind them.
func events(seed uint64, n, disorder int) operatortest.Table {
	r := rand.New(rand.NewPCG(seed, 9))
	t := operatortest.Table{Schema: schema}
	for i := range n {
		if r.IntN(4) == 0 {
			t.Steps = append(t.Steps, operatortest.Step{Watermark: stream.Watermark(i*400 - disorder - 1)})
		}
		t.Steps = append(t.Steps, operatortest.Step{Row: row(r, int64(i*400-r.IntN(disorder))/500*500+500, i)})
	}
	return t
}

func compare(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	if s, ok := a.(string); ok {
		return cmp.Compare(s, b.(string))
	}
	return cmp.Compare(a.(int64), b.(int64))
}

// twin sorts all rows and has them computed at once.
func twin(t *testing.T, spec *jobgraph.UpdatingOver, rows [][]any) [][]any {
	t.Helper()
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b []any) int {
		c := 0
		for _, p := range spec.Partition {
			c = cmp.Or(c, compare(a[p], b[p]))
		}
		for _, k := range spec.Order {
			c = cmp.Or(c, compare(a[k.Column], b[k.Column]))
		}
		return c
	})
	op, err := over.New(&jobgraph.Over{Partition: spec.Partition, Order: spec.Order, Calls: spec.Calls}, schema)
	if err != nil {
		t.Fatal(err)
	}
	out := &sink{}
	check(t, op.Open(newContext(out, memory.DefaultAllocator, nil)))
	if len(rows) > 0 {
		check(t, op.Process(0, stream.NewBatch(operatortest.Record(memory.DefaultAllocator, schema, rows))))
	}
	check(t, op.EndInput(0))
	check(t, op.Close())
	return out.rows
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sink keeps rows.
type sink struct{ rows [][]any }

func (s *sink) Emit(b *stream.Batch) error {
	defer b.Release()
	s.rows = append(s.rows, operatortest.ReadRows(b)...)
	return nil
}

type unlimited struct{}

func (unlimited) Grow(int64) error { return nil }
func (unlimited) Shrink(int64)     {}

func newContext(out operator.Output, mem memory.Allocator, kept state.Backend) *operator.Context {
	return &operator.Context{
		Context: context.Background(), Output: out, Memory: unlimited{}, Alloc: mem, State: kept,
		Contend: func() *ledger.Share { return nil }, BatchRows: 1024, Log: slog.New(slog.DiscardHandler),
	}
}

var (
	byTime  = []*jobgraph.SortKey{{Column: 1}}
	total   = []*jobgraph.SortKey{{Column: 1}, {Column: 4}}
	byValue = []*jobgraph.SortKey{{Column: 2}, {Column: 4}}
)

func TestChanges(t *testing.T) {
	for name, spec := range map[string]*jobgraph.UpdatingOver{
		"rows": {Order: byValue, Calls: []*jobgraph.OverCall{
			call("ROW_NUMBER", "BIGINT NOT NULL", "ROWS UNBOUNDED PRECEDING"), call("SUM", "BIGINT", "ROWS 1 PRECEDING .. 1 FOLLOWING", 2), call("LAG", "STRING", "ROWS 1 PRECEDING", 3),
		}},
		"ranges": {Order: byTime, Calls: []*jobgraph.OverCall{
			call("RANK", "BIGINT NOT NULL", "RANGE UNBOUNDED PRECEDING"), call("SUM", "BIGINT", "RANGE 1000 PRECEDING", 2),
			call("COUNT", "BIGINT NOT NULL", "ROWS UNBOUNDED PRECEDING .. UNBOUNDED FOLLOWING", 2),
		}},
	} {
		spec.Partition = []uint32{0}
		out := output(spec.Calls)
		for _, retracting := range []bool{false, true} {
			spec := &jobgraph.UpdatingOver{Partition: spec.Partition, Order: spec.Order, Calls: spec.Calls, Retracting: retracting, UpdateBefore: !retracting}
			run := operatortest.Case{
				Inputs: []operatortest.Table{events(5, 10, 3000)}, Output: out, Changelog: true, Stateful: true, Backend: backend, BatchRows: 16,
				New:  func() (operator.Operator, error) { return updateover.New(spec, schema, out) },
				Twin: func(in [][][]any) [][]any { return twin(t, spec, in[0]) },
			}
			if retracting {
				run.Inputs[0] = operatortest.History(6, schema, 18, func(r *rand.Rand, n int) []any { return row(r, int64(r.IntN(4)*500), n) }, nil)
				run.Upsert = []int{4}
			}
			t.Run(fmt.Sprintf("%s retracting %v", name, retracting), func(t *testing.T) { operatortest.Run(t, run) })
		}
	}
}

func TestClosing(t *testing.T) {
	for name, spec := range map[string]*jobgraph.UpdatingOver{
		"carried": {Order: total, Calls: []*jobgraph.OverCall{
			call("ROW_NUMBER", "BIGINT NOT NULL", "ROWS UNBOUNDED PRECEDING"), call("SUM", "BIGINT", "ROWS UNBOUNDED PRECEDING", 2), call("MAX", "STRING", "ROWS UNBOUNDED PRECEDING", 3),
		}},
		"carried ranges": {Order: byTime, Calls: []*jobgraph.OverCall{
			call("RANK", "BIGINT NOT NULL", "RANGE UNBOUNDED PRECEDING"), call("DENSE_RANK", "BIGINT NOT NULL", "RANGE UNBOUNDED PRECEDING"),
			call("COUNT", "BIGINT NOT NULL", "RANGE UNBOUNDED PRECEDING", 2), call("LISTAGG", "STRING", "RANGE UNBOUNDED PRECEDING", 3),
		}},
		"rows": {Order: total, Calls: []*jobgraph.OverCall{
			call("SUM", "BIGINT", "ROWS 2 PRECEDING", 2), call("LAG", "STRING", "ROWS 1 PRECEDING", 3), call("ROW_NUMBER", "BIGINT NOT NULL", "ROWS UNBOUNDED PRECEDING"),
		}},
		"ranges":     {Order: byTime, Calls: []*jobgraph.OverCall{call("SUM", "BIGINT", "RANGE 1500 PRECEDING", 2), call("COUNT", "BIGINT NOT NULL", "RANGE CURRENT ROW", 2)}},
		"months":     {Order: byTime, Calls: []*jobgraph.OverCall{call("SUM", "BIGINT", "RANGE 1 MONTHS", 2)}},
		"no calls":   {Order: total},
		"everything": {Order: total, Calls: []*jobgraph.OverCall{call("FIRST_VALUE", "STRING", "ROWS UNBOUNDED PRECEDING", 3)}},
	} {
		spec.Partition, spec.Closing = []uint32{0}, &jobgraph.Closing{Column: 1}
		out := output(spec.Calls)
		t.Run(name, func(t *testing.T) {
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{events(8, 14, 2000)}, Output: out, Stateful: true, Backend: backend,
				New:  func() (operator.Operator, error) { return updateover.New(spec, schema, out) },
				Twin: func(in [][][]any) [][]any { return twin(t, spec, in[0]) },
			})
		})
	}
}

// Without partitions and functions rows are told in their order, and that is all.
func TestSorted(t *testing.T) {
	in := operatortest.Parse(columns + `
a | 1970-01-01 00:00:02 | 1 | x | 7
b | 1970-01-01 00:00:01 | 2 | x | 2
watermark 1500
a | 1970-01-01 00:00:03 | 4 | x | 3
a | 1970-01-01 00:00:01 | 9 | x | 9
watermark 2500
b | 1970-01-01 00:00:03 | 8 | x | 1`)
	spec := &jobgraph.UpdatingOver{Order: total, Closing: &jobgraph.Closing{Column: 1}}
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: schema, Stateful: true, Backend: backend, Ordered: true,
		New: func() (operator.Operator, error) { return updateover.New(spec, schema, schema) },
		Want: `
b | 1970-01-01 00:00:01 | 2 | x | 2
a | 1970-01-01 00:00:02 | 1 | x | 7
b | 1970-01-01 00:00:03 | 8 | x | 1
a | 1970-01-01 00:00:03 | 4 | x | 3`,
	})
}

// Without partitions rows are told in the order of time.
func TestInOrder(t *testing.T) {
	in := operatortest.Parse(columns + `
a | 1970-01-01 00:00:02 | 1 | x | 1
b | 1970-01-01 00:00:01 | 2 | x | 2
a | 1970-01-01 00:00:03 | 4 | x | 3
watermark 2000
b | 1970-01-01 00:00:02.500 | 8 | x | 4
a | 1970-01-01 00:00:02 | 16 | x | 5`)
	spec := &jobgraph.UpdatingOver{Order: byTime, Closing: &jobgraph.Closing{Column: 1}, Calls: []*jobgraph.OverCall{call("SUM", "BIGINT", "RANGE UNBOUNDED PRECEDING", 2)}}
	out := output(spec.Calls)
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: out, Stateful: true, Backend: backend, Ordered: true,
		New: func() (operator.Operator, error) { return updateover.New(spec, schema, out) },
		Want: `
b | 1970-01-01 00:00:01 | 2 | x | 2 | 2
a | 1970-01-01 00:00:02 | 1 | x | 1 | 3
b | 1970-01-01 00:00:02.500 | 8 | x | 4 | 11
a | 1970-01-01 00:00:03 | 4 | x | 3 | 15`,
	})
}

// driven is an operator with state that a test looks into.
type driven struct {
	t    *testing.T
	op   *updateover.Over
	kept state.Backend
	mem  memory.Allocator
	out  sink
	next int
}

func drive(t *testing.T, spec *jobgraph.UpdatingOver) *driven {
	d := &driven{t: t, mem: memory.DefaultAllocator}
	d.kept, _ = backend(d.mem, unlimited{})
	var err error
	d.op, err = updateover.New(spec, schema, output(spec.Calls))
	check(t, err)
	check(t, d.op.Open(newContext(&d.out, d.mem, d.kept)))
	return d
}

func (d *driven) add(g string, millis int64) {
	d.next++
	check(d.t, d.op.Process(0, stream.NewBatch(operatortest.Record(d.mem, schema, [][]any{{g, millis, int64(1), "x", int64(d.next)}}))))
}

// held counts the keys and rows in state.
func (d *driven) held() (keys, rows int64) {
	s, err := d.kept.Snapshot(state.Everything)
	check(d.t, err)
	defer s.Release()
	check(d.t, state.Complete(s))
	check(d.t, s.Write(context.Background(), func(p state.Piece) error {
		if p.Kind == state.PutKey {
			keys += p.Rows.NumRows()
		} else {
			rows += p.Rows.NumRows()
		}
		return nil
	}))
	return keys, rows
}

// What no frame reaches is forgotten, also of partitions for which nothing comes.
func TestForgets(t *testing.T) {
	for _, c := range []struct {
		call       *jobgraph.OverCall
		keys, rows int64 // after ten rows for two partitions, then much later
		later      int64
	}{
		{call("SUM", "BIGINT", "ROWS UNBOUNDED PRECEDING", 2), 2, 0, 0},
		{call("SUM", "BIGINT", "ROWS 2 PRECEDING", 2), 2, 4, 4},
		{call("SUM", "BIGINT", "RANGE 2000 PRECEDING", 2), 2, 4, 0},
		{call("FIRST_VALUE", "BIGINT", "ROWS UNBOUNDED PRECEDING", 2), 2, 20, 20},
	} {
		d := drive(t, &jobgraph.UpdatingOver{Partition: []uint32{0}, Order: byTime, Closing: &jobgraph.Closing{Column: 1}, Calls: []*jobgraph.OverCall{c.call}})
		for i := range int64(10) {
			d.add("a", i*1000)
			d.add("b", i*1000)
			check(t, d.op.Watermark(stream.Watermark(i*1000)))
		}
		if keys, rows := d.held(); keys != c.keys || rows != c.rows {
			t.Errorf("%v: %d keys, %d rows; want %d, %d", c.call, keys, rows, c.keys, c.rows)
		}
		check(t, d.op.Watermark(100_000))
		if _, rows := d.held(); rows != c.later {
			t.Errorf("%v: %d rows later, want %d", c.call, rows, c.later)
		}
		d.add("a", 99_000)
		if d.op.Late() != 1 || len(d.out.rows) != 20 {
			t.Errorf("%d late rows, %d told", d.op.Late(), len(d.out.rows))
		}
		check(t, d.op.Close())
		check(t, d.kept.Close())
	}
}

// Partitions that nothing comes for are forgotten, unless something waits there.
func TestKeep(t *testing.T) {
	for _, closing := range []*jobgraph.Closing{nil, {Column: 1}} {
		d := drive(t, &jobgraph.UpdatingOver{Partition: []uint32{0}, Order: byTime, Closing: closing, KeepMillis: 1000, Calls: []*jobgraph.OverCall{call("SUM", "BIGINT", "ROWS 5 PRECEDING", 2)}})
		d.add("a", 0)
		check(t, d.op.Watermark(0))
		check(t, d.op.Tick(time.UnixMilli(10_000)))
		d.add("b", 1)
		check(t, d.op.Tick(time.UnixMilli(11_500)))
		want := int64(0)
		if closing != nil {
			want = 1
		}
		if keys, rows := d.held(); keys != want || rows != want {
			t.Errorf("%d keys, %d rows; want %d", keys, rows, want)
		}
		check(t, d.op.Close())
		check(t, d.kept.Close())
	}
}

func TestRefused(t *testing.T) {
	sum := []*jobgraph.OverCall{call("SUM", "BIGINT", "ROWS UNBOUNDED PRECEDING", 2)}
	closing := &jobgraph.Closing{Column: 1}
	for name, spec := range map[string]*jobgraph.UpdatingOver{
		"partition":  {Partition: []uint32{9}, Order: byTime, Calls: sum},
		"order":      {Order: []*jobgraph.SortKey{{Column: 9}}, Calls: sum},
		"closing":    {Order: byValue, Calls: sum, Closing: closing},
		"descending": {Order: []*jobgraph.SortKey{{Column: 1, Descending: true}}, Calls: sum, Closing: closing},
		"following":  {Order: byTime, Calls: []*jobgraph.OverCall{call("SUM", "BIGINT", "ROWS 1 PRECEDING .. 1 FOLLOWING", 2)}, Closing: closing},
		"share":      {Order: byTime, Calls: []*jobgraph.OverCall{call("CUME_DIST", "DOUBLE", "ROWS UNBOUNDED PRECEDING")}, Closing: closing},
		"arguments":  {Order: byTime, Calls: []*jobgraph.OverCall{call("LAG", "BIGINT", "ROWS 1 PRECEDING")}},
	} {
		if _, err := updateover.New(spec, schema, output(spec.Calls)); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	op, err := updateover.New(&jobgraph.UpdatingOver{Order: byTime, Calls: sum}, schema, output(sum))
	check(t, err)
	if err := operatortest.Feed(t, op, operatortest.Parse(columns+"\n-D a | 1970-01-01 00:00:02 | 1 | x | 1")); err == nil {
		t.Error("a row is taken back that cannot be")
	}
}
