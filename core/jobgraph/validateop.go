package jobgraph

import (
	"fmt"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr/exprpb"
)

// checkOperator checks one operator of a chain against the widths of its inputs.
func checkOperator(op *Operator, inputs []int) error {
	if op.Uid == "" {
		return fmt.Errorf("no uid")
	}
	if err := schema(op.Output); err != nil {
		return err
	}
	if err := checkSides(op.Sides); err != nil {
		return err
	}
	wanted := 1
	switch op.Spec.(type) {
	case *Operator_Source, *Operator_Values:
		wanted = 0
	case *Operator_Join, *Operator_UpdatingJoin, *Operator_TemporalJoin:
		wanted = 2
	case *Operator_Union:
		wanted = len(inputs)
	case *Operator_Process:
		wanted = min(max(len(inputs), 1), 2)
	case nil:
		return fmt.Errorf("no spec")
	}
	if len(inputs) != wanted {
		return fmt.Errorf("%d inputs, want %d", len(inputs), wanted)
	}
	return checkSpec(op, inputs)
}

func checkSpec(op *Operator, inputs []int) error {
	switch s := op.Spec.(type) {
	case *Operator_Source:
		return checkSource(s.Source)
	case *Operator_Values:
		for i, row := range s.Values.Rows {
			if len(row.Values) != len(op.Output) {
				return fmt.Errorf("row %d has %d values for %d columns", i, len(row.Values), len(op.Output))
			}
		}
	case *Operator_Calc:
		return checkCalc(s.Calc, op, inputs[0])
	case *Operator_Watermark:
		return checkWatermark(s.Watermark, inputs[0])
	case *Operator_Aggregate:
		return checkAggregate(s.Aggregate, inputs[0])
	case *Operator_WindowAggregate:
		return checkWindow(s.WindowAggregate, inputs[0])
	case *Operator_Join:
		return checkJoin(s.Join, inputs)
	case *Operator_Over:
		return checkOver(s.Over, op, inputs[0])
	case *Operator_GroupTopN:
		return checkGroupTopN(s.GroupTopN, inputs[0])
	case *Operator_UpdatingAggregate, *Operator_UpdatingJoin, *Operator_UpdatingTopN, *Operator_UpdatingOver, *Operator_Materialize, *Operator_WindowTable:
		return checkUpdating(op, inputs)
	case *Operator_MatchRecognize:
		return checkMatch(s.MatchRecognize, len(op.Output), inputs[0])
	case *Operator_Expand:
		return checkExpand(s.Expand, op, inputs[0])
	case *Operator_Unnest:
		return checkUnnest(s.Unnest, op, inputs[0])
	case *Operator_Sort:
		return order(s.Sort.Keys, inputs[0])
	case *Operator_TopN:
		if s.TopN.Limit < 0 || s.TopN.Offset < 0 {
			return fmt.Errorf("limit %d, offset %d", s.TopN.Limit, s.TopN.Offset)
		}
		return order(s.TopN.Keys, inputs[0])
	case *Operator_RejectLimit:
		return checkRejectLimit(s.RejectLimit)
	case *Operator_Limit:
		if s.Limit.Limit < -1 || s.Limit.Offset < 0 {
			return fmt.Errorf("limit %d, offset %d", s.Limit.Limit, s.Limit.Offset)
		}
	case *Operator_LookupJoin:
		return checkLookup(s.LookupJoin, inputs[0])
	case *Operator_TemporalJoin:
		return checkTemporal(s.TemporalJoin, inputs)
	case *Operator_Process:
		return checkProcess(s.Process, inputs[0])
	case *Operator_Union:
		for _, width := range inputs {
			if width != len(op.Output) {
				return fmt.Errorf("an input of %d columns for %d", width, len(op.Output))
			}
		}
	case *Operator_Sink:
		if len(s.Sink.Columns) != inputs[0] {
			return fmt.Errorf("%d columns for a table of %d", inputs[0], len(s.Sink.Columns))
		}
		return schema(s.Sink.Columns)
	}
	return nil
}

func checkSides(sides []*SideOutput) error {
	for _, side := range sides {
		if len(side.Schema) == 0 {
			return fmt.Errorf("side output %s without columns", side.Name)
		}
		if err := schema(side.Schema); err != nil {
			return fmt.Errorf("side output %s: %w", side.Name, err)
		}
	}
	return nil
}

