package cells

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// Kind says what stands in a cell.
type Kind uint8

const (
	// Null is no value; it is the zero Kind, so a cell never set is null.
	Null Kind = iota
	// Plain text is taken as it is.
	Plain
	// Quoted text is a string; it is taken as it is.
	Quoted
	// Escaped text is a string that Unescape must decode first.
	Escaped
)

// Cell is a piece of text: data[Start:End].
type Cell struct {
	Start, End uint32
	Kind       Kind
}

// Converter makes arrays of one type. It belongs to one column of one reader.
type Converter struct {
	Type  datatype.Type
	Alloc memory.Allocator
	// Unescape appends the decoded text of an Escaped cell.
	Unescape func(dst, text []byte) ([]byte, error)
	// Lenient makes a cell that does not parse null instead of an error, and
	// counts it in Bad.
	Lenient bool
	Bad     int64
	// Reject takes cells that are no values, or missing ones, instead of the first ending
	// the array, in which they are null; nil: it ends.
	Reject  func(*Error)
	scratch []byte
}

// Supported reports whether columns of type t can be made of cells.
func Supported(t datatype.Type) bool {
	switch t.Kind {
	case datatype.Array, datatype.Map, datatype.Multiset, datatype.Row, datatype.IntervalMonth, datatype.IntervalSecond, datatype.Invalid:
		return false
	}
	return true
}

// Error is a cell that is not a value of its column's type.
type Error struct {
	Row  int // index among the cells
	Text string
	Type datatype.Type
}

// Error implements error.
func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("no value for %s", e.Type)
	}
	text := e.Text
	if len(text) > 60 {
		text = text[:60] + "..."
	}
	return fmt.Sprintf("value %q is not a %s", text, e.Type.WithNull(true))
}

// Array parses the cells. The error is an *Error unless memory or decoding failed.
func (c *Converter) Array(data []byte, cells []Cell) (arrow.Array, error) {
	switch c.Type.Kind {
	case datatype.Null:
		return array.NewNull(len(cells)), nil
	case datatype.Boolean:
		return c.booleans(data, cells)
	case datatype.Char, datatype.Varchar:
		return c.strings(data, cells)
	case datatype.Binary, datatype.Varbinary:
		return c.binaries(data, cells)
	case datatype.Float:
		return fixed(c, data, cells, arrow.Float32Traits.CastFromBytes, parseFloat32, (*fixedColumn[float32]).parseCells)
	case datatype.Double:
		return fixed(c, data, cells, arrow.Float64Traits.CastFromBytes, parseFloat64, (*fixedColumn[float64]).parseCells)
	case datatype.TinyInt:
		return fixed(c, data, cells, arrow.Int8Traits.CastFromBytes, parseInt8, integers)
	case datatype.SmallInt:
		return fixed(c, data, cells, arrow.Int16Traits.CastFromBytes, parseInt16, integers)
	case datatype.Int:
		return fixed(c, data, cells, arrow.Int32Traits.CastFromBytes, parseInt32, integers)
	case datatype.BigInt:
		return fixed(c, data, cells, arrow.Int64Traits.CastFromBytes, parseInt64, integers)
	case datatype.Date:
		return fixed(c, data, cells, arrow.Int32Traits.CastFromBytes, parseDate, dates)
	case datatype.Decimal:
		if c.Type.Precision <= datatype.MaxDecimal64Precision {
			return fixed(c, data, cells, arrow.Int64Traits.CastFromBytes, parseDecimal64, decimals64)
		}
		return fixed(c, data, cells, arrow.Decimal128Traits.CastFromBytes, parseDecimal128, (*fixedColumn[decimal128.Num]).parseCells)
	case datatype.Time:
		if c.Type.Precision <= 3 {
			return fixed(c, data, cells, arrow.Int32Traits.CastFromBytes, parseTime32, (*fixedColumn[int32]).parseCells)
		}
		return fixed(c, data, cells, arrow.Int64Traits.CastFromBytes, parseTime64, (*fixedColumn[int64]).parseCells)
	case datatype.Timestamp, datatype.TimestampLTZ:
		return fixed(c, data, cells, arrow.Int64Traits.CastFromBytes, parseTimestamp, (*fixedColumn[int64]).parseCells)
	default:
		return nil, fmt.Errorf("text of %s is not supported", c.Type)
	}
}

// text returns a cell's decoded text.
func (c *Converter) text(data []byte, cell Cell) ([]byte, error) {
	t := data[cell.Start:cell.End]
	if cell.Kind != Escaped {
		return t, nil
	}
	var err error
	c.scratch, err = c.Unescape(c.scratch[:0], t)
	return c.scratch, err
}

// validity is a bitmap that comes into being with the first null.
type validity struct {
	alloc  memory.Allocator
	n      int
	nulls  int
	buffer *memory.Buffer
}

