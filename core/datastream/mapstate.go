package datastream

import (
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/operator/process"
)

// MapState is a map for each key. Its methods are about the key in hand. The map of a key is
// read whole when it is asked first in a batch, so maps are for what a key has tens or
// hundreds of; what was written is written back alone.
type MapState[M comparable, V any] struct {
	values *rows.Codec[V]
	keys   *rows.Codec[M]
	table  *process.Table
	rt     *process.Runtime

	batch uint64
	open  map[int32]*openMap[M, V] // by key, in this batch
	order []int32
}

// openMap is the map of a key while it is in hand.
type openMap[M comparable, V any] struct {
	at      map[M]int // into entries
	entries []mapEntry[M, V]
	gone    []int32 // rows of entries that were deleted
	dirty   bool
}

// mapEntry is an entry, in the order in which they came.
type mapEntry[M comparable, V any] struct {
	key     M
	value   V
	row     int32 // -1: not in the table yet
	written bool
	deleted bool
}

// MapOf declares a map for each key, as Value does a value.
func MapOf[M comparable, V any](o *Opening, name string, options ...StateOption) (*MapState[M, V], error) {
	keys, err := rows.Of[M]()
	if err != nil {
		return nil, err
	}
	values, err := rows.Of[V]()
	if err != nil {
		return nil, err
	}
	var schema datatype.Schema
	for _, f := range keys.Schema() {
		schema = append(schema, datatype.Field{Name: "key." + f.Name, Type: f.Type})
	}
	schema = append(schema, values.Schema()...)
	table, err := o.table(process.TableSpec{Name: name, List: schema}, options)
	if err != nil {
		return nil, err
	}
	s := &MapState[M, V]{keys: keys, values: values, table: table, rt: o.rt, open: map[int32]*openMap[M, V]{}}
	o.flushes = append(o.flushes, s.flush)
	return s, nil
}

// Get returns the value of m, and false where there is none.
func (s *MapState[M, V]) Get(m M) (v V, ok bool) {
	x := s.hand()
	i, ok := x.at[m]
	if ok {
		v = x.entries[i].value
	}
	return v, ok
}

// Put writes the value of m.
func (s *MapState[M, V]) Put(m M, v V) {
	x := s.hand()
	x.dirty = true
	if i, ok := x.at[m]; ok {
		x.entries[i].value, x.entries[i].written = v, true
		return
	}
	x.at[m] = len(x.entries)
	x.entries = append(x.entries, mapEntry[M, V]{key: m, value: v, row: -1, written: true})
}

// Delete forgets m.
func (s *MapState[M, V]) Delete(m M) {
	x := s.hand()
	i, ok := x.at[m]
	if !ok {
		return
	}
	delete(x.at, m)
	x.drop(i)
}

func (x *openMap[M, V]) drop(i int) {
	e := &x.entries[i]
	if e.row >= 0 {
		x.gone = append(x.gone, e.row)
	}
	e.deleted, x.dirty = true, true
}

// Clear forgets the map.
func (s *MapState[M, V]) Clear() {
	x := s.hand()
	for i := range x.entries {
		if !x.entries[i].deleted {
			x.drop(i)
		}
	}
	clear(x.at)
}

// Len is how many entries there are.
func (s *MapState[M, V]) Len() int { return len(s.hand().at) }

// All are the entries, in the order in which they came. The map must not be written
// meanwhile.
func (s *MapState[M, V]) All() iter.Seq2[M, V] {
	x := s.hand()
	return func(yield func(M, V) bool) {
		for i := range x.entries {
			if e := &x.entries[i]; !e.deleted && !yield(e.key, e.value) {
				return
			}
		}
	}
}

// hand is the map of the key in hand.
func (s *MapState[M, V]) hand() *openMap[M, V] {
	key := s.table.Key()
	if s.batch != s.table.Batch() {
		s.forget()
	}
	if x := s.open[key]; x != nil {
		return x
	}
	x, err := s.load()
	if err != nil {
		panic(&process.StateError{Err: err})
	}
	s.open[key], s.order = x, append(s.order, key)
	return x
}

func (s *MapState[M, V]) forget() {
	clear(s.open)
	s.order, s.batch = s.order[:0], s.table.Batch()
}

func (s *MapState[M, V]) load() (*openMap[M, V], error) {
	x := &openMap[M, V]{at: map[M]int{}}
	slot := s.table.Find()
	if slot < 0 {
		return x, nil
	}
	numbers := s.table.RowsOf(slot, nil)
	keys, err := decodeRows(s.keys, s.table, s.rt, 0, numbers)
	if err != nil {
		return nil, err
	}
	values, err := decodeRows(s.values, s.table, s.rt, len(s.keys.Schema()), numbers)
	if err != nil {
		return nil, err
	}
	for i, m := range keys {
		x.at[m] = i
		x.entries = append(x.entries, mapEntry[M, V]{key: m, value: values[i], row: numbers[i]})
	}
	return x, nil
}

// flush writes what has changed.
func (s *MapState[M, V]) flush() error {
	if s.batch != s.table.Batch() {
		return nil
	}
	for _, key := range s.order {
		if x := s.open[key]; x.dirty {
			if err := s.write(key, x); err != nil {
				return err
			}
		}
	}
	s.forget()
	return nil
}

func (s *MapState[M, V]) write(key int32, x *openMap[M, V]) error {
	if len(x.at) == 0 {
		s.table.ClearKey(key)
		return nil
	}
	slot, fresh := s.table.PutKey(key)
	lists := s.table.Lists()
	if !fresh {
		lists.RemoveRows(x.gone)
	}
	var replaced, added []mapEntry[M, V]
	for _, e := range x.entries {
		switch {
		case e.deleted || !e.written:
		case e.row >= 0:
			replaced = append(replaced, e)
		default:
			added = append(added, e)
		}
	}
	if err := s.encode(replaced, func(columns []arrow.Array) error {
		numbers := make([]int32, len(replaced))
		for i, e := range replaced {
			numbers[i] = e.row
		}
		return lists.Replace(numbers, columns, nil)
	}); err != nil {
		return err
	}
	return s.encode(added, func(columns []arrow.Array) error {
		return lists.Add(slices.Repeat([]int32{slot}, len(added)), columns, nil, nil)
	})
}

// encode hands entries on as columns, if there are any.
func (s *MapState[M, V]) encode(entries []mapEntry[M, V], do func([]arrow.Array) error) error {
	if len(entries) == 0 {
		return nil
	}
	keys, values := make([]M, len(entries)), make([]V, len(entries))
	for i, e := range entries {
		keys[i], values[i] = e.key, e.value
	}
	columns, err := s.keys.Encode(s.rt.Alloc(), keys)
	if err != nil {
		return err
	}
	defer func() { compute.ReleaseAll(columns) }()
	more, err := s.values.Encode(s.rt.Alloc(), values)
	columns = append(columns, more...)
	if err != nil {
		return err
	}
	return do(columns)
}
