package hashtable

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// Storage is the slice of a state.Column that a type's values lie in.
type Storage uint8

// The storages.
const (
	NoStorage Storage = iota
	Integer
	Real
	Wide
	Chars
)

// String is the storage's name.
func (s Storage) String() string {
	switch s {
	case Integer:
		return "integer"
	case Real:
		return "real"
	case Wide:
		return "wide"
	case Chars:
		return "chars"
	default:
		return "none"
	}
}

// StorageOf returns where values of t lie, NoStorage for nested types.
func StorageOf(t datatype.Type) Storage {
	switch {
	case t.Is(datatype.Float, datatype.Double):
		return Real
	case t.Kind == datatype.Decimal && t.Precision > datatype.MaxDecimal64Precision:
		return Wide
	case t.IsString() || t.IsBinary():
		return Chars
	case t.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row, datatype.Invalid):
		return NoStorage
	default:
		return Integer
	}
}

// NewColumn returns an empty column for values of t.
func NewColumn(t datatype.Type) (*state.Column, error) {
	if StorageOf(t) == NoStorage {
		return nil, fmt.Errorf("column of type %s cannot be kept by slot", t)
	}
	return &state.Column{Type: t}, nil
}

// NullColumn returns a column of n nulls of type t, with room for n values.
func NullColumn(t datatype.Type, n int) *state.Column {
	c := &state.Column{Type: t, Valid: make([]bool, n)}
	switch StorageOf(t) {
	case Integer:
		c.Int64 = make([]int64, n)
	case Real:
		c.Float64 = make([]float64, n)
	case Wide:
		c.Dec128 = make([]decimal128.Num, n)
	default:
		c.Bytes = make([][]byte, n)
	}
	return c
}

// extend lengthens c to n values, the new ones zero and null.
func extend(l *ledger, c *state.Column, n int) error { return widen(l, c, n, true) }

// reserve makes room for n values in all.
func reserve(l *ledger, c *state.Column, n int) error { return widen(l, c, n, false) }

// widen makes room for n values, and has c use it.
func widen(l *ledger, c *state.Column, n int, use bool) (err error) {
	old := len(c.Valid)
	add, length := n-old, old
	if use {
		length = n
	}
	switch StorageOf(c.Type) {
	case Integer:
		c.Int64, err = wider(l, c.Int64, add, length)
	case Real:
		c.Float64, err = wider(l, c.Float64, add, length)
	case Wide:
		c.Dec128, err = wider(l, c.Dec128, add, length)
	default:
		c.Bytes, err = wider(l, c.Bytes, add, length)
	}
	if err == nil {
		c.Valid, err = wider(l, c.Valid, add, length)
	}
	return err
}

// reset makes slots of c zero and null.
func reset(c *state.Column, slots []int32) {
	for _, s := range slots {
		c.Valid[s] = false
	}
	switch StorageOf(c.Type) {
	case Integer:
		for _, s := range slots {
			c.Int64[s] = 0
		}
	case Real:
		for _, s := range slots {
			c.Float64[s] = 0
		}
	case Wide:
		for _, s := range slots {
			c.Dec128[s] = decimal128.Num{}
		}
	default:
		for _, s := range slots {
			c.Bytes[s] = nil
		}
	}
}

// longer is s with n more elements, which are zero.
func longer[T any](l *ledger, s []T, n int) ([]T, error) { return wider(l, s, n, len(s)+n) }

// wider is s with room for n more elements, of the given length; what is new of it is zero.
func wider[T any](l *ledger, s []T, n, length int) ([]T, error) {
	s, err := room(l, s, n)
	if err != nil {
		return s, err
	}
	old := len(s)
	s = s[:length]
	clear(s[old:])
	return s, nil
}

// sized returns buf with length n.
func sized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}

