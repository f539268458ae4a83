package over_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/order"
	"github.com/tidemill/tidemill/core/operator/over"
)

// All functions over all kinds of frames against the naive twin, with and without
// memory for whole partitions. A Sort stands before the operator.

// call makes a call over columns; its type is the first argument's where none is
// given.
func call(function, typ string, frame *jobgraph.Frame, args ...uint32) *jobgraph.OverCall {
	c := &jobgraph.AggregateCall{Function: function, Args: args, Filter: -1, Type: typ, Name: "r"}
	for _, a := range args {
		c.ArgTypes = append(c.ArgTypes, schema[a].Type.String())
	}
	if typ == "" {
		c.Type = schema[args[0]].Type.WithNull(true).String()
	}
	return &jobgraph.OverCall{Call: c, Frame: frame}
}

func ignoring(c *jobgraph.OverCall) *jobgraph.OverCall {
	c.IgnoreNulls = true
	return c
}

// window is a case for the harness.
type window struct {
	order key
	calls []*jobgraph.OverCall
}

func (w window) spec() *jobgraph.Over {
	return &jobgraph.Over{
		Partition: []uint32{colG},
		Order:     []*jobgraph.SortKey{{Column: uint32(w.order.column), Descending: w.order.descending, NullsFirst: w.order.nullsFirst}},
		Calls:     w.calls,
	}
}

func (w window) output() datatype.Schema {
	out := slices.Clone(schema)
	for i, c := range w.calls {
		t, err := datatype.Parse(c.Call.Type)
		if err != nil {
			panic(err)
		}
		out = append(out, datatype.Field{Name: fmt.Sprintf("r%d", i), Type: t})
	}
	return out
}

func (w window) over() (operator.Operator, error) { return over.New(w.spec(), schema) }

func (w window) sortedOver() (operator.Operator, error) {
	spec := w.spec()
	s, err := order.NewSort(&jobgraph.Sort{Keys: append([]*jobgraph.SortKey{{Column: colG, NullsFirst: true}}, spec.Order...)}, schema)
	if err != nil {
		return nil, err
	}
	o, err := w.over()
	return operatortest.Chain(s, o), err
}

// run runs the window in every way.
func (w window) run(t *testing.T, rows int) {
	t.Helper()
	tw := &twin{order: w.order, calls: w.calls}
	operatortest.Run(t, operatortest.Case{
		New: w.sortedOver, Inputs: []operatortest.Table{table(rows, 1)}, Output: w.output(), Twin: tw.rows, Ordered: true,
	})
}

// spill compares without and with a budget, in few large partitions.
func (w window) spill(t *testing.T) {
	t.Helper()
	operatortest.Run(t, operatortest.Case{
		New: w.over, Inputs: []operatortest.Table{{Schema: schema}}, Output: w.output(), Ordered: true, Spills: true, SpillRows: 32_000,
		SpillRow: func(n int, row []any) {
			row[colG] = fmt.Sprint(n / 13_000) // the last one is smaller
			row[colO] = int64(n / 3)
			row[colN] = int64(n%5 + 1)
			row[colV] = int64(n * 7919 % 1000)
		},
	})
}

func TestRankings(t *testing.T) {
	f := frame("ROWS UNBOUNDED PRECEDING, UNBOUNDED FOLLOWING")
	one := []*jobgraph.OverCall{call("ROW_NUMBER", "BIGINT", f), call("RANK", "BIGINT", f), call("DENSE_RANK", "BIGINT", f)}
	all := append(slices.Clone(one), call("PERCENT_RANK", "DOUBLE", f), call("CUME_DIST", "DOUBLE", f), call("NTILE", "BIGINT", f, colN))
	for _, k := range []key{{column: colO}, {column: colO, descending: true, nullsFirst: true}} {
		window{k, one}.run(t, 14)
		window{k, all}.run(t, 14)
	}
	window{key{column: colO}, all}.spill(t)
}

var rowFrames = []string{
	"ROWS UNBOUNDED PRECEDING, CURRENT ROW",
	"ROWS UNBOUNDED PRECEDING, 3 PRECEDING",
	"ROWS UNBOUNDED PRECEDING, 2 FOLLOWING",
	"ROWS UNBOUNDED PRECEDING, UNBOUNDED FOLLOWING",
	"ROWS 2 PRECEDING, CURRENT ROW",
	"ROWS 4 PRECEDING, 2 PRECEDING",
	"ROWS 1 PRECEDING, 1 FOLLOWING",
	"ROWS 1 FOLLOWING, 3 FOLLOWING",
	"ROWS CURRENT ROW, UNBOUNDED FOLLOWING",
	"ROWS 2 FOLLOWING, UNBOUNDED FOLLOWING",
	"ROWS 3 PRECEDING, UNBOUNDED FOLLOWING",
}

