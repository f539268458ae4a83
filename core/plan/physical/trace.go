package physical

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// trace says what the columns of a part mean, and its state.
func (p *part) trace() {
	var in []string
	p.tables = map[string]bool{}
	for i, from := range p.in {
		if i == 0 {
			in = from.columns
		}
		for t := range from.tables {
			p.tables[t] = true
		}
	}
	p.columns = in
	switch s := p.op.Spec.(type) {
	case *jobgraph.Operator_Source:
		p.source(s.Source)
	case *jobgraph.Operator_Calc:
		p.filters = conditions(s.Calc.Filter, in)
		p.project(s.Calc.Projection, in)
	case *jobgraph.Operator_Aggregate:
		a := s.Aggregate
		p.aggregate(a.Phase, a.Keys, a.Calls, in, "group-by")
	case *jobgraph.Operator_UpdatingAggregate:
		a := s.UpdatingAggregate
		p.aggregate(a.Phase, a.Keys, a.Calls, in, "group-by", "updating", a.Retracting, closing(a.Closing, in))
	case *jobgraph.Operator_WindowAggregate:
		p.window(s.WindowAggregate, in)
	case *jobgraph.Operator_Join:
		p.sides(s.Join.Type)
		p.residual = conditions(s.Join.Residual, p.pair())
	case *jobgraph.Operator_UpdatingJoin:
		p.updatingJoin(s.UpdatingJoin)
	case *jobgraph.Operator_TemporalJoin:
		p.temporalJoin(s.TemporalJoin)
	case *jobgraph.Operator_LookupJoin:
		p.lookup(s.LookupJoin, in)
	case *jobgraph.Operator_UpdatingTopN:
		p.topN(s.UpdatingTopN, in)
	case *jobgraph.Operator_UpdatingOver:
		o := s.UpdatingOver
		texts := overTexts(o.Partition, o.Order, o.Calls, in)
		p.state("over", texts, o.Retracting, closing(o.Closing, in))
		p.append(texts)
	case *jobgraph.Operator_Over:
		p.append(overTexts(s.Over.Partition, s.Over.Order, s.Over.Calls, in))
	case *jobgraph.Operator_MatchRecognize:
		p.match(s.MatchRecognize, in)
	case *jobgraph.Operator_Expand, *jobgraph.Operator_Unnest, *jobgraph.Operator_WindowTable:
		p.table(in)
	case *jobgraph.Operator_Union:
		p.union()
	case *jobgraph.Operator_Materialize:
		m := s.Materialize
		keys := allAt(in, m.Keys)
		if len(keys) == 0 {
			keys = in
		}
		kind := "changelog"
		if m.Upserts {
			kind = "upserts"
		}
		p.state(kind, keys, len(m.Keys) > 0, m.AtEnd)
	case *jobgraph.Operator_Values:
		p.state("values", spelled(s.Values))
		p.columns = p.made(len(p.op.Output))
	case *jobgraph.Operator_Limit:
		p.state("limit", s.Limit.Offset, s.Limit.Limit)
	case *jobgraph.Operator_Sink:
		p.state("sink", s.Sink.Connector, s.Sink.Table, fmt.Sprint(s.Sink.StaticPartition))
	case *jobgraph.Operator_Process:
		p.columns = p.made(len(p.op.Output))
	}
}

// made are columns that the part computes of its state, or as only it knows.
func (p *part) made(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(leaf, p.base, ".", i)
	}
	return out
}

func (p *part) append(columns []string) { p.columns = append(slices.Clone(p.columns), columns...) }

func (p *part) source(s *jobgraph.Source) {
	p.tables[s.Table] = true
	p.state("source", s.Connector, s.Table)
	p.columns = make([]string, len(s.Columns))
	for i, f := range s.Columns {
		p.columns[i] = leaf + s.Table + "." + f.Name
	}
}

func (p *part) project(exprs []*exprpb.Expr, in []string) {
	if len(exprs) == 0 {
		return
	}
	p.columns = make([]string, len(exprs))
	for i, e := range exprs {
		p.columns[i] = expression(e, in)
	}
}

// closing is the column by which state closes, and when.
func closing(c *jobgraph.Closing, in []string) string {
	if c == nil {
		return ""
	}
	return fmt.Sprint(at(in, c.Column), c.AfterMillis)
}

// accumulated is what the accumulators of a phase are of: a final one takes them from its
// input.
func (p *part) accumulated(phase jobgraph.Phase, keys []uint32, calls []*jobgraph.AggregateCall, in []string) (by, texts []string) {
	by = allAt(in, keys)
	if phase == jobgraph.Phase_PHASE_FINAL {
		return by, p.in[0].calls
	}
	for _, c := range calls {
		texts = append(texts, callText(c, in))
	}
	return by, texts
}