func checkProcess(p *Process, width int) error {
	if p.Function == "" {
		return fmt.Errorf("no function")
	}
	return columns("key", p.Keys, width)
}

func checkRejectLimit(l *RejectLimit) error {
	for _, m := range l.Most {
		if m.Rows < 0 {
			return fmt.Errorf("at most %d rejected records of %s", m.Rows, m.Source)
		}
	}
	return nil
}

func checkCalc(c *Calc, op *Operator, width int) error {
	if c.Filter == nil && len(c.Projection) == 0 {
		return fmt.Errorf("neither filter nor projection")
	}
	if c.Filter != nil {
		if err := checkExpr(c.Filter, width); err != nil {
			return err
		}
	}
	for _, e := range c.Projection {
		if err := checkExpr(e, width); err != nil {
			return err
		}
	}
	if len(c.Projection) > 0 && len(c.Projection) != len(op.Output) {
		return fmt.Errorf("%d expressions for %d columns", len(c.Projection), len(op.Output))
	}
	return nil
}

func checkAggregate(a *Aggregate, width int) error {
	switch a.Phase {
	case Phase_PHASE_SINGLE, Phase_PHASE_PARTIAL:
		if err := checkCalls(a.Calls, width); err != nil {
			return err
		}
	case Phase_PHASE_FINAL:
	default:
		return fmt.Errorf("phase %v", a.Phase)
	}
	return columns("key", a.Keys, width)
}

func checkCalls(calls []*AggregateCall, width int) error {
	for _, c := range calls {
		if len(c.Args) != len(c.ArgTypes) {
			return fmt.Errorf("%s has %d arguments and %d types", c.Function, len(c.Args), len(c.ArgTypes))
		}
		if err := columns("argument", c.Args, width); err != nil {
			return err
		}
		if int(c.Filter) >= width {
			return fmt.Errorf("filter column %d of %d", c.Filter, width)
		}
		if _, err := datatype.Parse(c.Type); err != nil {
			return err
		}
	}
	return nil
}

func checkExpand(e *Expand, op *Operator, width int) error {
	switch {
	case len(op.Output) != width+1:
		return fmt.Errorf("%d columns for %d and a grouping id", len(op.Output), width)
	case len(e.Keys) > MaxGroupingKeys:
		return fmt.Errorf("%d grouping keys, at most %d", len(e.Keys), MaxGroupingKeys)
	case len(e.Sets) == 0:
		return fmt.Errorf("no grouping sets")
	}
	for _, s := range e.Sets {
		if err := columns("grouping set", s.Keys, len(e.Keys)); err != nil {
			return err
		}
	}
	return columns("key", e.Keys, width)
}

func checkUnnest(u *Unnest, op *Operator, width int) error {
	want := len(u.Keep) + len(u.Fields)
	if u.Ordinality {
		want++
	}
	switch {
	case int(u.Column) >= width:
		return fmt.Errorf("collection column %d of %d", u.Column, width)
	case len(op.Output) != want:
		return fmt.Errorf("%d columns for %d kept, %d fields", len(op.Output), len(u.Keep), len(u.Fields))
	}
	return columns("kept", u.Keep, width)
}

func checkOver(o *Over, op *Operator, width int) error {
	if len(op.Output) != width+len(o.Calls) {
		return fmt.Errorf("%d columns for %d and %d calls", len(op.Output), width, len(o.Calls))
	}
	calls := make([]*AggregateCall, len(o.Calls))
	for i, c := range o.Calls {
		f := c.Frame
		if c.Call == nil || f == nil || f.From == nil || f.To == nil || f.Unit == FrameUnit_FRAME_UNIT_INVALID ||
			f.From.Kind == BoundKind_BOUND_INVALID || f.To.Kind == BoundKind_BOUND_INVALID {
			return fmt.Errorf("call %d has no frame", i)
		}
		calls[i] = c.Call
	}
	if err := columns("partition", o.Partition, width); err != nil {
		return err
	}
	if len(o.Order) > 0 {
		if err := order(o.Order, width); err != nil {
			return err
		}
	}
	return checkCalls(calls, width)
}

