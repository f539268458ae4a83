package match_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/match"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// What is told is what a twin finds that looks at one start after the other: for patterns
// of every kind, in any batches, with rows out of order, from any snapshot on.

const columns = "g STRING, ts TIMESTAMP(3) NOT NULL, v BIGINT, t STRING, id BIGINT NOT NULL, up BOOLEAN"

var (
	schema  = operatortest.ParseSchema(columns)
	bigint  = datatype.Of(datatype.BigInt)
	boolean = datatype.Of(datatype.Boolean)
)

func backend(mem memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
}

func variable(v uint32) *jobgraph.Pattern {
	return &jobgraph.Pattern{Kind: jobgraph.PatternKind_PATTERN_VARIABLE, Variable: v, Least: 1, Most: 1}
}

func repeat(p *jobgraph.Pattern, least uint32, most int64, reluctant bool) *jobgraph.Pattern {
	if p.Least != 1 || p.Most != 1 {
		p = sequence(p)
	}
	p.Least, p.Most, p.Reluctant = least, most, reluctant
	return p
}

func parts(kind jobgraph.PatternKind, all ...*jobgraph.Pattern) *jobgraph.Pattern {
	return &jobgraph.Pattern{Kind: kind, Parts: all, Least: 1, Most: 1}
}

func sequence(all ...*jobgraph.Pattern) *jobgraph.Pattern {
	return parts(jobgraph.PatternKind_PATTERN_SEQUENCE, all...)
}

func last(variable int32, column, offset uint32) *jobgraph.MatchReference {
	return &jobgraph.MatchReference{Variable: variable, Column: column, Offset: offset}
}

func first(variable int32, column, offset uint32) *jobgraph.MatchReference {
	return &jobgraph.MatchReference{Variable: variable, Column: column, Offset: offset, First: true}
}

func aggregate(function string, variable int32, typ string, args ...uint32) *jobgraph.MatchReference {
	c := &jobgraph.AggregateCall{Function: function, Args: args, Filter: -1, Type: typ}
	for _, a := range args {
		c.ArgTypes = append(c.ArgTypes, schema[a].Type.String())
	}
	return &jobgraph.MatchReference{Variable: variable, Aggregate: c}
}

func call(function string, a, b expr.Expr) expr.Expr {
	return &expr.Call{Function: function, Args: []expr.Expr{a, b}, T: boolean}
}

func column(i int, t datatype.Type) expr.Expr { return &expr.Column{Index: i, T: t} }

func number(n int64) expr.Expr { return &expr.Literal{Value: n, T: bigint.NotNull()} }

// choice is a condition for both: the operator and the twin.
type choice struct {
	define func(self int32) (expr.Expr, []*jobgraph.MatchReference)
	holds  func(self int32) condition
}

func ints(a, b any, less func(a, b int64) bool) bool {
	return a != nil && b != nil && less(a.(int64), b.(int64))
}

var choices = []choice{
	{
		func(int32) (expr.Expr, []*jobgraph.MatchReference) { return nil, nil },
		func(int32) condition { return nil },
	},
	{
		func(int32) (expr.Expr, []*jobgraph.MatchReference) { return column(5, boolean), nil },
		func(int32) condition { return func(h history) bool { return h[len(h)-1].row[5] == true } },
	},
	{ // v > the row before
		func(int32) (expr.Expr, []*jobgraph.MatchReference) {
			return call(">", column(2, bigint), column(len(schema), bigint)), []*jobgraph.MatchReference{last(-1, 2, 1)}
		},
		func(int32) condition {
			return func(h history) bool {
				return len(h) > 1 && ints(h[len(h)-1].row[2], h[len(h)-2].row[2], func(a, b int64) bool { return a > b })
			}
		},
	},
	{ // up and the sum of the variable so far is small
		func(self int32) (expr.Expr, []*jobgraph.MatchReference) {
			return expr.And(column(5, boolean), call("<", column(len(schema), bigint), number(9))), []*jobgraph.MatchReference{aggregate("SUM", self, "BIGINT", 2)}
		},
		func(self int32) condition {
			return func(h history) bool {
				sum := h.ref(aggregate("SUM", self, "BIGINT", 2))
				return h[len(h)-1].row[5] == true && ints(sum, int64(9), func(a, b int64) bool { return a < b })
			}
		},
	},
	{ // v is not more than that of the second row of A
		func(int32) (expr.Expr, []*jobgraph.MatchReference) {
			return call("<=", column(2, bigint), column(len(schema), bigint)), []*jobgraph.MatchReference{first(0, 2, 1)}
		},
		func(int32) condition {
			return func(h history) bool {
				return ints(h[len(h)-1].row[2], h.ref(first(0, 2, 1)), func(a, b int64) bool { return a <= b })
			}
		},
	},
	{ // at most four rows
		func(int32) (expr.Expr, []*jobgraph.MatchReference) {
			return call("<=", column(len(schema), bigint.NotNull()), number(4)), []*jobgraph.MatchReference{aggregate("COUNT", -1, "BIGINT NOT NULL")}
		},
		func(int32) condition { return func(h history) bool { return len(h) <= 4 } },
	},
}

