package expr

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// layout is how the values of a vector lie in memory. Kernels are chosen by it:
// many SQL types share one.
type layout uint8

const (
	noLayout layout = iota
	nullLayout
	boolLayout // bitmap
	int8Layout
	int16Layout
	int32Layout // also dates, short times and months
	int64Layout // also long times, timestamps, durations and decimals of up to 18 digits
	float32Layout
	float64Layout
	decimalLayout // 128 bits
	textLayout    // offsets and bytes; also binary; plain or behind a dictionary
	nestedLayout  // an Arrow array
)

func layoutOf(t datatype.Type) layout {
	switch t.Kind {
	case datatype.Null:
		return nullLayout
	case datatype.Boolean:
		return boolLayout
	case datatype.TinyInt:
		return int8Layout
	case datatype.SmallInt:
		return int16Layout
	case datatype.Int, datatype.Date, datatype.IntervalMonth:
		return int32Layout
	case datatype.Time:
		if t.Precision > 3 {
			return int64Layout
		}
		return int32Layout
	case datatype.BigInt, datatype.Timestamp, datatype.TimestampLTZ, datatype.IntervalSecond:
		return int64Layout
	case datatype.Decimal:
		if t.Precision > datatype.MaxDecimal64Precision {
			return decimalLayout
		}
		return int64Layout
	case datatype.Float:
		return float32Layout
	case datatype.Double:
		return float64Layout
	case datatype.Char, datatype.Varchar, datatype.Binary, datatype.Varbinary:
		return textLayout
	case datatype.Array, datatype.Map, datatype.Multiset, datatype.Row:
		return nestedLayout
	default:
		return noLayout
	}
}

// width is the size in bytes of a fixed-width value, 0 for the others.
func (l layout) width() int {
	switch l {
	case int8Layout:
		return 1
	case int16Layout:
		return 2
	case int32Layout, float32Layout:
		return 4
	case int64Layout, float64Layout:
		return 8
	case decimalLayout:
		return 16
	default:
		return 0
	}
}

// vector is a column of values over the physical rows of a batch, or one constant
// value. Rows outside the selection that it was made for hold anything. Its
// slices belong to a batch's columns or to the run's arena: it is valid until
// the program runs again.
type vector struct {
	layout   layout
	constant bool // the one value stands for every row
	null     bool // constant NULL: there is no value at all
	n        int  // physical rows; 1 if constant
	valid    []byte
	data     []byte  // fixed-width values, bits of booleans, or characters
	offsets  []int32 // of text
	index    []int32 // of text: position in offsets for each row; nil when plain
	arr      arrow.Array
	buf      *memory.Buffer // holds data when it was allocated for the result
}

// values are a vector's fixed-width values, or its one constant.
func values[T arrow.FixedWidthType](v *vector) []T { return arrow.GetData[T](v.data)[:v.n] }

// mask turns a row into a position: 0 for constants, else the row itself.
func (v *vector) mask() int {
	if v.constant {
		return 0
	}
	return -1
}

// isNull reports whether row r is null.
func (v *vector) isNull(r int) bool {
	if v.null {
		return true
	}
	return v.valid != nil && !bitSet(v.valid, r&v.mask())
}

// hasNulls reports whether any row may be null.
func (v *vector) hasNulls() bool { return v.null || v.valid != nil }

// truth is the boolean at row r, which is not null.
func (v *vector) truth(r int) bool { return bitSet(v.data, r&v.mask()) }

// text reads a text vector in any encoding.
type text struct {
	offsets []int32
	data    []byte
	index   []int32
	mask    int
}

func (v *vector) text() text {
	return text{offsets: v.offsets, data: v.data, index: v.index, mask: v.mask()}
}

func (t *text) at(r int) []byte {
	r &= t.mask
	if t.index != nil {
		r = int(t.index[r])
	}
	return t.data[t.offsets[r]:t.offsets[r+1]]
}

// loadColumn views an Arrow column as a vector, without copying values.
func (c *run) loadColumn(arr arrow.Array, want layout) (*vector, error) {
	v := c.vector(want, arr.Len())
	v.arr = arr
	d := arr.Data()
	if d.Len() == 0 { // such arrays need not have buffers
		v.offsets = []int32{0}
		return v, nil
	}
	if arr.NullN() > 0 {
		if arr.NullN() == arr.Len() {
			return c.nullVector(want), nil
		}
		v.valid = c.alignBits(arr.NullBitmapBytes(), d.Offset(), d.Len())
	}
	if dict, ok := arr.(*array.Dictionary); ok {
		return c.loadDictionary(v, dict)
	}
	if err := checkLayout(arr.DataType(), want); err != nil {
		return nil, err
	}
	switch want {
	case boolLayout:
		v.data = c.alignBits(d.Buffers()[1].Bytes(), d.Offset(), d.Len())
	case textLayout:
		loadText(v, d)
	case nestedLayout, nullLayout:
	default:
		w := want.width()
		v.data = d.Buffers()[1].Bytes()[d.Offset()*w : (d.Offset()+d.Len())*w]
	}
	return v, nil
}

