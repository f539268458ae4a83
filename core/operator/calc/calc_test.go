package calc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/calc"
	"github.com/tidemill/tidemill/core/operator/operatortest"
)

// Filters of every selectivity, with and without a projection; watermarks and
// idleness.

var deps = calc.Deps{Functions: function.Builtins()}

func column(s datatype.Schema, i int) expr.Expr { return &expr.Column{Index: i, T: s[i].Type} }

func compare(op string, a expr.Expr, v any) expr.Expr {
	return &expr.Call{Function: op, Args: []expr.Expr{a, &expr.Literal{Value: v, T: a.Type().NotNull()}}, T: datatype.Of(datatype.Boolean)}
}

const sample = `
k STRING, v INT
a | 1
b | 2
c | 3
d | 4
e | 5
f | 6
g | 7
h | 8`

func TestCalc(t *testing.T) {
	in := operatortest.Parse(sample)
	value := column(in.Schema, 1)
	double := &expr.Call{Function: "+", Args: []expr.Expr{value, value}, T: value.Type()}
	for limit := range int64(10) {
		for _, projected := range []bool{false, true} {
			spec := &jobgraph.Calc{Filter: expr.ToProto(compare("<", value, limit))}
			out := in.Schema
			if projected {
				spec.Projection = []*exprpb.Expr{expr.ToProto(double), expr.ToProto(column(in.Schema, 0))}
				out = operatortest.ParseSchema("d INT, k STRING")
			}
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in}, Output: out, Ordered: true, BatchRows: 1 << 16,
				Twin: func(in [][][]any) [][]any {
					var rows [][]any
					for _, r := range in[0] {
						v, ok := r[1].(int64)
						switch {
						case !ok || v >= limit:
						case projected:
							rows = append(rows, []any{2 * v, r[0]})
						default:
							rows = append(rows, r)
						}
					}
					return rows
				},
				New: func() (operator.Operator, error) { return calc.New(spec, out, deps) },
			})
		}
	}
}

// A column of the projection that contains others reads them, whatever their order.
func TestSharedColumns(t *testing.T) {
	in := operatortest.Parse(sample)
	value := column(in.Schema, 1)
	call := func(f string, args ...expr.Expr) expr.Expr {
		return &expr.Call{Function: f, Args: args, T: value.Type()}
	}
	double := call("+", value, value)
	spec := &jobgraph.Calc{Filter: expr.ToProto(compare("<>", value, int64(4))), Projection: []*exprpb.Expr{
		expr.ToProto(call("*", double, value)), expr.ToProto(double), expr.ToProto(column(in.Schema, 0)), expr.ToProto(double),
	}}
	out := operatortest.ParseSchema("a INT, b INT, k STRING, c INT")
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: out, Ordered: true, BatchRows: 1 << 16,
		Twin: func(in [][][]any) [][]any {
			var rows [][]any
			for _, r := range in[0] {
				if v, ok := r[1].(int64); ok && v != 4 {
					rows = append(rows, []any{2 * v * v, 2 * v, r[0], 2 * v})
				}
			}
			return rows
		},
		New: func() (operator.Operator, error) { return calc.New(spec, out, deps) },
	})
}

func TestErrorOfARow(t *testing.T) {
	in := operatortest.Parse("v INT NOT NULL\n0")
	zero := &expr.Call{Function: "/", Args: []expr.Expr{column(in.Schema, 0), column(in.Schema, 0)}, T: in.Schema[0].Type}
	op, err := calc.New(&jobgraph.Calc{Projection: []*exprpb.Expr{expr.ToProto(zero)}}, in.Schema, deps)
	if err != nil {
		t.Fatal(err)
	}
	err = operatortest.Feed(t, op, in)
	if failure.Of(err) != failure.UserCode {
		t.Fatalf("division by zero: %v", err)
	}
}

const events = `
ts TIMESTAMP(3)
2024-01-01 00:00:01
2024-01-01 00:00:03
2024-01-01 00:00:02
2024-01-01 00:00:07`

func assigner(in datatype.Schema, idle int64) (operator.Operator, error) {
	return calc.NewWatermarkAssigner(&jobgraph.WatermarkAssigner{Watermark: expr.ToProto(column(in, 0)), IdleMillis: idle}, in, false, deps)
}

