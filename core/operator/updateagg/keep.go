package updateagg

import (
	"github.com/apache/arrow-go/v18/arrow"
)

// hasKept reports whether rows are kept for some call.
func (a *Aggregate) hasKept() bool { return len(a.listed) > 0 }

// keep takes the rows of the batch into the lists of their groups, and what that changes
// into the accumulators of the calls that need them.
func (a *Aggregate) keep(s *space) error {
	r := &a.batch
	columns := make([]arrow.Array, len(a.listed))
	for i, c := range a.listed {
		columns[i] = r.in[c]
	}
	r.again.begin(s.rows.Len())
	r.groups = r.groups[:0]
	for _, slot := range r.removed.slots {
		if r.again.first(slot) {
			r.groups = append(r.groups, slot)
		}
	}
	lists := s.rows.Lists()
	if len(r.added.slots) > 0 {
		if err := lists.Add(r.added.slots, columns, r.added.sel, nil); err != nil {
			return err
		}
	}
	added := r.added
	if len(r.groups) > 0 { // then added is scratch, and its last use this one
		added.leaveOut(&r.again)
	}
	if err := a.addKept(s, r.in, added); err != nil {
		return err
	}
	if len(r.groups) == 0 {
		return nil
	}
	rows := make([]int32, len(r.removed.slots))
	if err := lists.Match(r.removed.slots, columns, r.removed.sel, rows); err != nil {
		return err
	}
	n := 0
	for _, row := range rows {
		if row >= 0 {
			rows[n] = row
			n++
		}
	}
	lists.RemoveRows(rows[:n])
	return a.readAgain(s, r.groups)
}

// addKept adds rows to the accumulators of the calls whose rows are kept.
func (a *Aggregate) addKept(s *space, in []arrow.Array, p part) error {
	if len(p.slots) == 0 {
		return nil
	}
	for i, w := range a.calls {
		if w != kept {
			continue
		}
		if err := a.acc.AddCall(i, s.rows.Values(), in, p.sel, p.slots); err != nil {
			return err
		}
	}
	return nil
}

// readAgain computes the accumulators of groups from the rows in their lists.
func (a *Aggregate) readAgain(s *space, groups []int32) error {
	for i, w := range a.calls {
		if w != kept {
			continue
		}
		if err := a.reset(s, i, groups); err != nil {
			return err
		}
	}
	lists := s.rows.Lists()
	var slots, rows []int32
	flush := func() error {
		in := make([]arrow.Array, len(a.in))
		defer func() {
			for _, c := range a.listed {
				if in[c] != nil {
					in[c].Release()
				}
			}
		}()
		for i, c := range a.listed {
			var err error
			if in[c], err = lists.Take(i, rows); err != nil {
				return err
			}
		}
		err := a.addKept(s, in, part{slots: slots})
		slots, rows = slots[:0], rows[:0]
		return err
	}
	first, next := lists.Chains()
	for _, g := range groups {
		for row := first[g]; row >= 0; row = next[row] {
			slots, rows = append(slots, g), append(rows, row)
			if len(rows) == stretch {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}
