package changelog_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// What changes leave, told at the end and while they come, by all columns and by key.

func backend(mem memory.Allocator, account stream.Account) (state.Backend, error) {
	return memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, mem, account), nil
}

const history = `
k STRING, v BIGINT
a | 1
b | 2
b | 2
c | NULL
-U a | 1
+U a | 3
NULL | 4
-D b | 2
c | 5
d | 6
-D d | 6
-D c | 5
b | 7
e | 8
e | 9
-U e | 9
+U e | 10
-D e | 8`

func TestMaterialize(t *testing.T) {
	in := operatortest.Parse(history)
	for _, c := range []struct {
		name   string
		spec   *jobgraph.Materialize
		want   string
		upsert []int
	}{
		{"all columns", &jobgraph.Materialize{AtEnd: true}, "a | 3\nb | 2\nb | 7\nc | NULL\nNULL | 4\ne | 10", nil},
		{"by key at the end", &jobgraph.Materialize{Keys: []uint32{0}, AtEnd: true}, "a | 3\nb | 7\nc | NULL\nNULL | 4\ne | 10", nil},
		{"by key", &jobgraph.Materialize{Keys: []uint32{0}, UpdateBefore: true}, "a | 3\nb | 7\nc | NULL\nNULL | 4\ne | 10", nil},
		{"upsert", &jobgraph.Materialize{Keys: []uint32{0}}, "a | 3\nb | 7\nc | NULL\nNULL | 4\ne | 10", []int{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in}, Output: in.Schema, Want: c.want, Changelog: true, Upsert: c.upsert,
				Stateful: true, Backend: backend,
				New: func() (operator.Operator, error) { return changelog.New(c.spec, in.Schema) },
			})
		})
	}
}

// Upserts take nothing back, and delete what may not be there, by its key alone: what comes
// of them does, and deletes what is there.
func TestUpserts(t *testing.T) {
	in := operatortest.Parse(`
k STRING, v BIGINT
+U a | 1
+U b | 1
-D z | NULL
+U a | 2
-D b | NULL
c | 1
-D c | NULL
-D c | NULL
+U c | 3
+U NULL | 1
a | 2
+U d | 4
-D d | NULL
+U NULL | 2
c | 5`)
	for name, c := range map[string]struct {
		spec   *jobgraph.Materialize
		upsert []int
	}{
		"full":       {&jobgraph.Materialize{UpdateBefore: true}, nil},
		"upserts":    {&jobgraph.Materialize{KeyOnly: true}, []int{0}},
		"at the end": {&jobgraph.Materialize{AtEnd: true}, nil},
		"for a time": {&jobgraph.Materialize{UpdateBefore: true, KeepMillis: 1 << 40}, nil},
	} {
		c.spec.Keys, c.spec.Upserts = []uint32{0}, true
		t.Run(name, func(t *testing.T) {
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in}, Output: in.Schema, Want: "a | 2\nc | 5\nNULL | 2", Changelog: true, Upsert: c.upsert,
				Stateful: true, Backend: backend,
				New: func() (operator.Operator, error) { return changelog.New(c.spec, in.Schema) },
			})
		})
	}
}

// Keys that nothing has come for are forgotten; what comes then is the first.
func TestForgotten(t *testing.T) {
	in := operatortest.Parse(`
k STRING, v BIGINT
tick 10000
a | 1
b | 1
b | 2
tick 14000
a | 2
tick 16000
-D b | 2
-D a | 2
c | 1
tick 30000
-D a | 1
c | 2
tick 30500
-D c | 2`)
	for want, keep := range map[string]int64{"b | 1\nc | 1": 0, "a | 1\nb | 2": 5000} {
		operatortest.Run(t, operatortest.Case{
			Inputs: []operatortest.Table{in}, Output: in.Schema, Want: want, Changelog: true, Upsert: []int{0},
			Stateful: true, Backend: backend,
			New: func() (operator.Operator, error) {
				return changelog.New(&jobgraph.Materialize{Keys: []uint32{0}, KeyOnly: true, KeepMillis: keep}, in.Schema)
			},
		})
	}
}

func TestMaterializeRefused(t *testing.T) {
	for name, spec := range map[string]*jobgraph.Materialize{
		"no end": {}, "upserts by no key": {AtEnd: true, Upserts: true}, "wrong key": {Keys: []uint32{2}}, "forgotten before the end": {AtEnd: true, KeepMillis: 1},
	} {
		if _, err := changelog.New(spec, operatortest.ParseSchema("k STRING, v BIGINT")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	op, err := changelog.New(&jobgraph.Materialize{AtEnd: true}, operatortest.ParseSchema("v ARRAY<INT>"))
	if err != nil {
		t.Fatal(err)
	}
	defer op.Close()
	if err := op.Open(&operator.Context{}); err == nil {
		t.Error("rows of arrays are told apart")
	}
}
