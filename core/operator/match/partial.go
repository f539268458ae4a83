package match

import (
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// partials are all partial matches of an operator, by number. Numbers of those that are
// gone are used again.
type partials struct {
	*layout
	account stream.Account
	charged int64

	nodes []int32
	start []int64 // which row of the partition it began with, counted from 0
	since []int64 // the time of that row, milliseconds
	end   []int64 // the last row
	until []int64 // its time
	skip  []int64 // the row to skip to; -1: none
	rows  []int32 // registers: rows of the list, -1: none
	accs  [][]*state.Column

	free []int32
}

func newPartials(l *layout, account stream.Account) *partials {
	p := &partials{layout: l, account: account}
	for _, s := range l.sums {
		var columns []*state.Column
		for _, c := range s.acc.Columns() {
			columns = append(columns, hashtable.NullColumn(c.Type, 0))
		}
		p.accs = append(p.accs, columns)
	}
	return p
}

// bytes are what a partial match takes, what texts it keeps apart.
func (p *partials) bytes() int64 {
	n := int64(4 + 5*8 + 4*p.registers)
	for _, columns := range p.accs {
		n += int64(33 * len(columns))
	}
	return n
}

// fresh makes a partial match without rows.
func (p *partials) fresh() (int32, error) {
	id, err := p.make()
	if err != nil {
		return 0, err
	}
	p.skip[id] = -1
	for i := range p.registersOf(id) {
		p.registersOf(id)[i] = -1
	}
	for _, columns := range p.accs {
		for _, c := range columns {
			clearValue(c, int(id))
		}
	}
	return id, nil
}

// make takes a number, whose values are undefined.
func (p *partials) make() (int32, error) {
	if n := len(p.free); n > 0 {
		id := p.free[n-1]
		p.free = p.free[:n-1]
		return id, nil
	}
	have := len(p.nodes)
	add := max(64, have/2)
	if have+add > math.MaxInt32 {
		add = math.MaxInt32 - have
	}
	if err := p.account.Grow(int64(add) * p.bytes()); err != nil {
		return 0, err
	}
	p.charged += int64(add) * p.bytes()
	p.nodes = append(p.nodes, make([]int32, add)...)
	for _, c := range []*[]int64{&p.start, &p.since, &p.end, &p.until, &p.skip} {
		*c = append(*c, make([]int64, add)...)
	}
	p.rows = append(p.rows, make([]int32, add*p.registers)...)
	for _, columns := range p.accs {
		for _, c := range columns {
			lengthen(c, add)
		}
	}
	for id := have + add - 1; id >= have; id-- {
		p.free = append(p.free, int32(id))
	}
	return p.make()
}

// copy makes a partial match that is the same as another.
func (p *partials) copy(of int32) (int32, error) {
	id, err := p.make()
	if err != nil {
		return 0, err
	}
	p.nodes[id], p.start[id], p.since[id], p.skip[id] = p.nodes[of], p.start[of], p.since[of], p.skip[of]
	p.end[id], p.until[id] = p.end[of], p.until[of]
	copy(p.registersOf(id), p.registersOf(of))
	for _, columns := range p.accs {
		for _, c := range columns {
			copyValue(c, int(id), int(of))
		}
	}
	return id, nil
}

func (p *partials) registersOf(id int32) []int32 {
	return p.rows[int(id)*p.registers : (int(id)+1)*p.registers]
}

// take notes a row of the list as a variable's; accumulators are left to the caller.
func (p *partials) take(id, variable, row int32) {
	r := p.registersOf(id)
	for _, v := range [...]int32{0, variable + 1} {
		first, last := p.firsts[v], p.lasts[v]
		if at := slices.Index(r[first.at:first.at+first.depth], -1); at >= 0 {
			r[first.at+at] = row
		}
		if last.depth > 0 {
			copy(r[last.at+1:last.at+last.depth], r[last.at:last.at+last.depth-1])
			r[last.at] = row
		}
	}
}

// last is the row that was taken last.
func (p *partials) last(id int32) int32 { return p.registersOf(id)[p.lasts[0].at] }

// drop forgets partial matches.
func (p *partials) drop(ids ...int32) {
	for _, id := range ids {
		for _, columns := range p.accs {
			for _, c := range columns {
				clearValue(c, int(id))
			}
		}
	}
	p.free = append(p.free, ids...)
}

func (p *partials) close() {
	p.account.Shrink(p.charged)
	p.charged = 0
}

func lengthen(c *state.Column, n int) {
	c.Valid = append(c.Valid, make([]bool, n)...)
	switch hashtable.StorageOf(c.Type) {
	case hashtable.Integer:
		c.Int64 = append(c.Int64, make([]int64, n)...)
	case hashtable.Real:
		c.Float64 = append(c.Float64, make([]float64, n)...)
	case hashtable.Wide:
		c.Dec128 = append(c.Dec128, make([]decimal128.Num, n)...)
	default:
		c.Bytes = append(c.Bytes, make([][]byte, n)...)
	}
}

func clearValue(c *state.Column, i int) {
	c.Valid[i] = false
	switch {
	case c.Int64 != nil:
		c.Int64[i] = 0
	case c.Float64 != nil:
		c.Float64[i] = 0
	case c.Dec128 != nil:
		c.Dec128[i] = decimal128.Num{}
	default:
		c.Bytes[i] = nil
	}
}

// copyValue copies a value. Texts are shared, and may grow apart.
func copyValue(c *state.Column, to, from int) {
	c.Valid[to] = c.Valid[from]
	switch {
	case c.Int64 != nil:
		c.Int64[to] = c.Int64[from]
	case c.Float64 != nil:
		c.Float64[to] = c.Float64[from]
	case c.Dec128 != nil:
		c.Dec128[to] = c.Dec128[from]
	default:
		c.Bytes[to] = slices.Clip(c.Bytes[from])
	}
}
