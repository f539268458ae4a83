package jobgraph

import "fmt"

// checkUpdating checks the operators over inputs that need not end.
func checkUpdating(op *Operator, inputs []int) error {
	width, out := inputs[0], len(op.Output)
	switch s := op.Spec.(type) {
	case *Operator_UpdatingAggregate:
		return checkUpdatingAggregate(s.UpdatingAggregate, width)
	case *Operator_UpdatingJoin:
		return checkUpdatingJoin(s.UpdatingJoin, inputs)
	case *Operator_UpdatingTopN:
		return checkUpdatingTopN(s.UpdatingTopN, out, width)
	case *Operator_UpdatingOver:
		o := s.UpdatingOver
		if c := o.Closing; c != nil && (len(o.Order) == 0 || o.Order[0].Column != c.Column) {
			return fmt.Errorf("closing by column %d, which the order does not begin with", c.Column)
		}
		return checkOver(&Over{Partition: o.Partition, Order: o.Order, Calls: o.Calls}, op, width)
	case *Operator_Materialize:
		return columns("key", s.Materialize.Keys, width)
	case *Operator_WindowTable:
		return checkWindowTable(s.WindowTable, out, width)
	}
	return nil
}

func checkUpdatingAggregate(a *UpdatingAggregate, width int) error {
	if err := checkAggregate(&Aggregate{Phase: a.Phase, Keys: a.Keys, Calls: a.Calls}, width); err != nil {
		return err
	}
	if err := checkClosing(a.Closing, width); err != nil || a.Closing == nil {
		return err
	}
	return contains(a.Keys, a.Closing)
}

func checkUpdatingJoin(j *UpdatingJoin, inputs []int) error {
	if j.Type > JoinType_JOIN_ANTI {
		return fmt.Errorf("a join of type %s", j.Type)
	}
	for i, c := range []*Closing{j.LeftClosing, j.RightClosing} {
		if err := checkClosing(c, inputs[i]); err != nil {
			return err
		}
	}
	return checkJoin(&Join{Type: j.Type, LeftKeys: j.LeftKeys, RightKeys: j.RightKeys, Residual: j.Residual}, inputs)
}

func checkUpdatingTopN(n *UpdatingTopN, out, width int) error {
	want := width
	if n.Rank {
		want++
	}
	switch {
	case n.Limit < 1 || n.Offset < 0:
		return fmt.Errorf("limit %d, offset %d", n.Limit, n.Offset)
	case n.Ranking == Ranking_RANKING_INVALID:
		return fmt.Errorf("no ranking")
	case out != want:
		return fmt.Errorf("%d columns for %d", out, want)
	}
	if err := columns("group", n.Groups, width); err != nil {
		return err
	}
	if err := checkClosing(n.Closing, width); err != nil {
		return err
	}
	if n.Closing != nil {
		if err := contains(n.Groups, n.Closing); err != nil {
			return err
		}
	}
	if len(n.Order) == 0 {
		return nil
	}
	return order(n.Order, width)
}

func checkWindowTable(w *WindowTable, out, width int) error {
	switch {
	case w.Window == nil || w.Window.Kind == WindowKind_WINDOW_INVALID || w.Window.SizeMillis <= 0:
		return fmt.Errorf("no window")
	case int(w.TimeColumn) >= width:
		return fmt.Errorf("time column %d of %d", w.TimeColumn, width)
	case out != width+3:
		return fmt.Errorf("%d columns for %d and three of the window", out, width)
	}
	return nil
}

func checkClosing(c *Closing, width int) error {
	if c != nil && int(c.Column) >= width {
		return fmt.Errorf("closing by column %d of %d", c.Column, width)
	}
	return nil
}

func contains(keys []uint32, c *Closing) error {
	for _, k := range keys {
		if k == c.Column {
			return nil
		}
	}
	return fmt.Errorf("closing by column %d, which is no key", c.Column)
}
