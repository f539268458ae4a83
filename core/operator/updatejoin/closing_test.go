package updatejoin_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updatejoin"
	"github.com/tidemill/tidemill/core/stream"
)

// Rows that close are forgotten, and nothing is missing from the result: joins of
// windows, where both sides close by their common time, and joins with what has been
// before, where one side does. At closing, outer and anti joins tell rows without a
// partner once; their output is inserts.

// timed is n changes of rows whose times go on, with watermarks behind which no
// changes are.
func timed(seed uint64, schema datatype.Schema, n int, retracting bool) operatortest.Table {
	r := rand.New(rand.NewPCG(seed, 9))
	t := operatortest.Table{Schema: schema}
	var open [][]any
	for i := range n {
		if i == 0 || r.IntN(4) == 0 {
			w := int64(i*4 - 1)
			t.Steps = append(t.Steps, operatortest.Step{Watermark: stream.Watermark(w)})
			open = slices.DeleteFunc(open, func(row []any) bool { return row[3].(int64) <= w })
		}
		if retracting && len(open) > 0 && r.IntN(3) == 0 {
			at := r.IntN(len(open))
			t.Steps = append(t.Steps, operatortest.Step{Row: open[at], Kind: stream.Delete})
			open = slices.Delete(open, at, at+1)
			continue
		}
		row := []any{[]any{"a", "b"}[r.IntN(2)], int64(0), int64(r.IntN(3)), int64(i*4+r.IntN(20)) / 10 * 10}
		if row[3].(int64) < int64(i*4) {
			row[3] = int64(i * 4)
		}
		t.Steps = append(t.Steps, operatortest.Step{Row: row})
		open = append(open, row)
	}
	return t
}

// before is left.t <= right.u.
func before() expr.Expr {
	at := leftSchema[3].Type
	return &expr.Call{
		Function: "<=", T: datatype.Of(datatype.Boolean),
		Args: []expr.Expr{&expr.Column{Index: 3, T: at}, &expr.Column{Index: 7, T: at}},
	}
}

func TestWindowsJoin(t *testing.T) {
	for _, kind := range kinds {
		for _, retracts := range []int{0, 3} {
			for _, atClosing := range []bool{false, true} {
				if atClosing && retracts > 0 {
					continue
				}
				t.Run(fmt.Sprintf("%v/%d/%v", kind, retracts, atClosing), func(t *testing.T) {
					t.Parallel()
					spec := &jobgraph.UpdatingJoin{
						Type: kind, LeftKeys: []uint32{0, 3}, RightKeys: []uint32{0, 3}, AtClosing: atClosing,
						LeftRetracting: retracts&1 != 0, RightRetracting: retracts&2 != 0,
						LeftClosing: &jobgraph.Closing{Column: 3}, RightClosing: &jobgraph.Closing{Column: 3},
					}
					l, r := timed(1, leftSchema, 8, spec.LeftRetracting), timed(2, rightSchema, 8, spec.RightRetracting)
					operatortest.Run(t, operatortest.Case{
						Inputs: []operatortest.Table{l, r}, Output: outputOf(kind, l.Schema, r.Schema),
						Changelog: !atClosing && !(kind == jobgraph.JoinType_JOIN_INNER && retracts == 0), Stateful: true, Backend: backend,
						Twin: func(in [][][]any) [][]any { return nestedLoops(spec, in[0], in[1], matches) },
						New:  func() (operator.Operator, error) { return updatejoin.New(spec, l.Schema, r.Schema, deps) },
					})
				})
			}
		}
	}
}

func TestOneSideCloses(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			spec := &jobgraph.UpdatingJoin{
				Type: kind, LeftKeys: []uint32{0}, RightKeys: []uint32{0}, Residual: expr.ToProto(before()),
				RightRetracting: true, RightClosing: &jobgraph.Closing{Column: 3},
			}
			l, r := timed(3, leftSchema, 8, false), timed(4, rightSchema, 10, true)
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{l, r}, Output: outputOf(kind, l.Schema, r.Schema), Changelog: true, Stateful: true, Backend: backend,
				Twin: func(in [][][]any) [][]any {
					return nestedLoops(spec, in[0], in[1], func(_ *jobgraph.UpdatingJoin, a, b []any) bool {
						return a[0] != nil && a[0] == b[0] && a[3] != nil && b[3] != nil && a[3].(int64) <= b[3].(int64)
					})
				},
				New: func() (operator.Operator, error) { return updatejoin.New(spec, l.Schema, r.Schema, deps) },
			})
		})
	}
}
