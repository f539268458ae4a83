package order_test

import (
	"cmp"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/order"
	"github.com/tidemill/tidemill/core/stream"
)

// The operators of the package through the conformance harness, Sort and TopN
// against a plain sort.

const sample = `
k STRING, v INT
d | 4
b | 2
a | 1
b | 7
c | 3
a | 9
e | 5
b | 2`

// byKey sorts by k ascending with nulls last, then v descending with nulls first.
var byKey = []*jobgraph.SortKey{{Column: 0}, {Column: 1, Descending: true, NullsFirst: true}}

func sorted(in [][][]any) [][]any {
	rows := slices.Clone(in[0])
	slices.SortStableFunc(rows, func(a, b []any) int {
		if a[0] != b[0] {
			if d := compareNulls(a[0], b[0], 1); d != 0 {
				return d
			}
			return cmp.Compare(a[0].(string), b[0].(string))
		}
		if d := compareNulls(a[1], b[1], -1); d != 0 || a[1] == nil {
			return d
		}
		return -cmp.Compare(a[1].(int64), b[1].(int64))
	})
	return rows
}

// compareNulls is not zero when just one of a and b is null.
func compareNulls(a, b any, nulls int) int {
	switch {
	case a == nil && b != nil:
		return nulls
	case a != nil && b == nil:
		return -nulls
	default:
		return 0
	}
}

func TestSort(t *testing.T) {
	in := operatortest.Parse(sample)
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: in.Schema, Ordered: true, Twin: sorted, Spills: true,
		New: func() (operator.Operator, error) { return order.NewSort(&jobgraph.Sort{Keys: byKey}, in.Schema) },
	})
}

func TestTopN(t *testing.T) {
	in := operatortest.Parse(sample)
	for _, c := range []struct{ offset, limit int64 }{{0, 3}, {2, 2}, {0, 100}, {7, 5}, {20, 1}, {1, 0}} {
		operatortest.Run(t, operatortest.Case{
			Inputs: []operatortest.Table{in}, Output: in.Schema, Ordered: true,
			Twin: func(in [][][]any) [][]any {
				rows := sorted(in)
				from := min(c.offset, int64(len(rows)))
				return rows[from:min(from+c.limit, int64(len(rows)))]
			},
			New: func() (operator.Operator, error) {
				return order.NewTopN(&jobgraph.TopN{Keys: byKey, Offset: c.offset, Limit: c.limit}, in.Schema)
			},
		})
	}
}

func TestLimit(t *testing.T) {
	in := operatortest.Parse(sample)
	for _, c := range []struct{ offset, limit int64 }{{0, 3}, {2, 2}, {0, -1}, {3, -1}, {7, 5}, {20, 1}, {1, 0}} {
		operatortest.Run(t, operatortest.Case{
			Inputs: []operatortest.Table{in}, Output: in.Schema, Ordered: true, Stateful: true,
			Twin: func(in [][][]any) [][]any {
				rows := in[0]
				from := min(c.offset, int64(len(rows)))
				to := int64(len(rows))
				if c.limit >= 0 {
					to = min(from+c.limit, to)
				}
				return rows[from:to]
			},
			BatchRows: 1 << 16,
			New: func() (operator.Operator, error) {
				return order.NewLimit(&jobgraph.Limit{Offset: c.offset, Limit: c.limit})
			},
		})
	}
}

// What former subtasks have counted is added up, however many there were: no more rows
// pass than the limit says, and none if it had been reached.
func TestLimitRestored(t *testing.T) {
	in := operatortest.Parse(sample)
	for _, c := range []struct {
		counted []int64 // of former subtasks
		want    int
	}{{nil, 3}, {[]int64{1}, 2}, {[]int64{1, 1}, 1}, {[]int64{2, 5}, 0}, {[]int64{3}, 0}} {
		op, err := order.NewLimit(&jobgraph.Limit{Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		limit := &restored{Operator: op}
		for _, n := range c.counted {
			former, err := order.NewLimit(&jobgraph.Limit{Limit: 3})
			if err != nil {
				t.Fatal(err)
			}
			rows := operatortest.Table{Schema: in.Schema, Steps: in.Steps[:n]}
			if err := operatortest.Feed(t, former, rows); err != nil {
				t.Fatal(err)
			}
			saved, err := former.(operator.Snapshotter).Snapshot(stream.Barrier{})
			if err != nil {
				t.Fatal(err)
			}
			limit.saved = append(limit.saved, saved)
		}
		got, err := operatortest.Collect(t, limit, 2, in)
		if err != nil || len(got) != c.want {
			t.Errorf("%v counted: %d rows pass, want %d (%v)", c.counted, len(got), c.want, err)
		}
		if done := op.(operator.Finisher).Done(); !done {
			t.Errorf("%v counted: more is wanted", c.counted)
		}
	}
	op, err := order.NewLimit(&jobgraph.Limit{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Open(&operator.Context{Restored: [][]byte{{0x80}}}); err == nil {
		t.Error("damaged state is taken")
	}
}

// restored is an operator that is given what was saved.
type restored struct {
	operator.Operator
	saved [][]byte
}

func (r *restored) Open(ctx *operator.Context) error {
	ctx.Restored = r.saved
	return r.Operator.Open(ctx)
}

func TestUnion(t *testing.T) {
	in := operatortest.Parse(sample)
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in, in}, Output: in.Schema, BatchRows: 1 << 16,
		Twin: func(in [][][]any) [][]any { return append(slices.Clone(in[0]), in[1]...) },
		New:  func() (operator.Operator, error) { return order.NewUnion(), nil },
	})
}

func TestRefused(t *testing.T) {
	if _, err := order.NewSort(&jobgraph.Sort{Keys: byKey}, nil); err == nil {
		t.Error("key without a column")
	}
	if _, err := order.NewTopN(&jobgraph.TopN{Limit: -1}, nil); err == nil {
		t.Error("top-n without a limit")
	}
	if _, err := order.NewLimit(&jobgraph.Limit{Limit: -2}); err == nil {
		t.Error("negative limit")
	}
}
