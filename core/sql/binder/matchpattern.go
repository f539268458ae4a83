package binder

import (
	"slices"

	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// maxPatternRows bounds a pattern whose repetitions are written out.
const maxPatternRows = 4096

// pattern binds PATTERN, and thereby the variables.
func (m *matching) pattern() error {
	n := m.syntax.Pattern
	p, err := m.part(n)
	if err != nil {
		return err
	}
	m.node.Pattern = p
	switch {
	case nullable(p):
		return m.errorf(sqlerr.BadClause, n, "a pattern that matches no rows at all is no pattern").Suggest("have one variable at least that must have a row, such as A+")
	case greedyEnd(p):
		return m.unsupported(n, "a greedy quantifier at the end of a pattern is").
			Suggest("end it with a variable, or make the quantifier reluctant by a ? behind it: a match is then complete as soon as it can be")
	case size(p) > maxPatternRows:
		return m.errorf(sqlerr.TooLarge, n, "a pattern has at most %d variables when repetitions are written out", maxPatternRows)
	}
	return nil
}

func (m *matching) part(n ast.PatternExpr) (*plan.Pattern, error) {
	p := &plan.Pattern{Least: 1, Most: 1}
	var parts []ast.PatternExpr
	switch n := n.(type) {
	case *ast.PatternVar:
		p.Kind, p.Variable = plan.PatternVariable, m.variable(n.Name.Name)
		if p.Variable < 0 {
			p.Variable = len(m.node.Variables)
			m.node.Variables = append(m.node.Variables, plan.MatchVariable{Name: n.Name.Name})
		}
	case *ast.PatternSeq:
		p.Kind, parts = plan.PatternSequence, n.Items
	case *ast.PatternAlt:
		p.Kind, parts = plan.PatternAlternation, n.Items
	case *ast.PatternPermute:
		p.Kind, parts = plan.PatternPermutation, n.Items
	case *ast.PatternRepeat:
		inner, err := m.part(n.X)
		if err != nil {
			return nil, err
		}
		if nullable(inner) {
			return nil, m.unsupported(n, "a quantifier behind a pattern that may match no rows is")
		}
		if inner.Least != 1 || inner.Most != 1 {
			inner = &plan.Pattern{Kind: plan.PatternSequence, Parts: []*plan.Pattern{inner}}
		}
		inner.Least, inner.Most, inner.Reluctant = n.Min, n.Max, n.Reluctant
		return inner, nil
	default:
		return nil, m.unsupported(n, "an exclusion, {- -}, in a pattern is")
	}
	for _, item := range parts {
		one, err := m.part(item)
		if err != nil {
			return nil, err
		}
		p.Parts = append(p.Parts, one)
	}
	return p, nil
}

// nullable reports whether a pattern may match no rows.
func nullable(p *plan.Pattern) bool {
	if p.Least == 0 {
		return true
	}
	switch p.Kind {
	case plan.PatternVariable:
		return false
	case plan.PatternAlternation:
		return slices.ContainsFunc(p.Parts, nullable)
	}
	return !slices.ContainsFunc(p.Parts, func(part *plan.Pattern) bool { return !nullable(part) })
}

// greedyEnd reports whether a pattern may end within a greedy quantifier.
func greedyEnd(p *plan.Pattern) bool {
	if !p.Reluctant && p.Least != p.Most {
		return true
	}
	switch p.Kind {
	case plan.PatternVariable:
		return false
	case plan.PatternSequence:
		for _, part := range slices.Backward(p.Parts) {
			if greedyEnd(part) {
				return true
			}
			if !nullable(part) {
				return false
			}
		}
		return false
	}
	return slices.ContainsFunc(p.Parts, greedyEnd)
}

// size is how many variables a pattern has with repetitions written out.
func size(p *plan.Pattern) int {
	n := 0
	for _, part := range p.Parts {
		n = min(n+size(part), maxPatternRows+1)
	}
	if p.Kind == plan.PatternVariable {
		n = 1
	}
	if p.Kind == plan.PatternPermutation {
		for i := 2; i <= len(p.Parts) && n <= maxPatternRows; i++ {
			n *= i
		}
	}
	return min(n, maxPatternRows+1) * min(max(p.Least, p.Most, 1), maxPatternRows+1)
}
