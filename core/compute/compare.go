package compute

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Order says how one column sorts.
type Order struct {
	Descending bool
	NullsFirst bool
}

// Comparer orders rows of one array against rows of another.
type Comparer interface {
	// Compare is negative when row i of the first array sorts before row j of the
	// second, zero when they are equal and positive when it sorts after. It may be
	// called concurrently and for as long as both arrays are owned.
	Compare(i, j int) int
}

// NewComparer compares rows of a with rows of b, which have the same type but for
// their encoding and may be the same array. Nulls are equal to each other and
// stand where order says. NaN equals NaN and is greater than every number; -0.0
// equals 0.0. Characters compare by their UTF-8 bytes, false is before true,
// arrays and rows compare element by element. It fails for types without an
// order, which is the maps.
func NewComparer(a, b arrow.Array, order Order) (Comparer, error) {
	base := pair{order: order, a: a, b: b, nulls: a.NullN() > 0 || b.NullN() > 0}
	if da, ok := a.(*array.Dictionary); ok {
		return dictionaryComparer(base, da, b)
	}
	if db, ok := b.(*array.Dictionary); ok {
		return dictionaryComparer(base, a, db)
	}
	if a.DataType().ID() != b.DataType().ID() {
		return nil, fmt.Errorf("compare %s with %s", a.DataType(), b.DataType())
	}
	return plainComparer(base)
}

func plainComparer(p pair) (Comparer, error) {
	a, b := p.a.Data(), p.b.Data()
	switch t := p.a.DataType().(type) {
	case *arrow.NullType:
		return nullComparer{}, nil
	case *arrow.BooleanType:
		return boolComparer{p, p.a.(*array.Boolean), p.b.(*array.Boolean)}, nil
	case *arrow.Int8Type:
		return ordered[int8](p, a, b), nil
	case *arrow.Int16Type:
		return ordered[int16](p, a, b), nil
	case *arrow.Int32Type, *arrow.Date32Type, *arrow.Time32Type, *arrow.MonthIntervalType, *arrow.Decimal32Type:
		return ordered[int32](p, a, b), nil
	case *arrow.Int64Type, *arrow.Date64Type, *arrow.Time64Type, *arrow.TimestampType, *arrow.DurationType, *arrow.Decimal64Type:
		return ordered[int64](p, a, b), nil
	case *arrow.Float32Type:
		return floatComparer[float32]{p, values[float32](a), values[float32](b)}, nil
	case *arrow.Float64Type:
		return floatComparer[float64]{p, values[float64](a), values[float64](b)}, nil
	case *arrow.Decimal128Type:
		return decimalComparer{p, values[decimal128.Num](a), values[decimal128.Num](b)}, nil
	case *arrow.StringType, *arrow.BinaryType:
		return bytesComparer{p, charsOf(a), charsOf(b)}, nil
	case *arrow.ListType:
		return newListComparer(p)
	case *arrow.StructType:
		return newStructComparer(p)
	default:
		return nil, fmt.Errorf("values of Arrow type %s have no order", t)
	}
}

// pair is what all comparers share.
type pair struct {
	order Order
	a, b  arrow.Array
	nulls bool // either array has any
}

// null compares when a row is null; decided is false when neither is.
func (p *pair) null(i, j int) (result int, decided bool) {
	if !p.nulls {
		return 0, false
	}
	an, bn := p.a.IsNull(i), p.b.IsNull(j)
	switch {
	case !an && !bn:
		return 0, false
	case an && bn:
		return 0, true
	case an == p.order.NullsFirst:
		return -1, true
	default:
		return 1, true
	}
}

func (p *pair) directed(c int) int {
	if p.order.Descending {
		return -c
	}
	return c
}

type nullComparer struct{}

func (nullComparer) Compare(int, int) int { return 0 }

type orderedComparer[T cmp.Ordered] struct {
	pair
	a, b []T
}

func ordered[T int8 | int16 | int32 | int64](p pair, a, b arrow.ArrayData) Comparer {
	return orderedComparer[T]{p, values[T](a), values[T](b)}
}

func (c orderedComparer[T]) Compare(i, j int) int {
	if r, ok := c.null(i, j); ok {
		return r
	}
	x, y := c.a[i], c.b[j]
	switch {
	case x < y:
		return c.directed(-1)
	case x > y:
		return c.directed(1)
	default:
		return 0
	}
}

type floatComparer[T float32 | float64] struct {
	pair
	a, b []T
}

