package hashtable

import (
	"bytes"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/compute"
)

// matcher compares rows of a batch with candidates, rows of lists: all of them column
// by column, then those that differ with their next candidate.
type matcher struct {
	given  []bool  // by row of a list: it has been found
	active []int32 // positions in the batch that have a candidate
	rows   []int32 // their candidates
	equal  []bool
	wanted []wanted
}

// wanted is a column of the batch, in the form of the list's.
type wanted struct {
	column int
	sel    []int32
	ints   []int64
	reals  []float64
	wides  []decimal128.Num
	texts  compute.Texts
	valid  []bool // nil: no nulls
}

// Match finds rows that are equal to rows of a batch; see state.Lists.
func (l *Lists) Match(slots []int32, columns []arrow.Array, sel []int32, rows []int32) error {
	m := &l.match
	if len(m.given) < len(l.next) {
		m.given = make([]bool, cap(l.next))
	}
	m.want(l, columns, sel)
	m.active, m.rows = m.active[:0], m.rows[:0]
	for i, slot := range slots {
		rows[i] = -1
		if slot >= 0 && l.first[slot] >= 0 {
			m.active, m.rows = append(m.active, int32(i)), append(m.rows, l.first[slot])
		}
	}
	for len(m.active) > 0 {
		m.compare(l)
		left := 0
		for k, i := range m.active {
			r := m.rows[k]
			if m.equal[k] && !m.given[r] {
				rows[i], m.given[r] = r, true
				continue
			}
			if r = l.next[r]; r >= 0 {
				m.active[left], m.rows[left] = i, r
				left++
			}
		}
		m.active, m.rows = m.active[:left], m.rows[:left]
	}
	for _, r := range rows[:len(slots)] {
		if r >= 0 {
			m.given[r] = false
		}
	}
	return nil
}

// want prepares the columns that are compared.
func (m *matcher) want(l *Lists, columns []arrow.Array, sel []int32) {
	m.wanted = m.wanted[:0]
	for c, a := range columns {
		if a == nil {
			continue
		}
		w := wanted{column: c, sel: sel, valid: compute.Validity(a, sel, nil)}
		switch StorageOf(l.columns[c].Type) {
		case Integer:
			w.ints, _ = compute.Integers(a, sel, nil)
		case Real:
			w.reals, _ = compute.Reals(a, sel, nil)
		case Wide:
			w.wides, _ = compute.Wides(a, sel, nil)
		default:
			w.texts = compute.NewTexts(a)
		}
		m.wanted = append(m.wanted, w)
	}
}

// compare says of each active position whether it equals its candidate.
func (m *matcher) compare(l *Lists) {
	m.equal = sized(m.equal, len(m.active))
	for k := range m.equal {
		m.equal[k] = true
	}
	for i := range m.wanted {
		w := &m.wanted[i]
		c := l.columns[w.column]
		switch {
		case w.ints != nil:
			compareValues(m, w, w.ints, c.Int64, c.Valid)
		case w.reals != nil:
			m.compareReals(w, c.Float64, c.Valid)
		case w.wides != nil:
			compareValues(m, w, w.wides, c.Dec128, c.Valid)
		case l.texts[w.column] != nil:
			m.compareTexts(w, l.texts[w.column])
		}
	}
}

func compareValues[T comparable](m *matcher, w *wanted, values, kept []T, valid []bool) {
	for k, i := range m.active {
		r := m.rows[k]
		if there := w.valid == nil || w.valid[i]; there != valid[r] || there && values[i] != kept[r] {
			m.equal[k] = false
		}
	}
}

// compareReals takes every NaN for the same.
func (m *matcher) compareReals(w *wanted, kept []float64, valid []bool) {
	for k, i := range m.active {
		r := m.rows[k]
		x, y := w.reals[i], kept[r]
		if there := w.valid == nil || w.valid[i]; there != valid[r] || there && x != y && (x == x || y == y) {
			m.equal[k] = false
		}
	}
}

func (m *matcher) compareTexts(w *wanted, kept *texts) {
	for k, i := range m.active {
		at := i
		if w.sel != nil {
			at = w.sel[i]
		}
		text, ok := kept.at(m.rows[k])
		if there := w.valid == nil || w.valid[i]; there != ok || there && !bytes.Equal(w.texts.At(int(at)), text) {
			m.equal[k] = false
		}
	}
}