func measures() []*jobgraph.MatchReference {
	return []*jobgraph.MatchReference{
		first(-1, 4, 0), last(-1, 4, 0), last(-1, 1, 0), first(0, 4, 0), last(1, 4, 1), aggregate("COUNT", -1, "BIGINT NOT NULL"),
		aggregate("SUM", 2, "BIGINT", 2), aggregate("MAX", 0, "STRING", 3),
	}
}

func output(spec *jobgraph.MatchRecognize) datatype.Schema {
	out := datatype.Schema{schema[0]}
	for i, m := range spec.Measures {
		t := schema[m.Column].Type.WithNull(true)
		if m.Aggregate != nil {
			t, _ = datatype.Parse(m.Aggregate.Type)
		}
		out = append(out, datatype.Field{Name: fmt.Sprint("m", i), Type: t})
	}
	return out
}

// define gives variable i of a spec a condition.
func define(spec *jobgraph.MatchRecognize, conditions []condition, i int, c choice) {
	e, refs := c.define(int32(i))
	v := &jobgraph.MatchVariable{Name: string(rune('A' + i)), References: refs}
	if e != nil {
		v.Define = expr.ToProto(e)
	}
	spec.Variables[i], conditions[i] = v, c.holds(int32(i))
}

func newSpec(p *jobgraph.Pattern, after jobgraph.AfterMatch, which ...int) (*jobgraph.MatchRecognize, []condition) {
	spec := &jobgraph.MatchRecognize{
		Partition: []uint32{0}, Order: []*jobgraph.SortKey{{Column: 1}, {Column: 4}}, Pattern: p, Measures: measures(), After: after,
		Variables: make([]*jobgraph.MatchVariable, 3), MaxPartial: 1000,
	}
	conditions := make([]condition, 3)
	for i, w := range which {
		define(spec, conditions, i, choices[w])
	}
	return spec, conditions
}

// events are rows out of order, with watermarks behind them.
func events(seed uint64, n, disorder, keys int) operatortest.Table {
	r := rand.New(rand.NewPCG(seed, 9))
	t := operatortest.Table{Schema: schema}
	for i := range n {
		if r.IntN(4) == 0 {
			t.Steps = append(t.Steps, operatortest.Step{Watermark: stream.Watermark(i*400 - disorder - 1)})
		}
		at := int64(i*400-r.IntN(disorder))/500*500 + 500
		t.Steps = append(t.Steps, operatortest.Step{Row: []any{
			[]string{"a", "b", "a partition with a long name"}[r.IntN(keys)], at, int64(r.IntN(6)), fmt.Sprint("some text ", r.IntN(5)), int64(i), r.IntN(3) > 0,
		}})
	}
	return t
}

var deps = match.Deps{Functions: function.Builtins()}

const (
	pastLast = jobgraph.AfterMatch_AFTER_MATCH_PAST_LAST_ROW
	nextRow  = jobgraph.AfterMatch_AFTER_MATCH_NEXT_ROW
	toFirst  = jobgraph.AfterMatch_AFTER_MATCH_TO_FIRST
	toLast   = jobgraph.AfterMatch_AFTER_MATCH_TO_LAST
)

