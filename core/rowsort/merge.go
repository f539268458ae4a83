package rowsort

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
)

// Input is a sorted input of a Merger.
type Input interface {
	// Next returns the next record, which the caller releases; nil at the end.
	// Records may be empty.
	Next() (arrow.RecordBatch, error)
}

// Merger merges sorted inputs into one order. Equal rows come in the order of
// their inputs. It belongs to one goroutine.
type Merger struct {
	mem    memory.Allocator
	keys   []Key
	limit  int
	inputs []cursor
	losers []int // of the matches at each node; [0] is the winner
	// prefixes are those of the keys of each input's current row, input after input
	prefixes []uint64
	// comparers[i][j] compares the current rows of inputs i and j; nil: make it
	comparers [][][]compute.Comparer

	held  []arrow.RecordBatch // records that picks point into
	picks []compute.Pick
}

// cursor is a place in an input.
type cursor struct {
	input  Input
	record arrow.RecordBatch
	heads  []head // of the record's keys
	row    int
	held   int // the record's place in Merger.held, -1 before its first pick
	done   bool
}

// NewMerger merges inputs, which it does not close, into records of at most
// limit rows.
func NewMerger(mem memory.Allocator, inputs []Input, keys []Key, limit int) *Merger {
	m := &Merger{mem: mem, keys: keys, limit: limit, inputs: make([]cursor, len(inputs))}
	m.prefixes, m.comparers = make([]uint64, len(inputs)*len(keys)), make([][][]compute.Comparer, len(inputs))
	for i := range inputs {
		m.inputs[i] = cursor{input: inputs[i], heads: make([]head, len(keys)), held: -1}
		m.comparers[i] = make([][]compute.Comparer, len(inputs))
	}
	return m
}

// Next returns the next rows in order, which the caller releases; nil at the end.
func (m *Merger) Next() (arrow.RecordBatch, error) {
	if m.losers == nil {
		if err := m.start(); err != nil {
			return nil, err
		}
	}
	for len(m.picks) < m.limit && len(m.inputs) > 0 {
		w := m.losers[0]
		if m.inputs[w].done {
			break
		}
		m.pick(w)
		if err := m.advance(w); err != nil {
			return nil, err
		}
		if err := m.replay(w); err != nil {
			return nil, err
		}
	}
	return m.flush()
}

// Close releases what was read and not returned.
func (m *Merger) Close() {
	for i := range m.inputs {
		if r := m.inputs[i].record; r != nil {
			r.Release()
			m.inputs[i].record = nil
		}
	}
	for _, r := range m.held {
		r.Release()
	}
	m.held, m.inputs = nil, nil
}

// start reads the first row of every input and plays all matches.
func (m *Merger) start() error {
	k := len(m.inputs)
	m.losers = make([]int, max(k, 1))
	for i := range m.inputs {
		if err := m.load(i); err != nil {
			return err
		}
	}
	if k == 0 {
		return nil
	}
	winners := make([]int, 2*k)
	for i := range k {
		winners[k+i] = i
	}
	for node := k - 1; node > 0; node-- {
		a, b := winners[2*node], winners[2*node+1]
		before, err := m.before(b, a)
		if err != nil {
			return err
		}
		if before {
			a, b = b, a
		}
		winners[node], m.losers[node] = a, b
	}
	m.losers[0] = winners[1]
	return nil
}

// replay plays the matches of input w on its way up.
func (m *Merger) replay(w int) error {
	for node := (w + len(m.inputs)) / 2; node > 0; node /= 2 {
		before, err := m.before(m.losers[node], w)
		if err != nil {
			return err
		}
		if before {
			w, m.losers[node] = m.losers[node], w
		}
	}
	m.losers[0] = w
	return nil
}

// before reports whether the current row of input a comes before that of b.
func (m *Merger) before(a, b int) (bool, error) {
	x, y := &m.inputs[a], &m.inputs[b]
	if x.done || y.done {
		return !x.done, nil
	}
	n := len(m.keys)
	p, q := m.prefixes[a*n:][:n], m.prefixes[b*n:][:n]
	decided := 0
	for ; decided < n && x.heads[decided].exact && y.heads[decided].exact; decided++ {
		if p[decided] != q[decided] {
			return p[decided] < q[decided], nil
		}
	}
	if decided == n {
		return a < b, nil
	}
	if p[decided] != q[decided] {
		return p[decided] < q[decided], nil
	}
	if m.comparers[a][b] == nil {
		c, err := Comparers(x.record, y.record, m.keys)
		if err != nil {
			return false, err
		}
		m.comparers[a][b] = c
	}
	d := Compare(m.comparers[a][b][decided:], x.row, y.row)
	return d < 0 || d == 0 && a < b, nil
}

// advance moves input i to its next row.
func (m *Merger) advance(i int) error {
	c := &m.inputs[i]
	if c.row++; c.row < int(c.record.NumRows()) {
		m.look(i)
		return nil
	}
	return m.load(i)
}

// look reads the prefixes of the current row of input i.
func (m *Merger) look(i int) {
	c := &m.inputs[i]
	to := m.prefixes[i*len(m.keys):][:len(c.heads)]
	for k := range c.heads {
		to[k] = c.heads[k].at(c.row)
	}
}

// load reads the next record of input i that has rows.
func (m *Merger) load(i int) error {
	c := &m.inputs[i]
	if c.record != nil {
		c.record.Release()
		c.record = nil
	}
	for j := range m.comparers {
		m.comparers[i][j], m.comparers[j][i] = nil, nil
	}
	for {
		r, err := c.input.Next()
		if err != nil {
			return fmt.Errorf("merge input %d: %w", i, err)
		}
		if r == nil {
			c.done = true
			return nil
		}
		if r.NumRows() > 0 {
			c.record, c.row, c.held = r, 0, -1
			for k, key := range m.keys {
				c.heads[k] = newHead(r.Column(key.Column), key.Order)
			}
			m.look(i)
			return nil
		}
		r.Release()
	}
}

// pick appends the current row of input i to the output.
func (m *Merger) pick(i int) {
	c := &m.inputs[i]
	if c.held < 0 {
		c.held = len(m.held)
		c.record.Retain()
		m.held = append(m.held, c.record)
	}
	m.picks = append(m.picks, compute.Pick{Source: int32(c.held), Row: int32(c.row)})
}

// flush makes a record of the picks.
func (m *Merger) flush() (arrow.RecordBatch, error) {
	if len(m.picks) == 0 {
		return nil, nil
	}
	out, err := compute.InterleaveRecords(m.mem, m.held, m.picks)
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	for _, r := range m.held {
		r.Release()
	}
	for i := range m.inputs {
		m.inputs[i].held = -1
	}
	m.held, m.picks = m.held[:0], m.picks[:0]
	return out, nil
}
