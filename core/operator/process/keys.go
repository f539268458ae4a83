package process

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/stream"
)

// keys are those of the rows of a batch, or of timers that fire.
type keys struct {
	columns []int
	schema  datatype.Schema

	arrays  []arrow.Array // borrowed
	sel     []int32
	hashes  []uint64 // by place among the rows
	numbers []int32  // by place: the key's number
	heads   []int32  // by number: the physical row where it is first
	headSum []uint64 // by number: its hash
	current int32    // the number of the key in hand; -1: none
	batch   uint64   // counts batches
}

// of is the key columns of a batch; nil where there are no keys.
func (k *keys) of(b *stream.Batch) []arrow.Array {
	if len(k.columns) == 0 {
		return nil
	}
	k.arrays = k.arrays[:0]
	for _, c := range k.columns {
		k.arrays = append(k.arrays, b.Column(c))
	}
	return k.arrays
}

// none says that the rows in hand have no keys.
func (k *keys) none() {
	k.batch++
	k.arrays, k.current = k.arrays[:0], -1
}

// begin numbers the keys of n rows.
func (k *keys) begin(arrays []arrow.Array, sel []int32, n int, account stream.Account) error {
	k.none()
	if len(arrays) == 0 {
		return nil
	}
	k.arrays, k.sel = arrays, sel
	table, err := hashtable.New(k.schema, nil, account)
	if err != nil {
		return err
	}
	defer table.Release()
	k.hashes = compute.HashColumns(arrays, sel, k.hashes)
	if cap(k.numbers) < n {
		k.numbers = make([]int32, n)
	}
	k.numbers = k.numbers[:n]
	if err := table.Resolve(arrays, sel, k.hashes, k.numbers); err != nil {
		return err
	}
	k.heads, k.headSum = k.heads[:0], k.headSum[:0]
	for place, number := range k.numbers {
		if int(number) == len(k.heads) { // numbers are given in the order of rows
			k.heads, k.headSum = append(k.heads, int32(k.row(place))), append(k.headSum, k.hashes[place])
		}
	}
	return nil
}

// row is the physical row at a place.
func (k *keys) row(place int) int {
	if k.sel != nil {
		return int(k.sel[place])
	}
	return place
}

// key is the number of the key in hand.
func (k *keys) key() int32 {
	if k.current < 0 {
		panic("there is no key in hand: keyed state and timers belong to the rows of a keyed input")
	}
	return k.current
}
