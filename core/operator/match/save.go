package match

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// version is the first byte of what is saved.
const version = 1

// save brings the partial matches of partitions that have changed to keyed state.
//
//	version | rows taken | kept rows | partial matches | complete ones
//
// where lists have their length before them, and rows are their places in the list.
func (m *Match) save() error {
	dirty := m.dirty[:0]
	for _, x := range m.dirty {
		if p := m.parts[x]; p != nil && p.dirty {
			p.dirty = false
			dirty = append(dirty, x)
		}
	}
	m.dirty = m.dirty[:0]
	m.rows.Touch(dirty)
	values, lists := m.rows.Values()[0], m.rows.Lists()
	first, next := lists.Chains()
	place := m.marks(lists)
	for _, x := range dirty {
		p, n := m.parts[x], int32(0)
		for r := first[x]; r >= 0; r = next[r] {
			place[r] = n
			n++
		}
		text := m.encode(p, place)
		for r := first[x]; r >= 0; r = next[r] {
			place[r] = -1
		}
		m.uncharge(p.saved)
		p.saved = 0
		if err := m.charge(int64(len(text))); err != nil {
			return err
		}
		p.saved = int64(len(text))
		values.Bytes[x], values.Valid[x] = text, true
	}
	return nil
}

// charge charges bytes of saved partial matches.
func (m *Match) charge(n int64) error {
	if err := m.ctx.Memory.Grow(n); err != nil {
		return err
	}
	m.charged += n
	return nil
}

func (m *Match) uncharge(n int64) {
	m.ctx.Memory.Shrink(n)
	m.charged -= n
}

func (m *Match) encode(p *partition, place []int32) []byte {
	b := append([]byte{version}, binary.AppendUvarint(nil, uint64(p.taken))...)
	b = binary.AppendUvarint(b, uint64(len(p.kept)))
	for _, r := range p.kept {
		b = binary.AppendUvarint(b, uint64(place[r]))
	}
	for _, ids := range [...][]int32{p.live, p.done} {
		b = binary.AppendUvarint(b, uint64(len(ids)))
		for _, id := range ids {
			b = m.partials.encode(b, id, place)
		}
	}
	return b
}

func (s *partials) encode(b []byte, id int32, place []int32) []byte {
	b = binary.AppendUvarint(b, uint64(s.nodes[id]))
	for _, v := range [...]int64{s.start[id], s.since[id], s.end[id], s.until[id], s.skip[id]} {
		b = binary.AppendVarint(b, v)
	}
	for _, r := range s.registersOf(id) {
		n := uint64(0)
		if r >= 0 {
			n = uint64(place[r]) + 1
		}
		b = binary.AppendUvarint(b, n)
	}
	for _, columns := range s.accs {
		for _, c := range columns {
			b = appendValue(b, c, int(id))
		}
	}
	return b
}

func appendValue(b []byte, c *state.Column, i int) []byte {
	valid := byte(0) // some accumulators have values all the same
	if c.Valid[i] {
		valid = 1
	}
	b = append(b, valid)
	switch {
	case c.Int64 != nil:
		return binary.AppendVarint(b, c.Int64[i])
	case c.Float64 != nil:
		return binary.BigEndian.AppendUint64(b, math.Float64bits(c.Float64[i]))
	case c.Dec128 != nil:
		b = binary.BigEndian.AppendUint64(b, uint64(c.Dec128[i].HighBits()))
		return binary.BigEndian.AppendUint64(b, c.Dec128[i].LowBits())
	}
	b = binary.AppendUvarint(b, uint64(len(c.Bytes[i])))
	return append(b, c.Bytes[i]...)
}

// restore finds what was saved: the watermark, the rows that wait, partial matches.
func (m *Match) restore() error {
	for i, saved := range m.ctx.Restored {
		r := reader{text: saved}
		r.version()
		w := stream.Watermark(r.signed())
		print := r.fixed()
		if r.damaged || len(r.text) > 0 {
			return failure.Errorf(failure.BadData, "saved watermark of %d bytes is damaged", len(saved))
		}
		if print != m.print {
			return failure.Errorf(failure.BadData, "the checkpoint is of another pattern, or of other conditions or measures")
		}
		if i == 0 || w < m.fired {
			m.fired = w
		}
	}
	return m.rows.Each(func(v state.View, from, to int) error {
		lists := m.rows.Lists()
		first, next := lists.Chains()
		times := lists.Fixed()[m.time].Int64
		saved := v.Values()[0]
		for x := int32(from); x < int32(to); x++ {
			var rows []int32
			for r := first[x]; r >= 0; r = next[r] {
				rows = append(rows, r)
				m.waiting.Add(m.millis(times[r]), x) // also of taken ones, to be looked at
			}
			if !saved.Valid[x] {
				continue
			}
			if err := m.decode(x, saved.Bytes[x], rows); err != nil {
				return fmt.Errorf("partial matches of a partition: %w", err)
			}
		}
		return nil
	})
}