// ToArrow returns slots [from, to) of c as a new array of its type.
func ToArrow(mem memory.Allocator, c *state.Column, from, to int) (arrow.Array, error) {
	valid, nulls := bitmap(mem, c.Valid[from:to])
	if valid != nil {
		defer valid.Release()
	}
	dt := c.Type.Arrow()
	switch StorageOf(c.Type) {
	case Integer:
		return integersToArrow(mem, dt, c.Int64[from:to], valid, nulls), nil
	case Real:
		if dt.ID() == arrow.FLOAT32 {
			return fixedToArrow[float32](mem, dt, c.Float64[from:to], valid, nulls), nil
		}
		return fixedToArrow[float64](mem, dt, c.Float64[from:to], valid, nulls), nil
	case Wide:
		buf := memory.NewResizableBuffer(mem)
		buf.Resize((to - from) * arrow.Decimal128SizeBytes)
		copy(arrow.GetData[decimal128.Num](buf.Bytes()), c.Dec128[from:to])
		return wrap(dt, to-from, valid, buf, nulls), nil
	default:
		return textsToArrow(mem, dt, c.Bytes[from:to], valid, nulls)
	}
}

// bitmap packs valid; it is nil when nothing is null.
func bitmap(mem memory.Allocator, valid []bool) (*memory.Buffer, int) {
	nulls := 0
	for _, v := range valid {
		if !v {
			nulls++
		}
	}
	if nulls == 0 {
		return nil, 0
	}
	buf := memory.NewResizableBuffer(mem)
	buf.Resize((len(valid) + 7) / 8)
	out := buf.Bytes()
	clear(out)
	for i, v := range valid {
		if v {
			out[i>>3] |= 1 << (i & 7)
		}
	}
	return buf, nulls
}

func integersToArrow(mem memory.Allocator, dt arrow.DataType, v []int64, valid *memory.Buffer, nulls int) arrow.Array {
	switch dt.ID() {
	case arrow.NULL:
		return array.NewNull(len(v))
	case arrow.BOOL:
		set := make([]bool, len(v))
		for i, x := range v {
			set[i] = x != 0
		}
		buf, _ := bitmap(mem, set)
		if buf == nil { // all true
			buf = memory.NewResizableBuffer(mem)
			buf.Resize((len(v) + 7) / 8)
			for i := range buf.Bytes() {
				buf.Bytes()[i] = 0xFF
			}
		}
		return wrap(dt, len(v), valid, buf, nulls)
	}
	switch dt.(arrow.FixedWidthDataType).Bytes() {
	case 1:
		return fixedToArrow[int8](mem, dt, v, valid, nulls)
	case 2:
		return fixedToArrow[int16](mem, dt, v, valid, nulls)
	case 4:
		return fixedToArrow[int32](mem, dt, v, valid, nulls)
	default:
		return fixedToArrow[int64](mem, dt, v, valid, nulls)
	}
}

func fixedToArrow[T int8 | int16 | int32 | int64 | float32 | float64, I int64 | float64](mem memory.Allocator, dt arrow.DataType, v []I, valid *memory.Buffer, nulls int) arrow.Array {
	buf := memory.NewResizableBuffer(mem)
	buf.Resize(len(v) * dt.(arrow.FixedWidthDataType).Bytes())
	out := arrow.GetData[T](buf.Bytes())
	for i, x := range v {
		out[i] = T(x)
	}
	return wrap(dt, len(v), valid, buf, nulls)
}

