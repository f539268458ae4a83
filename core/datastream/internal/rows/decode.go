package rows

import (
	"fmt"
	"strings"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// Decode reads rows sel (nil: all n) of columns, which are those of Schema, into values,
// whose room it uses. Texts are copied, all of a column at once.
func (c *Codec[T]) Decode(mem memory.Allocator, columns []arrow.Array, sel []int32, n int, values []T) ([]T, error) {
	if cap(values) < n {
		values = make([]T, n)
	}
	values = values[:n]
	if n == 0 {
		return values, nil
	}
	for i := range c.fields {
		f := &c.fields[i]
		p := places{unsafe.Pointer(unsafe.SliceData(values)), f.offset, c.stride, n}
		if err := f.decode(mem, columns[i], sel, p); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.name, err)
		}
	}
	return values, nil
}

// places are those of a field in a slice of values.
type places struct {
	base           unsafe.Pointer
	offset, stride uintptr
	n              int
}

// at is the place of a field in value i.
func (p places) at(i int) unsafe.Pointer {
	return unsafe.Add(p.base, uintptr(i)*p.stride+p.offset)
}

func (f *field) decode(mem memory.Allocator, a arrow.Array, sel []int32, p places) error {
	if a.DataType().ID() == arrow.DICTIONARY {
		plain, err := compute.Decode(mem, a)
		if err != nil {
			return err
		}
		defer plain.Release()
		a = plain
	}
	if !f.null && a.NullN() > 0 {
		if err := refuseNull(a, sel, p.n); err != nil {
			return err
		}
	}
	switch f.form {
	case boolForm:
		x := a.(*array.Boolean)
		put(f, a, sel, p, func(row int) bool { return x.Value(row) })
	case int8Form:
		fixed(f, a, sel, p, a.(*array.Int8).Int8Values())
	case int16Form:
		fixed(f, a, sel, p, a.(*array.Int16).Int16Values())
	case int32Form:
		if d, ok := a.(*array.Date32); ok {
			put(f, a, sel, p, func(row int) int32 { return int32(d.Value(row)) })
			return nil
		}
		fixed(f, a, sel, p, a.(*array.Int32).Int32Values())
	case int64Form:
		fixed(f, a, sel, p, a.(*array.Int64).Int64Values())
	case float32Form:
		fixed(f, a, sel, p, a.(*array.Float32).Float32Values())
	case float64Form:
		fixed(f, a, sel, p, a.(*array.Float64).Float64Values())
	case stringForm:
		f.decodeStrings(a, sel, p)
	case bytesForm:
		x := compute.NewTexts(a)
		put(f, a, sel, p, func(row int) []byte { return append([]byte{}, x.At(row)...) })
	case timeForm:
		x, unit := a.(*array.Timestamp), f.unit()
		put(f, a, sel, p, func(row int) time.Time { return x.Value(row).ToTime(unit) })
	default:
		return failure.Errorf(failure.Internal, "a field of form %d", f.form)
	}
	return nil
}

// unit is that of a timestamp column.
func (f *field) unit() arrow.TimeUnit { return datatype.TimestampUnit(f.typ.Precision) }

// refuseNull names the first row that is null.
func refuseNull(a arrow.Array, sel []int32, n int) error {
	for i := range n {
		if a.IsNull(physical(sel, i)) {
			return failure.Errorf(failure.BadData, "row %d is NULL, and the field is no pointer", i)
		}
	}
	return nil
}

func physical(sel []int32, i int) int {
	if sel != nil {
		return int(sel[i])
	}
	return i
}

// fixed puts values of fixed width.
func fixed[V any](f *field, a arrow.Array, sel []int32, p places, values []V) {
	switch {
	case f.null:
		put(f, a, sel, p, func(row int) V { return values[row] })
	case sel == nil:
		for i, v := range values[:p.n] {
			*(*V)(p.at(i)) = v
		}
	default:
		for i, row := range sel[:p.n] {
			*(*V)(p.at(i)) = values[row]
		}
	}
}

// put puts values one by one; those of pointers have a place of their own in each batch.
func put[V any](f *field, a arrow.Array, sel []int32, p places, value func(row int) V) {
	if !f.null {
		for i := range p.n {
			*(*V)(p.at(i)) = value(physical(sel, i))
		}
		return
	}
	own := make([]V, p.n)
	for i := range p.n {
		row := physical(sel, i)
		if a.IsNull(row) {
			*(**V)(p.at(i)) = nil
			continue
		}
		own[i] = value(row)
		*(**V)(p.at(i)) = &own[i]
	}
}

// decodeStrings copies the texts of all rows at once; the strings are parts of the copy.
func (f *field) decodeStrings(a arrow.Array, sel []int32, p places) {
	x, size := compute.NewTexts(a), 0
	for i := range p.n {
		if row := physical(sel, i); a.IsValid(row) {
			size += len(x.At(row))
		}
	}
	var all strings.Builder
	all.Grow(size)
	put(f, a, sel, p, func(row int) string {
		text, from := x.At(row), all.Len()
		all.Write(text) // within what was grown: what was written stays where it is
		return all.String()[from:]
	})
}
