package updatejoin_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updatejoin"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// Every join type over histories of changes, in every order in which the inputs can
// come, leaves what nested loops make of the rows that the histories leave: with and
// without a residual, over inserts only and rows taken back on either side, with nulls
// in keys and equal rows, restored at every point.

var (
	deps  = updatejoin.Deps{Functions: function.Builtins()}
	kinds = []jobgraph.JoinType{
		jobgraph.JoinType_JOIN_INNER, jobgraph.JoinType_JOIN_LEFT, jobgraph.JoinType_JOIN_RIGHT,
		jobgraph.JoinType_JOIN_FULL, jobgraph.JoinType_JOIN_SEMI, jobgraph.JoinType_JOIN_ANTI,
	}
	leftSchema  = operatortest.ParseSchema("k STRING, n INT, v INT, t TIMESTAMP(3)")
	rightSchema = operatortest.ParseSchema("k STRING, n INT, w INT, u TIMESTAMP(3)")
)

func backend(alloc memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, alloc, account), nil
}

// smaller is left.v < right.w over the pairs' columns.
func smaller() expr.Expr {
	i := datatype.Of(datatype.Int)
	return &expr.Call{
		Function: "<", T: datatype.Of(datatype.Boolean),
		Args: []expr.Expr{&expr.Column{Index: 2, T: i}, &expr.Column{Index: 6, T: i}},
	}
}

// history is n changes of rows of few keys and values; inserts alone, unless it retracts.
func history(seed uint64, schema datatype.Schema, n int, retracting bool) operatortest.Table {
	row := func(r *rand.Rand, _ int) []any {
		key := []any{"a", "b", "c", "a key that is longer than sixteen", "d"}[r.IntN(5)]
		return []any{key, int64(r.IntN(2)), int64(r.IntN(3)), int64(0)}
	}
	if retracting {
		return operatortest.History(seed, schema, n, row, nil)
	}
	t, r := operatortest.Table{Schema: schema}, rand.New(rand.NewPCG(seed, 3))
	for i := range n {
		t.Steps = append(t.Steps, operatortest.Step{Row: row(r, i)})
	}
	return t
}

func TestJoins(t *testing.T) {
	for _, kind := range kinds {
		for retracts := range 4 {
			for _, c := range []struct {
				keys     []uint32
				residual bool
			}{{[]uint32{0}, false}, {[]uint32{1, 0}, true}, {nil, retracts < 3}} {
				if c.keys == nil && retracts%3 > 0 {
					continue
				}
				t.Run(fmt.Sprintf("%v/%d/%v/%v", kind, retracts, c.keys, c.residual), func(t *testing.T) {
					t.Parallel()
					spec := &jobgraph.UpdatingJoin{
						Type: kind, LeftKeys: c.keys, RightKeys: c.keys, LeftRetracting: retracts&1 != 0, RightRetracting: retracts&2 != 0,
					}
					if c.residual {
						spec.Residual = expr.ToProto(smaller())
					}
					joinCase(t, spec, history(uint64(retracts), leftSchema, 7, spec.LeftRetracting), history(7, rightSchema, 8, spec.RightRetracting))
				})
			}
		}
	}
}

func joinCase(t *testing.T, spec *jobgraph.UpdatingJoin, l, r operatortest.Table) {
	t.Helper()
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{l, r}, Output: outputOf(spec.Type, l.Schema, r.Schema), Changelog: true, Stateful: true, Backend: backend,
		Twin: func(in [][][]any) [][]any { return nestedLoops(spec, in[0], in[1], matches) },
		New:  func() (operator.Operator, error) { return updatejoin.New(spec, l.Schema, r.Schema, deps) },
	})
}

func outputOf(kind jobgraph.JoinType, l, r datatype.Schema) datatype.Schema {
	if kind >= jobgraph.JoinType_JOIN_SEMI {
		return l
	}
	return slices.Concat(l, r)
}

func nestedLoops(spec *jobgraph.UpdatingJoin, l, r [][]any, matches func(spec *jobgraph.UpdatingJoin, a, b []any) bool) (out [][]any) {
	kind := spec.Type
	matchedRight := make([]bool, len(r))
	for _, a := range l {
		matched := false
		for i, b := range r {
			if !matches(spec, a, b) {
				continue
			}
			matched, matchedRight[i] = true, true
			if kind < jobgraph.JoinType_JOIN_SEMI {
				out = append(out, slices.Concat(a, b))
			}
		}
		switch {
		case matched && kind == jobgraph.JoinType_JOIN_SEMI, !matched && kind == jobgraph.JoinType_JOIN_ANTI:
			out = append(out, a)
		case !matched && (kind == jobgraph.JoinType_JOIN_LEFT || kind == jobgraph.JoinType_JOIN_FULL):
			out = append(out, slices.Concat(a, make([]any, 4)))
		}
	}
	for i, b := range r {
		if !matchedRight[i] && (kind == jobgraph.JoinType_JOIN_RIGHT || kind == jobgraph.JoinType_JOIN_FULL) {
			out = append(out, slices.Concat(make([]any, 4), b))
		}
	}
	return out
}

func matches(spec *jobgraph.UpdatingJoin, a, b []any) bool {
	for i, k := range spec.LeftKeys {
		if a[k] == nil || a[k] != b[spec.RightKeys[i]] {
			return false
		}
	}
	return spec.Residual == nil || a[2] != nil && b[2] != nil && a[2].(int64) < b[2].(int64)
}
