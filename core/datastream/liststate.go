package datastream

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/operator/process"
)

// ListState is a list for each key. Its methods are about the key in hand.
type ListState[T any] struct {
	codec *rows.Codec[T]
	table *process.Table
	rt    *process.Runtime

	// What was appended and is not in the table yet.
	keys   []int32
	values []T
	slots  []int32
	rows   []int32
}

// List declares a list for each key, as Value does a value.
func List[T any](o *Opening, name string, options ...StateOption) (*ListState[T], error) {
	codec, err := rows.Of[T]()
	if err != nil {
		return nil, err
	}
	table, err := o.table(process.TableSpec{Name: name, List: codec.Schema()}, options)
	if err != nil {
		return nil, err
	}
	s := &ListState[T]{codec: codec, table: table, rt: o.rt}
	o.flushes = append(o.flushes, s.flush)
	return s, nil
}

// Append adds a value to the list's end.
func (s *ListState[T]) Append(v T) {
	s.keys, s.values = append(s.keys, s.table.Key()), append(s.values, v)
}

// All returns the list, in the order in which it was appended.
func (s *ListState[T]) All() []T {
	s.must(s.flush())
	slot := s.table.Find()
	if slot < 0 {
		return nil
	}
	s.rows = s.table.RowsOf(slot, s.rows[:0])
	values, err := decodeRows(s.codec, s.table, s.rt, 0, s.rows)
	s.must(err)
	return values
}

// Set replaces the list.
func (s *ListState[T]) Set(all []T) {
	s.Clear()
	for _, v := range all {
		s.Append(v)
	}
}

// Clear forgets the list.
func (s *ListState[T]) Clear() {
	s.must(s.flush())
	s.table.Clear()
}

func (s *ListState[T]) must(err error) {
	if err != nil {
		panic(&process.StateError{Err: err})
	}
}

// flush adds what was appended to the table.
func (s *ListState[T]) flush() error {
	if len(s.values) == 0 {
		return nil
	}
	defer func() {
		clear(s.values)
		s.keys, s.values, s.slots = s.keys[:0], s.values[:0], s.slots[:0]
	}()
	for _, key := range s.keys {
		slot, _ := s.table.PutKey(key)
		s.slots = append(s.slots, slot)
	}
	columns, err := s.codec.Encode(s.rt.Alloc(), s.values)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(columns)
	return s.table.Lists().Add(s.slots, columns, nil, nil)
}

// decodeRows reads rows of lists; the columns begin with one.
func decodeRows[T any](codec *rows.Codec[T], table *process.Table, rt *process.Runtime, from int, numbers []int32) ([]T, error) {
	columns := make([]arrow.Array, 0, len(codec.Schema()))
	defer func() { compute.ReleaseAll(columns) }()
	for i := range codec.Schema() {
		c, err := table.Lists().Take(from+i, numbers)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return codec.Decode(rt.Alloc(), columns, nil, len(numbers), nil)
}
