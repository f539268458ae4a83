package join

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/stream"
)

// build is the build side: first batches with the slots of their rows, then one
// record with its rows by slot.
type build struct {
	join *Join
	index
	kept  []*stream.Batch
	slots []int32 // by row; -1: a key is null

	matched []bool // which had a pair, for RIGHT and FULL and where the output is build rows
	bySlot  bool   // matched is by slot: which rows those are, slots says
	charged int64
	held    int64 // bytes of kept batches that are charged to others
	hashes  []uint64
	ints    []int64
}

// index is what a probe reads of the build side.
type index struct {
	table  *hashtable.Table // nil: no keys, every row matches
	dense  *dense           // in place of table, where the keys allow it
	rows   int
	record arrow.RecordBatch // nil where there are no rows
	starts []int32           // by slot: where its run begins in order; nil: each has one row
	order  []int32           // rows by slot; nil: row and slot are one
}

// view is the same for another goroutine. The index must not change any more.
func (x index) view() index {
	if x.table != nil {
		x.table = x.table.View()
	}
	if x.record != nil {
		x.record = stream.NewBatch(x.record).Share().Record
	}
	return x
}

func (b *build) open(j *Join) (err error) {
	b.join = j
	if len(j.rightKeys) == 0 {
		return nil
	}
	keys := make(datatype.Schema, len(j.rightKeys))
	for i, k := range j.rightKeys {
		keys[i] = j.right[k]
	}
	if b.table, err = hashtable.New(keys, nil, j.ctx.Memory); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// charge charges n bytes until release.
func (b *build) charge(n int) error {
	if err := b.join.ctx.Memory.Grow(int64(n)); err != nil {
		return fmt.Errorf("join: build side of %d rows: %w", b.rows, err)
	}
	b.charged += int64(n)
	return nil
}

// room fails where n more bytes could not be had.
func (b *build) room(n int64) error {
	if err := b.join.ctx.Memory.Grow(n); err != nil {
		return fmt.Errorf("join: build side of %d rows: %w", b.rows, err)
	}
	b.join.ctx.Memory.Shrink(n)
	return nil
}

// add keeps a batch, also when it fails for want of memory.
func (b *build) add(batch *stream.Batch) (err error) {
	if batch.Sel != nil {
		if err := b.room(batch.Bytes()); err != nil {
			b.kept = append(b.kept, batch)
			return err
		}
		if batch, err = compute.TakeBatch(b.join.ctx.Alloc, batch); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	b.kept = append(b.kept, batch)
	b.rows += batch.Len()
	if batch.Charged() == 0 {
		b.hold(batch.Pinned())
	}
	if err := batch.Transfer(b.join.ctx.Memory); err != nil {
		return fmt.Errorf("join: build side of %d rows: %w", b.rows, err)
	}
	return nil
}

// hold says what of the kept batches is charged to those who made them.
func (b *build) hold(n int64) {
	b.held += n
	b.join.share.Hold(n)
}

// resolveKeys sets the slots of all rows by a dense index or the table.
func (b *build) resolveKeys() error {
	if err := b.charge(4 * b.rows); err != nil {
		return err
	}
	b.slots = make([]int32, b.rows)
	if err := b.indexDense(); err != nil || b.dense != nil {
		return err
	}
	return b.resolveAll()
}

// indexDense makes a dense index and the slots from it, if the keys allow that.
func (b *build) indexDense() error {
	if len(b.join.rightKeys) != 1 || hashtable.StorageOf(b.join.right[b.join.rightKeys[0]].Type) != hashtable.Integer {
		return nil
	}
	key := b.join.rightKeys[0]
	var l limits
	each := func(f func(values []int64, valid []bool)) {
		for _, k := range b.kept {
			var values []int64
			values, b.ints = compute.Integers(k.Column(key), nil, b.ints)
			f(values, compute.Validity(k.Column(key), nil, nil))
		}
	}
	each(l.widen)
	n := l.denseWords(b.rows)
	if n == 0 {
		return nil
	}
	if err := b.charge(8 * n); err != nil {
		return err
	}
	d := &dense{least: l.least, words: make([]uint64, n)}
	each(d.put)
	d.count()
	from := 0
	each(func(values []int64, valid []bool) {
		slots := b.slots[from:][:len(values)]
		d.find(values, slots)
		for i, v := range valid {
			if !v {
				slots[i] = -1
			}
		}
		from += len(values)
	})
	b.dense = d
	return nil
}

// keys is the number of keys that occur, and of slots.
func (b *build) keys() int {
	if b.dense != nil {
		return b.dense.keys
	}
	return b.table.Len()
}

// resolveAll sets the slots of all rows. The number of keys is known by now, at
// least its bound, so the table never grows; where most keys turn out to be
// repeated it is smaller than it could have been.
func (b *build) resolveAll() error {
	from, reserved := 0, false
	for i, batch := range b.kept {
		if !reserved && i == len(b.kept)/8 {
			// What one in eight batches holds tells how many keys there will be.
			reserved = true
			share := float64(b.table.Len()) / float64(max(from, 1))
			if share > 0.5 || from == 0 {
				if err := b.table.Reserve(b.rows); err != nil {
					return fmt.Errorf("join: build side of %d rows: %w", b.rows, err)
				}
			}
		}
		to := from + batch.Len()
		if err := b.resolveBatch(batch, b.slots[from:to]); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (b *build) resolveBatch(batch *stream.Batch, slots []int32) error {
	keys := columnsOf(batch, b.join.rightKeys)
	sel := compute.NotNull(keys, nil)
	if sel == nil {
		b.hashes = compute.HashColumns(keys, nil, b.hashes)
		return b.resolve(keys, nil, slots)
	}
	for i := range slots {
		slots[i] = -1
	}
	if len(sel) == 0 {
		return nil
	}
	b.hashes = compute.HashColumns(keys, sel, b.hashes)
	some := make([]int32, len(sel))
	if err := b.resolve(keys, sel, some); err != nil {
		return err
	}
	for i, r := range sel {
		slots[r] = some[i]
	}
	return nil
}

func (b *build) resolve(keys []arrow.Array, sel, slots []int32) error {
	if err := b.table.Resolve(keys, sel, b.hashes, slots); err != nil {
		return fmt.Errorf("join: build side of %d rows: %w", b.rows, err)
	}
	return nil
}

// columnsOf picks columns of a batch.
func columnsOf(b *stream.Batch, which []int) []arrow.Array {
	out := make([]arrow.Array, len(which))
	for i, c := range which {
		out[i] = b.Column(c)
	}
	return out
}

// finish makes the record and puts its rows in the order of their slots. When it
// fails, the batches are still kept.
func (b *build) finish() (err error) {
	defer memory.Recover(&err)
	if b.rows == 0 {
		return nil
	}
	if b.table != nil {
		if err := b.resolveKeys(); err != nil {
			return err
		}
		if b.join.onlyProbe() && b.join.residual == nil {
			b.slots = nil // whether a key occurs is all that is asked
			b.releaseKept()
			return nil
		}
	}
	if b.join.keepsBuild() || b.join.onlyBuild() {
		b.bySlot = b.join.onlyBuild() && b.join.residual == nil && b.table != nil
		n := b.rows
		if b.bySlot {
			n = b.keys()
		}
		if err := b.charge(n); err != nil {
			return err
		}
		b.matched = make([]bool, n)
	}
	if !b.bySlot {
		if err := b.arrange(); err != nil {
			return err
		}
	}
	if err := b.concat(); err != nil {
		return err
	}
	b.releaseKept()
	return nil
}

// concat makes the record.
func (b *build) concat() (err error) {
	total := int64(0)
	records := make([]arrow.RecordBatch, len(b.kept))
	for i, k := range b.kept {
		records[i] = k.Record
		total += k.Bytes()
	}
	if len(records) > 1 {
		if err := b.room(total); err != nil {
			return err
		}
	}
	if b.record, err = b.join.concat(b.join.ctx.Alloc, records); err != nil {
		return fmt.Errorf("join: build side: %w", err)
	}
	return nil
}

// arrange finds the order of rows: by slot, or as they are where all match all.
func (b *build) arrange() error {
	if b.table != nil {
		return b.sort()
	}
	if err := b.charge(4 * b.rows); err != nil {
		return err
	}
	b.starts, b.order = []int32{0, int32(b.rows)}, make([]int32, b.rows)
	for i := range b.order {
		b.order[i] = int32(i)
	}
	return nil
}

// sort is a counting sort of rows by slot, unless they are in that order.
func (b *build) sort() error {
	defer func() { b.slots = nil }()
	present, same := 0, true
	for i, s := range b.slots {
		same = same && int(s) == i
		if s >= 0 {
			present++
		}
	}
	if same {
		return nil
	}
	if b.keys() == present {
		return b.place(present)
	}
	if err := b.charge(4 * (b.rows + b.keys() + 2)); err != nil {
		return err
	}
	// starts[s+1] counts slot s, then is where the next row of slot s goes; in the
	// end it is where slot s+1 begins.
	starts := make([]int32, b.keys()+2)
	for _, s := range b.slots {
		if s >= 0 {
			starts[s+2]++
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	b.order = make([]int32, b.rows)
	for row, s := range b.slots {
		if s >= 0 {
			b.order[starts[s+1]] = int32(row)
			starts[s+1]++
		}
	}
	b.starts = starts[:len(starts)-1]
	return nil
}

// place is sort where no key has two rows.
func (b *build) place(present int) error {
	if err := b.charge(4 * present); err != nil {
		return err
	}
	b.order = make([]int32, present)
	for row, s := range b.slots {
		if s >= 0 {
			b.order[s] = int32(row)
		}
	}
	return nil
}

func (b *build) releaseKept() {
	for _, k := range b.kept {
		k.Release()
	}
	b.kept = nil
	b.hold(-b.held)
}

func (b *build) release() {
	b.releaseKept()
	if b.record != nil {
		b.record.Release()
		b.record = nil
	}
	if b.table != nil {
		b.table.Release()
		b.table = nil
	}
	if b.charged > 0 {
		b.join.ctx.Memory.Shrink(b.charged)
		b.charged = 0
	}
}

// hadPair reports whether a row is marked, where matched is.
func (b *build) hadPair(row int) bool {
	if !b.bySlot {
		return b.matched[row]
	}
	s := b.slots[row]
	return s >= 0 && b.matched[s]
}

// rowsOf turns slots that have one row each into those rows; -1 stays.
func (b *build) rowsOf(slots []int32) {
	if b.order == nil {
		return
	}
	for i, s := range slots {
		if s >= 0 {
			slots[i] = b.order[s]
		}
	}
}
