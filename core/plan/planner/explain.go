package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/plan/physical"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// explained is the plan as a row, or the job of EXPLAIN ANALYZE.
func (r *run) explained(e *ast.Explain) (*Result, error) {
	if slices.Contains(e.Details, ast.ExplainAnalyze) {
		if err := refuseDetails(e); err != nil {
			return nil, err
		}
		var err error
		if r.settings, err = r.settings.With(config.OperatorTime.Key(), "true", "EXPLAIN ANALYZE"); err != nil {
			return nil, err
		}
		r.analyze = true
		return r.statement(e.Statement)
	}
	text, err := r.explainStatement(e)
	if err != nil {
		return nil, err
	}
	return planText(text), nil
}

// explainStatement is the plan as text, also for EXPLAIN ANALYZE.
func (r *run) explainStatement(e *ast.Explain) (string, error) {
	if err := refuseDetails(e); err != nil {
		return "", err
	}
	return r.explain(e.Statement)
}

func refuseDetails(e *ast.Explain) error {
	for _, d := range e.Details {
		switch d {
		case ast.ExplainEstimatedCost, ast.ExplainChangelogMode, ast.ExplainAnalyze:
		default:
			return sqlerr.New(sqlerr.Unsupported, e, "EXPLAIN %s is not supported yet", d)
		}
	}
	return nil
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
	case *ast.CompilePlan:
		result, err = r.compiled(s.Statement)
	case *ast.ExecutePlan:
		result, err = r.executePlan(s.Path)
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
	return result.text(nil), nil
}

// text is the plan, with what the job has done if that is known.
func (r *Result) text(actual *physical.Actual) string {
	var b strings.Builder
	if len(r.Plans) > 0 { // none is left of a plan that was compiled
		b.WriteString("== Logical plan ==\n")
	}
	for _, n := range r.Plans {
		b.WriteString(plan.PrintNotes(n, func(n plan.Node) string {
			note := ""
			if c := plan.ChangelogOf(n); r.Graph.Mode == jobgraph.Mode_MODE_STREAMING && c != plan.InsertOnly {
				note = c.String() + ", "
			}
			note += "~" + plan.Approximate(plan.Rows(n)) + " rows"
			if actual != nil {
				if rows, known := actual.Rows(r.emitters[n]); known {
					note += fmt.Sprintf("; %d actual", rows)
				}
			}
			return note
		}))
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	b.WriteString("== Job ==\n")
	b.WriteString(physical.Explain(r.Graph, r.Plans, actual))
	return b.String()
}

// Analyzed is what EXPLAIN ANALYZE shows once the job has finished: Rows.
func (r *Result) Analyzed(actual physical.Actual) *Result { return planText(r.text(&actual)) }

// PlanSchema is the column that a plan is shown in.
func PlanSchema() datatype.Schema { return planText("").Schema }

func planText(text string) *Result { return column("plan", []string{text}) }

func withoutPlan(s ast.Statement) error {
	return sqlerr.New(sqlerr.BadClause, s, "only queries and inserts have a plan")
}
