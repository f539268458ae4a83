package updatetop_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updatetop"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// Whatever the ranking, and whether rows are taken back or not: the table that the
// changes leave is what a sort of the rows that are there gives, after any batch, and
// from any snapshot on. Exact texts show which changes say so.

func backend(mem memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
}

func schemas(rank bool) (in, out datatype.Schema) {
	text := "g STRING, v BIGINT, t STRING, id BIGINT NOT NULL, ts TIMESTAMP(3)"
	in = operatortest.ParseSchema(text)
	if rank {
		text += ", r BIGINT NOT NULL"
	}
	return in, operatortest.ParseSchema(text)
}

const (
	number = jobgraph.Ranking_RANKING_ROW_NUMBER
	rank   = jobgraph.Ranking_RANKING_RANK
	dense  = jobgraph.Ranking_RANKING_DENSE_RANK
)

func row(r *rand.Rand, n int) []any {
	return []any{
		[]string{"a", "b", "a group with a longer name"}[r.IntN(3)], int64(r.IntN(5)), fmt.Sprint("t", r.IntN(3)), int64(n), int64(1000 * r.IntN(9)),
	}
}

// inserts is a table of rows that are never taken back.
func inserts(seed uint64, s datatype.Schema, n int) operatortest.Table {
	r := rand.New(rand.NewPCG(seed, 3))
	t := operatortest.Table{Schema: s}
	for i := range n {
		t.Steps = append(t.Steps, operatortest.Step{Row: row(r, i)})
	}
	return t
}

// less orders values of a column, nulls last.
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

