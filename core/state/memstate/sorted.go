package memstate

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/state"
)

// Sorted is a piece as a Store would hold it: entries in the order of their keys, each key
// once. What an entry is the piece's kind says:
//
//	RemoveKey            nothing: deletes the record
//	RemoveRow, PutRow    an operand
//	PutKey               an operand where the table has lists, else a record
type Sorted struct {
	Spaces      []int64  // namespaces, ascending
	Counts      []uint64 // rows of each
	Sequence    uint64   // the greatest of rows of lists
	First, Last []byte   // keys are in [First, Last)

	keys, values       []byte
	keyEnds, valueEnds []int
}

// mostSpaces is how many namespaces one Sorted has at most: they are named where it is kept.
const mostSpaces = 256

// Bytes is what keys and values take.
func (s *Sorted) Bytes() int { return len(s.keys) + len(s.values) }

// Each hands out the entries in order; key and value are valid during the call.
func (s *Sorted) Each(do func(key, value []byte) error) error {
	k, v := 0, 0
	for i, end := range s.keyEnds {
		if err := do(s.keys[k:end], s.values[v:s.valueEnds[i]]); err != nil {
			return err
		}
		k, v = end, s.valueEnds[i]
	}
	return nil
}

func (s *Sorted) end() {
	s.keyEnds, s.valueEnds = append(s.keyEnds, len(s.keys)), append(s.valueEnds, len(s.values))
}

// sorting is a piece on the way to Sorted.
type sorting struct {
	table     state.TableSpec
	kind      state.Kind
	spaces    []int64
	arena     []byte // keys by row
	ends      []int
	columns   []*state.Column // values or list
	sequences []int64         // nil: the kind has none
	order     []int32         // rows by key and sequence
	scratch   []byte
}

// Sort sorts a piece of rows; one of very many namespaces becomes several.
func Sort(p state.Piece) ([]*Sorted, error) {
	if p.Kind == state.DropSpace {
		return nil, failure.Errorf(failure.Internal, "a %v has no keys to sort", p.Kind)
	}
	if err := checkPiece(p); err != nil {
		return nil, err
	}
	n, keys := int(p.Rows.NumRows()), p.Rows.Columns()[1:1+len(p.Table.Keys)]
	s := &sorting{table: p.Table, kind: p.Kind, spaces: p.Rows.Column(0).(*array.Int64).Int64Values(), ends: make([]int, n), order: make([]int32, n)}
	columns, hashes := loaded(p.Table.Keys, keys, nil, n), compute.HashRouted(keys, p.Table.Routed, nil, nil)
	for i := range n {
		s.arena = appendKey(appendHash(appendSpace(s.arena, p.Table.ID, s.spaces[i]), hashes[i]), columns, i)
		s.ends[i], s.order[i] = len(s.arena), int32(i)
	}
	more := p.Rows.Columns()[1+len(keys):]
	switch p.Kind {
	case state.PutKey:
		s.columns = loaded(p.Table.Values, more, nil, n)
	case state.RemoveRow, state.PutRow:
		s.sequences = more[0].(*array.Int64).Int64Values()
		if p.Kind == state.PutRow {
			s.columns = loaded(p.Table.List, more[1:], nil, n)
		}
	default:
	}
	slices.SortFunc(s.order, func(a, b int32) int {
		c := bytes.Compare(s.key(a), s.key(b))
		if c == 0 && s.sequences != nil {
			return cmp.Compare(s.sequences[a], s.sequences[b])
		}
		return cmp.Or(c, cmp.Compare(a, b))
	})
	return s.run(), nil
}

func (s *sorting) key(row int32) []byte {
	from := 0
	if row > 0 {
		from = s.ends[row-1]
	}
	return s.arena[from:s.ends[row]]
}

// run makes entries of the rows of a key each.
func (s *sorting) run() (all []*Sorted) {
	var out *Sorted
	for from := 0; from < len(s.order); {
		key, ns := s.key(s.order[from]), s.spaces[s.order[from]]
		to := from + 1
		for to < len(s.order) && bytes.Equal(s.key(s.order[to]), key) {
			to++
		}
		if out == nil || len(out.Spaces) == mostSpaces && out.Spaces[mostSpaces-1] != ns {
			out = &Sorted{First: slices.Clone(key[:hashPrefix])}
			all = append(all, out)
		}
		if n := len(out.Spaces); n == 0 || out.Spaces[n-1] != ns {
			out.Spaces, out.Counts = append(out.Spaces, ns), append(out.Counts, 0)
		}
		out.Counts[len(out.Counts)-1] += uint64(to - from)
		out.keys = append(out.keys, key...)
		out.values = s.appendValue(out.values, s.order[from:to])
		out.end()
		out.Last = after(key[:hashPrefix])
		if s.sequences != nil {
			out.Sequence = max(out.Sequence, uint64(s.sequences[s.order[to-1]]))
		}
		from = to
	}
	return all
}