func TestMatch(t *testing.T) {
	a, b, c := variable(0), variable(1), variable(2)
	type one struct {
		pattern *jobgraph.Pattern
		after   jobgraph.AfterMatch
		which   []int
		within  int64
		skipTo  uint32
	}
	for name, o := range map[string]one{
		"falling":     {sequence(a, repeat(variable(1), 1, -1, false), c), toLast, []int{0, 2, 1}, 0, 2},
		"sum":         {sequence(repeat(variable(0), 1, -1, false), b), pastLast, []int{3, 0, 0}, 0, 0},
		"sum next":    {sequence(repeat(variable(0), 1, -1, false), b), nextRow, []int{3, 0, 0}, 0, 0},
		"within":      {sequence(a, repeat(variable(1), 0, -1, false), c), pastLast, []int{0, 5, 1}, 2500, 0},
		"reluctant":   {sequence(a, repeat(variable(1), 0, -1, true), c), nextRow, []int{1, 0, 2}, 0, 0},
		"memoryless":  {sequence(repeat(parts(jobgraph.PatternKind_PATTERN_ALTERNATION, a, b), 1, 3, true), c), toFirst, []int{1, 0, 1}, 0, 2},
		"permutation": {parts(jobgraph.PatternKind_PATTERN_PERMUTATION, a, b, c), pastLast, []int{1, 2, 5}, 0, 0},
	} {
		spec, conditions := newSpec(o.pattern, o.after, o.which...)
		spec.WithinMillis, spec.AfterVariable = o.within, o.skipTo
		t.Run(name, func(t *testing.T) {
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{events(8, 14, 2000, 2)}, Output: output(spec), Stateful: true, Backend: backend,
				New:  func() (operator.Operator, error) { return match.New(spec, schema, output(spec), deps) },
				Twin: func(in [][][]any) [][]any { return matches(spec, conditions, in[0]) },
			})
		})
	}
}

// Partial matches end where nothing has come for their partition for a while: what comes
// then is the first. Rows that wait for the watermark stay.
func TestForgotten(t *testing.T) {
	spec, conditions := newSpec(sequence(variable(0), repeat(variable(1), 0, -1, true), variable(2)), nextRow, 1, 0, 2)
	spec.KeepMillis = 5000
	former, later := events(3, 12, 1000, 2), events(4, 10, 1000, 2)
	for _, s := range later.Steps {
		if s.Row != nil {
			s.Row[1], s.Row[4] = s.Row[1].(int64)+100_000, s.Row[4].(int64)+100
		}
	}
	later.Steps = slices.DeleteFunc(later.Steps, func(s operatortest.Step) bool { return s.Row == nil })
	for _, waits := range []bool{false, true} {
		in := operatortest.Table{Schema: schema, Steps: []operatortest.Step{{Tick: 10_000}}}
		for _, s := range former.Steps {
			if s.Row != nil || !waits {
				in.Steps = append(in.Steps, s)
			}
		}
		if !waits {
			in.Steps = append(in.Steps, operatortest.Step{Watermark: 50_000})
		}
		in.Steps = append(append(in.Steps, operatortest.Step{Tick: 13_000}, operatortest.Step{Tick: 20_000}), later.Steps...)
		twin := func(in [][][]any) [][]any {
			at := slices.IndexFunc(in[0], func(row []any) bool { return row[4].(int64) >= 100 })
			if waits {
				at = 0
			}
			return append(matches(spec, conditions, in[0][:at]), matches(spec, conditions, in[0][at:])...)
		}
		if all := matches(spec, conditions, in.Rows()); slices.Equal(lines(spec, all), lines(spec, twin([][][]any{in.Rows()}))) != waits {
			t.Fatal("no match of both times")
		}
		operatortest.Run(t, operatortest.Case{
			Inputs: []operatortest.Table{in}, Output: output(spec), Stateful: true, Backend: backend,
			New:  func() (operator.Operator, error) { return match.New(spec, schema, output(spec), deps) },
			Twin: twin,
		})
	}
}

// somePattern is a pattern at random.
func somePattern(r *rand.Rand, depth int) *jobgraph.Pattern {
	var p *jobgraph.Pattern
	if depth == 0 || r.IntN(3) == 0 {
		p = variable(uint32(r.IntN(3)))
	} else {
		kind := []jobgraph.PatternKind{
			jobgraph.PatternKind_PATTERN_SEQUENCE, jobgraph.PatternKind_PATTERN_SEQUENCE, jobgraph.PatternKind_PATTERN_ALTERNATION, jobgraph.PatternKind_PATTERN_PERMUTATION,
		}[r.IntN(4)]
		p = parts(kind)
		for range 1 + r.IntN(3) {
			p.Parts = append(p.Parts, somePattern(r, depth-1))
		}
	}
	if r.IntN(3) > 0 {
		return p
	}
	least := uint32(r.IntN(3))
	most := int64(least) + int64(r.IntN(3))
	if r.IntN(2) == 0 {
		most = -1
	}
	return repeat(p, least, most, r.IntN(2) == 0)
}

