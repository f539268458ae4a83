package datastream

import (
	"time"

	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/operator/process"
)

// StateOption changes how state is kept.
type StateOption func(*process.TableSpec)

// KeepFor has a key's state forgotten that was not written for so long, by processing time.
// It is never seen afterwards.
func KeepFor(d time.Duration) StateOption {
	return func(s *process.TableSpec) { s.Keep = d }
}

// ValueState is a value for each key. Its methods are about the key in hand.
type ValueState[T any] struct {
	codec *rows.Codec[T]
	table *process.Table
}

// Value declares a value for each key, by a name that is unique in the function and that
// the state is found by in a restore.
func Value[T any](o *Opening, name string, options ...StateOption) (*ValueState[T], error) {
	codec, err := rows.Of[T]()
	if err != nil {
		return nil, err
	}
	table, err := o.table(process.TableSpec{Name: name, Values: codec.Schema()}, options)
	return &ValueState[T]{codec, table}, err
}

func (o *Opening) table(spec process.TableSpec, options []StateOption) (*process.Table, error) {
	for _, change := range options {
		change(&spec)
	}
	return o.rt.Table(spec)
}

// Get returns the value, and false where there is none.
func (s *ValueState[T]) Get() (v T, ok bool) {
	slot := s.table.Find()
	if slot < 0 {
		return v, false
	}
	s.codec.Load(s.table.Values(), slot, &v)
	return v, true
}

// Set writes the value.
func (s *ValueState[T]) Set(v T) {
	slot, _ := s.table.Put()
	s.table.Charge(s.codec.Store(s.table.Values(), slot, &v))
}

// Clear forgets the value.
func (s *ValueState[T]) Clear() { s.table.Clear() }