func (c floatComparer[T]) Compare(i, j int) int {
	if r, ok := c.null(i, j); ok {
		return r
	}
	x, y := c.a[i], c.b[j]
	xn, yn := x != x, y != y
	switch {
	case xn || yn:
		return c.directed(boolInt(xn) - boolInt(yn))
	case x < y:
		return c.directed(-1)
	case x > y:
		return c.directed(1)
	default:
		return 0
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

type boolComparer struct {
	pair
	a, b *array.Boolean
}

func (c boolComparer) Compare(i, j int) int {
	if r, ok := c.null(i, j); ok {
		return r
	}
	return c.directed(boolInt(c.a.Value(i)) - boolInt(c.b.Value(j)))
}

type decimalComparer struct {
	pair
	a, b []decimal128.Num
}

func (c decimalComparer) Compare(i, j int) int {
	if r, ok := c.null(i, j); ok {
		return r
	}
	return c.directed(c.a[i].Cmp(c.b[j]))
}

// chars are the characters of a plain string or binary array.
type chars struct {
	offsets []int32
	data    []byte
}

func charsOf(d arrow.ArrayData) chars {
	if d.Len() == 0 {
		return chars{}
	}
	c := chars{offsets: arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset():]}
	if d.Buffers()[2] != nil {
		c.data = d.Buffers()[2].Bytes()
	}
	return c
}

func (c chars) at(i int) []byte { return c.data[c.offsets[i]:c.offsets[i+1]] }

type bytesComparer struct {
	pair
	a, b chars
}

func (c bytesComparer) Compare(i, j int) int {
	if r, ok := c.null(i, j); ok {
		return r
	}
	return c.directed(bytes.Compare(c.a.at(i), c.b.at(j)))
}

// encodedComparer compares through dictionaries on either side.
type encodedComparer struct {
	pair
	a, b  []int32 // dictionary index, or nil where that side is plain
	value Comparer
}

func dictionaryComparer(p pair, a, b arrow.Array) (Comparer, error) {
	c := encodedComparer{pair: p}
	va, vb := a, b
	if d, ok := a.(*array.Dictionary); ok {
		c.a, va = DictionaryRows(d, nil), d.Dictionary()
	}
	if d, ok := b.(*array.Dictionary); ok {
		c.b, vb = DictionaryRows(d, nil), d.Dictionary()
	}
	value, err := NewComparer(va, vb, p.order)
	if err != nil {
		return nil, err
	}
	c.value = value
	return c, nil
}

func (c encodedComparer) Compare(i, j int) int {
	if r, ok := c.null(i, j); ok {
		return r
	}
	if c.a != nil {
		i = int(c.a[i])
	}
	if c.b != nil {
		j = int(c.b[j])
	}
	return c.value.Compare(i, j)
}

type listComparer struct {
	pair
	a, b    []int32 // offsets
	element Comparer
}

func newListComparer(p pair) (Comparer, error) {
	a, b := p.a.(*array.List), p.b.(*array.List)
	element, err := NewComparer(a.ListValues(), b.ListValues(), Order{NullsFirst: p.order.NullsFirst != p.order.Descending})
	if err != nil {
		return nil, err
	}
	c := listComparer{pair: p, element: element}
	if a.Len() > 0 {
		c.a = a.Offsets()[a.Data().Offset():]
	}
	if b.Len() > 0 {
		c.b = b.Offsets()[b.Data().Offset():]
	}
	return c, nil
}

func (c listComparer) Compare(i, j int) int {
	if r, ok := c.null(i, j); ok {
		return r
	}
	x, xEnd, y, yEnd := c.a[i], c.a[i+1], c.b[j], c.b[j+1]
	for ; x < xEnd && y < yEnd; x, y = x+1, y+1 {
		if r := c.element.Compare(int(x), int(y)); r != 0 {
			return c.directed(r)
		}
	}
	return c.directed(cmp.Compare(xEnd-x, yEnd-y))
}

type structComparer struct {
	pair
	fields []Comparer
}

func newStructComparer(p pair) (Comparer, error) {
	a, b := p.a.(*array.Struct), p.b.(*array.Struct)
	if a.NumField() != b.NumField() {
		return nil, fmt.Errorf("compare %s with %s", p.a.DataType(), p.b.DataType())
	}
	c := structComparer{pair: p}
	for f := range a.NumField() {
		field, err := NewComparer(a.Field(f), b.Field(f), p.order)
		if err != nil {
			return nil, err
		}
		c.fields = append(c.fields, field)
	}
	return c, nil
}

func (c structComparer) Compare(i, j int) int {
	if r, ok := c.null(i, j); ok {
		return r
	}
	for _, f := range c.fields {
		if r := f.Compare(i, j); r != 0 {
			return r
		}
	}
	return 0
}
