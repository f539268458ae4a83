package aggregate

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// rule says which of two values a pick keeps.
type rule uint8

const (
	invalidRule rule = iota
	least
	greatest
	first
	last
	onlyOne
)

var rules = map[string]rule{
	"MIN": least, "MAX": greatest, "BOOL_AND": least, "EVERY": least, "BOOL_OR": greatest, "SOME": greatest,
	"FIRST_VALUE": first, "ANY_VALUE": first, "LAST_VALUE": last, "SINGLE_VALUE": onlyOne,
}

// pick keeps one of the values that it is given.
type pick struct {
	rule  rule
	typ   datatype.Type
	kept  int64
	ints  []int64
	reals []float64
	wides []decimal128.Num
	seen  []bool   // by slot and value of a dictionary
	best  []uint64 // by slot, the prefix of its text
}

func newPick(function string, arg datatype.Type) (accumulator, error) {
	r, ok := rules[function]
	if !ok {
		return nil, failure.Errorf(failure.InvalidSQL, "aggregate function %s is not supported", function)
	}
	if hashtable.StorageOf(arg) == hashtable.NoStorage {
		return nil, failure.Errorf(failure.InvalidSQL, "%s of values of type %s is not supported", function, arg)
	}
	p := &pick{rule: r, typ: arg.WithNull(true)}
	if r == onlyOne {
		return &single{pick: p}, nil
	}
	return p, nil
}

func (p *pick) grown() int64 {
	n := p.kept
	p.kept = 0
	return n
}

func (p *pick) types() []datatype.Type { return []datatype.Type{p.typ} }

func (p *pick) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	c, a := acc[0], args[0]
	switch hashtable.StorageOf(p.typ) {
	case hashtable.Integer:
		var v []int64
		v, p.ints = compute.Integers(a, sel, p.ints)
		pickInts(p.rule, c.Int64, c.Valid, v, slots)
	case hashtable.Real:
		var v []float64
		v, p.reals = compute.Reals(a, sel, p.reals)
		pickReals(p.rule, c.Float64, c.Valid, v, slots)
	case hashtable.Wide:
		var v []decimal128.Num
		v, p.wides = compute.Wides(a, sel, p.wides)
		for i, s := range slots {
			if !c.Valid[s] || p.better(func() int { return v[i].Cmp(c.Dec128[s]) }) {
				c.Dec128[s], c.Valid[s] = v[i], true
			}
		}
	default:
		p.pickTexts(c, a, sel, slots)
	}
	return nil
}

// better reports whether a value that compares so with the kept one replaces it.
func (p *pick) better(compare func() int) bool {
	switch p.rule {
	case least:
		return compare() < 0
	case greatest:
		return compare() > 0
	default:
		return p.rule == last
	}
}

func pickInts(r rule, kept []int64, valid []bool, v []int64, slots []int32) {
	if len(valid) == 1 && len(slots) > 1 && (r == least || r == greatest) { // the best of v is the only candidate
		v, slots = []int64{extreme(r, v[:len(slots)])}, slots[:1]
	}
	switch r {
	case least:
		for i, s := range slots {
			if !valid[s] || v[i] < kept[s] {
				kept[s], valid[s] = v[i], true
			}
		}
	case greatest:
		for i, s := range slots {
			if !valid[s] || v[i] > kept[s] {
				kept[s], valid[s] = v[i], true
			}
		}
	case last:
		for i, s := range slots {
			kept[s], valid[s] = v[i], true
		}
	default:
		for i, s := range slots {
			if !valid[s] {
				kept[s], valid[s] = v[i], true
			}
		}
	}
}

// extreme is the least or the greatest of v, which is not empty. Two at a time do not
// wait for each other.
func extreme(r rule, v []int64) int64 {
	a, b := v[0], v[len(v)-1]
	i := 0
	if r == least {
		for ; i+2 <= len(v); i += 2 {
			a, b = min(a, v[i]), min(b, v[i+1])
		}
		return min(a, b)
	}
	for ; i+2 <= len(v); i += 2 {
		a, b = max(a, v[i]), max(b, v[i+1])
	}
	return max(a, b)
}

// pickReals takes NaN for the greatest number.
func pickReals(r rule, kept []float64, valid []bool, v []float64, slots []int32) {
	for i, s := range slots {
		x, k := v[i], kept[s]
		take := !valid[s]
		switch r {
		case least:
			take = take || x < k || k != k
		case greatest:
			take = take || x > k || x != x
		case last:
			take = true
		}
		if take {
			kept[s], valid[s] = x, true
		}
	}
}