func (p *part) aggregate(phase jobgraph.Phase, keys []uint32, calls []*jobgraph.AggregateCall, in []string, kind string, more ...any) {
	by, texts := p.accumulated(phase, keys, calls, in)
	p.calls = texts
	if phase == jobgraph.Phase_PHASE_PARTIAL {
		p.columns = append(slices.Clone(by), slices.Repeat([]string{leaf + "part"}, max(0, len(p.op.Output)-len(by)))...)
		return
	}
	p.state(kind, append(more, by, texts)...)
	p.columns = by
	p.append(p.named(texts))
}

// named are columns that calls make of the part's state.
func (p *part) named(calls []string) []string {
	out := make([]string, len(calls))
	for i, c := range calls {
		out[i] = call(leaf+p.base, c)
	}
	return out
}

func (p *part) window(w *jobgraph.WindowAggregate, in []string) {
	by, texts := p.accumulated(w.Phase, w.Keys, w.Calls, in)
	if w.Phase != jobgraph.Phase_PHASE_FINAL {
		texts = append([]string{at(in, w.TimeColumn)}, texts...)
	}
	p.calls = texts
	if w.Phase == jobgraph.Phase_PHASE_PARTIAL {
		p.columns = append(slices.Clone(by), slices.Repeat([]string{leaf + "part"}, max(0, len(p.op.Output)-len(by)))...)
		return
	}
	p.state("window", spelled(w.Window), by, texts)
	p.columns = by
	p.append(p.named(texts[min(1, len(texts)):]))
	for _, property := range w.Properties {
		p.append([]string{call(leaf+p.base, property.String())})
	}
}

// pair is the meanings of both inputs of a join.
func (p *part) pair() []string {
	left, right := p.in[0].columns, p.in[1].columns
	for t := range p.in[1].tables {
		p.twice = p.twice || p.in[0].tables[t]
	}
	if p.twice && p.second() == 0 {
		left = markedAll(left)
	} else if p.twice {
		right = markedAll(right)
	}
	return append(slices.Clone(left), right...)
}

// sides has a join emit the columns of its type.
func (p *part) sides(kind jobgraph.JoinType) {
	pair, width := p.pair(), len(p.in[0].columns)
	switch kind {
	case jobgraph.JoinType_JOIN_SEMI, jobgraph.JoinType_JOIN_ANTI:
		p.columns = pair[:width:width]
	case jobgraph.JoinType_JOIN_RIGHT_SEMI, jobgraph.JoinType_JOIN_RIGHT_ANTI:
		p.columns = pair[width:]
	default:
		p.columns = pair
	}
}

// updatingJoin puts the sides into the order of their meanings, which rules do not change. Of
// sides that mean the same, the plan's order counts, and so does what is asked of each.
func (p *part) updatingJoin(j *jobgraph.UpdatingJoin) {
	left := digest(allAt(p.in[0].columns, j.LeftKeys), p.in[0].origins, j.LeftRetracting)
	right := digest(allAt(p.in[1].columns, j.RightKeys), p.in[1].origins, j.RightRetracting)
	kind := j.Type
	var alike any
	switch {
	case left == right:
		alike = [][]string{p.in[0].holds, p.in[0].columns, p.in[1].holds, p.in[1].columns}
	case left > right && kind != jobgraph.JoinType_JOIN_SEMI && kind != jobgraph.JoinType_JOIN_ANTI:
		j.Crossed, p.crossed = true, true
		left, right = right, left
		kind = turned(kind)
	}
	p.sides(j.Type)
	width := len(p.in[0].columns)
	p.residual = conditions(j.Residual, p.pair())
	var both []string // of these it depends which rows have partners, which outer joins know
	if j.Type != jobgraph.JoinType_JOIN_INNER {
		for _, c := range conjuncts(j.Residual) {
			if of := columnsOf(c); len(of) > 0 && of[0] < width && of[len(of)-1] >= width {
				both = append(both, expression(c, p.pair()))
			}
		}
	}
	p.state("join", kind, left, right, alike, j.AtClosing, set(both))
}

func turned(kind jobgraph.JoinType) jobgraph.JoinType {
	switch kind {
	case jobgraph.JoinType_JOIN_LEFT:
		return jobgraph.JoinType_JOIN_RIGHT
	case jobgraph.JoinType_JOIN_RIGHT:
		return jobgraph.JoinType_JOIN_LEFT
	}
	return kind
}

func (p *part) temporalJoin(j *jobgraph.TemporalJoin) {
	left, right := p.in[0].columns, p.in[1].columns
	p.sides(j.Type)
	p.residual = conditions(j.Residual, p.pair())
	p.state("temporal-join", j.Type, allAt(left, j.LeftKeys), allAt(right, j.RightKeys), at(left, j.LeftTime), at(right, j.RightTime))
}

