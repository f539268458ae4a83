package compute

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
)

// Pick is a row of one of several arrays, or records.
type Pick struct{ Source, Row int32 }

// InterleaveRecords returns the picked rows of records, which have the same columns
// but for their encoding, in the order of picks.
func InterleaveRecords(mem memory.Allocator, records []arrow.RecordBatch, picks []Pick) (arrow.RecordBatch, error) {
	if len(records) == 0 {
		return nil, fmt.Errorf("interleave no records: their schema is unknown")
	}
	columns := make([]arrow.Array, records[0].NumCols())
	defer func() { ReleaseAll(columns) }()
	fields := append([]arrow.Field(nil), records[0].Schema().Fields()...)
	parts := make([]arrow.Array, len(records))
	for c := range columns {
		for i, r := range records {
			parts[i] = r.Column(c)
		}
		out, err := Interleave(mem, parts, picks)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", fields[c].Name, err)
		}
		columns[c], fields[c].Type = out, out.DataType()
	}
	metadata := records[0].Schema().Metadata()
	return array.NewRecordBatch(arrow.NewSchema(fields, &metadata), columns, int64(len(picks))), nil
}

// Interleave returns the picked rows of arrs, which have the same type but for the
// encoding. It is Take of Concat, without a copy of the rows that are not picked.
func Interleave(mem memory.Allocator, arrs []arrow.Array, picks []Pick) (arrow.Array, error) {
	v := interleaver{mem: mem, arrs: arrs, picks: picks}
	plain := countPlain(arrs)
	switch {
	case len(arrs) == 0:
		return nil, fmt.Errorf("interleave no arrays: their type is unknown")
	case plain == 0 && shareDictionary(arrs):
		return v.shared()
	case plain == 0:
		return v.unified()
	case plain < len(arrs):
		return v.joined()
	}
	switch t := arrs[0].DataType().(type) {
	case *arrow.BooleanType: // bits
	case *arrow.StringType, *arrow.BinaryType:
		return v.bytes()
	case arrow.FixedWidthDataType:
		if out := v.fixed(t.Bytes()); out != nil {
			return v.finish(t, out), nil
		}
	}
	return v.joined()
}

// interleaver makes an array of rows of several.
type interleaver struct {
	mem   memory.Allocator
	arrs  []arrow.Array
	picks []Pick
}

// joined is for layouts that occur seldom.
func (v interleaver) joined() (arrow.Array, error) {
	all, err := Concat(v.mem, v.arrs)
	if err != nil {
		return nil, err
	}
	defer all.Release()
	first := make([]int32, len(v.arrs)+1)
	for i, a := range v.arrs {
		first[i+1] = first[i] + int32(a.Len())
	}
	rows := make([]int32, len(v.picks))
	for i, p := range v.picks {
		rows[i] = first[p.Source] + p.Row
	}
	return Take(v.mem, all, rows)
}

