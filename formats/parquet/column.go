package parquet

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// decoder makes the arrays of one wanted column.
type decoder interface {
	// start begins the column's chunk of a row group, whose bytes stay valid
	// until the next start or close.
	start(group int, c *chunk, data []byte)
	// read returns the next n rows; the row group has that many left.
	read(n int) (arrow.Array, error)
	// take returns those of the next n rows that rows lists, ascending.
	take(n int, rows []int32) (arrow.Array, error)
	// skip passes over the next n rows; it is cheap where they fill pages.
	skip(n int)
	close()
	// source is the leaf that it reads, nil if the file has none.
	source() *leaf
}

// newDecoder plans how a leaf is read as the wanted type.
func newDecoder(p pages, want datatype.Type, alloc memory.Allocator) (decoder, error) {
	l := p.leaf
	switch {
	case l.datatype.Kind == datatype.Null:
		return &nullDecoder{pages: p, want: want, alloc: alloc}, nil
	case want.Kind == datatype.Boolean && l.physical == format.Boolean:
		return &boolDecoder{pages: p, want: want, alloc: alloc}, nil
	case want.IsString() || want.IsBinary():
		return newBytesDecoder(p, want, alloc)
	case l.physical == format.Boolean:
		return nil, fmt.Errorf("it is %s in the file, which cannot be read as %s", l.datatype, want)
	}
	c, err := fixedConverter(l, want)
	if err != nil {
		return nil, err
	}
	f := fixedBase{pages: p, want: want, arrow: want.Arrow(), alloc: alloc, convert: c}
	switch c.out {
	case 1:
		return &fixedDecoder[uint8]{fixedBase: f, cast: arrow.Uint8Traits.CastFromBytes}, nil
	case 2:
		return &fixedDecoder[uint16]{fixedBase: f, cast: arrow.Uint16Traits.CastFromBytes}, nil
	case 4:
		return &fixedDecoder[uint32]{fixedBase: f, cast: arrow.Uint32Traits.CastFromBytes}, nil
	case 8:
		return &fixedDecoder[uint64]{fixedBase: f, cast: arrow.Uint64Traits.CastFromBytes}, nil
	default:
		return &fixedDecoder[decimal128.Num]{fixedBase: f, cast: arrow.Decimal128Traits.CastFromBytes}, nil
	}
}

func (p *pages) source() *leaf { return p.leaf }

// validity returns a bitmap for n rows, nil for a required leaf.
func (p *pages) validity(n int, alloc memory.Allocator) *memory.Buffer {
	if p.leaf.maxDef == 0 {
		return nil
	}
	return newBuffer(alloc, int(bitutil.BytesForBits(int64(n))))
}

func newBuffer(alloc memory.Allocator, n int) *memory.Buffer {
	b := memory.NewResizableBuffer(alloc)
	b.Resize(n)
	return b
}

// dirtyAllocator is an allocator that can leave bytes as they are.
type dirtyAllocator interface {
	AllocateDirty(size int) []byte
}

// newDirty is newBuffer for bytes that are all written before they are read.
func newDirty(alloc memory.Allocator, n int) *memory.Buffer {
	if d, ok := alloc.(dirtyAllocator); ok {
		return memory.NewBufferWithAllocator(d.AllocateDirty(n), alloc)
	}
	return newBuffer(alloc, n)
}

func bitsOf(b *memory.Buffer) []byte {
	if b == nil {
		return nil
	}
	return b.Bytes()
}

func release(buffers ...*memory.Buffer) {
	for _, b := range buffers {
		if b != nil {
			b.Release()
		}
	}
}

// finish makes an array of buffers, validity first, and releases them. A bitmap
// without nulls is left out.
func finish(t arrow.DataType, n, nulls int, dict arrow.ArrayData, buffers ...*memory.Buffer) arrow.Array {
	if nulls == 0 {
		release(buffers[0])
		buffers[0] = nil
	}
	var data *array.Data
	if dict != nil {
		data = array.NewDataWithDictionary(t, n, buffers, nulls, 0, dict.(*array.Data))
	} else {
		data = array.NewData(t, n, buffers, nil, nulls, 0)
	}
	defer data.Release()
	release(buffers...)
	return array.MakeFromData(data)
}

