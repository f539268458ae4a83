package updatetop

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// firedGroups is how many groups that close are worked off at a time.
const firedGroups = 1 << 12

// applyAll keeps rows of groups and tells how their first rows change.
func (n *TopN) applyAll(s *space, b *stream.Batch, added, removed []int32) error {
	rows, columns := len(added), b.Record.Columns()
	if added == nil {
		rows = b.PhysicalRows()
	}
	n.slots = sized(n.slots, rows)
	slots := n.slots
	var came []int32
	if rows > 0 {
		if err := n.resolve(s, b, added, slots, true); err != nil {
			return err
		}
		n.ages.Touch(s.rows, slots)
		if !n.spec.Retracting {
			added, slots = n.wanted(s, columns, added, slots)
		}
		came = make([]int32, len(slots))
		if err := s.rows.Lists().Add(slots, columns, added, came); err != nil {
			return err
		}
	}
	taken, owners, err := n.match(s, b, removed)
	if err != nil {
		return err
	}
	if n.spec.Closing != nil && n.spec.Retracting { // all are kept until they are told
		s.rows.Lists().RemoveRows(taken)
		return nil
	}
	return n.count(s, s.distinct(slots, owners), came, taken, false)
}

// match finds the rows that a batch takes back, and their groups. What is not there,
// because it was late or forgotten, is let go.
func (n *TopN) match(s *space, b *stream.Batch, removed []int32) (rows, slots []int32, err error) {
	if len(removed) == 0 {
		return nil, nil, nil
	}
	slots, rows = make([]int32, len(removed)), make([]int32, len(removed))
	if err := n.resolve(s, b, removed, slots, false); err != nil {
		return nil, nil, err
	}
	if err := s.rows.Lists().Match(slots, b.Record.Columns(), removed, rows); err != nil {
		return nil, nil, err
	}
	at := 0
	for i, r := range rows {
		if r >= 0 {
			rows[at], slots[at] = r, slots[i]
			at++
		}
	}
	n.ages.Touch(s.rows, slots[:at])
	return rows[:at], slots[:at], nil
}

// wanted leaves out rows that come after the last one which their group keeps.
func (n *TopN) wanted(s *space, columns []arrow.Array, added, slots []int32) (sel, at []int32) {
	in := n.words.ofBatch(columns, added, len(slots))
	last, places := make([]int32, 0, len(slots)), make([]int32, 0, len(slots))
	for i, slot := range slots {
		if r := s.last[slot]; r >= 0 {
			last, places = append(last, r), append(places, int32(i))
		}
	}
	kept := n.words.ofRows(s.rows.Lists().Fixed(), last)
	limit := 1 // how a row that is not wanted compares, at least
	if n.words.exact && n.spec.Ranking == jobgraph.Ranking_RANKING_ROW_NUMBER {
		limit = 0
	}
	sel, at = make([]int32, 0, len(slots)), slots[:0]
	next := 0
	for i, slot := range slots {
		if next < len(places) && places[next] == int32(i) {
			next++
			if compareWords(in, i, kept, next-1) >= limit {
				continue
			}
		}
		sel, at = append(sel, rowAt(added, int32(i))), append(at, slot)
	}
	return sel, at
}

// distinct returns each of some slots once.
func (s *space) distinct(lists ...[]int32) []int32 {
	var out []int32
	for _, slots := range lists {
		for _, x := range slots {
			if s.mark[x] < 0 {
				s.mark[x] = 0
				out = append(out, x)
			}
		}
	}
	for _, x := range out {
		s.mark[x] = -1
	}
	return out
}

// fire tells the first rows of all groups of a namespace, as inserts.
func (n *TopN) fire(ns int64) error {
	s, err := n.space(ns)
	if err != nil {
		return err
	}
	return s.rows.Each(func(v state.View, from, to int) error {
		s.lists = v.Lists()
		groups := make([]int32, to-from)
		for i := range groups {
			groups[i] = int32(from + i)
		}
		for some := range slices.Chunk(groups, firedGroups) {
			if err := n.count(s, some, nil, nil, true); err != nil {
				return err
			}
		}
		return nil
	})
}

// count ranks the rows of groups as they were before the batch and as they are after
// it, tells what differs, and keeps what counts. Of groups that close all rows are new.
func (n *TopN) count(s *space, groups, came, taken []int32, closes bool) error {
	if len(groups) == 0 {
		return nil
	}
	k, lists := n.sorter, s.lists
	k.Gather(lists, groups)
	k.Flag(lists, came, taken)
	defer k.Unflag(came, taken)
	order, sorted, err := k.Sort(n.ctx.Alloc, lists)
	if err != nil {
		return err
	}
	defer sorted.Release()
	var peers []compute.Comparer
	if n.spec.Ranking != jobgraph.Ranking_RANKING_ROW_NUMBER {
		if peers, err = k.Peers(sorted); err != nil {
			return err
		}
	}
	n.drop, n.empty = n.drop[:0], n.empty[:0]
	for from := 0; from < len(order); {
		to, g := from+1, k.Groups[order[from]]
		for to < len(order) && k.Groups[order[to]] == g {
			to++
		}
		n.rank(s, groups[g], order[from:to], peers, closes)
		if err := n.settle(s, closes); err != nil {
			return err
		}
		from = to
	}
	if err := n.flush(s); err != nil || closes {
		return err
	}
	lists.RemoveRows(n.drop)
	s.rows.Remove(n.empty)
	return nil
}