// Patterns, conditions and rows at random.
func TestRandom(t *testing.T) {
	found := 0
	for seed := range uint64(250) {
		r := rand.New(rand.NewPCG(seed, 1))
		spec, conditions := newSpec(sequence(somePattern(r, 2), somePattern(r, 1)), []jobgraph.AfterMatch{pastLast, nextRow}[r.IntN(2)])
		for i := range spec.Variables {
			define(spec, conditions, i, choices[r.IntN(len(choices))])
		}
		if r.IntN(3) == 0 {
			spec.WithinMillis = int64(500 + r.IntN(8)*500)
		}
		op, err := match.New(spec, schema, output(spec), deps)
		if nullable(spec.Pattern) || repeatsNothing(spec.Pattern) {
			if err == nil {
				t.Fatalf("seed %d: a pattern without rows is accepted: %v", seed, spec.Pattern)
			}
			continue
		}
		check(t, err)
		in := events(seed, 40, 1500, 1+r.IntN(2))
		got, err := drive(op, in, r)
		if failure.Of(err) == failure.UserCode { // too many partial matches
			continue
		}
		check(t, err)
		want, ok := bounded(spec, conditions, in.Rows())
		if !ok {
			continue
		}
		found += len(want)
		if g, w := lines(spec, got), lines(spec, want); !slices.Equal(g, w) {
			t.Fatalf("seed %d: pattern %v, after %v\ngot\n%s\nwant\n%s", seed, spec.Pattern, spec.After, strings.Join(g, "\n"), strings.Join(w, "\n"))
		}
	}
	if found < 400 {
		t.Errorf("only %d matches were found", found)
	}
}

// bounded is what the twin finds, unless there are too many ways.
func bounded(spec *jobgraph.MatchRecognize, conditions []condition, rows [][]any) (out [][]any, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if r != errThreads {
				panic(r)
			}
			out, ok = nil, false
		}
	}()
	return matches(spec, conditions, rows), true
}

