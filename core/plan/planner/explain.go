package planner

import (
	"strings"

	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/plan/physical"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

func (r *run) explainStatement(e *ast.Explain) (string, error) {
	for _, d := range e.Details {
		switch d {
		case ast.ExplainEstimatedCost, ast.ExplainChangelogMode:
		default:
			return "", sqlerr.New(sqlerr.Unsupported, e, "EXPLAIN %s is not supported yet", d)
		}
	}
	return r.explain(e.Statement)
}

func (r *run) explain(s ast.Statement) (string, error) {
	var result *Result
	var err error
	if c, ok := s.(*ast.CreateTable); ok && c.Query == nil {
		return "", withoutPlan(s)
	}
	switch s := s.(type) {
	case *ast.Explain:
		return r.explainStatement(s)
	case *ast.Execute:
		return r.explain(s.Statement)
	case ast.Query:
		var node plan.Node
		if node, err = r.binder.Query(s); err == nil {
			result, err = r.job(s, node)
		}
	case *ast.Insert, *ast.StatementSet, *ast.CreateTable:
		var sinks []plan.Node
		if sinks, _, err = r.sinks(s); err == nil {
			result, err = r.job(s, sinks...)
		}
	default:
		return "", withoutPlan(s)
	}
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("== Logical plan ==\n")
	for _, n := range result.Plans {
		b.WriteString(plan.Print(n, true))
	}
	b.WriteString("\n== Job ==\n")
	b.WriteString(physical.Explain(result.Graph, result.Plans))
	return b.String(), nil
}

func withoutPlan(s ast.Statement) error {
	return sqlerr.New(sqlerr.BadClause, s, "only queries and inserts have a plan")
}
