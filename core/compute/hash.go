package compute

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/zeebo/xxh3"
)

// The hash is persistent: key groups of savepoints are made of it. Changing a
// constant or a rule below makes old state unreadable.
const (
	hashSeed = 0x9E3779B97F4A7C15
	hashMul  = 0xE7037ED1A0B428DB
	hashMul2 = 0x8EBC6AF09C88C6E3
	hashNull = 0x589965CC75374CC3
)

// mix spreads every bit of x over all bits of the result.
func mix(x uint64) uint64 {
	high, low := bits.Mul64(x^hashSeed, hashMul)
	x = (high ^ low) * hashMul2
	return x ^ x>>32
}

// combine adds a column's value hash v to the hash h of the columns before it.
func combine(h, v uint64) uint64 {
	high, low := bits.Mul64(h^hashMul, v^hashSeed)
	return high ^ low ^ bits.RotateLeft64(h, 23)
}

// routedHalf is the half of a hash by which rows are sent to subtasks (core/keygroup); hash
// tables use the other one.
const routedHalf = 0xffffffff << 32

// HashRouted is HashColumns of keys by the first columns of which rows are routed, 0 meaning
// all: their key groups are those of the first columns alone.
func HashRouted(cols []arrow.Array, routed int, sel []int32, out []uint64) []uint64 {
	out = HashColumns(cols, sel, out)
	if routed == 0 || routed == len(cols) {
		return out
	}
	for i, h := range HashColumns(cols[:routed], sel, nil) {
		out[i] = h&routedHalf | out[i]&^uint64(routedHalf)
	}
	return out
}

// HashColumns hashes rows over cols, from left to right: one hash for each row of
// sel, or for each physical row when sel is nil. The hashes are written to out if
// its capacity allows, else to a new slice, which is returned.
//
// Equal values hash equally in every encoding: plain or dictionary, decimals of
// one scale whatever their width, integers whatever their width, -0.0 as 0.0,
// every NaN alike. A null hashes to a constant. MAPs hash in entry order. It
// panics on no columns and on Arrow types that core/datatype does not map to.
func HashColumns(cols []arrow.Array, sel []int32, out []uint64) []uint64 {
	n := len(sel)
	if sel == nil {
		n = cols[0].Len()
	}
	if cap(out) < n {
		out = make([]uint64, n)
	}
	out = out[:n]
	hashColumn(cols[0].Data(), sel, out)
	if len(cols) == 1 {
		return out
	}
	var next []uint64
	for _, c := range cols[1:] {
		if combineColumn(c.Data(), sel, out) {
			continue
		}
		if next == nil {
			next = make([]uint64, n)
		}
		hashColumn(c.Data(), sel, next)
		for i, v := range next {
			out[i] = combine(out[i], v)
		}
	}
	return out
}

// combineColumn adds a column of integers without nulls to the hashes in place,
// and reports whether d is one.
func combineColumn(d arrow.ArrayData, sel []int32, out []uint64) bool {
	if d.NullN() != 0 { // also where a slice has not counted its nulls yet
		return false
	}
	switch d.DataType().(type) {
	case *arrow.Int32Type, *arrow.Date32Type:
		combineInts[int32](d, sel, out)
	case *arrow.Int64Type, *arrow.TimestampType, *arrow.Decimal64Type:
		combineInts[int64](d, sel, out)
	default:
		return false
	}
	return true
}

func combineInts[T int32 | int64](d arrow.ArrayData, sel []int32, out []uint64) {
	v := values[T](d)
	if sel == nil {
		out = out[:len(v)]
		for i, x := range v {
			out[i] = combine(out[i], mix(uint64(int64(x))))
		}
		return
	}
	for i, r := range sel {
		out[i] = combine(out[i], mix(uint64(int64(v[r]))))
	}
}

