package order_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/order"
	"github.com/tidemill/tidemill/core/stream"
)

// GroupTopN through the harness against a sort and a count, with few and with
// many groups, and with a budget far below its input.

const groupSample = `
g STRING, o INT, id INT NOT NULL
b | 2 | 1
a | 1 | 2
b | 7 | 3
a | 1 | 4
a | 9 | 5
b | 2 | 6
a | 1 | 7
a | 4 | 8
c | 5 | 9
b | 1 | 10`

func groupTopN(phase jobgraph.Phase, ranking jobgraph.Ranking, limit int64, orders ...uint32) *jobgraph.GroupTopN {
	spec := &jobgraph.GroupTopN{Phase: phase, Groups: []uint32{0}, Ranking: ranking, Limit: limit}
	for _, o := range orders {
		spec.Order = append(spec.Order, &jobgraph.SortKey{Column: o, Descending: true, NullsFirst: true})
	}
	return spec
}

// topOfGroups is the naive twin.
func topOfGroups(spec *jobgraph.GroupTopN) func(in [][][]any) [][]any {
	return func(in [][][]any) (out [][]any) {
		rows := slices.Clone(in[0])
		by := func(a, b []any) int {
			for _, k := range spec.Order {
				x, y := a[k.Column], b[k.Column]
				if d := compareNulls(x, y, -1); d != 0 {
					return d
				}
				if x == nil {
					continue
				}
				if d := cmp.Compare(y.(int64), x.(int64)); d != 0 {
					return d
				}
			}
			return 0
		}
		slices.SortStableFunc(rows, func(a, b []any) int {
			if a[0] != b[0] {
				if d := compareNulls(a[0], b[0], -1); d != 0 {
					return d
				}
				return cmp.Compare(a[0].(string), b[0].(string))
			}
			return by(a, b)
		})
		for i, r := range rows {
			number, rank, distinct := int64(0), int64(1), map[string]bool{}
			for j, o := range rows {
				if o[0] != r[0] {
					continue
				}
				if j <= i {
					number++
				}
				if by(o, r) < 0 {
					rank++
					distinct[fmt.Sprint(o[1])] = true
				}
			}
			if []int64{0, number, rank, int64(len(distinct)) + 1}[spec.Ranking] <= spec.Limit {
				out = append(out, r)
			}
		}
		return out
	}
}

func TestGroupTopN(t *testing.T) {
	in := operatortest.Parse(groupSample)
	for _, ranking := range []jobgraph.Ranking{jobgraph.Ranking_RANKING_ROW_NUMBER, jobgraph.Ranking_RANKING_RANK, jobgraph.Ranking_RANKING_DENSE_RANK} {
		for _, limit := range []int64{1, 2} {
			spec := groupTopN(jobgraph.Phase_PHASE_PARTIAL, ranking, limit, 1)
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in}, Output: in.Schema, Ordered: true, Twin: topOfGroups(spec),
				New: func() (operator.Operator, error) {
					first, err := order.NewGroupTopN(spec, in.Schema)
					if err != nil {
						return nil, err
					}
					last, err := order.NewGroupTopN(groupTopN(jobgraph.Phase_PHASE_SINGLE, ranking, limit, 1), in.Schema)
					return operatortest.Chain(first, operatortest.Chain(last, &counted{ranking: ranking, limit: limit})), err
				},
			})
		}
	}
}

func TestGroupTopNSpills(t *testing.T) {
	in := operatortest.Parse(groupSample)
	spec := groupTopN(jobgraph.Phase_PHASE_SINGLE, jobgraph.Ranking_RANKING_ROW_NUMBER, 2, 1, 2)
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: in.Schema, Twin: topOfGroups(spec), Spills: true, SpillRows: 60_000,
		SpillRow: func(n int, row []any) {
			row[0] = fmt.Sprintf("%s%d", strings.Repeat("long", 20), n%25_000)
			row[2] = int64(n)
		},
		New: func() (operator.Operator, error) {
			op, err := order.NewGroupTopN(spec, in.Schema)
			return operatortest.Chain(op, &counted{ranking: spec.Ranking, limit: 2}), err
		},
	})
}