func (m *Match) decode(slot int32, text []byte, rows []int32) error {
	if err := m.charge(int64(len(text))); err != nil {
		return err
	}
	r := reader{text: text, rows: rows}
	p := m.partition(slot)
	p.dirty, m.dirty = false, m.dirty[:len(m.dirty)-1]
	p.saved = int64(len(text))
	r.version()
	p.taken = int64(r.unsigned())
	for range r.length() {
		p.kept = append(p.kept, r.row(r.unsigned()))
	}
	for _, ids := range [...]*[]int32{&p.live, &p.done} {
		for range r.length() {
			id, err := m.partials.decode(&r, len(m.nfa.nodes))
			if err != nil {
				return err
			}
			*ids = append(*ids, id)
		}
	}
	if r.damaged || len(r.text) > 0 {
		return failure.Errorf(failure.BadData, "%d saved bytes are damaged", len(text))
	}
	if len(p.done) > 0 {
		m.pending[slot] = true
	}
	if len(p.live) > 0 && m.spec.WithinMillis > 0 {
		m.waiting.Add(m.partials.since[p.live[0]]+m.spec.WithinMillis, slot)
	}
	return nil
}

func (s *partials) decode(r *reader, nodes int) (int32, error) {
	id, err := s.fresh()
	if err != nil {
		return 0, err
	}
	n := r.unsigned()
	if n >= uint64(nodes) {
		r.damaged = true
		return id, nil
	}
	s.nodes[id] = int32(n)
	for _, v := range [...][]int64{s.start, s.since, s.end, s.until, s.skip} {
		v[id] = r.signed()
	}
	registers := s.registersOf(id)
	for i := range registers {
		if n := r.unsigned(); n > 0 {
			registers[i] = r.row(n - 1)
		}
	}
	for _, columns := range s.accs {
		for _, c := range columns {
			r.value(c, int(id))
		}
	}
	return id, nil
}

// reader reads what was saved; damaged says that it is not what it should be.
type reader struct {
	text    []byte
	rows    []int32
	damaged bool
}

func (r *reader) bytes(n uint64) []byte {
	if r.damaged || n > uint64(len(r.text)) {
		r.damaged, r.text = true, nil
		return nil
	}
	out := r.text[:n:n]
	r.text = r.text[n:]
	return out
}

func (r *reader) version() {
	if b := r.bytes(1); len(b) == 1 && b[0] != version {
		r.damaged = true
	}
}

func (r *reader) unsigned() uint64 {
	v, n := binary.Uvarint(r.text)
	r.bytes(uint64(max(n, 0)))
	r.damaged = r.damaged || n <= 0
	return v
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.text)
	r.bytes(uint64(max(n, 0)))
	r.damaged = r.damaged || n <= 0
	return v
}

func (r *reader) fixed() uint64 {
	if b := r.bytes(8); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// length is that of a list, each of whose elements takes a byte or more.
func (r *reader) length() uint64 {
	n := r.unsigned()
	if r.damaged || n > uint64(len(r.text)) {
		r.damaged = true
		return 0
	}
	return n
}

func (r *reader) row(place uint64) int32 {
	if r.damaged || place >= uint64(len(r.rows)) {
		r.damaged = true
		return -1
	}
	return r.rows[place]
}

func (r *reader) value(c *state.Column, i int) {
	if b := r.bytes(1); len(b) == 1 {
		c.Valid[i] = b[0] != 0
	}
	switch {
	case c.Int64 != nil:
		c.Int64[i] = r.signed()
	case c.Float64 != nil:
		c.Float64[i] = math.Float64frombits(r.fixed())
	case c.Dec128 != nil:
		high := int64(r.fixed())
		c.Dec128[i] = decimal128.New(high, r.fixed())
	default:
		c.Bytes[i] = append([]byte(nil), r.bytes(r.unsigned())...)
	}
}
