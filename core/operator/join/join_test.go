package join_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/operator/operatortest"
)

// Every join type, with and without a residual, on unique and repeated keys, of
// one and of two columns, against nested loops; nulls in random places.

const (
	left = `
k STRING, n INT, v INT
a | 1 | 10
b | 1 | 20
c | 2 | 30
a | 1 | 40
zz a key that is longer than sixteen | 5 | 50
d | 4 | 60`
	repeated = `
k STRING, n INT, w INT
a | 1 | 15
a | 1 | 45
a | 2 | 5
b | 1 | 1
zz a key that is longer than sixteen | 5 | 99
x | 9 | 9
a | 1 | 11
a | 1 | 12
a | 1 | 13`
	unique = `
k STRING, n INT, w INT
b | 1 | 25
a | 1 | 15
y | 3 | 0
zz a key that is longer than sixteen | 5 | 1`
	numbers = `
k STRING, n INT, w INT
b | 2 | 25
a | 1 | 45
y | 70 | 0
x | -3 | 1`
	empty = "k STRING, n INT, w INT"
)

var deps = join.Deps{Functions: function.Builtins()}

// smaller is left.v < right.w over the pairs' columns.
func smaller() expr.Expr {
	i := datatype.Of(datatype.Int)
	return &expr.Call{
		Function: "<", T: datatype.Of(datatype.Boolean),
		Args: []expr.Expr{&expr.Column{Index: 2, T: i}, &expr.Column{Index: 5, T: i}},
	}
}

func TestJoins(t *testing.T) {
	l := operatortest.Parse(left)
	for _, kind := range kinds {
		for name, text := range map[string]string{"repeated": repeated, "unique": unique, "numbers": numbers, "empty": empty} {
			for _, keys := range keySets(name) {
				for _, residual := range []bool{false, true} {
					t.Run(fmt.Sprintf("%v/%s/%v/%v", kind, name, keys, residual), func(t *testing.T) {
						joinCase(t, kind, l, operatortest.Parse(text), keys, residual)
					})
				}
			}
		}
	}
}

func joinCase(t *testing.T, kind jobgraph.JoinType, l, r operatortest.Table, keys []uint32, residual bool) {
	spec := &jobgraph.Join{Type: kind, LeftKeys: keys, RightKeys: keys}
	if residual {
		spec.Residual = expr.ToProto(smaller())
	}
	operatortest.Run(t, operatortest.Case{
		Inputs: []operatortest.Table{l, r}, Output: outputOf(kind, l.Schema, r.Schema),
		BatchRows: 6, // of the left input, whose batches a semi join passes on
		Twin:      func(in [][][]any) [][]any { return nestedLoops(kind, in[0], in[1], keys, residual) },
		New:       func() (operator.Operator, error) { return join.New(spec, l.Schema, r.Schema, deps) },
	})
}

func outputOf(kind jobgraph.JoinType, l, r datatype.Schema) datatype.Schema {
	switch kind {
	case jobgraph.JoinType_JOIN_SEMI, jobgraph.JoinType_JOIN_ANTI:
		return l
	case jobgraph.JoinType_JOIN_RIGHT_SEMI, jobgraph.JoinType_JOIN_RIGHT_ANTI:
		return r
	}
	return slices.Concat(l, r)
}

func nestedLoops(kind jobgraph.JoinType, l, r [][]any, keys []uint32, residual bool) (out [][]any) {
	matchedRight := make([]bool, len(r))
	for _, a := range l {
		matched := false
		for i, b := range r {
			if !matches(a, b, keys, residual) {
				continue
			}
			matched, matchedRight[i] = true, true
			if kind < jobgraph.JoinType_JOIN_SEMI {
				out = append(out, append(append([]any{}, a...), b...))
			}
		}
		switch {
		case matched && kind == jobgraph.JoinType_JOIN_SEMI, !matched && kind == jobgraph.JoinType_JOIN_ANTI:
			out = append(out, a)
		case !matched && (kind == jobgraph.JoinType_JOIN_LEFT || kind == jobgraph.JoinType_JOIN_FULL):
			out = append(out, append(append([]any{}, a...), nil, nil, nil))
		}
	}
	for i, b := range r {
		if !matchedRight[i] && (kind == jobgraph.JoinType_JOIN_RIGHT || kind == jobgraph.JoinType_JOIN_FULL) {
			out = append(out, append([]any{nil, nil, nil}, b...))
		}
		if matchedRight[i] && kind == jobgraph.JoinType_JOIN_RIGHT_SEMI || !matchedRight[i] && kind == jobgraph.JoinType_JOIN_RIGHT_ANTI {
			out = append(out, b)
		}
	}
	return out
}

func matches(a, b []any, keys []uint32, residual bool) bool {
	for _, k := range keys {
		if a[k] == nil || a[k] != b[k] {
			return false
		}
	}
	if !residual {
		return true
	}
	v, ok := a[2].(int64)
	w, both := b[2].(int64)
	return ok && both && v < w
}

func TestRefused(t *testing.T) {
	l, r := operatortest.ParseSchema("a INT, b STRING"), operatortest.ParseSchema("a BIGINT")
	for _, spec := range []*jobgraph.Join{
		{},
		{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{0}},
		{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{7}, RightKeys: []uint32{0}},
		{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{0}, RightKeys: []uint32{0}},
		{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{1}, RightKeys: []uint32{0}},
	} {
		if _, err := join.New(spec, l, r, deps); err == nil {
			t.Errorf("%v accepted", spec)
		}
	}
}

// keySets are the keys to join by; against no rows one is like another.
func keySets(name string) [][]uint32 {
	if name == "empty" {
		return [][]uint32{{0}}
	}
	if name == "numbers" {
		return [][]uint32{{1}}
	}
	return [][]uint32{{0}, {0, 1}, nil}
}