// hashColumn writes one column's value hashes to out.
func hashColumn(d arrow.ArrayData, sel []int32, out []uint64) {
	switch t := d.DataType().(type) {
	case *arrow.NullType:
		for i := range out {
			out[i] = hashNull
		}
		return
	case *arrow.BooleanType:
		hashBits(d, sel, out)
	case *arrow.Int8Type:
		hashInts[int8](d, sel, out)
	case *arrow.Int16Type:
		hashInts[int16](d, sel, out)
	case *arrow.Int32Type, *arrow.Date32Type, *arrow.Time32Type, *arrow.MonthIntervalType, *arrow.Decimal32Type:
		hashInts[int32](d, sel, out)
	case *arrow.Int64Type, *arrow.Date64Type, *arrow.Time64Type, *arrow.TimestampType, *arrow.DurationType, *arrow.Decimal64Type:
		hashInts[int64](d, sel, out)
	case *arrow.Float32Type:
		hashFloats[float32](d, sel, out)
	case *arrow.Float64Type:
		hashFloats[float64](d, sel, out)
	case *arrow.Decimal128Type:
		hashDecimals(d, sel, out)
	case *arrow.StringType, *arrow.BinaryType:
		hashStrings(d, sel, out)
	case *arrow.DictionaryType:
		hashDictionary(d, bytesOf(t.IndexType), sel, out)
		return
	case *arrow.ListType, *arrow.MapType:
		hashLists(d, sel, out)
	case *arrow.StructType:
		hashStructs(d, sel, out)
	default:
		panic(fmt.Sprintf("compute: hash of Arrow type %s", t))
	}
	overwriteNulls(d, sel, out)
}

// overwriteNulls puts the hash of null where d is null.
func overwriteNulls(d arrow.ArrayData, sel []int32, out []uint64) {
	if d.NullN() == 0 || d.Buffers()[0] == nil {
		return
	}
	valid, offset := d.Buffers()[0].Bytes(), d.Offset()
	if sel == nil {
		for i := range out {
			if at := i + offset; valid[at>>3]>>(at&7)&1 == 0 {
				out[i] = hashNull
			}
		}
		return
	}
	for i, r := range sel {
		if at := int(r) + offset; valid[at>>3]>>(at&7)&1 == 0 {
			out[i] = hashNull
		}
	}
}

// values returns the fixed-width values of d from its first row on.
func values[T arrow.FixedWidthType](d arrow.ArrayData) []T {
	if d.Len() == 0 {
		return nil
	}
	return arrow.GetData[T](d.Buffers()[1].Bytes())[d.Offset() : d.Offset()+d.Len()]
}

func hashInts[T int8 | int16 | int32 | int64](d arrow.ArrayData, sel []int32, out []uint64) {
	v := values[T](d)
	if sel == nil {
		out = out[:len(v)]
		for i, x := range v {
			out[i] = mix(uint64(int64(x)))
		}
		return
	}
	for i, r := range sel {
		out[i] = mix(uint64(int64(v[r])))
	}
}

func hashFloats[T float32 | float64](d arrow.ArrayData, sel []int32, out []uint64) {
	v := values[T](d)
	if sel == nil {
		for i, x := range v {
			out[i] = hashFloat(float64(x))
		}
		return
	}
	for i, r := range sel {
		out[i] = hashFloat(float64(v[r]))
	}
}

func hashFloat(x float64) uint64 {
	if x == 0 {
		x = 0 // -0.0
	}
	if x != x {
		return mix(math.Float64bits(math.NaN()))
	}
	return mix(math.Float64bits(x))
}

func hashBits(d arrow.ArrayData, sel []int32, out []uint64) {
	if d.Len() == 0 {
		return
	}
	v, offset := d.Buffers()[1].Bytes(), d.Offset()
	both := [2]uint64{mix(0), mix(1)}
	if sel == nil {
		for i := range out {
			at := i + offset
			out[i] = both[v[at>>3]>>(at&7)&1]
		}
		return
	}
	for i, r := range sel {
		at := int(r) + offset
		out[i] = both[v[at>>3]>>(at&7)&1]
	}
}

func hashDecimals(d arrow.ArrayData, sel []int32, out []uint64) {
	v := values[decimal128.Num](d)
	if sel == nil {
		for i := range v {
			out[i] = hashDecimal(v[i])
		}
		return
	}
	for i, r := range sel {
		out[i] = hashDecimal(v[r])
	}
}

// hashDecimal hashes what fits an int64 as decimal64 does.
func hashDecimal(x decimal128.Num) uint64 {
	low := mix(x.LowBits())
	if x.HighBits() == int64(x.LowBits())>>63 {
		return low
	}
	return combine(low, mix(uint64(x.HighBits())))
}