// twin sorts and counts.
func twin(spec *jobgraph.UpdatingTopN, rows [][]any) (out [][]any) {
	by := map[any][][]any{}
	for _, r := range rows {
		by[r[0]] = append(by[r[0]], r)
	}
	order := func(a, b []any) int {
		for _, k := range spec.Order {
			c := compare(a[k.Column], b[k.Column])
			if k.Descending && a[k.Column] != nil && b[k.Column] != nil {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	}
	for _, group := range by {
		slices.SortStableFunc(group, order)
		var rank, dense int64
		for i, r := range group {
			if i == 0 || order(group[i-1], r) != 0 {
				rank, dense = int64(i+1), dense+1
			}
			at := map[jobgraph.Ranking]int64{number: int64(i + 1), jobgraph.Ranking_RANKING_RANK: rank, jobgraph.Ranking_RANKING_DENSE_RANK: dense}[spec.Ranking]
			if at <= spec.Offset || at > spec.Offset+spec.Limit {
				continue
			}
			r = slices.Clone(r)
			if spec.Rank {
				r = append(r, at)
			}
			out = append(out, r)
		}
	}
	return out
}

func TestAgainstSorting(t *testing.T) {
	byValue := []*jobgraph.SortKey{{Column: 1}}
	total := []*jobgraph.SortKey{{Column: 1, Descending: true}, {Column: 3}}
	texts := []*jobgraph.SortKey{{Column: 2}, {Column: 3}}
	for _, c := range []struct {
		name string
		spec *jobgraph.UpdatingTopN
		key  []int // by which a reader without update-before knows rows
	}{
		{"first", &jobgraph.UpdatingTopN{Order: total, Ranking: number, Limit: 1}, []int{0}},
		{"first by arrival", &jobgraph.UpdatingTopN{Ranking: number, Limit: 1}, []int{0}},
		{"first by text", &jobgraph.UpdatingTopN{Order: texts, Ranking: number, Limit: 1}, []int{0}},
		{"three", &jobgraph.UpdatingTopN{Order: total, Ranking: number, Limit: 3}, []int{3}},
		{"numbered", &jobgraph.UpdatingTopN{Order: total, Ranking: number, Limit: 3, Rank: true}, []int{0, 5}},
		{"numbered, known by id", &jobgraph.UpdatingTopN{Order: total, Ranking: number, Limit: 3, Rank: true}, []int{3}},
		{"behind some", &jobgraph.UpdatingTopN{Order: texts, Ranking: number, Offset: 2, Limit: 2, Rank: true}, []int{0, 5}},
		{"rank", &jobgraph.UpdatingTopN{Order: byValue, Ranking: rank, Limit: 3}, []int{3}},
		{"ranked", &jobgraph.UpdatingTopN{Order: byValue, Ranking: rank, Limit: 3, Rank: true}, []int{3}},
		{"dense", &jobgraph.UpdatingTopN{Order: byValue, Ranking: dense, Offset: 1, Limit: 2, Rank: true}, []int{3}},
	} {
		c.spec.Groups = []uint32{0}
		in, out := schemas(c.spec.Rank)
		for _, retracting := range []bool{false, true} {
			for _, before := range []bool{false, true} {
				if before && !retracting { // TestTold
					continue
				}
				spec := &jobgraph.UpdatingTopN{
					Groups: c.spec.Groups, Order: c.spec.Order, Ranking: c.spec.Ranking, Offset: c.spec.Offset, Limit: c.spec.Limit, Rank: c.spec.Rank,
					Retracting: retracting, UpdateBefore: before,
				}
				run := operatortest.Case{
					Inputs: []operatortest.Table{inserts(7, in, 12)}, Output: out, Changelog: true, Stateful: true, Backend: backend, BatchRows: 8,
					New:  func() (operator.Operator, error) { return updatetop.New(spec, in, out) },
					Twin: func(in [][][]any) [][]any { return twin(spec, in[0]) },
				}
				if retracting {
					run.Inputs[0] = operatortest.History(11, in, 18, row, nil)
				}
				if !before {
					run.Upsert = c.key
				}
				t.Run(fmt.Sprintf("%s retracting %v before %v", c.name, retracting, before), func(t *testing.T) { operatortest.Run(t, run) })
			}
		}
	}
}

// collect runs a table through, batch for batch.
func collect(t *testing.T, spec *jobgraph.UpdatingTopN, size int, in operatortest.Table) []string {
	t.Helper()
	op, err := updatetop.New(spec, in.Schema, in.Schema)
	if err != nil {
		t.Fatal(err)
	}
	out, err := operatortest.Collect(t, op, size, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTold(t *testing.T) {
	in := operatortest.Parse(`
g STRING, v BIGINT
a | 3
a | 5
a | 1
b | 1
a | 2`)
	order := []*jobgraph.SortKey{{Column: 1}}
	for _, c := range []struct {
		spec *jobgraph.UpdatingTopN
		size int
		want []string
	}{
		{&jobgraph.UpdatingTopN{Limit: 1, UpdateBefore: true}, 1, []string{"a | 3", "-U a | 3", "+U a | 1", "b | 1"}},
		{&jobgraph.UpdatingTopN{Limit: 1}, 1, []string{"a | 3", "+U a | 1", "b | 1"}},
		{&jobgraph.UpdatingTopN{Limit: 1, UpdateBefore: true}, 2, []string{"a | 3", "-U a | 3", "+U a | 1", "b | 1"}},
		{&jobgraph.UpdatingTopN{Limit: 1, UpdateBefore: true}, 9, []string{"a | 1", "b | 1"}},
		{&jobgraph.UpdatingTopN{Limit: 2}, 1, []string{"a | 3", "a | 5", "-D a | 5", "a | 1", "b | 1", "-D a | 3", "a | 2"}},
		{&jobgraph.UpdatingTopN{Limit: 2, Offset: 1}, 2, []string{"a | 5", "a | 3", "-D a | 5", "a | 2"}},
	} {
		c.spec.Groups, c.spec.Order, c.spec.Ranking = []uint32{0}, order, number
		if got := collect(t, c.spec, c.size, in); !slices.Equal(got, c.want) {
			t.Errorf("%v in batches of %d:\n%q, want\n%q", c.spec, c.size, got, c.want)
		}
	}
}

// Without groups there is one.
func TestOfAll(t *testing.T) {
	in := operatortest.Parse("v BIGINT\n2\n3\n1\n-D 1\n-D 2")
	spec := &jobgraph.UpdatingTopN{Order: []*jobgraph.SortKey{{Column: 0}}, Ranking: number, Limit: 1, Retracting: true, UpdateBefore: true}
	want := []string{"2", "-U 2", "+U 1", "-U 1", "+U 2", "-U 2", "+U 3"}
	if got := collect(t, spec, 1, in); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

const windows = `
g STRING, v BIGINT, we TIMESTAMP(3)
a | 3 | 1970-01-01 00:00:05
a | 5 | 1970-01-01 00:00:05
b | 7 | 1970-01-01 00:00:10
watermark 4998
a | 1 | 1970-01-01 00:00:05
b | 6 | 1970-01-01 00:00:05
-D a | 3 | 1970-01-01 00:00:05
watermark 4999
b | 9 | 1970-01-01 00:00:05
b | 8 | 1970-01-01 00:00:10`

// Rows of groups that close are told once, as inserts; what comes later is left out.
func TestClosing(t *testing.T) {
	in := operatortest.Parse(windows)
	inserted := in
	inserted.Steps = slices.DeleteFunc(slices.Clone(in.Steps), func(s operatortest.Step) bool { return s.Kind == stream.Delete })
	for _, limit := range []int64{1, 2} {
		for _, retracting := range []bool{false, true} {
			spec := &jobgraph.UpdatingTopN{
				Groups: []uint32{0, 2}, Order: []*jobgraph.SortKey{{Column: 1}}, Ranking: number, Limit: limit, Retracting: retracting,
				Closing: &jobgraph.Closing{Column: 2, AfterMillis: -1},
			}
			want, rows := "a | 1 | 1970-01-01 00:00:05\nb | 6 | 1970-01-01 00:00:05\nb | 7 | 1970-01-01 00:00:10", inserted
			if limit == 2 {
				second := "3"
				if retracting {
					second = "5"
				}
				want += "\na | " + second + " | 1970-01-01 00:00:05\nb | 8 | 1970-01-01 00:00:10"
			}
			if retracting {
				rows = in
			}
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{rows}, Output: in.Schema, Stateful: true, Backend: backend, Want: want,
				New: func() (operator.Operator, error) { return updatetop.New(spec, in.Schema, in.Schema) },
			})
			op, err := updatetop.New(spec, in.Schema, in.Schema)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := operatortest.Collect(t, op, 3, rows); err != nil || op.Late() != 1 {
				t.Errorf("%d late rows, %v", op.Late(), err)
			}
		}
	}
}

// Groups that nothing comes for are forgotten: what comes then is the first again.
func TestForgotten(t *testing.T) {
	in := operatortest.Parse("g STRING, v BIGINT\na | 1\nb | 1\na | 2\nb | 2")
	spec := &jobgraph.UpdatingTopN{Groups: []uint32{0}, Order: []*jobgraph.SortKey{{Column: 1}}, Ranking: number, Limit: 1, KeepMillis: 1000}
	op, err := updatetop.New(spec, in.Schema, in.Schema)
	if err != nil {
		t.Fatal(err)
	}
	f := operatortest.NewFeed(t, op, in)
	tick := func(millis int64) {
		if err := op.Tick(time.UnixMilli(millis)); err != nil {
			t.Fatal(err)
		}
	}
	f.Rows(1)
	tick(10_000)
	tick(10_900)
	f.Rows(1)
	tick(11_500)
	f.Rows(1)
	f.Rows(1)
	want := []string{"a | 1", "b | 1", "a | 2"}
	if got := f.Output(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	f.Close()
}

func TestRefused(t *testing.T) {
	in := operatortest.ParseSchema("g STRING, v BIGINT")
	for _, spec := range []*jobgraph.UpdatingTopN{
		{Ranking: number},
		{Ranking: number, Limit: 1, Offset: -1},
		{Limit: 1},
		{Ranking: number, Limit: 1, Rank: true},
		{Ranking: number, Limit: 1, Groups: []uint32{2}},
		{Ranking: number, Limit: 1, Order: []*jobgraph.SortKey{{Column: 2}}},
		{Ranking: number, Limit: 1, Groups: []uint32{1}, Closing: &jobgraph.Closing{Column: 1}},
	} {
		if _, err := updatetop.New(spec, in, in); err == nil {
			t.Errorf("%v accepted", spec)
		}
	}
	op, err := updatetop.New(&jobgraph.UpdatingTopN{Ranking: number, Limit: 1}, in, in)
	if err != nil {
		t.Fatal(err)
	}
	if err := operatortest.Feed(t, op, operatortest.Parse("g STRING, v BIGINT\n-D a | 1")); err == nil {
		t.Error("a row is taken back that cannot be")
	}
}
