package physical

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/predicate"
)

// numbered is a scan of two columns of integers of so many values each, and one of
// texts.
func numbered(name string, rows, values int64) *plan.Scan {
	var s datatype.Schema
	known := connector.Description{Bounded: true, Rows: rows, Bytes: -1, Columns: map[string]predicate.Summary{}}
	for _, c := range []string{"a", "b"} {
		s = append(s, datatype.Field{Name: c, Type: datatype.Of(datatype.BigInt)})
		known.Columns[c] = predicate.Summary{Min: int64(1), Max: values, Rows: -1, Nulls: -1}
	}
	s = append(s, datatype.Field{Name: "t", Type: datatype.Of(datatype.Varchar)})
	known.Schema = s
	return &plan.Scan{Connector: "c", Table: connector.Table{Name: name}, Columns: s, Known: known}
}

// limited is so many rows of a table.
func limited(n plan.Node, rows int64) plan.Node {
	return &plan.Limit{Input: n, Count: rows}
}

// Columns of a key get a filter each where the build side has few of their values;
// where it has not, those from one scan get one together if it has few of their
// combinations. Texts count like others.
func TestFindKeys(t *testing.T) {
	big := func() plan.Node { return numbered("big", 1_000_000, 1_000) }
	for _, c := range []struct {
		name  string
		keys  []int
		probe plan.Node
		built plan.Node
		want  string
	}{
		{"few values", []int{0}, big(), limited(numbered("small", 20_000, 1_000), 100), "[0]"},
		{"few texts", []int{2}, big(), limited(numbered("small", 20_000, 1_000), 9_000), "[2]"},
		{"most texts", []int{2}, big(), limited(numbered("small", 20_000, 1_000), 11_000), ""},
		{"each has few values", []int{0, 1}, big(), limited(numbered("small", 20_000, 1_000), 100), "[0] [1]"},
		{"few combinations", []int{0, 1}, big(), limited(numbered("small", 20_000, 1_000), 9_000), "[0 1]"},
		{"most combinations", []int{0, 1}, big(), limited(numbered("small", 20_000, 1_000), 11_000), ""},
		{"few of the other side's values", []int{0, 1}, big(), limited(numbered("small", 20_000, 20), 300), "[0] [1]"},
		{"a column is enough", []int{0, 2}, big(), limited(numbered("small", 20_000, 1_000), 9_000), "[2]"},
		{
			"two scans",
			[]int{0, 4},
			&plan.Join{Left: big(), Right: numbered("other", 20_000, 1_000), Kind: plan.Inner, LeftKeys: []int{2}, RightKeys: []int{2}},
			limited(numbered("small", 20_000, 1_000), 9_000), "",
		},
	} {
		right := make([]int, len(c.keys))
		for i, k := range c.keys {
			right[i] = k % 3
		}
		n := &plan.Join{Left: c.probe, Right: c.built, Kind: plan.Inner, LeftKeys: c.keys, RightKeys: right}
		g, _, err := Build([]plan.Node{n}, Options{Parallelism: 2})
		if err != nil {
			t.Fatal(err)
		}
		var got, made []string
		for _, v := range g.Vertices {
			for _, op := range v.Chain {
				for _, f := range op.GetSource().GetKeyFilters() {
					got = append(got, fmt.Sprint(f.Columns))
				}
				for _, f := range op.GetJoin().GetFilters() {
					made = append(made, fmt.Sprint(f.Columns))
				}
			}
		}
		if text := fmt.Sprint(got); text != "["+c.want+"]" || !slices.Equal(got, made) {
			t.Errorf("%s: %v of %v, not %s", c.name, got, made, c.want)
		}
	}
}

// What a filter has done in all subtasks is shown beside it, of a job that has run.
func TestFilterText(t *testing.T) {
	op := &jobgraph.Operator{}
	a := &Actual{Operators: map[*jobgraph.Operator][]Counts{op: {
		{Filters: []FilterCounts{{ID: 3, Asked: 10, Dropped: 4}, {ID: 4, Asked: 6}}}, {Filters: []FilterCounts{{ID: 3, Asked: 5, Dropped: 5, Excluded: 2}}},
	}}}
	for id, want := range map[uint32]string{3: "; dropped 9 of 15 rows, excluded 2 row groups or files", 4: "; dropped 0 of 6 rows, excluded 0 row groups or files", 5: ""} {
		if got := a.filterText(op, id); got != want {
			t.Errorf("filter %d: %q", id, got)
		}
	}
	if got := (*Actual)(nil).filterText(op, 3); got != "" {
		t.Errorf("a plan that has not run: %q", got)
	}
}