var rangeFrames = []string{
	"RANGE UNBOUNDED PRECEDING, CURRENT ROW",
	"RANGE UNBOUNDED PRECEDING, 1 PRECEDING",
	"RANGE UNBOUNDED PRECEDING, 2 FOLLOWING",
	"RANGE CURRENT ROW, CURRENT ROW",
	"RANGE 2 PRECEDING, CURRENT ROW",
	"RANGE 3 PRECEDING, 1 PRECEDING",
	"RANGE 1 PRECEDING, 1 FOLLOWING",
	"RANGE 1 FOLLOWING, 3 FOLLOWING",
	"RANGE CURRENT ROW, UNBOUNDED FOLLOWING",
	"RANGE 1 FOLLOWING, UNBOUNDED FOLLOWING",
	"RANGE 2 PRECEDING, UNBOUNDED FOLLOWING",
}

// aggregates are calls whose columns add up, and calls whose do not.
func aggregates(f *jobgraph.Frame) []*jobgraph.OverCall {
	return []*jobgraph.OverCall{
		call("SUM", "", f, colV), call("COUNT", "BIGINT NOT NULL", f), call("COUNT", "BIGINT NOT NULL", f, colX), call("AVG", "DOUBLE", f, colX),
		call("SUM", "DECIMAL(38, 2)", f, colD), call("MIN", "", f, colV), call("MAX", "", f, colX), call("MIN", "", f, colG),
		call("LISTAGG", "STRING", f, colG),
	}
}

func values(f *jobgraph.Frame) []*jobgraph.OverCall {
	return []*jobgraph.OverCall{
		call("FIRST_VALUE", "", f, colV), call("LAST_VALUE", "", f, colV),
		ignoring(call("LAST_VALUE", "", f, colX)), call("LAST_VALUE", "", f, colG),
	}
}

// remembering are values that nothing but the rows themselves can give.
func remembering(f *jobgraph.Frame) []*jobgraph.OverCall {
	return []*jobgraph.OverCall{
		ignoring(call("FIRST_VALUE", "", f, colV)), call("NTH_VALUE", "", f, colV, colN), ignoring(call("NTH_VALUE", "", f, colX, colN)),
	}
}

func TestFrames(t *testing.T) {
	for i, text := range append(slices.Clone(rowFrames), rangeFrames...) {
		f := frame(text)
		t.Run(text, func(t *testing.T) {
			k := key{column: colO, descending: i%2 == 0, nullsFirst: i%3 == 0}
			window{k, append(aggregates(f), values(f)...)}.run(t, 14)
			if i%4 == 0 {
				window{k, remembering(f)}.run(t, 14)
			}
		})
	}
}

func TestRangesOfOtherTypes(t *testing.T) {
	window{key{column: colX}, aggregates(frame("RANGE 7.5 PRECEDING, 3.25 FOLLOWING"))}.run(t, 14)
	window{key{column: colD, descending: true}, values(frame("RANGE 400 PRECEDING, 10 PRECEDING"))}.run(t, 14)
}

func TestNeighbours(t *testing.T) {
	near := func(function string, n int64, args ...uint32) *jobgraph.OverCall {
		f := frame("ROWS CURRENT ROW, CURRENT ROW")
		if function == "LAG" {
			f.From = &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_PRECEDING, Offset: n}
		} else {
			f.To = &jobgraph.FrameBound{Kind: jobgraph.BoundKind_BOUND_FOLLOWING, Offset: n}
		}
		return call(function, "", f, args...)
	}
	any := frame("RANGE UNBOUNDED PRECEDING, CURRENT ROW")
	for name, calls := range map[string][]*jobgraph.OverCall{
		"near":    {near("LAG", 1, colV), near("LEAD", 1, colG), near("LAG", 3, colX, colN, colX), near("LEAD", 3, colV, colN, colV)},
		"behind":  {near("LAG", 1, colV)},
		"far":     {call("LAG", "", any, colV, colN), call("LEAD", "", any, colV, colN, colV)},
		"farback": {call("LAG", "", any, colV, colN), ignoring(call("LAG", "", any, colX))},
		"valid":   {ignoring(call("LAG", "", any, colV)), ignoring(call("LEAD", "", any, colX))},
	} {
		t.Run(name, func(t *testing.T) { window{key{column: colO}, calls}.run(t, 14) })
	}
}

// Partitions that do not fit go through a file, and come out the same.
func TestSpilledFrames(t *testing.T) {
	for _, text := range []string{
		"ROWS UNBOUNDED PRECEDING, UNBOUNDED FOLLOWING", "ROWS 2 FOLLOWING, UNBOUNDED FOLLOWING", "RANGE CURRENT ROW, UNBOUNDED FOLLOWING",
		"RANGE 2 PRECEDING, UNBOUNDED FOLLOWING",
	} {
		f := frame(text)
		t.Run(text, func(t *testing.T) {
			running := frame("ROWS UNBOUNDED PRECEDING, CURRENT ROW")
			window{key{column: colO}, []*jobgraph.OverCall{
				call("SUM", "", f, colV), call("MIN", "", f, colG), ignoring(call("LAST_VALUE", "", f, colX)), call("FIRST_VALUE", "", f, colV),
				call("SUM", "", running, colV), call("ROW_NUMBER", "BIGINT", running),
			}}.spill(t)
		})
	}
}
