package aggregate_test

import (
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/operatortest"
)

// Groups that leave memory come back with the results that they would have had:
// every kind of function, one key and several, DISTINCT beside others.
func TestSpills(t *testing.T) {
	in := operatortest.Parse(`
k STRING, j BIGINT, v BIGINT, d DECIMAL(30, 2), s STRING, b BOOLEAN, e DECIMAL(4, 1), g DECIMAL(15, 2)
a | 1 | 10 | 1.50 | x | true | 2.5 | 9.75`)
	for _, c := range []struct {
		name   string
		keys   []uint32
		output string
		want   string
		calls  []string
	}{
		{
			"a number",
			[]uint32{1},
			"j BIGINT, n BIGINT, s BIGINT, d DECIMAL(38, 2), a DECIMAL(38, 6)", "1 | 1 | 10 | 1.50 | 1.500000",
			[]string{"COUNT() -> BIGINT NOT NULL", "SUM(2) -> BIGINT", "SUM(3) -> DECIMAL(38, 2)", "AVG(3) -> DECIMAL(38, 6)"},
		},
		{
			"a text and a number",
			[]uint32{0, 1},
			"k STRING, j BIGINT, f STRING, l STRING, m STRING, b BOOLEAN", "a | 1 | x | x | x | true",
			[]string{"FIRST_VALUE(4) -> STRING", "LAST_VALUE(4) -> STRING", "MIN(4) -> STRING", "BOOL_OR(5) -> BOOLEAN"},
		},
		{
			"narrow decimals",
			[]uint32{6, 1},
			"e DECIMAL(4, 1), j BIGINT, n BIGINT, s DECIMAL(38, 1), m DECIMAL(15, 2)", "2.5 | 1 | 1 | 2.5 | 9.75",
			[]string{"COUNT() -> BIGINT NOT NULL", "SUM(6) -> DECIMAL(38, 1)", "MAX(7) -> DECIMAL(15, 2)"},
		},
		{
			"a narrow decimal and a number",
			[]uint32{7, 1},
			"g DECIMAL(15, 2), j BIGINT, s DECIMAL(38, 1)", "9.75 | 1 | 2.5",
			[]string{"SUM(6) -> DECIMAL(38, 1)"},
		},
		{
			"distinct narrow decimals",
			[]uint32{0},
			"k STRING, s DECIMAL(38, 2)", "a | 9.75",
			[]string{"SUM(7) DISTINCT -> DECIMAL(38, 2)"},
		},
		{
			"texts joined",
			[]uint32{1},
			"j BIGINT, l STRING, m DECIMAL(30, 2)", "1 | x | 1.50",
			[]string{"LISTAGG(4) -> STRING", "MAX(3) -> DECIMAL(30, 2)"},
		},
		{
			"distinct",
			[]uint32{0},
			"k STRING, n BIGINT, s BIGINT, c BIGINT", "a | 1 | 10 | 1",
			[]string{"COUNT(2) DISTINCT -> BIGINT NOT NULL", "SUM(2) DISTINCT -> BIGINT", "COUNT(4) -> BIGINT NOT NULL"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cs := calls(in.Schema, c.calls...)
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in},
				Output: operatortest.ParseSchema(c.output),
				Want:   c.want,
				Spills: true,
				New: func() (operator.Operator, error) {
					return aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: c.keys, Calls: cs}, in.Schema)
				},
			})
		})
	}
}

// A final phase spills what it has merged.
func TestFinalSpills(t *testing.T) {
	in := operatortest.Parse(`
k STRING, n BIGINT, s BIGINT
a | 1 | 10
b | 2 | 20
a | 3 | 30`)
	cs := calls(in.Schema, "COUNT() -> BIGINT NOT NULL", "SUM(2) -> BIGINT")
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in},
		Output: operatortest.ParseSchema("k STRING, n BIGINT, s BIGINT"),
		Want:   "a | 4 | 40\nb | 2 | 20",
		Spills: true,
		New: func() (operator.Operator, error) {
			return aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_FINAL, Keys: []uint32{0}, Calls: cs}, in.Schema)
		},
	})
}