func hashStrings(d arrow.ArrayData, sel []int32, out []uint64) {
	if d.Len() == 0 {
		return
	}
	offsets := arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset():]
	var chars []byte
	if d.Buffers()[2] != nil {
		chars = d.Buffers()[2].Bytes()
	}
	if sel == nil {
		for i := range out {
			out[i] = xxh3.Hash(chars[offsets[i]:offsets[i+1]])
		}
		return
	}
	for i, r := range sel {
		out[i] = xxh3.Hash(chars[offsets[r]:offsets[r+1]])
	}
}

// hashDictionary hashes each dictionary value once, unless there are more of them
// than rows.
func hashDictionary(d arrow.ArrayData, indexBytes int, sel []int32, out []uint64) {
	dict := d.Dictionary()
	if dict.Len() <= len(out) {
		byValue := make([]uint64, dict.Len()+1) // shifted by one: null is -1
		byValue[0] = hashNull
		hashColumn(dict, nil, byValue[1:])
		if indexBytes == 4 && d.NullN() == 0 {
			spreadHashes(values[int32](d), sel, byValue[1:], out)
			return
		}
		for i, r := range dictionaryRows(d, indexBytes, sel) {
			out[i] = byValue[r+1]
		}
		return
	}
	rows := dictionaryRows(d, indexBytes, sel)
	some := make([]int32, len(rows))
	for i, r := range rows {
		some[i] = max(r, 0)
	}
	hashColumn(dict, some, out)
	for i, r := range rows {
		if r < 0 {
			out[i] = hashNull
		}
	}
}

// spreadHashes gives each row the hash of its dictionary value.
func spreadHashes(index, sel []int32, byValue, out []uint64) {
	if sel == nil {
		out = out[:len(index)]
		for i, x := range index {
			out[i] = byValue[x]
		}
		return
	}
	for i, r := range sel {
		out[i] = byValue[index[r]]
	}
}

// dictionaryRows returns the dictionary index of every selected row, -1 for null.
func dictionaryRows(d arrow.ArrayData, indexBytes int, sel []int32) []int32 {
	n := len(sel)
	if sel == nil {
		n = d.Len()
	}
	out := make([]int32, n)
	switch indexBytes {
	case 1:
		pickIndexes(out, values[uint8](d), sel)
	case 2:
		pickIndexes(out, values[uint16](d), sel)
	case 4:
		pickIndexes(out, values[int32](d), sel)
	case 8:
		pickIndexes(out, values[int64](d), sel)
	}
	if d.NullN() == 0 || d.Buffers()[0] == nil {
		return out
	}
	valid, offset := d.Buffers()[0].Bytes(), d.Offset()
	for i := range out {
		at := i + offset
		if sel != nil {
			at = int(sel[i]) + offset
		}
		if valid[at>>3]>>(at&7)&1 == 0 {
			out[i] = -1
		}
	}
	return out
}

func pickIndexes[T uint8 | uint16 | int32 | int64](out []int32, v []T, sel []int32) {
	if sel == nil {
		for i, x := range v {
			out[i] = int32(x)
		}
		return
	}
	for i, r := range sel {
		out[i] = int32(v[r])
	}
}

func hashLists(d arrow.ArrayData, sel []int32, out []uint64) {
	if d.Len() == 0 {
		return
	}
	offsets := arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset():]
	child := d.Children()[0]
	elements := make([]uint64, child.Len())
	hashColumn(child, nil, elements)
	for i := range out {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		h := mix(uint64(offsets[r+1] - offsets[r]))
		for _, e := range elements[offsets[r]:offsets[r+1]] {
			h = combine(h, e)
		}
		out[i] = h
	}
}

func hashStructs(d arrow.ArrayData, sel []int32, out []uint64) {
	for i := range out {
		out[i] = hashSeed
	}
	field := make([]uint64, len(out))
	for _, c := range d.Children() {
		part := array.NewSliceData(c, int64(d.Offset()), int64(d.Offset()+d.Len()))
		hashColumn(part, sel, field)
		part.Release()
		for i, v := range field {
			out[i] = combine(out[i], v)
		}
	}
}
