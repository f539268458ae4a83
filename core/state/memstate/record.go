package memstate

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// A record is all of a key:
//
//	flags (1) | cycle (uvarint) | value...                 of each column
//	          | rows (uvarint) | row...                    where the table has lists
//	row:  sequence (uvarint, less the one before) | changed (1) | value...
//	value: valid (1) | integer (varint) | real (8) | wide (16) | length (uvarint), bytes
const (
	recordKept    uint8 = 1 << iota // an earlier snapshot has the key
	recordChanged                   // the key is in the next snapshot of changes
	recordPart                      // it is an operand (part)
	recordValues                    // which has values
)

// scratchColumns makes columns of n zero, null values.
func scratchColumns(s datatype.Schema, n int) []*state.Column {
	out := make([]*state.Column, len(s))
	for i, f := range s {
		out[i] = hashtable.NullColumn(f.Type, n)
	}
	return out
}

// loaded makes columns of the rows of arrays.
func loaded(s datatype.Schema, arrays []arrow.Array, sel []int32, n int) []*state.Column {
	places := make([]int32, n)
	for i := range places {
		places[i] = int32(i)
	}
	out := scratchColumns(s, n)
	for i, c := range out {
		hashtable.Load(c, arrays[i], sel, places)
	}
	return out
}

// appendKey appends key columns: equal keys give equal bytes.
func appendKey(b []byte, columns []*state.Column, i int) []byte {
	for _, c := range columns {
		if !c.Valid[i] {
			b = append(b, 0)
			continue
		}
		if c.Float64 != nil {
			x := c.Float64[i]
			if x == 0 {
				x = 0 // not -0.0
			} else if x != x {
				x = math.NaN()
			}
			b = binary.LittleEndian.AppendUint64(append(b, 1), math.Float64bits(x))
			continue
		}
		b = appendValue(b, c, i)
	}
	return b
}

// appendValue appends a value; what a null hides is kept.
func appendValue(b []byte, c *state.Column, i int) []byte {
	if c.Valid[i] {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	switch {
	case c.Int64 != nil:
		return binary.AppendVarint(b, c.Int64[i])
	case c.Float64 != nil:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(c.Float64[i]))
	case c.Dec128 != nil:
		v := c.Dec128[i]
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, v.LowBits()), uint64(v.HighBits()))
	default:
		v := c.Bytes[i]
		return append(binary.AppendUvarint(b, uint64(len(v))), v...)
	}
}

// reader reads records; what is cut short makes it bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	x := r.b[0]
	r.b = r.b[1:]
	return x
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) word() uint64 {
	if len(r.b) < 8 {
		r.bad = true
		return 0
	}
	x := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return x
}

// value appends a value to a column of scratchColumns.
func (r *reader) value(c *state.Column, key bool) {
	valid := r.byte() != 0
	c.Valid = append(c.Valid, valid)
	hidden := key && !valid // nulls of keys hide nothing
	switch {
	case c.Int64 != nil:
		x, n := int64(0), 0
		if !hidden {
			if x, n = binary.Varint(r.b); n <= 0 {
				r.bad, n = true, 0
			}
		}
		r.b, c.Int64 = r.b[n:], append(c.Int64, x)
	case c.Float64 != nil:
		x := uint64(0)
		if !hidden {
			x = r.word()
		}
		c.Float64 = append(c.Float64, math.Float64frombits(x))
	case c.Dec128 != nil:
		var low, high uint64
		if !hidden {
			low, high = r.word(), r.word()
		}
		c.Dec128 = append(c.Dec128, decimal128.New(int64(high), low))
	default:
		c.Bytes = append(c.Bytes, r.text(hidden))
	}
}

// text is a copy of bytes, nil where there are none.
func (r *reader) text(hidden bool) []byte {
	if hidden {
		return nil
	}
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	x := append([]byte(nil), r.b[:n]...)
	r.b = r.b[n:]
	return x
}

// chunk is records, read.
type chunk struct {
	table  *table
	cycle  uint32          // of the tier
	keys   []*state.Column // of those that were added with their keys
	values []*state.Column
	list   []*state.Column
	hashes []uint64
	flags  []uint8
	cycles []uint32

	owners    []int32 // by row of lists: the record
	sequences []int64
	changed   []bool
}

func newChunk(t *table, cycle uint32) *chunk {
	return &chunk{table: t, cycle: cycle, keys: scratchColumns(t.spec.Keys, 0), values: scratchColumns(t.spec.Values, 0), list: scratchColumns(t.spec.List, 0)}
}

func (k *chunk) len() int { return len(k.flags) }

// damaged says that what the store gave is no record.
func (k *chunk) damaged() error {
	return failure.Errorf(failure.BadData, "state table %d %s: a record in the store is damaged", k.table.spec.ID, k.table.spec.Name)
}

// addKey reads the key of the next record.
func (k *chunk) addKey(key []byte) error {
	if len(key) < hashPrefix {
		return k.damaged()
	}
	k.hashes = append(k.hashes, hashOf(key))
	r := reader{b: key[hashPrefix:]}
	for _, c := range k.keys {
		r.value(c, true)
	}
	if r.bad || len(r.b) > 0 {
		return k.damaged()
	}
	return nil
}

// add reads a record.
func (k *chunk) add(record []byte) error {
	if len(record) > 0 && record[0]&recordPart != 0 {
		return k.addPart(record)
	}
	r := reader{b: record}
	at := int32(k.len())
	k.flags, k.cycles = append(k.flags, r.byte()), append(k.cycles, uint32(r.uvarint()))
	for _, c := range k.values {
		r.value(c, false)
	}
	if len(k.list) > 0 {
		sequence := uint64(0)
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			sequence += r.uvarint()
			k.owners, k.sequences, k.changed = append(k.owners, at), append(k.sequences, int64(sequence)), append(k.changed, r.byte() != 0)
			for _, c := range k.list {
				r.value(c, false)
			}
		}
	}
	if r.bad || len(r.b) > 0 {
		return k.damaged()
	}
	return nil
}

// fresh says that a record is in the next snapshot of changes.
func (k *chunk) fresh(i int) bool {
	return k.flags[i]&recordChanged != 0 && k.cycles[i] == k.cycle
}

// kept says that an earlier snapshot has the key.
func (k *chunk) kept(i int) bool {
	return k.flags[i]&recordKept != 0 || k.cycles[i] < k.cycle
}

// arrays makes arrays of columns.
func arrays(mem memory.Allocator, columns []*state.Column, n int) ([]arrow.Array, error) {
	out := make([]arrow.Array, 0, len(columns))
	for _, c := range columns {
		a, err := hashtable.ToArrow(mem, c, 0, n)
		if err != nil {
			compute.ReleaseAll(out)
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}
