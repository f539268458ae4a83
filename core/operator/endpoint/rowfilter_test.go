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
	"github.com/tidemill/tidemill/core/operator"
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
		Conditions: []*exprpb.Expr{expr.ToProto(less)}, Keys: []*jobgraph.KeyFilter{{Id: 7, Columns: []uint32{0}}}, Set: set, Functions: function.Builtins(),
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
	set.Put(7, 0, 1, keyfilter.Of([][]arrow.Array{{keys.Column(0)}}, true))
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

// keyedBy is a filter by texts, which a join has found, on column s.
func keyedBy(t *testing.T, texts ...string) *keyed {
	t.Helper()
	schema := operatortest.Parse("s STRING").Schema
	var rows [][]any
	for _, s := range texts {
		rows = append(rows, []any{s})
	}
	record := operatortest.Record(memory.DefaultAllocator, schema, rows)
	defer record.Release()
	set := keyfilter.NewSet(free{})
	set.Put(1, 0, 1, keyfilter.Of([][]arrow.Array{record.Columns()}, false))
	f := RowFilters{Set: set}
	k := f.keyed(&jobgraph.KeyFilter{Id: 1, Columns: []uint32{0}}, schema)
	if !k.Ready() {
		t.Fatal("not ready")
	}
	return k
}

// A bloom filter that keeps most rows rests, longer each time, and is asked again
// later: where the table's next part is another one, it drops rows.
func TestBloomFilterRests(t *testing.T) {
	k := keyedBy(t, "a", "b")
	const n = 8192
	column := func(value string) []arrow.Array {
		rows := make([][]any, n)
		for i := range rows {
			rows[i] = []any{value}
		}
		return operatortest.Record(memory.DefaultAllocator, operatortest.Parse("s STRING").Schema, rows).Columns()
	}
	kept, gone := column("a"), column("c")
	ask := func(columns []arrow.Array) int {
		rows, err := k.Keep(columns, n)
		if err != nil {
			t.Fatal(err)
		}
		if rows == nil {
			return n
		}
		return len(rows)
	}
	for asked := 0; asked < judgedRows; asked += n {
		ask(kept)
	}
	for _, rests := range []int{restedRows, 2 * restedRows} {
		for passed := 0; passed < rests; passed += n {
			if ask(gone) != n {
				t.Fatalf("it is asked after %d rows of %d", passed, rests)
			}
		}
		for asked := 0; asked < judgedRows; asked += n {
			ask(kept)
		}
	}
	for passed := 0; passed < 4*restedRows; passed += n {
		ask(gone)
	}
	if ask(gone) != 0 {
		t.Error("it rests for good")
	}
	want := operator.FilterCounts{ID: 1, Asked: 3*judgedRows + n, Dropped: n}
	if k.done != want {
		t.Errorf("%+v, not %+v", k.done, want)
	}
}

// Partitions and row groups of one text are excluded by it; without any key all are.
func TestExcludesTexts(t *testing.T) {
	k := keyedBy(t, "a", "b")
	excludes := func(k *keyed, low, high any) bool {
		return k.Excludes(func(string) (predicate.Summary, bool) { return predicate.Summary{Min: low, Max: high}, true })
	}
	for _, c := range []struct {
		low, high any
		want      bool
	}{{"a", "a", false}, {"c", "c", true}, {"c", "d", false}, {nil, nil, false}} {
		if got := excludes(k, c.low, c.high); got != c.want {
			t.Errorf("%v to %v: %v", c.low, c.high, got)
		}
	}
	if k.done.Excluded != 1 {
		t.Errorf("%d excluded", k.done.Excluded)
	}
	if !excludes(keyedBy(t), "a", "b") {
		t.Error("no keys")
	}
}