// wrap makes an array of two buffers and lets go of the values.
func wrap(dt arrow.DataType, n int, valid, values *memory.Buffer, nulls int) arrow.Array {
	defer values.Release()
	d := array.NewData(dt, n, []*memory.Buffer{valid, values}, nil, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

func textsToArrow(mem memory.Allocator, dt arrow.DataType, v [][]byte, valid *memory.Buffer, nulls int) (arrow.Array, error) {
	total := 0
	for _, b := range v {
		total += len(b)
	}
	if total > math.MaxInt32 {
		return nil, fmt.Errorf("%d rows: %w", len(v), compute.TooLarge("bytes of text", int64(total)))
	}
	offsets, chars := memory.NewResizableBuffer(mem), memory.NewResizableBuffer(mem)
	defer offsets.Release()
	defer chars.Release()
	offsets.Resize((len(v) + 1) * 4)
	chars.Resize(total)
	to, out := arrow.GetData[int32](offsets.Bytes()), chars.Bytes()
	at := 0
	to[0] = 0
	for i, b := range v {
		at += copy(out[at:], b)
		to[i+1] = int32(at)
	}
	return wrapTexts(dt, len(v), valid, offsets, chars, nulls), nil
}

func wrapTexts(dt arrow.DataType, n int, valid, offsets, chars *memory.Buffer, nulls int) arrow.Array {
	d := array.NewData(dt, n, []*memory.Buffer{valid, offsets, chars}, nil, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// Load writes the rows of sel (nil: all) of a, a column of c's type, to slots of
// c; characters are copied.
func Load(c *state.Column, a arrow.Array, sel, slots []int32) {
	switch StorageOf(c.Type) {
	case Integer:
		v, _ := compute.Integers(a, sel, nil)
		for i, s := range slots {
			c.Int64[s] = v[i]
		}
	case Real:
		v, _ := compute.Reals(a, sel, nil)
		for i, s := range slots {
			c.Float64[s] = v[i]
		}
	case Wide:
		v, _ := compute.Wides(a, sel, nil)
		for i, s := range slots {
			c.Dec128[s] = v[i]
		}
	}
	loadValid(c, a, sel, slots)
	if StorageOf(c.Type) != Chars {
		return
	}
	texts := compute.NewTexts(a)
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		if c.Bytes[s] = nil; c.Valid[s] {
			c.Bytes[s] = append([]byte(nil), texts.At(r)...)
		}
	}
}

func loadValid(c *state.Column, a arrow.Array, sel, slots []int32) {
	valid := compute.Validity(a, sel, nil)
	for i, s := range slots {
		c.Valid[s] = valid == nil || valid[i]
	}
}

// Texts copies the characters of the rows of sel of a, each on its own; null has none. It uses out
// if that has room.
func Texts(a arrow.Array, sel []int32, out [][]byte) [][]byte {
	texts := compute.NewTexts(a)
	out = sized(out, len(sel))
	for i, r := range sel {
		if out[i] = nil; a.IsValid(int(r)) {
			out[i] = append([]byte(nil), texts.At(int(r))...)
		}
	}
	return out
}

// LoadTexts is Load with characters that Texts has copied, which become c's.
func LoadTexts(c *state.Column, a arrow.Array, sel, slots []int32, texts [][]byte) {
	loadValid(c, a, sel, slots)
	for i, s := range slots {
		c.Bytes[s] = texts[i]
	}
}

// Copy writes rows of from, with what nulls hide, to slots of to, a column of the same
// type. Characters are shared.
func Copy(to, from *state.Column, rows, slots []int32) {
	for i, s := range slots {
		to.Valid[s] = from.Valid[rows[i]]
	}
	switch StorageOf(to.Type) {
	case Integer:
		copyTo(to.Int64, from.Int64, rows, slots)
	case Real:
		copyTo(to.Float64, from.Float64, rows, slots)
	case Wide:
		copyTo(to.Dec128, from.Dec128, rows, slots)
	default:
		copyTo(to.Bytes, from.Bytes, rows, slots)
	}
}

func copyTo[T any](to, from []T, rows, slots []int32) {
	for i, s := range slots {
		to[s] = from[rows[i]]
	}
}

// Held is how many bytes the character values of columns hold outside their
// table.
func Held(columns []*state.Column) int64 {
	n := int64(0)
	for _, c := range columns {
		for _, b := range c.Bytes {
			n += int64(len(b))
		}
	}
	return n
}
