package gateway

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan/physical"
	"github.com/tidemill/tidemill/core/plan/planner"
	"github.com/tidemill/tidemill/core/stream"
)

// analysis is the Result of EXPLAIN ANALYZE. Its one row is the plan with what the
// job has done; the job's own rows are dropped.
type analysis struct {
	*Result // of the job
	planned *planner.Result
	text    *rows // nil: the job has not finished
}

var _ client.Result = (*analysis)(nil)

// Schema implements client.Result.
func (a *analysis) Schema() datatype.Schema { return planner.PlanSchema() }

// Live implements client.Result.
func (a *analysis) Live() bool { return false }

// Changelog implements client.Result.
func (a *analysis) Changelog() bool { return false }

// Next implements client.Result.
func (a *analysis) Next(ctx context.Context) (*stream.Batch, error) {
	for a.text == nil {
		b, err := a.Result.Next(ctx)
		switch {
		case err == nil:
			b.Release()
		case errors.Is(err, io.EOF):
			shown := a.planned.Analyzed(a.actual())
			if a.text, err = newRows(shown.Schema, shown.Rows); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
	return a.text.Next(ctx)
}

// actual is what the job, which has finished, has done.
func (a *analysis) actual() physical.Actual {
	last := a.job().last
	out := physical.Actual{Elapsed: a.job().elapsed(last), Operators: map[*jobgraph.Operator][]physical.Counts{}}
	for _, d := range last.GetDecisions() {
		out.Decisions = append(out.Decisions, physical.Decision{
			At: time.Duration(d.GetAt()) * time.Millisecond, Rule: d.GetRule(), Subject: d.GetSubject(), Inputs: d.GetInputs(), Effect: d.GetEffect(),
		})
	}
	vertices := a.planned.Graph.GetVertices()
	for _, v := range last.GetVertices() {
		if int(v.GetVertex()) >= len(vertices) {
			continue
		}
		chain := vertices[v.GetVertex()].GetChain()
		for i, c := range v.GetOperators() {
			op := chain[i%len(chain)]
			counts := physical.Counts{
				Rows: c.GetRows(), Batches: c.GetBatches(), SpilledBytes: c.GetSpilledBytes(), PeakBytes: c.GetPeakBytes(),
				Busy: time.Duration(c.GetBusyNanos()),
			}
			for _, f := range c.GetFilters() {
				counts.Filters = append(counts.Filters, physical.FilterCounts{ID: f.GetId(), Asked: f.GetAsked(), Dropped: f.GetDropped(), Excluded: f.GetExcluded()})
			}
			out.Operators[op] = append(out.Operators[op], counts)
		}
	}
	return out
}

// Close implements client.Result.
func (a *analysis) Close() error {
	err := a.Result.Close()
	if a.text != nil {
		err = errors.Join(err, a.text.Close())
	}
	return err
}