// finish adds the validity to values, which it releases.
func (v interleaver) finish(t arrow.DataType, values *memory.Buffer) arrow.Array {
	defer values.Release()
	valid, nulls := v.validity()
	if valid != nil {
		defer valid.Release()
	}
	d := array.NewData(t, len(v.picks), []*memory.Buffer{valid, values}, nil, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// validity picks the null bitmap; a nil buffer means that no row is null.
func (v interleaver) validity() (*memory.Buffer, int) {
	some := false
	for _, a := range v.arrs {
		some = some || a.NullN() > 0
	}
	if !some {
		return nil, 0
	}
	buf := newBuffer(v.mem, bitBytes(len(v.picks)))
	out, valid := buf.Bytes(), 0
	for i, p := range v.picks {
		if v.arrs[p.Source].IsValid(int(p.Row)) {
			out[i>>3] |= 1 << (i & 7)
			valid++
		}
	}
	if valid == len(v.picks) {
		buf.Release()
		return nil, 0
	}
	return buf, len(v.picks) - valid
}

// fixed picks values of a fixed width; nil if there is no loop for it.
func (v interleaver) fixed(width int) *memory.Buffer {
	switch width {
	case 1:
		return interleaveFixed[uint8](v, width)
	case 2:
		return interleaveFixed[uint16](v, width)
	case 4:
		return interleaveFixed[uint32](v, width)
	case 8:
		return interleaveFixed[uint64](v, width)
	case 16:
		return interleaveFixed[decimal128.Num](v, width)
	}
	return nil
}

func interleaveFixed[T arrow.FixedWidthType](v interleaver, width int) *memory.Buffer {
	buf := memory.NewResizableBuffer(v.mem)
	buf.Resize(len(v.picks) * width)
	out := arrow.GetData[T](buf.Bytes())
	from := sources[T](v.arrs, width)
	for i, p := range v.picks {
		out[i] = from[p.Source][p.Row]
	}
	return buf
}

// sources are the values of arrays.
func sources[T arrow.FixedWidthType](arrs []arrow.Array, width int) [][]T {
	from := make([][]T, len(arrs))
	for i, a := range arrs {
		if d := a.Data(); d.Len() > 0 {
			from[i] = arrow.GetData[T](d.Buffers()[1].Bytes()[d.Offset()*width:])
		}
	}
	return from
}

// bytes picks strings or binaries.
func (v interleaver) bytes() (arrow.Array, error) {
	n := len(v.picks)
	offsets := newBuffer(v.mem, (n+1)*4)
	defer offsets.Release()
	to := arrow.GetData[int32](offsets.Bytes())
	from := sources[int32](v.arrs, 4)
	total := int64(0)
	for i, p := range v.picks {
		at := from[p.Source][p.Row:]
		total += int64(at[1] - at[0])
		to[i+1] = int32(total)
	}
	if total > math.MaxInt32 {
		return nil, failure.Errorf(failure.BadData, "gather %d rows: their %d bytes of characters exceed one array's 2 GiB", n, total)
	}
	values := memory.NewResizableBuffer(v.mem)
	defer values.Release()
	values.Resize(int(total))
	out := values.Bytes()
	chars := make([][]byte, len(v.arrs))
	for i, a := range v.arrs {
		if buffers := a.Data().Buffers(); a.Len() > 0 && buffers[2] != nil {
			chars[i] = buffers[2].Bytes()
		}
	}
	for i, p := range v.picks {
		at := from[p.Source][p.Row:]
		copy(out[to[i]:to[i+1]], chars[p.Source][at[0]:at[1]])
	}
	valid, nulls := v.validity()
	if valid != nil {
		defer valid.Release()
	}
	d := array.NewData(v.arrs[0].DataType(), n, []*memory.Buffer{valid, offsets, values}, nil, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d), nil
}

// shared picks the indexes of arrays that have one dictionary.
func (v interleaver) shared() (arrow.Array, error) {
	first := v.arrs[0].(*array.Dictionary)
	indexes, err := Interleave(v.mem, v.indexes(), v.picks)
	if err != nil {
		return nil, err
	}
	defer indexes.Release()
	return array.NewDictionaryArray(first.DataType(), indexes, first.Dictionary()), nil
}

func (v interleaver) indexes() []arrow.Array {
	indexes := make([]arrow.Array, len(v.arrs))
	for i, a := range v.arrs {
		indexes[i] = a.(*array.Dictionary).Indices()
	}
	return indexes
}

// unified picks rows of several dictionaries: as indexes of one that has the values
// of all, where these are few beside the rows.
func (v interleaver) unified() (arrow.Array, error) {
	places, values := map[arrow.ArrayData][]int32{}, 0
	for _, a := range v.arrs {
		d := a.Data().Dictionary()
		if _, known := places[d]; !known {
			places[d] = nil
			values += d.Len()
		}
		if a.DataType().(*arrow.DictionaryType).IndexType.ID() != arrow.INT32 {
			return v.joined()
		}
	}
	if values > len(v.picks)/unifyFactor {
		return v.joined()
	}
	typ := v.arrs[0].DataType().(*arrow.DictionaryType)
	unifier, err := array.NewDictionaryUnifier(v.mem, typ.ValueType)
	if err != nil {
		return nil, fmt.Errorf("unify %d dictionaries: %w", len(places), err)
	}
	defer unifier.Release()
	renumbered := make([][]int32, len(v.arrs))
	for i, a := range v.arrs {
		d := a.Data().Dictionary()
		if places[d] == nil {
			if places[d], err = unify(unifier, a.(*array.Dictionary).Dictionary()); err != nil {
				return nil, fmt.Errorf("unify %d dictionaries: %w", len(places), err)
			}
		}
		renumbered[i] = places[d]
	}
	all, err := unifier.GetResultWithIndexType(typ.IndexType)
	if err != nil {
		return nil, fmt.Errorf("unify %d dictionaries: %w", len(places), err)
	}
	defer all.Release()
	indexes := v.finish(typ.IndexType, v.renumber(renumbered))
	defer indexes.Release()
	return array.NewDictionaryArray(typ, indexes, all), nil
}

// renumber picks indexes and writes what each becomes. Those of nulls may be anything.
func (v interleaver) renumber(renumbered [][]int32) *memory.Buffer {
	buf := memory.NewResizableBuffer(v.mem)
	buf.Resize(4 * len(v.picks))
	out := arrow.Int32Traits.CastFromBytes(buf.Bytes())
	from := sources[uint32](v.arrs, 4)
	for i, p := range v.picks {
		out[i] = 0
		if at, to := from[p.Source][p.Row], renumbered[p.Source]; int(at) < len(to) {
			out[i] = to[at]
		}
	}
	return buf
}