// checkNulls refuses nulls where the wanted type has none.
func checkNulls(want datatype.Type, nulls int) error {
	if nulls > 0 && !want.Nullable {
		return fmt.Errorf("null in a column declared %s", want)
	}
	return nil
}

// fixedBase is what decoders of fixed-width values share.
type fixedBase struct {
	pages
	want    datatype.Type
	arrow   arrow.DataType
	alloc   memory.Allocator
	convert *converter
	idx     []int32
	some    []byte         // plain values, before they are converted
	dict    *memory.Buffer // the dictionary, converted
}

// fixedDecoder reads values that are T wide in the batch.
type fixedDecoder[T any] struct {
	fixedBase
	cast func([]byte) []T
}

func (d *fixedDecoder[T]) close() {
	release(d.dict)
	d.pages.close()
}

// setDictionary converts the chunk's dictionary.
func (d *fixedDecoder[T]) setDictionary(values []byte, n int) error {
	if n*d.convert.in > len(values) {
		return fmt.Errorf("dictionary of %d values in %d bytes", n, len(values))
	}
	release(d.dict)
	d.dict = newDirty(d.alloc, n*d.convert.out)
	return d.convert.run(d.dict.Bytes(), values, n)
}

func (d *fixedDecoder[T]) read(n int) (arrow.Array, error) {
	valid := d.validity(n, d.alloc)
	out := newDirty(d.alloc, n*d.convert.out)
	nulls, err := d.fill(out.Bytes(), bitsOf(valid), n)
	if err == nil {
		err = checkNulls(d.want, nulls)
	}
	if err != nil {
		release(valid, out)
		return nil, d.fail(err)
	}
	return finish(d.arrow, n, nulls, nil, valid, out), nil
}

func (d *fixedDecoder[T]) fill(out, valid []byte, n int) (nulls int, err error) {
	for at := 0; at < n; {
		if err := d.next(d.setDictionary); err != nil {
			return 0, err
		}
		k := min(d.left, n-at)
		m, err := d.takeLevels(valid, at, k)
		if err != nil {
			return 0, err
		}
		if err := d.values(out[at*d.convert.out:], m); err != nil {
			return 0, err
		}
		if m < k {
			spread(d.cast(out)[at:at+k], valid, at, m)
		}
		d.left -= k
		at += k
		nulls += k - m
	}
	return nulls, nil
}

// values writes the next n values densely.
func (d *fixedDecoder[T]) values(out []byte, n int) error {
	if !d.indexed {
		v, err := d.takeFixed(n, d.convert.in)
		if err != nil {
			return err
		}
		return d.convert.run(out, v, n)
	}
	d.idx = grow(d.idx, n)
	if err := d.indexes.read(d.idx); err != nil {
		return err
	}
	return d.lookUp(out, d.idx)
}

// lookUp writes the dictionary's values at idx, which are checked.
func (d *fixedDecoder[T]) lookUp(out []byte, idx []int32) error {
	if bad := gather(d.cast(out)[:len(idx)], d.cast(d.dict.Bytes())[:d.dictSize], idx); bad < len(idx) {
		return fmt.Errorf("dictionary index %d, the dictionary has %d entries", uint32(idx[bad]), d.dictSize)
	}
	return nil
}

// gather stops at the first index that the dictionary does not have and returns its
// place; none is len(idx).
func gather[T any](dst, dict []T, idx []int32) int {
	dst = dst[:len(idx)]
	for i, x := range idx {
		if uint(x) >= uint(len(dict)) {
			return i
		}
		dst[i] = dict[x]
	}
	return len(idx)
}

// spread moves the first m values to the rows that are valid, and zeroes the
// others; bit at of the bitmap belongs to values[0].
func spread[T any](values []T, bitmap []byte, at, m int) {
	var zero T
	next := m - 1 // the last value not yet moved; below it all rows are valid once i meets it
	for i := len(values) - 1; i > next; i-- {
		if isSet(bitmap, at+i) {
			values[i] = values[next]
			next--
		} else {
			values[i] = zero
		}
	}
}