// checkLayout catches a batch whose columns are not what the plan says.
func checkLayout(t arrow.DataType, want layout) error {
	if want == nestedLayout && arrow.IsNested(t.ID()) {
		return nil // converting the types of all their fields costs more than small batches do
	}
	sql, err := datatype.FromArrow(t, true)
	if err != nil {
		return failure.Wrap(failure.Internal, err)
	}
	if got := layoutOf(sql); got != want {
		return failure.Errorf(failure.Internal, "a column of Arrow type %s where the plan has layout %d", t, want)
	}
	return nil
}

func loadText(v *vector, d arrow.ArrayData) {
	if d.Len() == 0 {
		v.offsets = []int32{0}
		return
	}
	v.offsets = arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset() : d.Offset()+d.Len()+1]
	if d.Buffers()[2] != nil {
		v.data = d.Buffers()[2].Bytes()
	}
}

// loadDictionary keeps the encoding; a null inside the dictionary, or a
// dictionary of another layout, is decoded.
func (c *run) loadDictionary(v *vector, dict *array.Dictionary) (*vector, error) {
	inner := dict.Dictionary()
	if inner.NullN() > 0 || inner.DataType().ID() != arrow.STRING && inner.DataType().ID() != arrow.BINARY {
		plain, err := compute.Decode(c.mem, dict)
		if err != nil {
			return nil, err
		}
		c.release = append(c.release, plain)
		return c.loadColumn(plain, v.layout)
	}
	if v.layout != textLayout {
		return nil, failure.Errorf(failure.Internal, "a dictionary of text where the plan has layout %d", v.layout)
	}
	loadText(v, inner.Data())
	d := dict.Data()
	if t := dict.DataType().(*arrow.DictionaryType); t.IndexType.ID() == arrow.INT32 && v.valid == nil {
		v.index = arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset() : d.Offset()+d.Len()]
		return v, nil
	}
	v.index = compute.DictionaryRows(dict, nil)
	for i, x := range v.index {
		v.index[i] = max(x, 0) // null rows are read by loops that ignore nulls
	}
	return v, nil
}

// dictionarySize is the number of values in v's dictionary.
func (v *vector) dictionarySize() int { return len(v.offsets) - 1 }

// literalVector makes the constant of a literal.
func literalVector(l *Literal) (*vector, error) {
	v := &vector{layout: layoutOf(l.T), constant: true, n: 1}
	if l.Value == nil || v.layout == nullLayout {
		v.null = true
		return v, nil
	}
	arr, err := compute.Constant(memory.DefaultAllocator, l.T, l.Value, 1)
	if err != nil {
		return nil, failure.Wrap(failure.Internal, err)
	}
	d := arr.Data()
	switch v.layout {
	case textLayout:
		loadText(v, d)
	case nestedLayout:
		v.arr = arr
	case boolLayout:
		v.data = d.Buffers()[1].Bytes()
	case noLayout:
		return nil, failure.Errorf(failure.Internal, "literal of type %s", l.T)
	default:
		v.data = d.Buffers()[1].Bytes()[:v.layout.width()]
	}
	return v, nil
}

// toArrow makes an array of type t with n rows.
func (c *run) toArrow(v *vector, t datatype.Type, n int) (arrow.Array, error) {
	return c.result(v, t.Arrow(), n)
}

// result makes the result array of a type with n rows.
func (c *run) result(v *vector, at arrow.DataType, n int) (arrow.Array, error) {
	switch {
	case v.null || v.layout == nullLayout:
		return compute.Nulls(c.mem, at, n), nil
	case v.constant:
		return c.expand(v, at, n)
	case v.arr != nil:
		return retype(v.arr, at)
	case v.layout == textLayout && v.index != nil && 2*v.dictionarySize() <= v.n:
		return c.encoded(v, at)
	case v.layout == textLayout && v.index != nil:
		return c.decoded(v, at)
	case v.layout == textLayout:
		return c.plainText(v, at)
	case v.layout == noLayout || v.layout == nestedLayout:
		return nil, failure.Errorf(failure.Internal, "result of layout %d", v.layout)
	}
	values := v.buf
	if values == nil {
		values = c.copyBuffer(v.data)
		defer values.Release()
	}
	return c.makeArray(at, v, values), nil
}

