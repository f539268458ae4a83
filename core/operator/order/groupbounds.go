package order

import (
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/stream"
)

// groupBounds knows the last row of each group that has its first rows: what
// comes after it is none of them.
type groupBounds struct {
	best   arrow.RecordBatch
	groups []rowsort.Key
	order  []rowsort.Key
	peers  bool // the last row's peers are among the first, too

	slots  []groupSlot // by hash, a power of two of them
	hashes []uint64
	sel    []int32
}

// groupSlot is a group; last is its last row plus one, 0 in slots without a group.
type groupSlot struct {
	hash uint64
	last int32
}

// newGroupBounds makes bounds of the last rows of full groups of best.
func newGroupBounds(best arrow.RecordBatch, groups, order []rowsort.Key, peers bool, last []int32) *groupBounds {
	best.Retain()
	g := &groupBounds{best: best, groups: groups, order: order, peers: peers}
	g.slots = make([]groupSlot, 1<<bits.Len(uint(2*len(last))))
	g.hash(best, last)
	mask := uint64(len(g.slots) - 1)
	for i, row := range last {
		at := g.hashes[i] & mask
		for g.slots[at].last != 0 {
			at = (at + 1) & mask
		}
		g.slots[at] = groupSlot{hash: g.hashes[i], last: row + 1}
	}
	return g
}

// hash hashes the groups of rows of sel (nil: all).
func (g *groupBounds) hash(record arrow.RecordBatch, sel []int32) {
	if len(g.groups) > 0 {
		columns := make([]arrow.Array, len(g.groups))
		for i, k := range g.groups {
			columns[i] = record.Column(k.Column)
		}
		g.hashes = compute.HashColumns(columns, sel, g.hashes)
		return
	}
	n := len(sel)
	if sel == nil {
		n = int(record.NumRows())
	}
	g.hashes = append(g.hashes[:0], make([]uint64, n)...)
}

// pass returns the rows of b that may be among the first of their groups; they are
// valid until the next call.
func (g *groupBounds) pass(b *stream.Batch) ([]int32, error) {
	group, err := rowsort.Comparers(g.best, b.Record, g.groups)
	if err != nil {
		return nil, err
	}
	order, err := rowsort.Comparers(g.best, b.Record, g.order)
	if err != nil {
		return nil, err
	}
	g.hash(b.Record, b.Sel)
	mask := uint64(len(g.slots) - 1)
	if g.sel == nil {
		g.sel = make([]int32, 0, len(g.hashes))
	}
	g.sel = g.sel[:0]
	for i, h := range g.hashes {
		row := int32(i)
		if b.Sel != nil {
			row = b.Sel[i]
		}
		last := int32(-1)
		for at := h & mask; g.slots[at].last != 0; at = (at + 1) & mask {
			if s := g.slots[at]; s.hash == h && rowsort.Compare(group, int(s.last-1), int(row)) == 0 {
				last = s.last - 1
				break
			}
		}
		if last >= 0 {
			if c := rowsort.Compare(order, int(last), int(row)); c < 0 || c == 0 && !g.peers {
				continue
			}
		}
		g.sel = append(g.sel, row)
	}
	return g.sel, nil
}

func (g *groupBounds) release() {
	if g != nil {
		g.best.Release()
	}
}
