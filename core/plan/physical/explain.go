package physical

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// Explain prints a job graph: its vertices in order, what each operator does and
// keeps, and what the exchanges between them carry, how, and for how long; where
// actual is not nil, what each operator has done, too.
func Explain(g *jobgraph.Graph, roots []plan.Node, actual *Actual) string {
	var b strings.Builder
	mode := "batch"
	if g.Mode == jobgraph.Mode_MODE_STREAMING {
		mode = "streaming"
	}
	fmt.Fprintf(&b, "mode %s, %d key groups", mode, g.KeyGroups)
	if len(roots) > 0 { // a graph alone does not tell
		fmt.Fprintf(&b, ", changelog %s", changelog(g, roots))
	}
	if actual != nil {
		fmt.Fprintf(&b, ", ran %s", shortTime(actual.Elapsed))
	}
	b.WriteByte('\n')
	for _, v := range g.Vertices {
		fmt.Fprintf(&b, "vertex %d, parallelism %s\n", v.Id, parallelism(v.Parallelism))
		for _, id := range v.Inputs {
			fmt.Fprintf(&b, "  input  %s\n", exchangeText(g.Exchanges[id], producerText(g, g.Exchanges[id])))
		}
		for _, op := range v.Chain {
			fmt.Fprintf(&b, "  %s\n", op.Name)
			for _, line := range append(filterTexts(g, v, op, actual), asideText(g, v, op)...) {
				fmt.Fprintf(&b, "    %s\n", line)
			}
			if keeps := stateText(g, v, op); keeps != "" {
				fmt.Fprintf(&b, "    keeps %s\n", keeps)
			}
			if did := actual.text(op); did != "" {
				fmt.Fprintf(&b, "    actual %s\n", did)
			}
		}
		for _, id := range v.Outputs {
			if e := g.Exchanges[id]; e.Result {
				fmt.Fprintf(&b, "  result %s\n", exchangeText(e, "to the client"))
			}
		}
	}
	if actual != nil {
		for _, d := range actual.Decisions {
			fmt.Fprintf(&b, "decided after %s: %s of %s: %s; from %s\n", shortTime(d.At), d.Rule, d.Subject, d.Effect, d.Inputs)
		}
	}
	return b.String()
}

func changelog(g *jobgraph.Graph, roots []plan.Node) plan.Changelog {
	all := plan.InsertOnly
	for _, n := range roots {
		switch c := plan.ChangelogOf(n); {
		case g.Mode != jobgraph.Mode_MODE_STREAMING, c == plan.InsertOnly:
		case c == plan.Retract:
			return c
		default:
			all = c
		}
	}
	return all
}

func parallelism(n uint32) string {
	if n == 0 {
		return "as slots allow"
	}
	return fmt.Sprint(n)
}

func exchangeText(e *jobgraph.Exchange, end string) string {
	name := strings.ToLower(strings.TrimPrefix(e.Distribution.String(), "DISTRIBUTION_"))
	switch {
	case len(e.Keys) > 0:
		name += "(" + columnNames(e.Schema, e.Keys) + ")"
	case len(e.Order) > 0:
		name += "(" + orderText(e) + ")"
	}
	retention := strings.ToLower(strings.TrimPrefix(e.Retention.String(), "RETENTION_"))
	return fmt.Sprintf("%s %s, retention %s: %s", name, end, retention, e.RetentionReason)
}

// producerText says where an exchange comes from, and which side it is of.
func producerText(g *jobgraph.Graph, e *jobgraph.Exchange) string {
	text := fmt.Sprintf("from vertex %d", e.Producer)
	if e.Side > 0 {
		text += " of " + g.Vertices[e.Producer].Sides()[e.Side-1].Name
	}
	return text
}

func orderText(e *jobgraph.Exchange) string {
	parts := make([]string, len(e.Order))
	for i, k := range e.Order {
		parts[i] = e.Schema[k.Column].Name
		if k.Descending {
			parts[i] += " DESC"
		}
	}
	return strings.Join(parts, ", ")
}

func columnNames(s []*jobgraph.Field, columns []uint32) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = s[c].Name
	}
	return strings.Join(parts, ", ")
}

// filterTexts names the runtime filters that an operator makes or uses.
func filterTexts(g *jobgraph.Graph, v *jobgraph.Vertex, op *jobgraph.Operator, actual *Actual) (lines []string) {
	switch s := op.Spec.(type) {
	case *jobgraph.Operator_Source:
		for _, f := range s.Source.KeyFilters {
			line := fmt.Sprintf("drops rows by runtime filter %d on %s", f.Id, columnNames(s.Source.Columns, f.Columns))
			lines = append(lines, line+actual.filterText(op, f.Id))
		}
	case *jobgraph.Operator_Join:
		for _, f := range s.Join.Filters {
			lines = append(lines, fmt.Sprintf("makes runtime filter %d of %s", f.Id, columnNames(g.Exchanges[v.Inputs[1]].Schema, f.Columns)))
		}
	}
	return lines
}