// makeArray builds the array of a vector from its buffers after the null bitmap.
func (c *run) makeArray(t arrow.DataType, v *vector, buffers ...*memory.Buffer) arrow.Array {
	d := c.makeData(t, v, buffers...)
	defer d.Release()
	return array.MakeFromData(d)
}

func (c *run) makeData(t arrow.DataType, v *vector, buffers ...*memory.Buffer) *array.Data {
	var valid *memory.Buffer
	nulls := 0
	if v.valid != nil {
		valid = c.copyBuffer(v.valid)
		defer valid.Release()
		nulls = v.n - countBits(v.valid, v.n)
	}
	return array.NewData(t, v.n, append([]*memory.Buffer{valid}, buffers...), nil, nulls, 0)
}

func (c *run) plainText(v *vector, t arrow.DataType) (arrow.Array, error) {
	first, last := v.offsets[0], v.offsets[v.n]
	offsets := memory.NewResizableBuffer(c.mem)
	defer offsets.Release()
	offsets.Resize((v.n + 1) * 4)
	out := arrow.GetData[int32](offsets.Bytes())
	for i, o := range v.offsets[:v.n+1] {
		out[i] = o - first
	}
	chars := c.copyBuffer(v.data[first:last])
	defer chars.Release()
	return c.makeArray(t, v, offsets, chars), nil
}

// decoded writes out the values of a dictionary vector.
func (c *run) decoded(v *vector, t arrow.DataType) (arrow.Array, error) {
	offsets := memory.NewResizableBuffer(c.mem)
	defer offsets.Release()
	offsets.Resize((v.n + 1) * 4)
	ends, view, total := arrow.GetData[int32](offsets.Bytes()), v.text(), 0
	ends[0] = 0
	for i := range v.n {
		if !v.isNull(i) {
			total += len(view.at(i))
		}
		ends[i+1] = int32(total)
	}
	if err := c.checkText(total); err != nil {
		return nil, err
	}
	chars := memory.NewResizableBuffer(c.mem)
	defer chars.Release()
	chars.Resize(total)
	out := chars.Bytes()
	for i := range v.n {
		if !v.isNull(i) {
			copy(out[ends[i]:], view.at(i))
		}
	}
	return c.makeArray(t, v, offsets, chars), nil
}

// encoded returns a dictionary array: a function of dictionary values stays one.
func (c *run) encoded(v *vector, t arrow.DataType) (arrow.Array, error) {
	dict, err := c.plainText(&vector{layout: textLayout, n: v.dictionarySize(), offsets: v.offsets, data: v.data}, t)
	if err != nil {
		return nil, err
	}
	defer dict.Release()
	index := c.copyBuffer(arrow.GetBytes(v.index[:v.n]))
	defer index.Release()
	of := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: t}
	indexes := c.makeArray(arrow.PrimitiveTypes.Int32, v, index)
	defer indexes.Release()
	return array.NewDictionaryArray(of, indexes, dict), nil
}

// expand writes a constant n times: only for results that are constant.
func (c *run) expand(v *vector, t arrow.DataType, n int) (arrow.Array, error) {
	rows := c.rowBuffer(n)[:n]
	clear(rows)
	one := v.arr
	if one == nil {
		var err error
		if one, err = c.oneRow(v, t); err != nil {
			return nil, err
		}
		defer one.Release()
	}
	out, err := compute.Take(c.mem, one, rows)
	if err != nil || v.arr == nil {
		return out, err
	}
	defer out.Release()
	return retype(out, t)
}

func (c *run) oneRow(v *vector, t arrow.DataType) (arrow.Array, error) {
	if v.layout == textLayout {
		view := v.text()
		s := view.at(0)
		return c.plainText(&vector{layout: textLayout, n: 1, offsets: []int32{0, int32(len(s))}, data: s}, t)
	}
	if v.layout == noLayout {
		return nil, fmt.Errorf("constant of no layout")
	}
	values := c.copyBuffer(v.data)
	defer values.Release()
	return c.makeArray(t, v, values), nil
}

func (c *run) copyBuffer(b []byte) *memory.Buffer {
	buf := memory.NewResizableBuffer(c.mem)
	buf.Resize(len(b))
	copy(buf.Bytes(), b)
	return buf
}