func checkGroupTopN(n *GroupTopN, width int) error {
	switch {
	case n.Limit < 1:
		return fmt.Errorf("limit %d", n.Limit)
	case n.Ranking == Ranking_RANKING_INVALID:
		return fmt.Errorf("no ranking")
	case n.Phase != Phase_PHASE_SINGLE && n.Phase != Phase_PHASE_PARTIAL:
		return fmt.Errorf("phase %s", n.Phase)
	case len(n.Groups) == 0 && len(n.Order) == 0:
		return fmt.Errorf("neither groups nor an order")
	}
	if err := columns("group", n.Groups, width); err != nil || len(n.Order) == 0 {
		return err
	}
	return order(n.Order, width)
}

func checkWindow(w *WindowAggregate, width int) error {
	switch {
	case w.Window == nil || w.Window.Kind == WindowKind_WINDOW_INVALID || w.Window.SizeMillis <= 0:
		return fmt.Errorf("no window")
	case w.Phase == Phase_PHASE_INVALID:
		return fmt.Errorf("phase %v", w.Phase)
	}
	if w.Phase != Phase_PHASE_FINAL {
		if int(w.TimeColumn) >= width {
			return fmt.Errorf("time column %d of %d", w.TimeColumn, width)
		}
		if err := checkCalls(w.Calls, width); err != nil {
			return err
		}
	}
	return columns("key", w.Keys, width)
}

func checkJoin(j *Join, inputs []int) error {
	switch {
	case j.Type == JoinType_JOIN_INVALID:
		return fmt.Errorf("no join type")
	case len(j.LeftKeys) != len(j.RightKeys):
		return fmt.Errorf("%d left keys, %d right ones", len(j.LeftKeys), len(j.RightKeys))
	}
	if err := columns("left key", j.LeftKeys, inputs[0]); err != nil {
		return err
	}
	if err := columns("right key", j.RightKeys, inputs[1]); err != nil {
		return err
	}
	if err := checkKeyFilters(j.Filters, inputs[1]); err != nil {
		return err
	}
	if j.Residual == nil {
		return nil
	}
	return checkExpr(j.Residual, inputs[0]+inputs[1])
}

func checkSource(s *Source) error {
	for _, e := range s.RowFilters {
		if err := checkExpr(e, len(s.Columns)); err != nil {
			return fmt.Errorf("row filter: %w", err)
		}
	}
	if err := checkKeyFilters(s.KeyFilters, len(s.Columns)); err != nil {
		return err
	}
	if w := s.Watermark; w != nil {
		if w.Processing {
			return fmt.Errorf("a source's watermark of processing time")
		}
		if err := checkWatermark(w, len(s.Columns)); err != nil {
			return err
		}
	}
	return schema(s.Columns)
}

func checkWatermark(w *WatermarkAssigner, width int) error {
	if w.Time != nil {
		if err := checkExpr(w.Time, width); err != nil {
			return fmt.Errorf("time: %w", err)
		}
	} else if int(w.Column) >= width {
		return fmt.Errorf("time column %d of %d", w.Column, width)
	}
	if w.Processing {
		return nil
	}
	return checkExpr(w.Watermark, width)
}

func checkKeyFilters(all []*KeyFilter, width int) error {
	for _, f := range all {
		if len(f.Columns) == 0 {
			return fmt.Errorf("runtime filter %d without columns", f.Id)
		}
		for _, c := range f.Columns {
			if int(c) >= width {
				return fmt.Errorf("runtime filter %d on column %d of %d", f.Id, c, width)
			}
		}
	}
	return nil
}

func checkExpr(e *exprpb.Expr, width int) error {
	if _, err := datatype.Parse(e.GetType()); err != nil {
		return err
	}
	switch n := e.Node.(type) {
	case *exprpb.Expr_Column:
		if int(n.Column) >= width {
			return fmt.Errorf("column %d of %d", n.Column, width)
		}
	case *exprpb.Expr_Call:
		for _, a := range n.Call.Args {
			if err := checkExpr(a, width); err != nil {
				return err
			}
		}
	case nil:
		return fmt.Errorf("an empty expression")
	}
	return nil
}
