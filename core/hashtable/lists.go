package hashtable

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// Lists gives each slot of a table a list of rows.
//
//	slot --first--> row --next--> row --next--> -1        rows are numbers from 0
//	                 ^            |
//	                 +---prev-----+      columns, by row: values, or places of texts
//
// Texts lie in pages, which nothing points into but numbers: a page whose texts have
// all gone is given back, and where half of all bytes is garbage the rest is copied
// together. Rows that were removed are used again.
type Lists struct {
	ledger      *ledger
	first, last []int32 // by slot, -1: none
	next, prev  []int32 // by row
	owner       []int32 // by row: its slot
	sequence    []uint64
	free        []int32 // rows that are not in use
	count       int
	upcoming    uint64 // the next sequence
	columns     []*state.Column
	texts       []*texts // by column; nil for those of fixed width

	match matcher
}

// NewLists returns lists of rows with these columns; account, which may be nil, is
// charged for them. It fails for types that have no storage.
func NewLists(schema datatype.Schema, account stream.Account) (*Lists, error) {
	l := &Lists{ledger: &ledger{account: account, phased: true}}
	for _, f := range schema {
		c, err := NewColumn(f.Type)
		if err != nil {
			return nil, fmt.Errorf("list column %s: %w", f.Name, err)
		}
		l.columns = append(l.columns, c)
		if StorageOf(f.Type) == Chars {
			l.texts = append(l.texts, &texts{ledger: l.ledger, typ: f.Type})
		} else {
			l.texts = append(l.texts, nil)
		}
	}
	return l, nil
}

// Slots makes room for lists of n slots.
func (l *Lists) Slots(n int) (err error) {
	old := len(l.first)
	if n <= old {
		return nil
	}
	if l.first, err = longer(l.ledger, l.first, n-old); err != nil {
		return err
	}
	if l.last, err = longer(l.ledger, l.last, n-old); err != nil {
		l.first = l.first[:old]
		return err
	}
	for i := old; i < n; i++ {
		l.first[i], l.last[i] = -1, -1
	}
	return nil
}

// Count is the number of rows in all lists.
func (l *Lists) Count() int { return l.count }

// Chains lead through the lists; see state.Lists.
func (l *Lists) Chains() (first, next []int32) { return l.first, l.next }

// Fixed gives the columns by row, those of texts nil.
func (l *Lists) Fixed() []*state.Column {
	out := slices.Clone(l.columns)
	for i := range out {
		if l.texts[i] != nil {
			out[i] = nil
		}
	}
	return out
}

// Sequences gives each row's sequence: within a list they ascend.
func (l *Lists) Sequences() []uint64 { return l.sequence }

// Owners gives each row's slot.
func (l *Lists) Owners() []int32 { return l.owner }

// Last is the last row of a slot, -1 for none.
func (l *Lists) Last(slot int32) int32 { return l.last[slot] }

// Before leads through the lists backwards: of each row the one before it, -1 for none.
func (l *Lists) Before() []int32 { return l.prev }

// Unused are the rows that are in no list.
func (l *Lists) Unused() []int32 { return l.free }

// Upcoming is the sequence of the next row.
func (l *Lists) Upcoming() uint64 { return l.upcoming }

// Release gives everything back.
func (l *Lists) Release() { l.ledger.release() }

// Add appends rows to the lists of slots; see state.Lists.
func (l *Lists) Add(slots []int32, columns []arrow.Array, sel []int32, rows []int32) error {
	if cap(rows) < len(slots) {
		rows = make([]int32, len(slots))
	}
	rows = rows[:len(slots)]
	if err := l.allocate(rows); err != nil {
		return err
	}
	if err := l.load(columns, sel, rows); err != nil {
		l.discard(rows)
		return err
	}
	for i, r := range rows {
		l.sequence[r] = l.upcoming
		l.upcoming++
		l.append(slots[i], r)
	}
	return nil
}

// AddAs is Add of rows with given sequences, which are later than those of their lists.
func (l *Lists) AddAs(slots []int32, sequences []int64, columns []arrow.Array, sel, rows []int32) error {
	if err := l.Add(slots, columns, sel, rows); err != nil {
		return err
	}
	for i, r := range rows {
		l.sequence[r] = uint64(sequences[i])
		l.upcoming = max(l.upcoming, l.sequence[r]+1)
	}
	return nil
}

// Replace writes the columns of rows anew.
func (l *Lists) Replace(rows []int32, columns []arrow.Array, sel []int32) error {
	return l.load(columns, sel, rows)
}

// append hangs a row onto a list.
func (l *Lists) append(slot, row int32) {
	last := l.last[slot]
	l.owner[row] = slot
	l.prev[row], l.next[row] = last, -1
	if last < 0 {
		l.first[slot] = row
	} else {
		l.next[last] = row
	}
	l.last[slot] = row
}

// allocate gives out rows that are not in use.
func (l *Lists) allocate(rows []int32) (err error) {
	reuse := min(len(l.free), len(rows))
	fresh, old := len(rows)-reuse, len(l.next)
	if l.next, err = longer(l.ledger, l.next, fresh); err == nil {
		l.prev, err = longer(l.ledger, l.prev, fresh)
	}
	if err == nil {
		l.owner, err = longer(l.ledger, l.owner, fresh)
	}
	if err == nil {
		l.sequence, err = longer(l.ledger, l.sequence, fresh)
	}
	for i := 0; err == nil && i < len(l.columns); i++ {
		if t := l.texts[i]; t != nil {
			err = t.extend(old + fresh)
		} else {
			err = extend(l.ledger, l.columns[i], old+fresh)
		}
	}
	if err != nil {
		l.shorten(old)
		return err
	}
	copy(rows, l.free[len(l.free)-reuse:])
	l.free = l.free[:len(l.free)-reuse]
	for i := range fresh {
		rows[reuse+i] = int32(old + i)
	}
	l.count += len(rows)
	return nil
}

