package rows

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
)

// Encode writes values as columns, which the caller releases.
func (c *Codec[T]) Encode(mem memory.Allocator, values []T) (columns []arrow.Array, err error) {
	columns = make([]arrow.Array, 0, len(c.fields))
	defer func() {
		if err != nil {
			compute.ReleaseAll(columns)
			columns = nil
		}
	}()
	for i := range c.fields {
		f := &c.fields[i]
		p := places{unsafe.Pointer(unsafe.SliceData(values)), f.offset, c.stride, len(values)}
		b := array.NewBuilder(mem, f.typ.Arrow())
		err := f.encode(b, p)
		if err != nil {
			b.Release()
			return columns, fmt.Errorf("column %s: %w", f.name, err)
		}
		columns = append(columns, b.NewArray())
		b.Release()
	}
	return columns, nil
}

func (f *field) encode(b array.Builder, p places) error {
	b.Reserve(p.n)
	switch b := b.(type) {
	case *array.BooleanBuilder:
		take(f, p, b, b.UnsafeAppend)
	case *array.Int8Builder:
		take(f, p, b, b.UnsafeAppend)
	case *array.Int16Builder:
		take(f, p, b, b.UnsafeAppend)
	case *array.Int32Builder:
		take(f, p, b, b.UnsafeAppend)
	case *array.Date32Builder:
		take(f, p, b, func(v int32) { b.UnsafeAppend(arrow.Date32(v)) })
	case *array.Int64Builder:
		take(f, p, b, b.UnsafeAppend)
	case *array.Float32Builder:
		take(f, p, b, b.UnsafeAppend)
	case *array.Float64Builder:
		take(f, p, b, b.UnsafeAppend)
	case *array.TimestampBuilder:
		unit := f.unit()
		take(f, p, b, func(v time.Time) { b.UnsafeAppend(arrow.Timestamp(instant(v, unit))) })
	case *array.StringBuilder:
		if err := room(f, p, b.BinaryBuilder, func(s string) int { return len(s) }); err != nil {
			return err
		}
		take(f, p, b, b.Append)
	case *array.BinaryBuilder:
		if err := room(f, p, b, func(s []byte) int { return len(s) }); err != nil {
			return err
		}
		take(f, p, b, b.Append)
	default:
		return failure.Errorf(failure.Internal, "a builder of type %T", b)
	}
	return nil
}

// instant is a time in a unit since the epoch.
func instant(v time.Time, unit arrow.TimeUnit) int64 {
	switch unit {
	case arrow.Millisecond:
		return v.UnixMilli()
	case arrow.Microsecond:
		return v.UnixMicro()
	default:
		return v.UnixNano()
	}
}

// take hands the values of a field on, in their order.
func take[V any](f *field, p places, b array.Builder, add func(V)) {
	if !f.null {
		for i := range p.n {
			add(*(*V)(p.at(i)))
		}
		return
	}
	for i := range p.n {
		if v := *(**V)(p.at(i)); v != nil {
			add(*v)
		} else {
			b.AppendNull()
		}
	}
}

// room makes room for texts, and refuses more than a column holds.
func room[V any](f *field, p places, b *array.BinaryBuilder, size func(V) int) error {
	all := 0
	for i := range p.n {
		if !f.null {
			all += size(*(*V)(p.at(i)))
		} else if v := *(**V)(p.at(i)); v != nil {
			all += size(*v)
		}
	}
	if err := compute.RoomFor(b, all); err != nil {
		return err
	}
	b.ReserveData(all)
	return nil
}
