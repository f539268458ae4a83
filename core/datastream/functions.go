package datastream

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/stream"
)

// input is the rows of a batch in hand.
type input[T any] struct {
	codec *rows.Codec[T]
	rt    *process.Runtime
	rows  []T
	place int // -1: none
}

// take decodes a batch, whose first columns are those of T.
func (in *input[T]) take(b *stream.Batch) (err error) {
	in.place = -1
	columns := b.Record.Columns()[:len(in.codec.Schema())]
	in.rows, err = in.codec.Decode(in.rt.Alloc(), columns, b.Sel, b.Len(), in.rows)
	return err
}

// Row implements process.Function.
func (in *input[T]) Row() string {
	if in.place < 0 || in.place >= len(in.rows) {
		return ""
	}
	return fmt.Sprintf("row %d: %+v", in.place, in.rows[in.place])
}

// failed is an error of the user's code, with the row in hand.
func (in *input[T]) failed(err error) error {
	if err == nil {
		return nil
	}
	return userError(in.Row(), err)
}

// userError classifies an error that nobody has classified.
func userError(row string, err error) error {
	class := failure.Of(err)
	if class == failure.Fatal {
		class = failure.UserCode
	}
	if row == "" {
		return failure.Wrap(class, err)
	}
	return failure.Errorf(class, "%s: %w", row, err)
}

// noTimers is the part of a function that sets none.
type noTimers struct{}

// Timers implements process.Function.
func (noTimers) Timers(int) error { return nil }

// Timer implements process.Function.
func (noTimers) Timer(int, process.Timer) error { return nil }

// Close implements process.Function.
func (noTimers) Close() error { return nil }

// mapping is Map and FlatMap.
type mapping[In, Out any] struct {
	input[In]
	noTimers

	out  Collector[Out]
	each func(In, *Collector[Out]) error
}

// Open implements process.Function.
func (m *mapping[In, Out]) Open(r *process.Runtime) error {
	m.rt = r
	m.out.open(r, 0)
	return nil
}

// Process implements process.Function.
func (m *mapping[In, Out]) Process(_ int, b *stream.Batch) error {
	if err := m.take(b); err != nil {
		return err
	}
	for i := range m.rows {
		m.place = i
		if err := m.each(m.rows[i], &m.out); err != nil {
			return m.failed(err)
		}
		if m.out.err != nil {
			return m.out.err
		}
	}
	return nil
}

// Flush implements process.Function.
func (m *mapping[In, Out]) Flush() error { return m.out.flush() }

// filter is Filter: what stays is a selection.
type filter[T any] struct {
	input[T]
	noTimers

	keep func(T) (bool, error)
}

// Open implements process.Function.
func (f *filter[T]) Open(r *process.Runtime) error {
	f.rt = r
	return nil
}

// Process implements process.Function.
func (f *filter[T]) Process(_ int, b *stream.Batch) error {
	if err := f.take(b); err != nil {
		return err
	}
	kept := make([]int32, 0, len(f.rows))
	for i := range f.rows {
		f.place = i
		keep, err := f.keep(f.rows[i])
		switch {
		case err != nil:
			return f.failed(err)
		case keep && b.Sel != nil:
			kept = append(kept, b.Sel[i])
		case keep:
			kept = append(kept, int32(i))
		}
	}
	if len(kept) == 0 {
		return nil
	}
	out := b.Share()
	out.Sel = kept
	return f.rt.Emit(0, out)
}

// Flush implements process.Function.
func (f *filter[T]) Flush() error { return nil }

// keying is KeyBy: the rows as they are, and their keys as columns behind.
type keying[K, T any] struct {
	input[T]
	noTimers

	keys   *rows.Codec[K]
	schema *arrow.Schema
	key    func(T) K
	made   []K
}

// Open implements process.Function.
func (k *keying[K, T]) Open(r *process.Runtime) error {
	k.rt = r
	return nil
}

// Process implements process.Function.
func (k *keying[K, T]) Process(_ int, b *stream.Batch) error {
	dense, err := compute.TakeBatch(k.rt.Alloc(), b.Share())
	if err != nil {
		return err
	}
	defer dense.Release()
	if err := k.take(dense); err != nil {
		return err
	}
	k.made = k.made[:0]
	for i := range k.rows {
		k.place = i
		k.made = append(k.made, k.key(k.rows[i]))
	}
	columns, err := k.keys.Encode(k.rt.Alloc(), k.made)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(columns)
	all := append(dense.Record.Columns()[:dense.Record.NumCols():dense.Record.NumCols()], columns...)
	return k.rt.Emit(0, operator.NewBatch(k.schema, all, dense.Len()))
}

// Flush implements process.Function.
func (k *keying[K, T]) Flush() error { return nil }