// A partial one emits what it keeps where memory is short.
func TestGroupTopNEmitsEarly(t *testing.T) {
	l, err := ledger.New(ledger.Options{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	account := l.Child("top", 0)
	out := &rowCount{}
	schema := operatortest.ParseSchema("g BIGINT NOT NULL, o BIGINT NOT NULL")
	op, err := order.NewGroupTopN(groupTopN(jobgraph.Phase_PHASE_PARTIAL, jobgraph.Ranking_RANKING_ROW_NUMBER, 1, 1), schema)
	if err != nil {
		t.Fatal(err)
	}
	err = op.Open(&operator.Context{
		Context: context.Background(), Output: out, Memory: account, Alloc: account.Allocator(), Contend: account.Contend, BatchRows: 1024,
	})
	const batches, size = 100, 1000
	for n := 0; err == nil && n < batches; n++ {
		b := array.NewInt64Builder(memory.NewGoAllocator())
		for i := range size {
			b.Append(int64(n/2*size + i)) // each group twice
		}
		a := b.NewArray()
		err = op.Process(0, operator.NewBatch(schema.Arrow(), []arrow.Array{a, a}, size))
	}
	if err == nil {
		err = op.EndInput(0)
	}
	if e := op.Close(); err != nil || e != nil {
		t.Fatal(err, e)
	}
	if out.rows < batches*size/2 || out.rows > batches*size*3/4 || l.Used() != 0 {
		t.Errorf("%d rows of %d, %d bytes charged", out.rows, batches*size, l.Used())
	}
}

type rowCount struct{ rows int }

func (c *rowCount) Emit(b *stream.Batch) error {
	c.rows += b.Len()
	b.Release()
	return nil
}

// counted passes the first rows of each group of sorted rows.
type counted struct {
	ranking             jobgraph.Ranking
	limit               int64
	ctx                 *operator.Context
	last                []any
	number, rank, dense int64
}

func (c *counted) Open(ctx *operator.Context) error {
	c.ctx = ctx
	return nil
}

func (c *counted) Process(_ int, b *stream.Batch) error {
	sel := []int32{}
	for i, row := range operatortest.ReadRows(b) {
		switch {
		case c.last == nil || row[0] != c.last[0]:
			c.number, c.rank, c.dense = 1, 1, 1
		case row[1] != c.last[1]:
			c.number++
			c.rank = c.number
			c.dense++
		default:
			c.number++
		}
		if text, ok := row[0].(string); ok {
			row[0] = strings.Clone(text) // the batch goes before the next one comes
		}
		c.last = row
		if []int64{0, c.number, c.rank, c.dense}[c.ranking] <= c.limit {
			sel = append(sel, int32(i))
		}
	}
	b.Sel = sel
	return c.ctx.Output.Emit(b)
}

func (*counted) Watermark(stream.Watermark) error { return nil }
func (*counted) EndInput(int) error               { return nil }
func (*counted) Close() error                     { return nil }

// Few groups are cut again and again, after which most rows are not even kept;
// where all rows are groups of their own, a partial one gives up.
func TestGroupTopNOfManyRows(t *testing.T) {
	for _, c := range []struct {
		groups, rows, want int
		phase              jobgraph.Phase
		ranking            jobgraph.Ranking
	}{
		{5, 200_000, 15, jobgraph.Phase_PHASE_SINGLE, jobgraph.Ranking_RANKING_ROW_NUMBER},
		{5, 200_000, 15, jobgraph.Phase_PHASE_PARTIAL, jobgraph.Ranking_RANKING_ROW_NUMBER},
		{5, 100_000, 5 * 200, jobgraph.Phase_PHASE_SINGLE, jobgraph.Ranking_RANKING_RANK}, // orders come 200 times each
		{5, 100_000, 5 * 3 * 200, jobgraph.Phase_PHASE_SINGLE, jobgraph.Ranking_RANKING_DENSE_RANK},
		{530_000, 530_000, 530_000, jobgraph.Phase_PHASE_PARTIAL, jobgraph.Ranking_RANKING_ROW_NUMBER},
	} {
		in := operatortest.Table{Schema: operatortest.ParseSchema("g INT NOT NULL, o INT")}
		for i := range c.rows {
			in.Steps = append(in.Steps, operatortest.Step{Row: []any{int64(i % c.groups), int64(i * 31 / 5 % 100)}})
		}
		op, err := order.NewGroupTopN(groupTopN(c.phase, c.ranking, 3, 1), in.Schema)
		if err != nil {
			t.Fatal(err)
		}
		got, err := operatortest.Collect(t, op, 8192, in)
		if err != nil || len(got) != c.want {
			t.Fatalf("%d rows of %d in %d groups, want %d; %v", len(got), c.rows, c.groups, c.want, err)
		}
		if c.groups == 5 && (got[0] != "0 | 99" || c.ranking != jobgraph.Ranking_RANKING_DENSE_RANK && got[len(got)-1] != "4 | 99") {
			t.Fatalf("the first row is %s, the last %s", got[0], got[len(got)-1])
		}
	}
}

func TestGroupTopNRefuses(t *testing.T) {
	in := operatortest.Parse(groupSample)
	if _, err := order.NewGroupTopN(groupTopN(jobgraph.Phase_PHASE_SINGLE, jobgraph.Ranking_RANKING_RANK, 0, 1), in.Schema); err == nil {
		t.Error("a limit of 0 is accepted")
	}
	if _, err := order.NewGroupTopN(groupTopN(jobgraph.Phase_PHASE_SINGLE, jobgraph.Ranking_RANKING_RANK, 1, 9), in.Schema); err == nil {
		t.Error("an order column that is not there is accepted")
	}
}