func TestWatermarks(t *testing.T) {
	in := operatortest.Parse(events)
	op, err := assigner(in.Schema, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := operatortest.Collect(t, op, 2, in)
	want := `2024-01-01 00:00:01
2024-01-01 00:00:03
watermark 1704067203000
2024-01-01 00:00:02
2024-01-01 00:00:07
watermark 1704067207000`
	if err != nil || strings.Join(got, "\n") != want {
		t.Fatalf("%v, got\n%s", err, strings.Join(got, "\n"))
	}
}

func TestEventTimeOfNull(t *testing.T) {
	in := operatortest.Parse("ts TIMESTAMP(3)\nNULL")
	op, err := assigner(in.Schema, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := operatortest.Feed(t, op, in); failure.Of(err) != failure.BadData {
		t.Fatalf("null event time: %v", err)
	}
}

// A delete that is right in its key only has no time, and passes.
func TestEventTimeOfDelete(t *testing.T) {
	in := operatortest.Parse("ts TIMESTAMP(3)\n2024-01-01 00:00:01\n-D NULL\n2024-01-01 00:00:02")
	op, err := assigner(in.Schema, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := operatortest.Collect(t, op, 3, in)
	if err != nil || strings.Join(got, "\n") != "2024-01-01 00:00:01\n-D NULL\n2024-01-01 00:00:02\nwatermark 1704067202000" {
		t.Fatalf("%v, got\n%s", err, strings.Join(got, "\n"))
	}
}

// A row from the far future is passed on and counted, and does not move the watermark: it
// would make all others late.
func TestEventTimeOfTheFuture(t *testing.T) {
	in := operatortest.Parse(events)
	d := deps
	d.Expr.Now = func() time.Time { return time.Date(2024, 1, 1, 0, 0, 1, 0, time.UTC) }
	op, err := calc.NewWatermarkAssigner(&jobgraph.WatermarkAssigner{Watermark: expr.ToProto(column(in.Schema, 0)), Time: expr.ToProto(column(in.Schema, 0)), FutureMillis: 2000}, in.Schema, false, d)
	if err != nil {
		t.Fatal(err)
	}
	f := operatortest.NewFeed(t, op, in)
	f.Rows(4)
	f.Close()
	want := "2024-01-01 00:00:01\n2024-01-01 00:00:03\n2024-01-01 00:00:02\n2024-01-01 00:00:07\nwatermark 1704067203000"
	if got := strings.Join(f.Output(), "\n"); got != want || op.(*calc.WatermarkAssigner).Future() != 1 {
		t.Fatalf("%d too far, got\n%s", op.(*calc.WatermarkAssigner).Future(), got)
	}
}

func TestIdle(t *testing.T) {
	in := operatortest.Parse(events)
	op, err := assigner(in.Schema, 1000)
	if err != nil {
		t.Fatal(err)
	}
	f := operatortest.NewFeed(t, op, in)
	start := time.Unix(100, 0)
	for _, step := range []struct {
		at   time.Duration
		rows int
		want string
	}{
		{0, 1, ""},
		{500 * time.Millisecond, 0, ""},
		{1100 * time.Millisecond, 0, "idle true"},
		{1200 * time.Millisecond, 0, ""},
		{1300 * time.Millisecond, 1, "idle false"},
		{1400 * time.Millisecond, 0, ""},
	} {
		before := strings.Count(strings.Join(f.Output(), "\n"), "idle")
		if step.rows > 0 {
			f.Rows(step.rows)
		}
		if err := op.(operator.Ticker).Tick(start.Add(step.at)); err != nil {
			t.Fatal(err)
		}
		out := strings.Join(f.Output(), "\n")
		if changed := strings.Count(out, "idle") > before; changed != (step.want != "") || !strings.Contains(out, step.want) {
			t.Fatalf("at %v: want %q, got\n%s", step.at, step.want, out)
		}
	}
	f.Close()
}

func TestRefused(t *testing.T) {
	in := operatortest.ParseSchema("v INT")
	if _, err := calc.New(&jobgraph.Calc{Filter: &exprpb.Expr{}}, in, deps); err == nil {
		t.Error("empty filter")
	}
	if _, err := calc.New(&jobgraph.Calc{Projection: []*exprpb.Expr{expr.ToProto(column(in, 0))}}, nil, deps); err == nil {
		t.Error("projection without columns")
	}
	if _, err := assigner(in, 0); err == nil {
		t.Error("watermark of an INT")
	}
}