// Both phases in one small memory: the partial one gives way to the other.
func TestPhasesSpill(t *testing.T) {
	in := operatortest.Parse("k STRING, v BIGINT\na | 1")
	cs := calls(in.Schema, "COUNT() -> BIGINT NOT NULL", "SUM(1) -> BIGINT")
	partial := operatortest.ParseSchema("k STRING, n BIGINT, s BIGINT")
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: partial, Want: "a | 1 | 1", Spills: true, SpillRows: 60_000,
		SpillRow: func(n int, row []any) { row[0] = fmt.Sprintf("%050d", n*7919%30_000) },
		New: func() (operator.Operator, error) {
			first, err := aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_PARTIAL, Keys: []uint32{0}, Calls: cs}, in.Schema)
			if err != nil {
				return nil, err
			}
			second, err := aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_FINAL, Keys: []uint32{0}, Calls: cs}, partial)
			return operatortest.Chain(first, second), err
		},
	})
}

// Without keys there is one group, whose distinct values may be too many.
func TestDistinctWithoutKeysSpills(t *testing.T) {
	in := operatortest.Parse("v BIGINT, s STRING\n2 | x")
	cs := calls(in.Schema, "COUNT(0) DISTINCT -> BIGINT NOT NULL", "COUNT(1) DISTINCT -> BIGINT NOT NULL", "SUM(0) -> BIGINT")
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{in}, Output: operatortest.ParseSchema("a BIGINT, b BIGINT, c BIGINT"), Want: "1 | 1 | 2",
		Spills: true, SpillRows: 60_000, SpillRow: func(n int, row []any) { row[0] = int64(n * 7919 % 50_000) },
		New: func() (operator.Operator, error) {
			return aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Calls: cs}, in.Schema)
		},
	})
}

// Skew and depth: one group of all rows and their many values, a group that most
// rows have, and so many groups that their files must be divided again.
func TestSpillsOfExtremes(t *testing.T) {
	in := operatortest.Parse("k BIGINT, v BIGINT, s STRING\n1 | 2 | x")
	distinct := []string{"COUNT(1) DISTINCT -> BIGINT NOT NULL", "COUNT(2) DISTINCT -> BIGINT NOT NULL", "SUM(1) -> BIGINT"}
	for _, c := range []struct {
		name  string
		rows  int
		calls []string
		row   func(n int, row []any)
	}{
		{"one group, many values", 80_000, distinct, func(n int, row []any) { row[0], row[1] = int64(7), int64(n*7919%50_000) }},
		{"few groups, many values", 80_000, distinct, func(n int, row []any) { row[0], row[1] = int64(n%3), int64(n*7919%50_000) }},
		{"one group that most rows have", 60_000, distinct, func(n int, row []any) {
			if row[0] = int64(7); n%4 == 0 {
				row[0] = int64(n)
			}
			row[1] = int64(n % 1000)
		}},
		{"files divided again", 150_000, []string{"COUNT(1) -> BIGINT NOT NULL", "MIN(2) -> STRING", "MAX(2) -> STRING"}, func(n int, row []any) { row[0] = int64(n * 7919) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cs := calls(in.Schema, c.calls...)
			want, out := "1 | 1 | 1 | 2", "k BIGINT, a BIGINT, b BIGINT, c BIGINT"
			if c.calls[0] != distinct[0] {
				want, out = "1 | 1 | x | x", "k BIGINT, n BIGINT, a STRING, b STRING"
			}
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in}, Output: operatortest.ParseSchema(out), Want: want,
				Spills: true, SpillRows: c.rows, SpillRow: c.row,
				New: func() (operator.Operator, error) {
					return aggregate.New(&jobgraph.Aggregate{Phase: jobgraph.Phase_PHASE_SINGLE, Keys: []uint32{0}, Calls: cs}, in.Schema)
				},
			})
		})
	}
}
