package jobgraph

import (
	"strings"
	"testing"
)

// Joins as of a time are refused by what is wrong with them.
func TestValidateTemporal(t *testing.T) {
	lookup := func() *LookupJoin {
		return &LookupJoin{
			Type: JoinType_JOIN_LEFT, Table: &Source{Columns: []*Field{{Name: "k", Type: "BIGINT"}}}, LeftKeys: []uint32{1}, RightKeys: []uint32{0}, CacheRows: 5,
		}
	}
	for want, fault := range map[string]func(j *LookupJoin){
		"":                     func(*LookupJoin) {},
		"of type JOIN_FULL":    func(j *LookupJoin) { j.Type = JoinType_JOIN_FULL },
		"in no table":          func(j *LookupJoin) { j.Table = nil },
		"without keys":         func(j *LookupJoin) { j.LeftKeys = nil },
		"a cache of -1 rows":   func(j *LookupJoin) { j.CacheRows = -1 },
		"left key column 2":    func(j *LookupJoin) { j.LeftKeys[0] = 2 },
		"right key column 1":   func(j *LookupJoin) { j.RightKeys[0] = 1 },
		"unknown name":         func(j *LookupJoin) { j.Table.Columns[0].Type = "NUMBER" },
		"1 left keys, 2 right": func(j *LookupJoin) { j.RightKeys = []uint32{0, 0} },
	} {
		j := lookup()
		fault(j)
		expect(t, want, checkLookup(j, 2))
	}
	temporal := func() *TemporalJoin {
		return &TemporalJoin{Type: JoinType_JOIN_INNER, LeftKeys: []uint32{1}, RightKeys: []uint32{0}, LeftTime: 1, RightTime: 2}
	}
	for want, fault := range map[string]func(j *TemporalJoin){
		"":                        func(*TemporalJoin) {},
		"of type JOIN_RIGHT":      func(j *TemporalJoin) { j.Type = JoinType_JOIN_RIGHT },
		"without keys":            func(j *TemporalJoin) { j.LeftKeys = nil },
		"times 2 of 2 and 2 of 3": func(j *TemporalJoin) { j.LeftTime = 2 },
		"times 1 of 2 and 3 of 3": func(j *TemporalJoin) { j.RightTime = 3 },
		"right key column 3":      func(j *TemporalJoin) { j.RightKeys[0] = 3 },
	} {
		j := temporal()
		fault(j)
		expect(t, want, checkTemporal(j, []int{2, 3}))
	}
}

func expect(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%v, want %q", err, want)
	}
}
