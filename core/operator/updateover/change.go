package updateover

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/stream"
)

// version is the rows of some partitions with their values, at a time.
type version struct {
	rows    []int32       // of the lists
	columns []arrow.Array // of the rows, then values in the order of the calls
}

func (v *version) release() { compute.ReleaseAll(v.columns) }

// told are positions in the version before and after that are told.
type told struct{ deleted, before, after, inserted []int32 }

func (t *told) len() int { return len(t.deleted) + len(t.before) + len(t.after) + len(t.inserted) }

// change keeps rows, forgets those that are taken back, and tells what that changes.
func (o *Over) change(b *stream.Batch, added, removed []int32) error {
	slots, came, err := o.keep(b, added)
	if err != nil {
		return err
	}
	owners, taken, err := o.match(b, removed)
	if err != nil {
		return err
	}
	partitions := o.distinct(slots, owners)
	if len(partitions) == 0 {
		return nil
	}
	s, lists := o.sorter, o.rows.Lists()
	s.Gather(lists, partitions)
	s.Flag(lists, came, taken)
	defer s.Unflag(came, taken)
	order, sorted, err := s.Sort(o.ctx.Alloc, lists)
	if err != nil {
		return err
	}
	sorted.Release()
	var then, now version
	for _, at := range order {
		row := s.Rows[at]
		if s.Flags(row)&groups.Fresh == 0 {
			then.rows = append(then.rows, row)
		}
		if s.Flags(row)&groups.Gone == 0 {
			now.rows = append(now.rows, row)
		}
	}
	for _, v := range []*version{&then, &now} {
		defer v.release()
		if err := o.fill(v); err != nil {
			return err
		}
	}
	if err := o.tellChanges(order, &then, &now); err != nil {
		return err
	}
	lists.RemoveRows(taken)
	first, _ := lists.Chains()
	var empty []int32
	for _, x := range partitions {
		if first[x] < 0 {
			empty = append(empty, x)
		}
	}
	o.remove(empty)
	return nil
}

// match finds the rows that a batch takes back; what is not there is let go.
func (o *Over) match(b *stream.Batch, removed []int32) (slots, rows []int32, err error) {
	if len(removed) == 0 {
		return nil, nil, nil
	}
	slots, rows = make([]int32, len(removed)), make([]int32, len(removed))
	if err := o.resolve(b, removed, slots, o.rows.Find); err != nil {
		return nil, nil, err
	}
	if err := o.rows.Lists().Match(slots, b.Record.Columns(), removed, rows); err != nil {
		return nil, nil, err
	}
	n := 0
	for i, r := range rows {
		if r >= 0 {
			slots[n], rows[n] = slots[i], r
			n++
		}
	}
	o.ages.Touch(o.rows, slots[:n])
	return slots[:n], rows[:n], nil
}

// fill computes the columns of a version.
func (o *Over) fill(v *version) error {
	columns, err := o.take(o.rows.Lists(), v.rows)
	if err != nil {
		return err
	}
	v.columns = columns
	results, err := o.compute(columns, len(v.rows))
	v.columns = append(v.columns, results...)
	return err
}

// tellChanges goes through the sorted rows and tells which are in one version alone, or
// have other values in the two.
func (o *Over) tellChanges(order []int32, then, now *version) error {
	var values []compute.Comparer
	if len(then.rows) > 0 && len(now.rows) > 0 {
		for i := len(o.in); i < len(then.columns); i++ {
			c, err := compute.NewComparer(then.columns[i], now.columns[i], compute.Order{})
			if err != nil {
				return err
			}
			values = append(values, c)
		}
	}
	s := o.sorter
	var all, group told
	before, after := int32(0), int32(0)
	for i, at := range order {
		switch flags := s.Flags(s.Rows[at]); flags {
		case groups.Fresh:
			group.inserted = append(group.inserted, after)
			after++
		case groups.Gone:
			group.deleted = append(group.deleted, before)
			before++
		case 0:
			if differ(values, before, after) {
				group.after = append(group.after, after)
				if o.spec.UpdateBefore {
					group.before = append(group.before, before)
				}
			}
			before++
			after++
		}
		if i+1 < len(order) && s.Groups[order[i+1]] == s.Groups[at] {
			continue
		}
		if all.len()+group.len() > o.ctx.BatchRows {
			if err := o.tell(all, then, now); err != nil {
				return err
			}
			all = told{}
		}
		all = told{
			append(all.deleted, group.deleted...), append(all.before, group.before...), append(all.after, group.after...), append(all.inserted, group.inserted...),
		}
		group = told{group.deleted[:0], group.before[:0], group.after[:0], group.inserted[:0]}
	}
	return o.tell(all, then, now)
}

func differ(values []compute.Comparer, i, j int32) bool {
	for _, c := range values {
		if c.Compare(int(i), int(j)) != 0 {
			return true
		}
	}
	return false
}

// tell emits changes, in one batch unless they are those of one large partition.
func (o *Over) tell(t told, then, now *version) error {
	parts := []struct {
		kind stream.RowKind
		from *version
		rows []int32
	}{{stream.Delete, then, t.deleted}, {stream.UpdateBefore, then, t.before}, {stream.UpdateAfter, now, t.after}, {stream.Insert, now, t.inserted}}
	var batch []changelog.Part
	defer func() { releaseParts(batch) }()
	room := o.ctx.BatchRows
	for _, p := range parts {
		for len(p.rows) > 0 {
			n := min(room, len(p.rows))
			part := changelog.Part{Kind: p.kind, Rows: n}
			for _, c := range p.from.columns {
				a, err := compute.Take(o.ctx.Alloc, c, p.rows[:n])
				if err != nil {
					compute.ReleaseAll(part.Columns)
					return err
				}
				part.Columns = append(part.Columns, a)
			}
			batch, p.rows = append(batch, part), p.rows[n:]
			if room -= n; room > 0 {
				continue
			}
			if err := o.emit(batch); err != nil {
				return err
			}
			releaseParts(batch)
			batch, room = nil, o.ctx.BatchRows
		}
	}
	return o.emit(batch)
}

func (o *Over) emit(parts []changelog.Part) error {
	b, err := changelog.Batch(o.ctx.Alloc, o.arrow, parts...)
	if err != nil || b == nil {
		return err
	}
	return o.ctx.Output.Emit(b)
}

func releaseParts(parts []changelog.Part) {
	for _, p := range parts {
		compute.ReleaseAll(p.Columns)
	}
}
