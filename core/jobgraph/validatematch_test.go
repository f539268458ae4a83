package jobgraph

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/expr/exprpb"
)

// Each rule of MATCH_RECOGNIZE is broken once.
func TestMatchRules(t *testing.T) {
	field := &Field{Name: "k", Type: "BIGINT"}
	good := &Operator{Uid: "m", Name: "Match", Output: []*Field{field, field}, Spec: &Operator_MatchRecognize{MatchRecognize: &MatchRecognize{
		Partition: []uint32{0}, Order: []*SortKey{{Column: 1}}, After: AfterMatch_AFTER_MATCH_NEXT_ROW, MaxPartial: 1,
		Pattern:   &Pattern{Kind: PatternKind_PATTERN_VARIABLE, Least: 1, Most: -1},
		Variables: []*MatchVariable{{Name: "A", Define: &exprpb.Expr{Type: "BOOLEAN", Node: &exprpb.Expr_Column{Column: 2}}, References: []*MatchReference{{}}}},
		Measures:  []*MatchReference{{Variable: -1, Aggregate: &AggregateCall{Function: "COUNT", Filter: -1, Type: "BIGINT"}}},
	}}}
	if err := checkOperator(good, []int{2}); err != nil {
		t.Fatal(err)
	}
	deep := &Pattern{Kind: PatternKind_PATTERN_VARIABLE, Least: 1, Most: 1}
	for range maxPatternDepth + 1 {
		deep = &Pattern{Kind: PatternKind_PATTERN_SEQUENCE, Parts: []*Pattern{deep}, Least: 1, Most: 1}
	}
	for want, change := range map[string]func(*MatchRecognize){
		"no time":                        func(m *MatchRecognize) { m.Order[0].Descending = true },
		"no pattern":                     func(m *MatchRecognize) { m.Pattern = nil },
		"after a match":                  func(m *MatchRecognize) { m.AfterVariable = 1 },
		"at most 0 partial":              func(m *MatchRecognize) { m.MaxPartial = 0 },
		"2 columns for 1":                func(m *MatchRecognize) { m.Measures = nil },
		"partition column 2":             func(m *MatchRecognize) { m.Partition[0] = 2 },
		"column 2":                       func(m *MatchRecognize) { m.Order[0].Column = 2 },
		"pattern variable 1":             func(m *MatchRecognize) { m.Pattern.Variable = 1 },
		"at least 1 and at most 0":       func(m *MatchRecognize) { m.Pattern.Most = 0 },
		"of kind PATTERN_EXCLUSION":      func(m *MatchRecognize) { m.Pattern.Kind = PatternKind_PATTERN_EXCLUSION },
		"without parts":                  func(m *MatchRecognize) { m.Pattern.Kind = PatternKind_PATTERN_SEQUENCE },
		"deep in each other":             func(m *MatchRecognize) { m.Pattern = deep },
		"measures: reference":            func(m *MatchRecognize) { m.Measures[0].Variable = 1 },
		"measures: filter":               func(m *MatchRecognize) { m.Measures[0].Aggregate.Filter = 2 },
		"variable A: reference to":       func(m *MatchRecognize) { m.Variables[0].References[0].Column = 2 },
		"variable A: column 2":           func(m *MatchRecognize) { m.Variables[0].References = nil },
		"within -1 ms, at most 1 partia": func(m *MatchRecognize) { m.WithinMillis = -1 },
	} {
		bad := proto.CloneOf(good)
		change(bad.GetMatchRecognize())
		if err := checkOperator(bad, []int{2}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
