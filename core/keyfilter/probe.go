package keyfilter

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
)

// Probe asks Keys about columns of rows. One goroutine uses it.
type Probe struct {
	keys   *Keys
	rows   []int32
	ints   []int64
	hashes []uint64

	// Of the dictionary that came last, which of its values may be in the set. It is
	// the same one as long as the pointer is: nobody changes what an array refers to,
	// and as long as it is held here nothing else is made in its place.
	dictionary arrow.ArrayData
	wanted     []uint8
}

// NewProbe returns a Probe of k.
func NewProbe(k *Keys) *Probe { return &Probe{keys: k} }

// Keep returns the rows of the key's columns whose key is in the set, perhaps with a
// few others, ascending; they are valid until the next call. No row is kept for a
// null in integers that have a bitmap.
func (p *Probe) Keep(columns []arrow.Array) []int32 {
	k, n := p.keys, columns[0].Len()
	if k.rows == 0 {
		return p.rows[:0]
	}
	if cap(p.rows) < n {
		p.rows = make([]int32, n)
	}
	out := p.rows[:n]
	if k.bits == nil {
		return p.hashed(columns, out)
	}
	var values []int64
	values, p.ints = compute.Integers(columns[0], nil, p.ints)
	out = k.bits.keep(values, out)
	valid := compute.Validity(columns[0], nil, nil)
	if valid == nil {
		return out
	}
	some := out[:0]
	for _, i := range out {
		if valid[i] {
			some = append(some, i)
		}
	}
	return some
}

// hashed asks the bloom filter: about each row, or about each value of a dictionary
// once.
func (p *Probe) hashed(columns []arrow.Array, out []int32) []int32 {
	if d, ok := columns[0].(*array.Dictionary); ok && len(columns) == 1 {
		if index, ok := d.Indices().(*array.Int32); ok {
			return p.indexed(d, index, out)
		}
	}
	p.hashes = compute.HashColumns(columns, nil, p.hashes)
	return p.keys.bloom.keep(p.hashes, out)
}

func (p *Probe) indexed(d *array.Dictionary, index *array.Int32, out []int32) []int32 {
	if values := d.Data().Dictionary(); values != p.dictionary {
		p.dictionary = values
		p.wanted = p.wanted[:0]
		if d.Dictionary().Len() > 0 {
			p.hashes = compute.HashColumns([]arrow.Array{d.Dictionary()}, nil, p.hashes)
			for _, h := range p.hashes {
				one := uint8(0)
				if p.keys.bloom.has(h) {
					one = 1
				}
				p.wanted = append(p.wanted, one)
			}
		}
	}
	at, wanted := 0, p.wanted
	if index.NullN() == 0 {
		for i, x := range index.Int32Values() {
			out[at] = int32(i)
			at += int(wanted[x])
		}
		return out[:at]
	}
	for i, x := range index.Int32Values() {
		if out[at] = int32(i); index.IsValid(i) {
			at += int(wanted[x])
		}
	}
	return out[:at]
}