// appendValue appends what an entry says of a key, of its rows.
func (s *sorting) appendValue(b []byte, rows []int32) []byte {
	switch s.kind {
	case state.PutKey:
		if len(s.table.List) == 0 {
			return s.appendColumns(append(b, recordKept, 0), rows[len(rows)-1])
		}
		s.scratch = s.appendColumns(s.scratch[:0], rows[len(rows)-1])
		b = binary.AppendUvarint(append(b, recordPart|recordValues), uint64(len(s.scratch)))
		return append(append(b, s.scratch...), 0, 0)
	case state.RemoveRow:
		b = binary.AppendUvarint(append(b, recordPart), uint64(len(rows)))
		for _, r := range rows {
			b = binary.AppendUvarint(b, uint64(s.sequences[r]))
		}
		return append(b, 0)
	case state.PutRow:
		b = binary.AppendUvarint(append(b, recordPart, 0), uint64(len(rows)))
		for _, r := range rows {
			s.scratch = s.appendColumns(s.scratch[:0], r)
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(s.sequences[r])), uint64(len(s.scratch)))
			b = append(b, s.scratch...)
		}
		return b
	default: // RemoveKey
		return b
	}
}

func (s *sorting) appendColumns(b []byte, row int32) []byte {
	for _, c := range s.columns {
		b = appendValue(b, c, int(row))
	}
	return b
}

// Unsorted makes rows of a piece of the entries of a Sorted.
type Unsorted struct {
	table     state.TableSpec
	kind      state.Kind
	spaces    []int64
	keys      []*state.Column
	sequences []int64
	columns   []*state.Column
}

// Unsort begins the rows of a piece.
func Unsort(t state.TableSpec, k state.Kind) *Unsorted {
	u := &Unsorted{table: t, kind: k, keys: scratchColumns(t.Keys, 0)}
	switch k {
	case state.PutKey:
		u.columns = scratchColumns(t.Values, 0)
	case state.PutRow:
		u.columns = scratchColumns(t.List, 0)
	default:
	}
	return u
}

// damagedEntry says that an entry is none of those that Sort makes.
func damagedEntry(t state.TableSpec) error {
	return failure.Errorf(failure.BadData, "state table %d %s: %w: an entry of a sorted table", t.ID, t.Name, checkpoint.ErrCorrupt)
}

// Add takes an entry. An error is of damage.
func (u *Unsorted) Add(key, value []byte) error {
	bad := damagedEntry(u.table)
	if len(key) < hashPrefix || key[0] != recordKey || binary.BigEndian.Uint16(key[1:]) != u.table.ID {
		return bad
	}
	if u.kind == state.RemoveKey {
		return u.row(key, nil, nil)
	}
	if u.kind == state.PutKey && len(u.table.List) == 0 {
		r := reader{b: value}
		if r.byte() != recordKept || r.uvarint() != 0 || r.bad {
			return bad
		}
		return u.row(key, nil, r.b)
	}
	p, ok := readPart(value)
	if !ok || p.valued != (u.kind == state.PutKey) {
		return bad
	}
	if u.kind == state.PutKey {
		return u.row(key, nil, p.values)
	}
	for _, q := range p.removed {
		if err := u.row(key, &q, nil); err != nil {
			return err
		}
	}
	for _, r := range p.rows {
		if err := u.row(key, &r.sequence, r.values); err != nil {
			return err
		}
	}
	return nil
}

// row appends a row.
func (u *Unsorted) row(key []byte, sequence *uint64, values []byte) error {
	u.spaces = append(u.spaces, int64(binary.BigEndian.Uint64(key[1+2:])^1<<63))
	r := reader{b: key[hashPrefix:]}
	for _, c := range u.keys {
		r.value(c, true)
	}
	bad := r.bad || len(r.b) > 0
	if sequence != nil {
		u.sequences = append(u.sequences, int64(*sequence))
	}
	r = reader{b: values}
	for _, c := range u.columns {
		r.value(c, false)
	}
	if bad || r.bad || len(r.b) > 0 {
		return damagedEntry(u.table)
	}
	return nil
}

