package memstate

import (
	"hash/maphash"

	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/state"
)

// digests are what values were when a snapshot was taken; nil unless invariants are
// checked. Whoever writes to values without saying so before changes the snapshot.
type digests struct {
	seed       maphash.Seed
	keys, rows []uint64 // by slot, by row
}

func (p *pending) digest() *digests {
	if !invariant.Enabled {
		return nil
	}
	d := &digests{seed: maphash.MakeSeed()}
	for x := range p.keys.done {
		d.keys = append(d.keys, d.of(p.space.Values(), x))
	}
	for r := range p.rows.done {
		d.rows = append(d.rows, d.of(p.space.lists.Fixed(), r))
	}
	return d
}

// of is the digest of a row of columns.
func (d *digests) of(columns []*state.Column, i int) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	for _, c := range columns {
		if c == nil {
			continue
		}
		if c.Type.Nullable { // else nobody asks
			maphash.WriteComparable(&h, c.Valid[i])
		}
		switch {
		case c.Int64 != nil:
			maphash.WriteComparable(&h, c.Int64[i])
		case c.Float64 != nil:
			_, _ = h.Write(appendValue(nil, c, i))
		case c.Dec128 != nil:
			maphash.WriteComparable(&h, c.Dec128[i])
		case c.Bytes != nil:
			_, _ = h.Write(c.Bytes[i])
		}
	}
	return h.Sum64()
}

// check panics where values are not what they were.
func (d *digests) check(table string, was []uint64, columns []*state.Column, numbers []int32) {
	for _, x := range numbers {
		invariant.Check(d.of(columns, int(x)) == was[x], "state table %s: values of %d were written without Touch, while a snapshot had them to copy", table, x)
	}
}
