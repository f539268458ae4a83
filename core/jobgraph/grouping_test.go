package jobgraph

import (
	"slices"
	"strings"
	"testing"
)

// expansion is an Expand of two columns, a and b, by both.
func expansion(sets ...[]uint32) *Operator {
	e := &Expand{Keys: []uint32{0, 1}}
	for _, s := range sets {
		e.Sets = append(e.Sets, &ExpandSet{Keys: s})
	}
	out := []*Field{{Name: "a", Type: "INT"}, {Name: "b", Type: "INT"}, {Name: "id", Type: "BIGINT NOT NULL"}}
	return &Operator{Uid: "e", Output: out, Spec: &Operator_Expand{Expand: e}}
}

func TestValidateExpand(t *testing.T) {
	if err := checkOperator(expansion(nil, []uint32{1}), []int{2}); err != nil {
		t.Fatal(err)
	}
	for want, fault := range map[string]func(*Operator){
		"2 columns for 2 and a grouping id": func(op *Operator) { op.Output = op.Output[:2] },
		"49 grouping keys":                  func(op *Operator) { op.GetExpand().Keys = make([]uint32, 49) },
		"no grouping sets":                  func(op *Operator) { op.GetExpand().Sets = nil },
		"grouping set column 2 of 2":        func(op *Operator) { op.GetExpand().Sets[0].Keys = []uint32{2} },
		"key column 5 of 2":                 func(op *Operator) { op.GetExpand().Keys[0] = 5 },
	} {
		op := expansion(nil)
		fault(op)
		if err := checkOperator(op, []int{2}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, have %v", want, err)
		}
	}
}

func TestGroupingIDs(t *testing.T) {
	e := expansion([]uint32{0, 1}, []uint32{0}, []uint32{1}, nil, []uint32{1}, []uint32{1, 0}).GetExpand()
	if got, want := e.IDs(), []int64{0, 1, 2, 3, 6, 4}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
}