// stateText says what an operator keeps and what bounds it.
func stateText(g *jobgraph.Graph, v *jobgraph.Vertex, op *jobgraph.Operator) string {
	streaming := g.Mode == jobgraph.Mode_MODE_STREAMING
	switch s := op.Spec.(type) {
	case *jobgraph.Operator_Aggregate:
		if s.Aggregate.Phase == jobgraph.Phase_PHASE_PARTIAL {
			return "groups of its own rows; bounded by the input's end, given up where groups do not reduce rows"
		}
		if len(s.Aggregate.Keys) == 0 {
			return "one row of accumulators; bounded"
		}
		return fmt.Sprintf("accumulators by (%s); bounded by the input's end, one row a key", outputNames(op, len(s.Aggregate.Keys)))
	case *jobgraph.Operator_WindowAggregate:
		w := s.WindowAggregate
		if w.Window.Kind == jobgraph.WindowKind_WINDOW_SESSION {
			return sessionText(op, w, streaming)
		}
		values := distinctText(inputFields(g, v, op), w)
		by := "(slice)"
		if len(w.Keys) > 0 {
			by = "(slice, " + outputNames(op, len(w.Keys)) + ")"
		}
		slice := plan.Duration(sliceMillis(w.Window))
		if w.Phase == jobgraph.Phase_PHASE_PARTIAL {
			return fmt.Sprintf("accumulators by %s, slices of %s; bounded: emitted at each watermark and barrier, and when they grow large", by, slice)
		}
		if !streaming {
			return fmt.Sprintf("accumulators by %s, slices of %s%s; bounded by the input's end", by, slice, values)
		}
		return fmt.Sprintf("accumulators by %s, slices of %s%s; bounded by watermark: slices older than watermark - %s are dropped",
			by, slice, values, plan.Duration(w.Window.SizeMillis-sliceMillis(w.Window)))
	case *jobgraph.Operator_Join:
		side := "right"
		if s.Join.Type == jobgraph.JoinType_JOIN_RIGHT_SEMI || s.Join.Type == jobgraph.JoinType_JOIN_RIGHT_ANTI {
			side = "left" // of the statement
		}
		if len(s.Join.RightKeys) == 0 {
			return "the " + side + " side; bounded by that side's end"
		}
		return "the " + side + " side by (" + columnNames(g.Exchanges[v.Inputs[1]].Schema, s.Join.RightKeys) + "); bounded by that side's end"
	case *jobgraph.Operator_Sort:
		return "all rows; bounded by the input's end"
	case *jobgraph.Operator_TopN:
		return fmt.Sprintf("at most %d rows; bounded", s.TopN.Offset+s.TopN.Limit)
	case *jobgraph.Operator_GroupTopN:
		text := fmt.Sprintf("about %d rows a key; bounded by the input's end", s.GroupTopN.Limit)
		if s.GroupTopN.Phase == jobgraph.Phase_PHASE_PARTIAL {
			text += ", given up where keys do not reduce rows"
		}
		return text
	case *jobgraph.Operator_UpdatingAggregate, *jobgraph.Operator_UpdatingJoin, *jobgraph.Operator_UpdatingTopN, *jobgraph.Operator_UpdatingOver, *jobgraph.Operator_MatchRecognize, *jobgraph.Operator_Materialize:
		return updatingText(g, v, op)
	case *jobgraph.Operator_Limit:
		if streaming {
			return "how many rows have passed; bounded"
		}
	case *jobgraph.Operator_LookupJoin:
		return lookupText(s.LookupJoin)
	case *jobgraph.Operator_TemporalJoin:
		return temporalText(g, v, s.TemporalJoin, streaming)
	case *jobgraph.Operator_Watermark:
		if s.Watermark.Processing {
			return ""
		}
		return "the latest event time; bounded"
	}
	return ""
}

func sessionText(op *jobgraph.Operator, w *jobgraph.WindowAggregate, streaming bool) string {
	text := "sessions"
	if len(w.Keys) > 0 {
		text += " by (" + outputNames(op, len(w.Keys)) + ")"
	}
	if !streaming {
		return text + "; bounded by the input's end"
	}
	return text + "; bounded by watermark: a session ends " + plan.Duration(w.Window.SizeMillis) + " after its last row"
}

func outputNames(op *jobgraph.Operator, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = op.Output[i].Name
	}
	return strings.Join(parts, ", ")
}

// sliceMillis is the length of the slices that windows are made of.
func sliceMillis(w *jobgraph.Window) int64 {
	if w.Kind == jobgraph.WindowKind_WINDOW_TUMBLE || w.SlideMillis == 0 {
		return w.SizeMillis
	}
	a, b := w.SizeMillis, w.SlideMillis
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
