package physical

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/plan"
)

// updatingText says what an operator of a streaming plan keeps, by which key, and what
// bounds it.
func updatingText(g *jobgraph.Graph, v *jobgraph.Vertex, op *jobgraph.Operator) string {
	in := inputFields(g, v, op)
	switch s := op.Spec.(type) {
	case *jobgraph.Operator_UpdatingAggregate:
		a := s.UpdatingAggregate
		if a.Phase == jobgraph.Phase_PHASE_PARTIAL {
			return "groups of a batch" + held(a) + "; bounded"
		}
		values := besides(in, a)
		one := "one row a key"
		if values != "" {
			one += " and value"
		}
		return "accumulators" + byText(in, a.Keys) + values + held(a) + "; " +
			bound(in, a.Closing, a.KeepMillis, one, len(a.Keys) == 0 && values == "")
	case *jobgraph.Operator_UpdatingTopN:
		n := s.UpdatingTopN
		rows := fmt.Sprintf("the first %d rows", n.Offset+n.Limit)
		if n.Retracting {
			rows = "all rows"
		}
		return rows + byText(in, n.Groups) + "; " + bound(in, n.Closing, n.KeepMillis, rows+" a key", len(n.Groups) == 0 && !n.Retracting)
	case *jobgraph.Operator_UpdatingOver:
		o := s.UpdatingOver
		return "rows" + byText(in, o.Partition) + "; " + bound(in, o.Closing, o.KeepMillis, "all rows", false)
	case *jobgraph.Operator_MatchRecognize:
		m := s.MatchRecognize
		kept := "rows that partial matches read" + byText(in, m.Partition) + "; "
		if m.WithinMillis > 0 {
			return kept + "bounded by watermark: for " + plan.Duration(m.WithinMillis)
		}
		return kept + bound(in, nil, m.KeepMillis, fmt.Sprintf("up to %d partial matches a key", m.MaxPartial), false)
	case *jobgraph.Operator_Materialize:
		m := s.Materialize
		switch {
		case m.Upserts && m.AtEnd:
			return "the latest row" + byText(in, m.Keys) + "; bounded by the input's end, one row a key"
		case m.Upserts:
			return "the latest row" + byText(in, m.Keys) + "; " + bound(in, nil, m.KeepMillis, "one row a key", false)
		case len(m.Keys) > 0:
			return "rows" + byText(in, m.Keys) + "; " + bound(in, nil, m.KeepMillis, "those of all keys", false)
		case m.AtEnd:
			return "all rows; bounded by the input's end"
		}
	case *jobgraph.Operator_UpdatingJoin:
		j := s.UpdatingJoin
		left, right := g.Exchanges[v.Inputs[0]].Schema, g.Exchanges[v.Inputs[1]].Schema
		return "the left side" + byText(left, j.LeftKeys) + ", " + bound(left, j.LeftClosing, j.LeftKeepMillis, "all its rows", false) +
			"; the right side" + byText(right, j.RightKeys) + ", " + bound(right, j.RightClosing, j.RightKeepMillis, "all its rows", false)
	}
	return ""
}

// besides says what is kept of calls whose accumulators do not tell enough.
func besides(in []*jobgraph.Field, a *jobgraph.UpdatingAggregate) string {
	text := ""
	if a.Phase != jobgraph.Phase_PHASE_SINGLE {
		return text
	}
	for _, c := range a.Calls {
		one := ""
		switch {
		case updateagg.KeepsValues(c, a.Retracting):
			one = ", values" + byText(in, slices.Concat(a.Keys, c.Args))
		case updateagg.KeepsRows(c, a.Retracting):
			one = ", rows" + byText(in, a.Keys)
		}
		if !strings.Contains(text, one) {
			text += one
		}
	}
	return text
}

// distinctText says by what values are kept of a window's distinct calls.
func distinctText(in []*jobgraph.Field, w *jobgraph.WindowAggregate) string {
	text := ""
	for _, c := range w.Calls {
		if aggregate.Splittable(c) || c.Function == "SINGLE_VALUE" {
			continue
		}
		if one := ", values by (slice, " + columnNames(in, slices.Concat(w.Keys, c.Args)) + ")"; !strings.Contains(text, one) {
			text += one
		}
	}
	return text
}

// held says how long changes may be held back.
func held(a *jobgraph.UpdatingAggregate) string {
	if a.HoldMillis == 0 {
		return ""
	}
	return ", changes for up to " + plan.Duration(a.HoldMillis)
}

// inputFields are the columns that an operator reads: of the one before it in the chain,
// or of the vertex's exchange.
func inputFields(g *jobgraph.Graph, v *jobgraph.Vertex, op *jobgraph.Operator) []*jobgraph.Field {
	for i, o := range v.Chain {
		if o == op && i > 0 {
			return v.Chain[i-1].Output
		}
	}
	if len(v.Inputs) == 0 {
		return nil
	}
	return g.Exchanges[v.Inputs[0]].Schema
}

func byText(in []*jobgraph.Field, keys []uint32) string {
	if len(keys) == 0 {
		return ""
	}
	return " by (" + columnNames(in, keys) + ")"
}

func bound(in []*jobgraph.Field, c *jobgraph.Closing, keepMillis int64, kept string, bounded bool) string {
	switch {
	case c != nil && c.AfterMillis == 0:
		return "bounded by watermark: until it reaches " + in[c.Column].Name
	case c != nil && c.AfterMillis < 0:
		return fmt.Sprintf("bounded by watermark: until it reaches %s - %s", in[c.Column].Name, plan.Duration(-c.AfterMillis))
	case c != nil:
		return fmt.Sprintf("bounded by watermark: until it reaches %s + %s", in[c.Column].Name, plan.Duration(c.AfterMillis))
	case keepMillis > 0:
		return "bounded by time: what nothing came for in " + plan.Duration(keepMillis) + " is forgotten"
	case bounded:
		return "bounded"
	}
	return "not bounded: " + kept
}