func (p *pick) pickTexts(c *state.Column, a arrow.Array, sel, slots []int32) {
	if d, ok := a.(*array.Dictionary); ok && p.pickEncoded(c, d, sel, slots) {
		return
	}
	texts := compute.NewTexts(a)
	if offsets, chars := texts.Plain(); offsets != nil && (p.rule == least || p.rule == greatest) && 4*len(c.Valid) <= len(slots) {
		p.pickPlain(c, offsets, chars, sel, slots)
		return
	}
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		if !c.Valid[s] || p.rule != first {
			p.pickText(c, s, texts.At(r))
		}
	}
}

// pickPlain finds the least or greatest texts of few slots: the first eight bytes tell
// of most texts that they are neither.
func (p *pick) pickPlain(c *state.Column, offsets []int32, chars []byte, sel, slots []int32) {
	flip := uint64(0) // makes the better prefix the smaller one
	if p.rule == greatest {
		flip = math.MaxUint64
	}
	p.best = slices.Grow(p.best[:0], len(c.Valid))[:len(c.Valid)]
	for s := range p.best {
		if p.best[s] = math.MaxUint64; c.Valid[s] {
			p.best[s] = textPrefix(c.Bytes[s], 0, len(c.Bytes[s])) ^ flip
		}
	}
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		from, to := int(offsets[r]), int(offsets[r+1])
		if prefix := textPrefix(chars, from, to) ^ flip; prefix <= p.best[s] {
			p.pickText(c, s, chars[from:to])
			p.best[s] = prefix
		}
	}
}

// textPrefix is the number that the first eight bytes of chars[from:to] are, zeros
// following those of a shorter text.
func textPrefix(chars []byte, from, to int) uint64 {
	n := to - from
	if len(chars)-from < 8 {
		var full [8]byte
		copy(full[:], chars[from:to])
		return binary.BigEndian.Uint64(full[:])
	}
	x := binary.BigEndian.Uint64(chars[from:])
	if unused := 64 - 8*min(n, 8); unused > 0 {
		x = x >> unused << unused
	}
	return x
}

// pickText gives slot s the value v if that is the better one.
func (p *pick) pickText(c *state.Column, s int32, v []byte) {
	if !c.Valid[s] || p.better(func() int { return bytes.Compare(v, c.Bytes[s]) }) {
		p.kept += int64(len(v) - len(c.Bytes[s]))
		c.Bytes[s], c.Valid[s] = bytes.Clone(v), true
	}
}

// pickEncoded finds out which values of a small dictionary each slot has, and picks of
// these. It reports whether that applies.
func (p *pick) pickEncoded(c *state.Column, a *array.Dictionary, sel, slots []int32) bool {
	index, size := compute.Indexes(a), a.Dictionary().Len()
	if index == nil || p.rule != least && p.rule != greatest || len(c.Valid)*size > len(slots) {
		return false
	}
	p.seen = slices.Grow(p.seen[:0], len(c.Valid)*size)[:len(c.Valid)*size]
	clear(p.seen)
	if sel == nil {
		for i, s := range slots {
			p.seen[int(s)*size+int(index[i])] = true
		}
	} else {
		for i, s := range slots {
			p.seen[int(s)*size+int(index[sel[i]])] = true
		}
	}
	texts := compute.NewTexts(a.Dictionary())
	for i, seen := range p.seen {
		if seen {
			p.pickText(c, int32(i/size), texts.At(i%size))
		}
	}
	return true
}

func (p *pick) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	sel, slots = present(in[0], sel, slots)
	return p.add(acc, in, sel, slots)
}

func (p *pick) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	return toArrow(mem, acc[0], from, to)
}

// single is SINGLE_VALUE: what a scalar subquery gives, null included.
type single struct {
	*pick
	counts count
}

func (s *single) types() []datatype.Type { return []datatype.Type{s.typ, countType} }

func (s *single) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	if err := s.counts.add(acc[1:], nil, nil, slots); err != nil {
		return err
	}
	return s.checked(acc, args, sel, slots)
}

// merge takes what has been spilled.
func (s *single) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	if err := s.counts.merge(acc[1:], in[1:], sel, slots); err != nil {
		return err
	}
	return s.checked(acc, in, sel, slots)
}

func (s *single) checked(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	for _, slot := range slots {
		if n := acc[1].Int64[slot]; n > 1 {
			return failure.Errorf(failure.UserCode, "scalar subquery returned more than one row")
		}
	}
	return s.pick.merge(acc, in, sel, slots)
}