func lines(spec *jobgraph.MatchRecognize, rows [][]any) (out []string) {
	for _, r := range rows {
		out = append(out, operatortest.FormatRow(output(spec), r))
	}
	slices.Sort(out)
	return out
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type sink struct{ rows [][]any }

func (s *sink) Emit(b *stream.Batch) error {
	defer b.Release()
	s.rows = append(s.rows, operatortest.ReadRows(b)...)
	return nil
}

type unlimited struct{}

func (unlimited) Grow(int64) error { return nil }
func (unlimited) Shrink(int64)     {}

func newContext(out operator.Output, kept state.Backend) *operator.Context {
	return &operator.Context{
		Context: context.Background(), Output: out, Memory: unlimited{}, Alloc: memory.DefaultAllocator, State: kept,
		Contend: func() *ledger.Share { return nil }, BatchRows: 1024, Log: slog.New(slog.DiscardHandler),
	}
}

// drive runs an operator over a table in batches at random. What is told of the watermark
// must hold: no row comes behind it.
func drive(op *match.Match, in operatortest.Table, r *rand.Rand) ([][]any, error) {
	out := &sink{}
	defer op.Close()
	if err := op.Open(newContext(out, nil)); err != nil {
		return nil, err
	}
	var batch [][]any
	told, delayed := 0, stream.MinWatermark
	for _, s := range append(in.Steps, operatortest.Step{Watermark: stream.MaxWatermark}) {
		if s.Row != nil {
			batch = append(batch, s.Row)
		}
		if len(batch) > 0 && (s.Row == nil || r.IntN(4) == 0) {
			if err := op.Process(0, stream.NewBatch(operatortest.Record(memory.DefaultAllocator, schema, batch))); err != nil {
				return nil, err
			}
			batch = nil
		}
		if s.Row != nil {
			continue
		}
		if err := op.Watermark(s.Watermark); err != nil {
			return nil, err
		}
		for ; told < len(out.rows); told++ {
			if at := out.rows[told][3].(int64); at <= int64(delayed) {
				return nil, fmt.Errorf("a match of time %d behind watermark %d", at, delayed)
			}
		}
		delayed = max(delayed, min(s.Watermark, op.Delayed()))
	}
	return out.rows, nil
}

// Matches that skip to where they began, or to a row that is not there, are errors, and so
// are too many partial ones.
func TestErrors(t *testing.T) {
	a, b := variable(0), variable(1)
	for name, c := range map[string]struct {
		change func(*jobgraph.MatchRecognize)
		want   string
	}{
		"for ever": {func(s *jobgraph.MatchRecognize) { s.After = toFirst }, "found for ever"},
		"missing":  {func(s *jobgraph.MatchRecognize) { s.After, s.AfterVariable = toLast, 2 }, "has no row of C"},
		"too many": {func(s *jobgraph.MatchRecognize) {
			s.MaxPartial = 3
			s.Pattern = sequence(variable(0), repeat(variable(1), 50, 50, false))
		}, "more than 3 partial matches"},
	} {
		spec, _ := newSpec(sequence(a, b), nextRow, 0, 0, 0)
		c.change(spec)
		op, err := match.New(spec, schema, output(spec), deps)
		check(t, err)
		_, err = drive(op, events(1, 20, 10, 1), rand.New(rand.NewPCG(1, 1)))
		if failure.Of(err) != failure.UserCode || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(*jobgraph.MatchRecognize){
		"order":      func(s *jobgraph.MatchRecognize) { s.Order = nil },
		"descending": func(s *jobgraph.MatchRecognize) { s.Order[0].Descending = true },
		"time":       func(s *jobgraph.MatchRecognize) { s.Order[0].Column = 2 },
		"sort":       func(s *jobgraph.MatchRecognize) { s.Order[1].Column = 9 },
		"partition":  func(s *jobgraph.MatchRecognize) { s.Partition[0] = 9 },
		"after":      func(s *jobgraph.MatchRecognize) { s.After = 0 },
		"skip":       func(s *jobgraph.MatchRecognize) { s.AfterVariable = 3 },
		"variable":   func(s *jobgraph.MatchRecognize) { s.Pattern = variable(3) },
		"reference":  func(s *jobgraph.MatchRecognize) { s.Measures[0].Variable = 3 },
		"column":     func(s *jobgraph.MatchRecognize) { s.Measures[0].Column = 9 },
		"offset":     func(s *jobgraph.MatchRecognize) { s.Measures[0].Offset = 1 << 20 },
		"argument":   func(s *jobgraph.MatchRecognize) { s.Measures[6].Aggregate.Args[0] = 9 },
		"distinct":   func(s *jobgraph.MatchRecognize) { s.Measures[6].Aggregate.Distinct = true },
		"condition": func(s *jobgraph.MatchRecognize) {
			s.Variables[0].Define = expr.ToProto(call("<", column(40, bigint), number(1)))
		},
		"kind": func(s *jobgraph.MatchRecognize) {
			s.Pattern = parts(jobgraph.PatternKind_PATTERN_EXCLUSION, variable(0))
		},
		"large":    func(s *jobgraph.MatchRecognize) { s.Pattern = repeat(variable(0), 1<<20, 1<<20, false) },
		"empty":    func(s *jobgraph.MatchRecognize) { s.Pattern = repeat(variable(0), 0, 1, false) },
		"measures": func(s *jobgraph.MatchRecognize) { s.Measures = s.Measures[:2] },
	} {
		spec, _ := newSpec(sequence(variable(0), variable(1)), nextRow, 0, 0, 0)
		out := output(spec)
		change(spec)
		if _, err := match.New(spec, schema, out, deps); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	spec, _ := newSpec(sequence(variable(0), variable(1)), nextRow, 0, 0, 0)
	op, err := match.New(spec, schema, output(spec), deps)
	check(t, err)
	if err := operatortest.Feed(t, op, operatortest.Parse(columns+"\n-D a | 1970-01-01 00:00:02 | 1 | x | 1 | true")); err == nil {
		t.Error("a row is taken back that cannot be")
	}
}
