package datastream

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/operator/process"
)

// SharedList is a list that belongs to a subtask and to no key.
type SharedList[T any] struct {
	Values []T // the function's to change

	codec *rows.Codec[T]
	alloc memory.Allocator
	union bool
}

// Share declares a list of which each subtask of a restore gets its own values again; where
// there are more or fewer subtasks than before, values are dealt out one after the other.
func Share[T any](o *Opening, name string) (*SharedList[T], error) {
	return sharedList[T](o, name, false)
}

// UnionOf declares a list of which every subtask of a restore gets the values of all.
func UnionOf[T any](o *Opening, name string) (*SharedList[T], error) {
	return sharedList[T](o, name, true)
}

func sharedList[T any](o *Opening, name string, union bool) (*SharedList[T], error) {
	codec, err := rows.Of[T]()
	if err != nil {
		return nil, err
	}
	s := &SharedList[T]{codec: codec, alloc: o.rt.Alloc(), union: union}
	return s, o.rt.Share(name, s)
}

// Snapshot implements process.Shared.
func (s *SharedList[T]) Snapshot() ([]byte, error) { return marshal(s.alloc, s.codec, s.Values) }

// Restore implements process.Shared.
func (s *SharedList[T]) Restore(former [][]byte, subtask, parallelism int) error {
	// Where their number is the same each keeps its own: one may be restored while the others
	// go on, and must not get what they have.
	own, n := len(former) == parallelism, 0
	for i, data := range former {
		values, err := unmarshal(s.alloc, s.codec, data)
		if err != nil {
			return err
		}
		for _, v := range values {
			dealt := n % parallelism
			if own {
				dealt = i
			}
			if s.union || dealt == subtask {
				s.Values = append(s.Values, v)
			}
			n++
		}
	}
	return nil
}

// BroadcastState is a map that is the same in all subtasks: it is written only where rows
// come that all subtasks get, in the same way.
type BroadcastState[K comparable, V any] struct {
	keys   *rows.Codec[K]
	values *rows.Codec[V]
	alloc  memory.Allocator
	at     map[K]int
	order  []K
	all    []V
}

// Broadcast declares a map that is the same in all subtasks.
func Broadcast[K comparable, V any](o *Opening, name string) (*BroadcastState[K, V], error) {
	keys, err := rows.Of[K]()
	if err != nil {
		return nil, err
	}
	values, err := rows.Of[V]()
	if err != nil {
		return nil, err
	}
	s := &BroadcastState[K, V]{keys: keys, values: values, alloc: o.rt.Alloc(), at: map[K]int{}}
	return s, o.rt.Share(name, s)
}

// Get returns the value of k, and false where there is none.
func (s *BroadcastState[K, V]) Get(k K) (v V, ok bool) {
	i, ok := s.at[k]
	if ok {
		v = s.all[i]
	}
	return v, ok
}

// Put writes the value of k.
func (s *BroadcastState[K, V]) Put(k K, v V) {
	i, ok := s.at[k]
	if !ok {
		i = len(s.order)
		s.at[k], s.order, s.all = i, append(s.order, k), append(s.all, v)
	}
	s.all[i] = v
}

// Delete forgets k.
func (s *BroadcastState[K, V]) Delete(k K) {
	i, ok := s.at[k]
	if !ok {
		return
	}
	delete(s.at, k)
	last := len(s.order) - 1
	if i != last {
		s.order[i], s.all[i] = s.order[last], s.all[last]
		s.at[s.order[i]] = i
	}
	s.order, s.all = s.order[:last], s.all[:last]
}

// All are the entries, in no order that says anything, but the same in all subtasks.
func (s *BroadcastState[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i, k := range s.order {
			if !yield(k, s.all[i]) {
				return
			}
		}
	}
}

// Snapshot implements process.Shared: the keys, then the values.
func (s *BroadcastState[K, V]) Snapshot() ([]byte, error) {
	keys, err := marshal(s.alloc, s.keys, s.order)
	if err != nil {
		return nil, err
	}
	values, err := marshal(s.alloc, s.values, s.all)
	if err != nil {
		return nil, err
	}
	out := fmt.Appendf(nil, "%020d", len(keys))
	return append(append(out, keys...), values...), nil
}

// Restore implements process.Shared: one copy is as good as another.
func (s *BroadcastState[K, V]) Restore(former [][]byte, subtask, _ int) error {
	if len(former) == 0 {
		return nil
	}
	data, size := former[subtask%len(former)], 0
	if _, err := fmt.Sscanf(string(data[:min(len(data), 20)]), "%020d", &size); err != nil || size > len(data)-20 {
		return failure.Errorf(failure.BadData, "the saved broadcast state of %d bytes is damaged", len(data))
	}
	keys, err := unmarshal(s.alloc, s.keys, data[20:20+size])
	if err != nil {
		return err
	}
	values, err := unmarshal(s.alloc, s.values, data[20+size:])
	if err != nil {
		return err
	}
	if len(keys) != len(values) {
		return failure.Errorf(failure.BadData, "the saved broadcast state has %d keys and %d values", len(keys), len(values))
	}
	for i, k := range keys {
		s.Put(k, values[i])
	}
	return nil
}

// marshal writes values as an Arrow IPC stream, which has their columns in it.
func marshal[T any](mem memory.Allocator, codec *rows.Codec[T], values []T) ([]byte, error) {
	columns, err := codec.Encode(mem, values)
	if err != nil {
		return nil, err
	}
	defer compute.ReleaseAll(columns)
	record := array.NewRecordBatch(codec.Schema().Arrow(), columns, int64(len(values)))
	defer record.Release()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(record.Schema()), ipc.WithAllocator(mem))
	if err := w.Write(record); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// unmarshal is the inverse; it refuses other columns.
func unmarshal[T any](mem memory.Allocator, codec *rows.Codec[T], data []byte) (values []T, err error) {
	r, err := ipc.NewReader(bytes.NewReader(data), ipc.WithAllocator(mem))
	if err != nil {
		return nil, failure.Errorf(failure.BadData, "read saved values: %w", err)
	}
	defer r.Release()
	if want := codec.Schema().Arrow(); !r.Schema().Equal(want) {
		return nil, failure.Errorf(failure.Fatal, "the saved values have the columns %v, now they have %v", r.Schema(), want)
	}
	for r.Next() {
		record := r.RecordBatch()
		some, err := codec.Decode(mem, record.Columns(), nil, int(record.NumRows()), nil)
		if err != nil {
			return nil, err
		}
		values = append(values, some...)
	}
	if r.Err() != nil {
		return nil, failure.Errorf(failure.BadData, "read saved values: %w", r.Err())
	}
	return values, nil
}

var (
	_ process.Shared = (*SharedList[int64])(nil)
	_ process.Shared = (*BroadcastState[int64, int64])(nil)
)
