package physical

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// match brings partitions together; the operator keeps what it needs of them.
func (b *builder) match(n *plan.Match) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	f = b.meet(f, n.Partition)
	spec := &jobgraph.MatchRecognize{
		Partition: refs(n.Partition), Order: sortKeys(n.Order), Pattern: patternProto(n.Pattern), Measures: b.references(n, n.Measures),
		After: afterProto(n.After), AfterVariable: uint32(n.AfterVariable), WithinMillis: n.WithinMillis, MaxPartial: b.o.MaxPartialMatches, KeepMillis: b.o.KeepMillis,
	}
	for _, v := range n.Variables {
		one := &jobgraph.MatchVariable{Name: v.Name, References: b.references(n, v.References)}
		if v.Define != nil {
			one.Define = expr.ToProto(v.Define)
		}
		spec.Variables = append(spec.Variables, one)
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_MatchRecognize{MatchRecognize: spec}})
	out.hashed = firstColumns(len(n.Partition))
	return out, nil
}

func (b *builder) references(n *plan.Match, refs []plan.MatchReference) []*jobgraph.MatchReference {
	var out []*jobgraph.MatchReference
	for _, r := range refs {
		one := &jobgraph.MatchReference{Variable: int32(r.Variable), First: r.First, Offset: uint32(r.Offset), Column: uint32(r.Column)}
		if r.Call.Function != "" {
			one.Aggregate = callProtos([]plan.Call{r.Call}, n.Input.Schema())[0]
		}
		out = append(out, one)
	}
	return out
}

func patternProto(p *plan.Pattern) *jobgraph.Pattern {
	out := &jobgraph.Pattern{Kind: jobgraph.PatternKind(p.Kind), Variable: uint32(p.Variable), Least: uint32(p.Least), Most: int64(p.Most), Reluctant: p.Reluctant}
	for _, part := range p.Parts {
		out.Parts = append(out.Parts, patternProto(part))
	}
	return out
}

func afterProto(k ast.SkipKind) jobgraph.AfterMatch {
	return map[ast.SkipKind]jobgraph.AfterMatch{
		ast.SkipPastLastRow: jobgraph.AfterMatch_AFTER_MATCH_PAST_LAST_ROW, ast.SkipToNextRow: jobgraph.AfterMatch_AFTER_MATCH_NEXT_ROW,
		ast.SkipToFirst: jobgraph.AfterMatch_AFTER_MATCH_TO_FIRST, ast.SkipToLast: jobgraph.AfterMatch_AFTER_MATCH_TO_LAST,
	}[k]
}
