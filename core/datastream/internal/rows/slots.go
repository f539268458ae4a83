package rows

import (
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/state"
)

// Load reads a slot of keyed state, whose columns are those of Schema, into v.
func (c *Codec[T]) Load(columns []*state.Column, slot int32, v *T) {
	for i := range c.fields {
		f, x := &c.fields[i], columns[i]
		at := unsafe.Add(unsafe.Pointer(v), f.offset)
		valid := x.Valid[slot]
		switch f.form {
		case boolForm:
			load(f, at, valid, func() bool { return x.Int64[slot] != 0 })
		case int8Form:
			load(f, at, valid, func() int8 { return int8(x.Int64[slot]) })
		case int16Form:
			load(f, at, valid, func() int16 { return int16(x.Int64[slot]) })
		case int32Form:
			load(f, at, valid, func() int32 { return int32(x.Int64[slot]) })
		case int64Form:
			load(f, at, valid, func() int64 { return x.Int64[slot] })
		case float32Form:
			load(f, at, valid, func() float32 { return float32(x.Float64[slot]) })
		case float64Form:
			load(f, at, valid, func() float64 { return x.Float64[slot] })
		case stringForm:
			load(f, at, valid, func() string { return string(x.Bytes[slot]) })
		case bytesForm:
			load(f, at, valid, func() []byte { return append([]byte{}, x.Bytes[slot]...) })
		case timeForm:
			load(f, at, valid, func() time.Time { return arrow.Timestamp(x.Int64[slot]).ToTime(f.unit()) })
		}
	}
}

func load[V any](f *field, at unsafe.Pointer, valid bool, value func() V) {
	switch {
	case !f.null:
		*(*V)(at) = value()
	case valid:
		v := value()
		*(**V)(at) = &v
	default:
		*(**V)(at) = nil
	}
}

// Store writes v to a slot and returns by how many bytes its texts have grown.
func (c *Codec[T]) Store(columns []*state.Column, slot int32, v *T) (grown int) {
	for i := range c.fields {
		f, x := &c.fields[i], columns[i]
		at := unsafe.Add(unsafe.Pointer(v), f.offset)
		if x.Bytes != nil {
			grown -= len(x.Bytes[slot])
		}
		if f.null {
			if at = *(*unsafe.Pointer)(at); at == nil {
				f.storeNull(x, slot)
				continue
			}
		}
		x.Valid[slot] = true
		f.store(x, slot, at)
		if x.Bytes != nil {
			grown += len(x.Bytes[slot])
		}
	}
	return grown
}

func (f *field) storeNull(x *state.Column, slot int32) {
	x.Valid[slot] = false
	if x.Bytes != nil {
		x.Bytes[slot] = nil
	}
}

func (f *field) store(x *state.Column, slot int32, at unsafe.Pointer) {
	switch f.form {
	case boolForm:
		x.Int64[slot] = 0
		if *(*bool)(at) {
			x.Int64[slot] = 1
		}
	case int8Form:
		x.Int64[slot] = int64(*(*int8)(at))
	case int16Form:
		x.Int64[slot] = int64(*(*int16)(at))
	case int32Form:
		x.Int64[slot] = int64(*(*int32)(at))
	case int64Form:
		x.Int64[slot] = *(*int64)(at)
	case float32Form:
		x.Float64[slot] = float64(*(*float32)(at))
	case float64Form:
		x.Float64[slot] = *(*float64)(at)
	case stringForm:
		x.Bytes[slot] = []byte(*(*string)(at))
	case bytesForm:
		x.Bytes[slot] = append([]byte{}, *(*[]byte)(at)...)
	case timeForm:
		x.Int64[slot] = instant(*(*time.Time)(at), f.unit())
	}
}
