package temporaljoin

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// side is what is kept of an input: its rows in lists by key.
type side struct {
	name      string
	schema    datatype.Schema
	list      datatype.Schema
	keys      []int
	keySchema datatype.Schema
	time      int
	unit      time.Duration // of the time
	factor    int64         // by which it is multiplied to be compared with the other side's

	rows    state.Rows
	lists   state.Lists
	waiting groups.Waiting

	hashes []uint64
	slots  []int32
	ints   []int64
}

func newSide(name string, schema datatype.Schema, keys []uint32, at uint32) (*side, error) {
	s := &side{name: name, schema: schema, list: append(datatype.Schema(nil), schema...), time: int(at)}
	if int(at) >= len(schema) || !schema[at].Type.IsTimestamp() {
		return nil, fmt.Errorf("temporal join: the %s time is column %d of %s", name, at, schema)
	}
	s.unit = unitOf(schema[at].Type)
	for _, k := range keys {
		if int(k) >= len(schema) {
			return nil, fmt.Errorf("temporal join: the %s key %d of %d columns", name, k, len(schema))
		}
		s.keys, s.keySchema = append(s.keys, int(k)), append(s.keySchema, schema[k])
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("temporal join: no keys")
	}
	for _, f := range schema {
		if hashtable.StorageOf(f.Type) == hashtable.NoStorage {
			return nil, failure.Errorf(failure.InvalidSQL, "a join as of a time cannot keep column %s of type %s", f.Name, f.Type)
		}
	}
	return s, nil
}

// open opens the side's table; keys of restored rows wait again.
func (s *side) open(_ *operator.Context, backend state.Backend, id uint16) error {
	t, err := backend.Table(state.TableSpec{ID: id, Name: s.name + " rows", Keys: s.keySchema, List: s.list})
	if err != nil {
		return err
	}
	if s.rows, err = t.Namespace(0); err != nil {
		return err
	}
	s.lists, s.waiting = s.rows.Lists(), groups.Waiting{}
	if s.lists.Count() == 0 {
		return nil
	}
	return s.rows.Each(func(_ state.View, from, to int) error {
		first, next := s.lists.Chains()
		times := s.times()
		for slot := from; slot < to; slot++ {
			for r := first[slot]; r >= 0; r = next[r] {
				s.waiting.Add(s.millis(times[r]), int32(slot))
			}
		}
		return nil
	})
}

// times are those of the rows of the lists, as they are stored.
func (s *side) times() []int64 { return s.lists.Fixed()[s.time].Int64 }

func (s *side) millis(v int64) int64 { return compute.Millis(s.schema[s.time].Type, v) }

// passed says that a watermark has passed a time.
func (s *side) passed(v int64, w stream.Watermark) bool { return s.millis(v) <= int64(w) }

// placed divides rows into those with a key and a time, and others.
func (s *side) placed(b *stream.Batch) (some, never []int32) {
	columns := []arrow.Array{b.Column(s.time)}
	for _, k := range s.keys {
		columns = append(columns, b.Column(k))
	}
	some = compute.NotNull(columns, b.Sel)
	n := b.Len()
	if some == nil || len(some) == n {
		return some, nil
	}
	next := 0
	for i := range n {
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		if next < len(some) && some[next] == r {
			next++
			continue
		}
		never = append(never, r)
	}
	return some, never
}

// keep adds rows of a batch to the lists; columns are those of the lists.
func (s *side) keep(columns []arrow.Array, b *stream.Batch, sel []int32) error {
	if rowsOf(b, sel) == 0 {
		return nil
	}
	keys := make([]arrow.Array, len(s.keys))
	for i, k := range s.keys {
		keys[i] = b.Column(k)
	}
	s.hashes = compute.HashColumns(keys, sel, s.hashes)
	s.slots = sized(s.slots, len(s.hashes))
	if err := s.rows.Resolve(keys, sel, s.hashes, s.slots); err != nil {
		return err
	}
	if err := s.lists.Add(s.slots, columns, sel, nil); err != nil {
		return err
	}
	var times []int64
	times, s.ints = compute.Integers(b.Column(s.time), sel, s.ints)
	for i, slot := range s.slots {
		s.waiting.Add(s.millis(times[i]), slot)
	}
	return nil
}

// drop takes rows out of the lists of slots, and forgets those that are then empty.
func (s *side) drop(rows, slots []int32) {
	s.lists.RemoveRows(rows)
	first, _ := s.lists.Chains()
	var empty []int32
	for _, slot := range slots {
		if first[slot] < 0 {
			empty = append(empty, slot)
		}
	}
	s.rows.Remove(empty)
}

// expire forgets the versions before the one of the watermark, and that one where it says
// that there is none.
func (s *side) expire(w stream.Watermark) {
	slots := s.waiting.Due(w)
	if len(slots) == 0 {
		return
	}
	first, next := s.lists.Chains()
	times, gone := s.times(), s.lists.Fixed()[len(s.schema)].Int64
	var old []int32
	for _, slot := range slots {
		last := int32(-1)
		for r := first[slot]; r >= 0; r = next[r] {
			if !s.passed(times[r], w) {
				s.waiting.Add(s.millis(times[r]), slot)
				continue
			}
			if last >= 0 && times[r] < times[last] { // it came late
				old = append(old, r)
				continue
			}
			if last >= 0 {
				old = append(old, last)
			}
			last = r
		}
		if last >= 0 && gone[last] != 0 {
			old = append(old, last)
		}
	}
	s.drop(old, slots)
}

func marks(mem memory.Allocator, values []int64) (arrow.Array, error) {
	b := array.NewInt64Builder(mem)
	defer b.Release()
	b.AppendValues(values, nil)
	return b.NewArray(), nil
}

// sized returns buf with length n, its content undefined.
func sized(buf []int32, n int) []int32 {
	if cap(buf) < n {
		return make([]int32, n)
	}
	return buf[:n]
}