// Rows are the rows, which the caller releases. Entries of another kind than Unsort was told
// are damage.
func (u *Unsorted) Rows(mem memory.Allocator) (arrow.RecordBatch, error) {
	n := len(u.spaces)
	all := []arrow.Array{integers(mem, u.spaces)}
	defer func() { compute.ReleaseAll(all) }()
	add := func(columns []*state.Column) error {
		more, err := arrays(mem, columns, n)
		all = append(all, more...)
		return err
	}
	if err := add(u.keys); err != nil {
		return nil, err
	}
	if u.kind == state.RemoveRow || u.kind == state.PutRow {
		if len(u.sequences) != n {
			return nil, damagedEntry(u.table)
		}
		all = append(all, integers(mem, u.sequences))
	}
	if err := add(u.columns); err != nil {
		return nil, err
	}
	return array.NewRecordBatch(state.PieceSchema(u.table, u.kind), all, int64(n)), nil
}

// part is an operand: what one piece, or several that follow one another, say of a key whose
// table has lists. Operands are put together without knowing the table's columns:
//
//	flags (1) | length (uvarint), value...    with recordValues
//	removed (uvarint) | sequence (uvarint)... | rows (uvarint) | row...
//	row: sequence (uvarint) | length (uvarint), value...
//
// Sequences ascend. Rows that it removes are removed before its own are put.
type part struct {
	valued  bool
	values  []byte
	removed []uint64
	rows    []partRow
}

type partRow struct {
	sequence uint64
	values   []byte
}

// readPart reads an operand; what it gives lies in b.
func readPart(b []byte) (p part, ok bool) {
	r := reader{b: b}
	flags := r.byte()
	if flags&^recordValues != recordPart {
		return p, false
	}
	if p.valued = flags&recordValues != 0; p.valued {
		p.values = r.stretch()
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		p.removed = append(p.removed, r.uvarint())
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		q := r.uvarint()
		p.rows = append(p.rows, partRow{q, r.stretch()})
	}
	return p, !r.bad && len(r.b) == 0
}

// stretch is bytes behind their length, in place.
func (r *reader) stretch() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	x := r.b[:n]
	r.b = r.b[n:]
	return x
}

// Merge makes one operand of several, oldest first. all says that there is no older one: then
// it is what there is of the key, nil for nothing.
func Merge(operands [][]byte, all bool) ([]byte, error) {
	var out part
	told := map[uint64]bool{}
	for _, b := range slices.Backward(operands) {
		p, ok := readPart(b)
		if !ok {
			return nil, failure.Errorf(failure.BadData, "%w: an operand of state", checkpoint.ErrCorrupt)
		}
		if p.valued && !out.valued {
			out.valued, out.values = true, p.values
		}
		for _, r := range p.rows {
			if !told[r.sequence] {
				told[r.sequence] = true
				out.rows = append(out.rows, r)
			}
		}
		for _, q := range p.removed {
			if !told[q] {
				told[q] = true
				out.removed = append(out.removed, q)
			}
		}
	}
	if all {
		if out.removed = nil; !out.valued {
			return nil, nil // rows were removed, and then the key
		}
	}
	slices.Sort(out.removed)
	slices.SortFunc(out.rows, func(a, b partRow) int { return cmp.Compare(a.sequence, b.sequence) })
	return out.append(nil), nil
}

func (p *part) append(b []byte) []byte {
	b = append(b, recordPart)
	if p.valued {
		b[len(b)-1] |= recordValues
		b = append(binary.AppendUvarint(b, uint64(len(p.values))), p.values...)
	}
	b = binary.AppendUvarint(b, uint64(len(p.removed)))
	for _, q := range p.removed {
		b = binary.AppendUvarint(b, q)
	}
	b = binary.AppendUvarint(b, uint64(len(p.rows)))
	for _, r := range p.rows {
		b = binary.AppendUvarint(binary.AppendUvarint(b, r.sequence), uint64(len(r.values)))
		b = append(b, r.values...)
	}
	return b
}

// addPart reads a record that is an operand, of which nothing is missing.
func (k *chunk) addPart(record []byte) error {
	p, ok := readPart(record)
	if !ok || !p.valued || len(k.list) == 0 {
		return k.damaged()
	}
	at := int32(k.len())
	k.flags, k.cycles = append(k.flags, recordKept), append(k.cycles, 0)
	read := func(columns []*state.Column, b []byte) bool {
		r := reader{b: b}
		for _, c := range columns {
			r.value(c, false)
		}
		return !r.bad && len(r.b) == 0
	}
	ok = read(k.values, p.values)
	for _, row := range p.rows {
		ok = ok && row.sequence <= math.MaxInt64 && read(k.list, row.values)
		k.owners, k.sequences, k.changed = append(k.owners, at), append(k.sequences, int64(row.sequence)), append(k.changed, false)
	}
	if !ok {
		return k.damaged()
	}
	return nil
}