// shorten forgets rows from n on.
func (l *Lists) shorten(n int) {
	l.next, l.prev, l.owner, l.sequence = cut(l.next, n), cut(l.prev, n), cut(l.owner, n), cut(l.sequence, n)
	for i, c := range l.columns {
		if t := l.texts[i]; t != nil {
			t.places, t.lengths = cut(t.places, n), cut(t.lengths, n)
			continue
		}
		c.Int64, c.Float64 = cut(c.Int64, n), cut(c.Float64, n)
		c.Dec128, c.Valid = cut(c.Dec128, n), cut(c.Valid, n)
	}
}

// load writes rows of columns.
func (l *Lists) load(columns []arrow.Array, sel, rows []int32) error {
	for i, c := range l.columns {
		if t := l.texts[i]; t == nil {
			Load(c, columns[i], sel, rows)
		} else if err := t.load(columns[i], sel, rows); err != nil {
			return err
		}
	}
	return nil
}

// Remove takes rows out of their lists.
func (l *Lists) Remove(rows []int32) {
	for _, r := range rows {
		before, after := l.prev[r], l.next[r]
		if before < 0 {
			l.first[l.owner[r]] = after
		} else {
			l.next[before] = after
		}
		if after < 0 {
			l.last[l.owner[r]] = before
		} else {
			l.prev[after] = before
		}
	}
	l.discard(rows)
}

// RemoveAll empties the lists of slots.
func (l *Lists) RemoveAll(slots []int32) {
	var rows []int32
	for _, s := range slots {
		for r := l.first[s]; r >= 0; r = l.next[r] {
			rows = append(rows, r)
		}
		l.first[s], l.last[s] = -1, -1
	}
	l.discard(rows)
}

// discard makes rows that are in no list any more free.
func (l *Lists) discard(rows []int32) {
	for _, t := range l.texts {
		if t != nil {
			t.remove(rows)
		}
	}
	l.free = append(l.free, rows...)
	l.count -= len(rows)
}

// Compact copies texts together where half of what their pages hold is garbage.
func (l *Lists) Compact() error {
	for _, t := range l.texts {
		if t == nil {
			continue
		}
		if err := t.compact(); err != nil {
			return err
		}
	}
	return nil
}

// Take returns column i of rows, -1 giving a null, as a new array.
func (l *Lists) Take(mem memory.Allocator, i int, rows []int32) (arrow.Array, error) {
	if t := l.texts[i]; t != nil {
		return t.take(mem, rows)
	}
	return TakeValues(mem, l.columns[i], rows)
}

// TakeValues returns slots of c, -1 giving a null, as a new array of its type.
func TakeValues(mem memory.Allocator, c *state.Column, slots []int32) (arrow.Array, error) {
	if fixed, ok := c.Type.Arrow().(arrow.FixedWidthDataType); ok && allValid(c, slots) {
		switch storage := StorageOf(c.Type); {
		case storage == Integer && fixed.BitWidth() == 64:
			return takeFixed[int64](mem, fixed, c.Int64, slots), nil
		case storage == Integer && fixed.BitWidth() == 32:
			return takeFixed[int32](mem, fixed, c.Int64, slots), nil
		case storage == Real && fixed.BitWidth() == 64:
			return takeFixed[float64](mem, fixed, c.Float64, slots), nil
		}
	}
	out := NullColumn(c.Type, len(slots))
	for i, s := range slots {
		out.Valid[i] = s >= 0 && c.Valid[s]
	}
	switch StorageOf(c.Type) {
	case Integer:
		gather(out.Int64, c.Int64, slots)
	case Real:
		gather(out.Float64, c.Float64, slots)
	case Wide:
		gather(out.Dec128, c.Dec128, slots)
	default:
		gather(out.Bytes, c.Bytes, slots)
	}
	return ToArrow(mem, out, 0, len(slots))
}

// allValid reports whether no slot gives a null.
func allValid(c *state.Column, slots []int32) bool {
	for _, s := range slots {
		if s < 0 || !c.Valid[s] {
			return false
		}
	}
	return true
}

// takeFixed is TakeValues without nulls, straight into the array.
func takeFixed[T int32 | int64 | float64, I int64 | float64](mem memory.Allocator, dt arrow.DataType, values []I, slots []int32) arrow.Array {
	buf := memory.NewResizableBuffer(mem)
	buf.Resize(len(slots) * dt.(arrow.FixedWidthDataType).Bytes())
	out := arrow.GetData[T](buf.Bytes())
	for i, s := range slots {
		out[i] = T(values[s])
	}
	return wrap(dt, len(slots), nil, buf, 0)
}

func gather[T any](out, values []T, slots []int32) {
	for i, s := range slots {
		if s >= 0 {
			out[i] = values[s]
		}
	}
}

// Bytes is what the lists have charged.
func (l *Lists) Bytes() int64 { return l.ledger.used }

// Capacity is how many rows there is room for.
func (l *Lists) Capacity() int { return cap(l.next) }

// Continue makes sequences of rows to come at least this one: of lists that take the
// place of others.
func (l *Lists) Continue(upcoming uint64) { l.upcoming = max(l.upcoming, upcoming) }
