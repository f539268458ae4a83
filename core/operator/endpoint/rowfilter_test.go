package endpoint

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/predicate"
)

// A source's filters: a condition over two of its three columns, and the keys of a
// join, which are not there at first.
func TestRowFilters(t *testing.T) {
	table := operatortest.Parse("a BIGINT, s STRING, b BIGINT\n1 | x | 5\n2 | y | 1\n3 | z | 9\nNULL | z | 9\n9 | z | NULL")
	integer, truth := datatype.Of(datatype.BigInt), datatype.Of(datatype.Boolean)
	less := &expr.Call{Function: "<", T: truth, Args: []expr.Expr{&expr.Column{Index: 0, T: integer}, &expr.Column{Index: 2, T: integer}}}
	set := keyfilter.NewSet(free{})
	f := RowFilters{
		Conditions: []*exprpb.Expr{expr.ToProto(less)}, Keys: []*jobgraph.KeyFilter{{Id: 7, Column: 0}}, Set: set, Functions: function.Builtins(),
	}
	filters, err := f.open(contextOf(memory.DefaultAllocator, nil), table.Schema)
	if err != nil || len(filters) != 2 {
		t.Fatal(filters, err)
	}
	record := operatortest.Record(memory.DefaultAllocator, table.Schema, table.Rows())
	defer record.Release()
	keep := func(f predicate.RowFilter) []int32 {
		var columns []arrow.Array
		for _, name := range f.Columns() {
			columns = append(columns, record.Column(table.Schema.Index(name)))
		}
		rows, err := f.Keep(columns, int(record.NumRows()))
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if got := keep(filters[0]); !filters[0].Ready() || !slices.Equal(filters[0].Columns(), []string{"a", "b"}) || !slices.Equal(got, []int32{0, 2}) {
		t.Errorf("the condition reads %v and keeps %v", filters[0].Columns(), got)
	}
	if filters[1].Ready() {
		t.Error("keys before any are known")
	}
	keys := operatortest.Record(memory.DefaultAllocator, table.Schema[:1], [][]any{{int64(2)}, {int64(9)}, {int64(40)}})
	defer keys.Release()
	set.Put(7, 0, 1, keyfilter.Of([]arrow.Array{keys.Column(0)}))
	if ready := filters[1].Ready(); !ready || !slices.Equal(keep(filters[1]), []int32{1, 4}) {
		t.Errorf("the keys, ready: %v, do not keep 2 and 9", ready)
	}
	for _, c := range []struct {
		low, high any
		want      bool
	}{{int64(3), int64(8), true}, {int64(3), int64(9), false}, {int64(41), nil, false}, {nil, nil, false}} {
		excludes := filters[1].Excludes(func(string) (predicate.Summary, bool) { return predicate.Summary{Min: c.low, Max: c.high}, true })
		if excludes != c.want {
			t.Errorf("%v to %v: %v", c.low, c.high, excludes)
		}
	}
	f.Conditions = []*exprpb.Expr{{Type: "NO TYPE"}}
	if _, err := f.open(contextOf(memory.DefaultAllocator, nil), table.Schema); err == nil {
		t.Error("a condition that is none")
	}
}
