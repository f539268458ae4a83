package lookupjoin

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/operator"
)

// entryBytes is charged for each key beside what the table of keys is.
const entryBytes = 40

// cache keeps the answers for keys.
type cache struct {
	join    *Join
	ctx     *operator.Context
	table   *hashtable.Table
	entries []entry // by slot
	live    int64   // entries in use
	hand    int
	charged int64

	hashes []uint64
	slots  []int32
	asked  []int32 // places of keys in the question
}

// entry is the answer for a key: rows from to to.
type entry struct {
	answer   *answer // nil: not in use, or expired
	from, to int32
	written  int64 // Unix milliseconds
	live     bool
	used     bool // since the hand was here
}

// answer is the rows that one question gave; each entry of it has a reference.
type answer struct{ rows arrow.RecordBatch }

func newCache(j *Join, ctx *operator.Context) (*cache, error) {
	var keys datatype.Schema
	for _, k := range j.left {
		keys = append(keys, j.in[k])
	}
	table, err := hashtable.New(keys, nil, ctx.Memory)
	if err != nil {
		return nil, err
	}
	table.Removable()
	return &cache{join: j, ctx: ctx, table: table}, nil
}

// find answers from what is kept, and asks for the rest: each key once.
func (c *cache) find(keys []arrow.Array, n int) (arrow.RecordBatch, []int32, error) {
	c.hashes = compute.HashColumns(keys, nil, c.hashes)
	if cap(c.slots) < n {
		c.slots = make([]int32, n)
	}
	c.slots = c.slots[:n]
	if err := c.table.Resolve(keys, nil, c.hashes, c.slots); err != nil {
		return nil, nil, err
	}
	if err := c.grow(); err != nil {
		return nil, nil, err
	}
	now := c.join.now().UnixMilli()
	c.asked = c.asked[:0]
	for i, slot := range c.slots {
		e := &c.entries[slot]
		if !e.live {
			e.live, c.live = true, c.live+1
		}
		if e.answer != nil && c.join.cacheMillis > 0 && now-e.written >= c.join.cacheMillis {
			e.drop()
		}
		if e.answer == nil && !e.used {
			c.asked = append(c.asked, int32(i))
		}
		e.used = true
	}
	if err := c.ask(keys, now); err != nil {
		return nil, nil, err
	}
	rows, of, err := c.gather()
	if err != nil {
		return nil, nil, err
	}
	if err := c.evict(); err != nil {
		rows.Release()
		return nil, nil, err
	}
	return rows, of, nil
}

// grow makes room for the entries of new keys.
func (c *cache) grow() error {
	add := c.table.Len() - len(c.entries)
	if add <= 0 {
		return nil
	}
	if err := c.ctx.Memory.Grow(int64(add) * entryBytes); err != nil {
		return err
	}
	c.charged += int64(add) * entryBytes
	c.entries = append(c.entries, make([]entry, add)...)
	return nil
}

// ask asks for the keys that are not known.
func (c *cache) ask(keys []arrow.Array, now int64) error {
	if len(c.asked) == 0 {
		return nil
	}
	some := make([]arrow.Array, len(keys))
	defer compute.ReleaseAll(some)
	for i, k := range keys {
		var err error
		if some[i], err = compute.Take(c.ctx.Alloc, k, c.asked); err != nil {
			return err
		}
	}
	rows, of, err := c.join.ask(some, len(c.asked))
	if err != nil {
		return err
	}
	defer rows.Release()
	a := &answer{rows: rows}
	from := int32(0)
	for i, at := range c.asked {
		to := from
		for int(to) < len(of) && of[to] == int32(i) {
			to++
		}
		e := &c.entries[c.slots[at]]
		e.answer, e.from, e.to, e.written = a, from, to, now
		rows.Retain()
		from = to
	}
	return nil
}

// gather puts the answers of the question together.
func (c *cache) gather() (arrow.RecordBatch, []int32, error) {
	var records []arrow.RecordBatch
	places := map[*answer]int32{}
	var picks []compute.Pick
	var of []int32
	for i, slot := range c.slots {
		e := &c.entries[slot]
		if e.from == e.to {
			continue
		}
		place, known := places[e.answer]
		if !known {
			place = int32(len(records))
			places[e.answer], records = place, append(records, e.answer.rows)
		}
		for r := e.from; r < e.to; r++ {
			of, picks = append(of, int32(i)), append(picks, compute.Pick{Source: place, Row: r})
		}
	}
	if len(of) == 0 {
		b := array.NewRecordBuilder(c.ctx.Alloc, c.join.table.Arrow())
		defer b.Release()
		return b.NewRecordBatch(), nil, nil
	}
	rows, err := compute.InterleaveRecords(c.ctx.Alloc, records, picks)
	return rows, of, err
}

// evict takes keys out until there are no more than the limit.
func (c *cache) evict() error {
	var gone []int32
	for c.live > c.join.cacheRows {
		if c.hand++; c.hand >= len(c.entries) {
			c.hand = 0
		}
		e := &c.entries[c.hand]
		switch {
		case !e.live:
		case e.used:
			e.used = false
		default:
			e.drop()
			*e = entry{}
			c.live--
			gone = append(gone, int32(c.hand))
		}
	}
	if len(gone) == 0 {
		return nil
	}
	c.table.Remove(gone)
	return c.table.Compact(c.ctx.Alloc)
}

// drop lets go of the answer.
func (e *entry) drop() {
	if e.answer != nil {
		e.answer.rows.Release()
	}
	e.answer, e.used = nil, false
}

// release gives the memory back; nil holds none.
func (c *cache) release() {
	if c == nil {
		return
	}
	for i := range c.entries {
		c.entries[i].drop()
	}
	c.table.Release()
	c.ctx.Memory.Shrink(c.charged)
	c.entries, c.charged = nil, 0
}
