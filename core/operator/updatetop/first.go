package updatetop

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// firsts are the best rows of a batch where one row a group is kept.
type firsts struct {
	slots  []int32 // by row
	groups []int32 // slots, each once
	at     []int32 // by group: its best row, as a position among the added ones

	// Groups whose kept row is replaced, and those that had none: rows of the batch.
	old, better []int32
	new, come   []int32 // slots, rows
}

// applyFirst keeps the best row of each group.
func (n *TopN) applyFirst(s *space, b *stream.Batch, added []int32) error {
	f, rows := &n.best, len(added)
	if added == nil {
		rows = b.PhysicalRows()
	}
	if rows == 0 {
		return nil
	}
	f.slots = sized(f.slots, rows)
	if err := n.resolve(s, b, added, f.slots, true); err != nil {
		return err
	}
	n.ages.Touch(s.rows, f.slots)
	in := n.words.ofBatch(b.Record.Columns(), added, rows)
	f.pick(s.mark, in)
	f.compare(s.rows.Lists(), n.words, in, added)
	if n.spec.Closing == nil {
		if err := n.tellFirsts(s.rows.Lists(), b); err != nil {
			return err
		}
	}
	columns, lists := b.Record.Columns(), s.rows.Lists()
	if err := lists.Replace(f.old, columns, f.better); err != nil {
		return err
	}
	return lists.Add(f.new, columns, f.come, nil)
}

// pick finds the best row of each group in a batch; of equal ones the first.
func (f *firsts) pick(mark []int32, in [][]uint64) {
	f.groups, f.at = f.groups[:0], f.at[:0]
	switch len(in) {
	case 1:
		f.pickWord(mark, in[0])
	default:
		for i, slot := range f.slots {
			switch m := mark[slot]; {
			case m < 0:
				mark[slot] = int32(len(f.groups))
				f.groups, f.at = append(f.groups, slot), append(f.at, int32(i))
			case compareWords(in, i, in, int(f.at[m])) < 0:
				f.at[m] = int32(i)
			}
		}
	}
	for _, slot := range f.groups {
		mark[slot] = -1
	}
}

func (f *firsts) pickWord(mark []int32, in []uint64) {
	for i, slot := range f.slots {
		switch m := mark[slot]; {
		case m < 0:
			mark[slot] = int32(len(f.groups))
			f.groups, f.at = append(f.groups, slot), append(f.at, int32(i))
		case in[i] < in[f.at[m]]:
			f.at[m] = int32(i)
		}
	}
}

// compare tells groups whose best row replaces the kept one, and those that had none.
func (f *firsts) compare(lists state.Lists, w *words, in [][]uint64, added []int32) {
	f.old, f.better, f.new, f.come = f.old[:0], f.better[:0], f.new[:0], f.come[:0]
	first, _ := lists.Chains()
	known := f.groups[:0] // their positions in at stay behind what is read
	at := f.at[:0]
	for g, slot := range f.groups {
		if r := first[slot]; r >= 0 {
			f.old, known, at = append(f.old, r), append(known, slot), append(at, f.at[g])
			continue
		}
		f.new, f.come = append(f.new, slot), append(f.come, rowAt(added, f.at[g]))
	}
	kept := w.ofRows(lists.Fixed(), f.old)
	old := f.old[:0]
	for i, r := range f.old {
		if compareWords(in, int(at[i]), kept, i) < 0 {
			old, f.better = append(old, r), append(f.better, rowAt(added, at[i]))
		}
	}
	f.old = old
}

// rowAt is the physical row of a position among selected ones.
func rowAt(sel []int32, i int32) int32 {
	if sel == nil {
		return i
	}
	return sel[i]
}

// tellFirsts emits what changes, updates before inserts.
func (n *TopN) tellFirsts(lists state.Lists, b *stream.Batch) error {
	f := &n.best
	each := 1
	if n.spec.UpdateBefore {
		each = 2
	}
	for old, come := 0, 0; old < len(f.old) || come < len(f.come); {
		toOld := min(len(f.old), old+max(n.ctx.BatchRows/each, 1))
		room := max(n.ctx.BatchRows-each*(toOld-old), 0)
		toCome := min(len(f.come), come+room)
		if err := n.tellSome(lists, b, f.old[old:toOld], f.better[old:toOld], f.come[come:toCome]); err != nil {
			return err
		}
		old, come = toOld, toCome
	}
	return nil
}

// tellSome emits that rows of lists became rows of b, and that others came.
func (n *TopN) tellSome(lists state.Lists, b *stream.Batch, old, better, come []int32) error {
	parts := []changelog.Part{{Kind: stream.UpdateBefore, Rows: len(old)}, {Kind: stream.UpdateAfter, Rows: len(better)}, {Kind: stream.Insert, Rows: len(come)}}
	if !n.spec.UpdateBefore {
		parts[0].Rows = 0
	}
	defer func() {
		for _, p := range parts {
			compute.ReleaseAll(p.Columns)
		}
	}()
	for i := range parts {
		p := &parts[i]
		for c := range n.in {
			if p.Rows == 0 {
				break
			}
			var a arrow.Array
			var err error
			switch i {
			case 0:
				a, err = lists.Take(c, old)
			case 1:
				a, err = compute.Take(n.ctx.Alloc, b.Column(c), better)
			default:
				a, err = compute.Take(n.ctx.Alloc, b.Column(c), come)
			}
			if err != nil {
				return err
			}
			p.Columns = append(p.Columns, a)
		}
		if n.spec.Rank && p.Rows > 0 {
			one, err := compute.Constant(n.ctx.Alloc, rankType, int64(1), p.Rows)
			if err != nil {
				return err
			}
			p.Columns = append(p.Columns, one)
		}
	}
	out, err := changelog.Batch(n.ctx.Alloc, n.arrow, parts...)
	if err != nil || out == nil {
		return err
	}
	return n.ctx.Output.Emit(out)
}

// sized returns a slice of n elements of any content, buf's if it has the room.
func sized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n+n/4)[:n]
	}
	return buf[:n]
}