func (v *validity) null(i int) {
	if v.buffer == nil {
		v.buffer = memory.NewResizableBuffer(v.alloc)
		v.buffer.Resize(int(bitutil.BytesForBits(int64(v.n))))
		bitutil.SetBitsTo(v.buffer.Bytes(), 0, int64(v.n), true)
	}
	bitutil.ClearBit(v.buffer.Bytes(), i)
	v.nulls++
}

func (v *validity) release() {
	if v.buffer != nil {
		v.buffer.Release()
	}
}

// bad handles a cell that does not parse: an error, or null where that is asked
// for and allowed.
func (c *Converter) bad(v *validity, i int, text []byte) error {
	if c.Reject != nil {
		return c.reject(v, &Error{Row: i, Text: string(text), Type: c.Type})
	}
	if c.Lenient && c.Type.Nullable {
		c.Bad++
		v.null(i)
		return nil
	}
	return &Error{Row: i, Text: string(text), Type: c.Type}
}

// missing handles a null cell.
func (c *Converter) missing(v *validity, i int) error {
	if c.Type.Nullable {
		v.null(i)
		return nil
	}
	e := &Error{Row: i, Type: c.Type}
	if c.Reject != nil {
		return c.reject(v, e)
	}
	return e
}

func (c *Converter) reject(v *validity, e *Error) error {
	c.Reject(e)
	v.null(e.Row)
	return nil
}

// broken handles a cell whose text cannot be decoded.
func (c *Converter) broken(v *validity, data []byte, i int, cell Cell, err error) error {
	if c.Reject != nil {
		return c.bad(v, i, data[cell.Start:cell.End])
	}
	return err
}

// fixedColumn is an array of values of fixed width in the making.
type fixedColumn[T any] struct {
	c      *Converter
	data   []byte
	cells  []Cell
	values []T
	validity
	// parse reads one value. It is called through a value, which costs little beside
	// what is parsed so.
	parse func([]byte, *datatype.Type) (T, bool)
}

// fixed parses values of fixed width; fill does, by parsing each or quicker.
func fixed[T any](c *Converter, data []byte, cells []Cell, cast func([]byte) []T, parse func([]byte, *datatype.Type) (T, bool),
	fill func(*fixedColumn[T]) error,
) (arrow.Array, error) {
	t := c.Type.Arrow()
	out := memory.NewResizableBuffer(c.Alloc)
	defer out.Release()
	out.Resize(len(cells) * t.(arrow.FixedWidthDataType).BitWidth() / 8)
	f := &fixedColumn[T]{c: c, data: data, cells: cells, values: cast(out.Bytes()), validity: validity{alloc: c.Alloc, n: len(cells)}, parse: parse}
	defer f.validity.release()
	if err := fill(f); err != nil {
		return nil, err
	}
	return finish(t, len(cells), &f.validity, out), nil
}

// parseCells parses each cell by itself.
func (f *fixedColumn[T]) parseCells() error {
	for i, cell := range f.cells {
		if err := f.parseCell(i, cell); err != nil {
			return err
		}
	}
	return nil
}

func (f *fixedColumn[T]) parseCell(i int, cell Cell) error {
	var zero T
	f.values[i] = zero
	if cell.Kind == Null {
		return f.c.missing(&f.validity, i)
	}
	text, err := f.c.text(f.data, cell)
	if err != nil {
		return f.c.broken(&f.validity, f.data, i, cell, err)
	}
	v, ok := f.parse(text, &f.c.Type)
	if !ok {
		return f.c.bad(&f.validity, i, text)
	}
	f.values[i] = v
	return nil
}

func finish(t arrow.DataType, n int, v *validity, buffers ...*memory.Buffer) arrow.Array {
	d := array.NewData(t, n, append([]*memory.Buffer{v.buffer}, buffers...), nil, v.nulls, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

func (c *Converter) booleans(data []byte, cells []Cell) (arrow.Array, error) {
	n := len(cells)
	out := memory.NewResizableBuffer(c.Alloc)
	defer out.Release()
	out.Resize(int(bitutil.BytesForBits(int64(n))))
	v := validity{alloc: c.Alloc, n: n}
	defer v.release()
	for i, cell := range cells {
		if cell.Kind == Null {
			if err := c.missing(&v, i); err != nil {
				return nil, err
			}
			continue
		}
		text, err := c.text(data, cell)
		if err != nil {
			if err := c.broken(&v, data, i, cell, err); err != nil {
				return nil, err
			}
			continue
		}
		x, ok := parseBool(text)
		if !ok {
			if err := c.bad(&v, i, text); err != nil {
				return nil, err
			}
		}
		bitutil.SetBitTo(out.Bytes(), i, x)
	}
	return finish(arrow.FixedWidthTypes.Boolean, n, &v, out), nil
}