// lookup keeps nothing that a checkpoint has.
func (p *part) lookup(j *jobgraph.LookupJoin, in []string) {
	p.columns = slices.Clone(in)
	for _, f := range j.Table.GetColumns() {
		p.append([]string{leaf + j.Table.GetTable() + "." + f.Name})
	}
	p.residual = conditions(j.Residual, p.columns)
}

func (p *part) topN(n *jobgraph.UpdatingTopN, in []string) {
	p.state("top", allAt(in, n.Groups), orderTexts(n.Order, in), n.Ranking, n.Offset, n.Limit, n.Retracting, closing(n.Closing, in))
	if n.Rank {
		p.append([]string{leaf + p.base + ".rank"})
	}
}

func overTexts(partition []uint32, order []*jobgraph.SortKey, calls []*jobgraph.OverCall, in []string) []string {
	var out []string
	for _, c := range calls {
		out = append(out, call("OVER", append([]string{
			callText(c.Call, in), fmt.Sprint(allAt(in, partition)), spelled(c.Frame), fmt.Sprint(c.IgnoreNulls),
		}, orderTexts(order, in)...)...))
	}
	return out
}

// table is what makes other rows of rows, as its spec says, which names columns.
func (p *part) table(in []string) {
	how := fmt.Sprintf("%T", p.op.Spec)
	var own []string // new columns, behind those that pass
	switch s := p.op.Spec.(type) {
	case *jobgraph.Operator_WindowTable:
		of := call(how, spelled(s.WindowTable.Window), at(in, s.WindowTable.TimeColumn))
		for i := len(in); i < len(p.op.Output); i++ {
			own = append(own, call("window", of, p.op.Output[i].Name))
		}
		p.append(own)
		return
	case *jobgraph.Operator_Unnest:
		of := call(how, at(in, s.Unnest.Column), fmt.Sprint(s.Unnest.Outer))
		for i := len(s.Unnest.Keep); i < len(p.op.Output); i++ {
			field := "position"
			if at := i - len(s.Unnest.Keep); at < len(s.Unnest.Fields) {
				field = fmt.Sprint(s.Unnest.Fields[at])
			}
			own = append(own, call("element", of, field))
		}
		p.columns = append(allAt(in, s.Unnest.Keep), own...)
		return
	case *jobgraph.Operator_Expand:
		sets := spelled(s.Expand)
		keys := allAt(in, s.Expand.Keys)
		p.columns = slices.Clone(in)
		for _, k := range s.Expand.Keys {
			if int(k) < len(in) {
				p.columns[k] = call(how, in[k], sets)
			}
		}
		p.append([]string{call(how, append(keys, sets)...)})
	}
}

func (p *part) union() {
	p.columns = slices.Clone(p.columns)
	for i := range p.columns {
		all := []string{p.columns[i]}
		for _, in := range p.in[1:] {
			all = append(all, at(in.columns, uint32(i)))
		}
		if slices.ContainsFunc(all, func(m string) bool { return m != all[0] }) {
			p.columns[i] = call("UNION", all...)
		}
	}
}

func (p *part) match(m *jobgraph.MatchRecognize, in []string) {
	reference := func(r *jobgraph.MatchReference) string {
		of := at(in, r.Column)
		if r.Aggregate != nil {
			of = callText(r.Aggregate, in)
		}
		return fmt.Sprint(r.Variable, r.First, r.Offset, of)
	}
	var parts []string
	for _, v := range m.Variables {
		columns := slices.Clone(in)
		for _, r := range v.References {
			columns = append(columns, reference(r))
		}
		parts = append(parts, v.Name)
		if v.Define != nil {
			parts = append(parts, expression(v.Define, columns))
		}
	}
	var measures []string
	for _, r := range m.Measures {
		measures = append(measures, reference(r))
	}
	p.state("match", allAt(in, m.Partition), orderTexts(m.Order, in), spelled(m.Pattern), parts, measures, m.After, m.AfterVariable, m.WithinMillis)
	p.columns = allAt(in, m.Partition)
	p.append(p.made(max(0, len(p.op.Output)-len(p.columns))))
}

func conjuncts(e *exprpb.Expr) []*exprpb.Expr {
	if e == nil {
		return nil
	}
	if c := e.GetCall(); c != nil && c.Function == "AND" {
		var out []*exprpb.Expr
		for _, a := range c.Args {
			out = append(out, conjuncts(a)...)
		}
		return out
	}
	return []*exprpb.Expr{e}
}

// columnsOf are the columns that an expression names, ascending.
func columnsOf(e *exprpb.Expr) []int {
	var out []int
	switch n := e.GetNode().(type) {
	case *exprpb.Expr_Column:
		out = append(out, int(n.Column))
	case *exprpb.Expr_Call:
		for _, a := range n.Call.Args {
			out = append(out, columnsOf(a)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// untyped is a type without whether it may be null.
func untyped(t string) string { return strings.TrimSuffix(t, " NOT NULL") }
