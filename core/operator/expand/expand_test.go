package expand_test

import (
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/expand"
	"github.com/tidemill/tidemill/core/operator/operatortest"
)

const sample = `
v BIGINT NOT NULL, a BIGINT, b STRING
1 | 10 | x
2 | 10 | y
3 | 20 | x
4 | NULL | y
5 | 30 | z`

// sets are lists of positions in the keys a, b.
func sets(of ...[]uint32) *jobgraph.Expand {
	e := &jobgraph.Expand{Keys: []uint32{1, 2}}
	for _, keys := range of {
		e.Sets = append(e.Sets, &jobgraph.ExpandSet{Keys: keys})
	}
	return e
}

func TestExpand(t *testing.T) {
	in := operatortest.Parse(sample)
	out := append(in.Schema[:3:3], operatortest.ParseSchema("id BIGINT NOT NULL")...)
	for _, c := range []struct {
		name string
		spec *jobgraph.Expand
		ids  []int64
	}{
		{"rollup", sets([]uint32{0, 1}, []uint32{0}, nil), []int64{0, 1, 3}},
		{"cube", sets([]uint32{0, 1}, []uint32{0}, []uint32{1}, nil), []int64{0, 1, 2, 3}},
		{"a set again", sets([]uint32{1}, []uint32{1}, nil, []uint32{1}), []int64{2, 6, 3, 10}},
		{"everything alone", sets([]uint32{0, 1}), []int64{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			operatortest.Run(t, operatortest.Case{
				Inputs: []operatortest.Table{in}, Output: out, BatchRows: 8,
				New: func() (operator.Operator, error) { return expand.New(c.spec, in.Schema, out) },
				Twin: func(in [][][]any) (rows [][]any) {
					for _, row := range in[0] {
						for _, id := range c.ids {
							r := append(row[:3:3], id)
							for k := range 2 {
								if id>>(1-k)&1 == 1 {
									r[1+k] = nil
								}
							}
							rows = append(rows, r)
						}
					}
					return rows
				},
			})
		})
	}
}

func TestExpandRefusesSpecs(t *testing.T) {
	in := operatortest.ParseSchema("v BIGINT NOT NULL, a BIGINT, b STRING")
	out := append(in[:3:3], operatortest.ParseSchema("id BIGINT NOT NULL")...)
	for want, spec := range map[string]*jobgraph.Expand{
		"key column 7 of 3":    {Keys: []uint32{7}, Sets: []*jobgraph.ExpandSet{{}}},
		"key v cannot be null": {Keys: []uint32{0}, Sets: []*jobgraph.ExpandSet{{}}},
	} {
		if _, err := expand.New(spec, in, out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := expand.New(sets(nil), in, in); err == nil {
		t.Error("an output without an id is taken")
	}
}
