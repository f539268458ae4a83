package physical

import (
	"fmt"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// Records that are no rows leave the operator that finds it out, a source or a watermark
// assigner, by a side output; so do rows that come late, where a table takes them. All those of
// a table come together in one subtask, which counts them and writes them. A query has no such
// table: it writes nothing.

// rejecting is an operator with a side output of rejected records, or late rows.
type rejecting struct {
	vertex *jobgraph.Vertex
	op     *jobgraph.Operator
	to     *plan.Rejects
}

// aside gives the last operator of a fragment a side output into a table; nil: there is none.
func (b *builder) aside(f *fragment, to *plan.Rejects) {
	if !b.writes || to == nil {
		return
	}
	name := "rejected records"
	if to.Late {
		name = "late rows"
	}
	op := f.vertex.Chain[len(f.vertex.Chain)-1]
	op.Sides = []*jobgraph.SideOutput{{Name: name, Schema: fields(to.Records.Columns)}}
	b.rejects = append(b.rejects, rejecting{f.vertex, op, to})
}

// tellsLate reports whether a table takes late rows: then they must come as rows, not as the
// accumulators of a partial phase.
func (b *builder) tellsLate() bool { return b.writes && b.o.Late != nil }

// leavesLate reports whether an operator leaves out rows that come late.
func leavesLate(op *jobgraph.Operator) bool {
	switch s := op.Spec.(type) {
	case *jobgraph.Operator_WindowAggregate:
		return s.WindowAggregate.Phase != jobgraph.Phase_PHASE_PARTIAL
	case *jobgraph.Operator_UpdatingAggregate:
		return s.UpdatingAggregate.Closing != nil
	case *jobgraph.Operator_UpdatingTopN:
		return s.UpdatingTopN.Closing != nil
	case *jobgraph.Operator_UpdatingOver:
		return s.UpdatingOver.Closing != nil
	case *jobgraph.Operator_UpdatingJoin:
		return s.UpdatingJoin.LeftClosing != nil || s.UpdatingJoin.RightClosing != nil
	case *jobgraph.Operator_MatchRecognize:
		return true
	}
	return false
}

// rejectsBelow is what becomes of rejected records of the one table that n reads; nil: there is
// no such table, or nothing becomes of them.
func rejectsBelow(n plan.Node) *plan.Rejects {
	for {
		if scan, ok := n.(*plan.Scan); ok {
			return scan.Rejects
		}
		if in := n.Inputs(); len(in) == 1 {
			n = in[0]
		} else {
			return nil
		}
	}
}

// writeRejects adds the sinks of rejects tables and of that of late rows.
func (b *builder) writeRejects() error {
	type target struct {
		table string
		late  bool
	}
	var targets []target
	by := map[target][]rejecting{}
	for _, r := range b.rejects {
		to := target{r.to.Sink.Table.Name, r.to.Late}
		if by[to] == nil {
			targets = append(targets, to)
		}
		by[to] = append(by[to], r)
	}
	for _, to := range targets {
		if err := b.writeRejected(by[to]); err != nil {
			return err
		}
	}
	return nil
}

// writeRejected adds the sink of one table.
func (b *builder) writeRejected(all []rejecting) error {
	to := all[0].to
	f := &fragment{vertex: b.open(1), schema: to.Records.Columns}
	spec := &jobgraph.RejectLimit{Table: to.Sink.Table.Name, Late: to.Late}
	limited := map[string]bool{}
	for _, r := range all {
		side := uint32(0)
		for i, s := range r.vertex.Sides() {
			if s == r.op.Sides[0] {
				side = uint32(i + 1)
			}
		}
		b.connect(&fragment{vertex: r.vertex, schema: f.schema}, f.vertex, &jobgraph.Exchange{
			Distribution: jobgraph.Distribution_DISTRIBUTION_SINGLETON, Side: side,
		})
		if r.to.Max >= 0 && !limited[r.to.Source] {
			limited[r.to.Source] = true
			spec.Most = append(spec.Most, &jobgraph.RejectMost{Source: r.to.Source, Rows: r.to.Max})
		}
	}
	if len(all) > 1 {
		f = b.chain(f, to.Records, "Union", f.schema, &jobgraph.Operator{Spec: &jobgraph.Operator_Union{Union: &jobgraph.Union{}}})
	}
	if len(spec.Most) > 0 {
		name := "RejectLimit"
		for _, m := range spec.Most {
			if name += fmt.Sprintf(" %d", m.Rows); to.Late {
				name += " late rows"
			} else {
				name += " of " + m.Source
			}
		}
		f = b.chain(f, to.Records, name, f.schema, &jobgraph.Operator{Spec: &jobgraph.Operator_RejectLimit{RejectLimit: spec}})
	}
	b.given = map[plan.Node]*fragment{to.Records: f}
	_, err := b.sink(to.Sink)
	return err
}

// keepAside retains what goes aside for the job where anything else is retained: the subtask
// that takes it from several stages of a batch job must not keep them from coming one after the
// other.
func (b *builder) keepAside() {
	const job = jobgraph.Retention_RETENTION_JOB
	staged := false
	for _, e := range b.graph.Exchanges {
		staged = staged || e.Retention == job
	}
	for _, e := range b.graph.Exchanges {
		if staged && e.Side > 0 && e.Retention != job {
			e.Retention, e.RetentionReason = job, "rejected records of several stages are written together"
		}
	}
}

// asideText says where the side outputs of an operator go, or that nobody takes what is
// rejected.
func asideText(g *jobgraph.Graph, v *jobgraph.Vertex, op *jobgraph.Operator) (lines []string) {
	if op.GetSource().GetRejects() && len(op.Sides) == 0 {
		return []string{"leaves out rejected records: a query writes no table"}
	}
	for i, s := range v.Sides() {
		for _, own := range op.Sides {
			if own != s {
				continue
			}
			for _, out := range v.Outputs {
				if e := g.Exchanges[out]; int(e.Side) == i+1 {
					lines = append(lines, fmt.Sprintf("sends %s to vertex %d", s.Name, e.Consumer))
				}
			}
		}
	}
	return lines
}