// boolDecoder reads BOOLEAN.
type boolDecoder struct {
	pages
	want  datatype.Type
	alloc memory.Allocator
	dense []byte
}

func (d *boolDecoder) noDictionary([]byte, int) error {
	return fmt.Errorf("dictionary of booleans, which is not supported")
}

func (d *boolDecoder) read(n int) (arrow.Array, error) {
	valid := d.validity(n, d.alloc)
	out := newBuffer(d.alloc, int(bitutil.BytesForBits(int64(n))))
	nulls, err := d.fill(out.Bytes(), bitsOf(valid), n)
	if err == nil {
		err = checkNulls(d.want, nulls)
	}
	if err != nil {
		release(valid, out)
		return nil, d.fail(err)
	}
	return finish(arrow.FixedWidthTypes.Boolean, n, nulls, nil, valid, out), nil
}

func (d *boolDecoder) take(n int, rows []int32) (arrow.Array, error) {
	return takeOf(d, d.alloc, n, rows)
}

// takeOf is take for decoders that have no quicker way.
func takeOf(d decoder, alloc memory.Allocator, n int, rows []int32) (arrow.Array, error) {
	a, err := d.read(n)
	if err != nil {
		return nil, err
	}
	defer a.Release()
	return compute.Take(alloc, a, rows)
}

func (d *boolDecoder) fill(out, valid []byte, n int) (nulls int, err error) {
	for at := 0; at < n; {
		if err := d.next(d.noDictionary); err != nil {
			return 0, err
		}
		k := min(d.left, n-at)
		m, err := d.takeLevels(valid, at, k)
		if err != nil {
			return 0, err
		}
		if m == k {
			err = d.values(out, at, k)
		} else {
			d.dense = grow(d.dense, m/8+1)
			if err = d.values(d.dense, 0, m); err == nil {
				spreadBits(out, d.dense, valid, at, k)
			}
		}
		if err != nil {
			return 0, err
		}
		d.left -= k
		at += k
		nulls += k - m
	}
	return nulls, nil
}

// values writes the next n bits to out, beginning at bit at.
func (d *boolDecoder) values(out []byte, at, n int) error {
	if d.rle {
		_, err := d.bits.readBits(out, at, n)
		return err
	}
	if d.taken+n > 8*len(d.pages.values) {
		return fmt.Errorf("page has %d bytes of booleans where %d values are due", len(d.pages.values), d.taken+n)
	}
	bitutil.CopyBitmap(d.pages.values, d.taken, n, out, at)
	d.taken += n
	return nil
}

func spreadBits(out, dense, valid []byte, at, n int) {
	j := 0
	for i := at; i < at+n; i++ {
		set := false
		if bitutil.BitIsSet(valid, i) {
			set = bitutil.BitIsSet(dense, j)
			j++
		}
		bitutil.SetBitTo(out, i, set)
	}
}

// nullDecoder reads a column that has only nulls.
type nullDecoder struct {
	pages
	want  datatype.Type
	alloc memory.Allocator
}

func (d *nullDecoder) read(n int) (arrow.Array, error) {
	if err := checkNulls(d.want, n); err != nil {
		return nil, d.fail(err)
	}
	return array.MakeArrayOfNull(d.alloc, d.want.Arrow(), n), nil
}

func (d *nullDecoder) take(_ int, rows []int32) (arrow.Array, error) { return d.read(len(rows)) }

func (d *nullDecoder) skip(int) {} // no page is ever looked at

// missingDecoder stands for a column that the file does not have.
type missingDecoder struct {
	want  datatype.Type
	alloc memory.Allocator
}

func (d *missingDecoder) start(int, *chunk, []byte) {}
func (d *missingDecoder) skip(int)                  {}
func (d *missingDecoder) close()                    {}
func (d *missingDecoder) source() *leaf             { return nil }

func (d *missingDecoder) read(n int) (arrow.Array, error) {
	return array.MakeArrayOfNull(d.alloc, d.want.Arrow(), n), nil
}

func (d *missingDecoder) take(_ int, rows []int32) (arrow.Array, error) { return d.read(len(rows)) }
