package expr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// hasMap reports whether there is a map in values of type t.
func hasMap(t datatype.Type) bool {
	switch t.Kind {
	case datatype.Map, datatype.Multiset:
		return true
	case datatype.Array:
		return hasMap(*t.Elem)
	case datatype.Row:
		return slices.ContainsFunc(t.Fields, func(f datatype.Field) bool { return hasMap(f.Type) })
	}
	return false
}

// keyKernel is $KEY: arrays, maps and rows as bytes, which are equal where the
// values are not distinct. The key of NULL is not NULL.
func keyKernel(k *call) error {
	in, out := k.args[0], k.textOut()
	for _, r := range k.rows() {
		if !out.begin(r) {
			break
		}
		if in.null {
			out.data = append(out.data, 0)
			continue
		}
		out.data = appendKey(out.data, in.arr, int(r)&in.mask())
	}
	return out.end()
}

// appendKey writes 0 for NULL, else 1 and the value: of fixed width, or behind its
// length. The entries of a map are in the order of their keys.
func appendKey(b []byte, arr arrow.Array, i int) []byte {
	if arr.IsNull(i) {
		return append(b, 0)
	}
	b = append(b, 1)
	switch a := arr.(type) {
	case *array.Map:
		from, to := a.ValueOffsets(i)
		entries := make([][]byte, 0, to-from)
		for e := int(from); e < int(to); e++ {
			entries = append(entries, appendKey(appendKey(nil, a.Keys(), e), a.Items(), e))
		}
		slices.SortFunc(entries, bytes.Compare)
		b = binary.AppendUvarint(b, uint64(len(entries)))
		for _, e := range entries {
			b = append(b, e...)
		}
		return b
	case *array.List:
		from, to := a.ValueOffsets(i)
		b = binary.AppendUvarint(b, uint64(to-from))
		for e := int(from); e < int(to); e++ {
			b = appendKey(b, a.ListValues(), e)
		}
		return b
	case *array.Struct:
		for f := range a.NumField() {
			b = appendKey(b, a.Field(f), i)
		}
		return b
	case *array.String:
		return append(binary.AppendUvarint(b, uint64(len(a.Value(i)))), a.Value(i)...)
	case *array.Binary:
		return append(binary.AppendUvarint(b, uint64(len(a.Value(i)))), a.Value(i)...)
	}
	switch v := compute.ValueAt(arr, i).(type) {
	case bool:
		if v {
			return append(b, 1)
		}
		return append(b, 0)
	case float64:
		switch {
		case v == 0:
			v = 0 // -0 is 0
		case v != v:
			v = math.NaN() // there are many
		}
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	case decimal128.Num:
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, uint64(v.HighBits())), v.LowBits())
	case string: // of a dictionary
		return append(binary.AppendUvarint(b, uint64(len(v))), v...)
	case []byte:
		return append(binary.AppendUvarint(b, uint64(len(v))), v...)
	case int64:
		return binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// valueKernel is $VALUE: the values of type t that keys were made of.
func valueKernel(t datatype.Type) kernel {
	return func(k *call) error {
		in := k.args[0].text()
		b := array.NewBuilder(k.mem, t.Arrow())
		defer b.Release()
		b.Reserve(k.n)
		next := 0
		for _, r := range k.rows() {
			for ; next < int(r); next++ { // rows that nobody asks for
				b.AppendNull()
			}
			if _, err := decodeKey(b, in.at(int(r))); err != nil {
				return err
			}
			next++
		}
		for ; next < k.n; next++ {
			b.AppendNull()
		}
		k.setNested(b.NewArray())
		return nil
	}
}

var errKey = errors.New("$VALUE: not a key of its type")

// decodeKey appends the value that key begins with and returns what follows it.
func decodeKey(b array.Builder, key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, errKey
	}
	present := key[0] == 1
	key = key[1:]
	if !present {
		b.AppendNull()
		return key, nil
	}
	switch b := b.(type) {
	case *array.MapBuilder:
		b.Append(true)
		return decodeParts(key, b.KeyBuilder(), b.ItemBuilder())
	case *array.ListBuilder:
		b.Append(true)
		return decodeParts(key, b.ValueBuilder())
	case *array.StructBuilder:
		b.Append(true)
		var err error
		for f := range b.NumField() {
			if key, err = decodeKey(b.FieldBuilder(f), key); err != nil {
				return nil, err
			}
		}
		return key, nil
	case *array.StringBuilder:
		text, rest, err := decodeBytes(key)
		b.Append(string(text))
		return rest, err
	case *array.BinaryBuilder:
		text, rest, err := decodeBytes(key)
		b.Append(text)
		return rest, err
	}
	return decodeFixed(b, key)
}

func decodeParts(key []byte, parts ...array.Builder) ([]byte, error) {
	n, used := binary.Uvarint(key)
	if used <= 0 {
		return nil, errKey
	}
	key = key[used:]
	var err error
	for range n {
		for _, p := range parts {
			if key, err = decodeKey(p, key); err != nil {
				return nil, err
			}
		}
	}
	return key, nil
}

func decodeBytes(key []byte) (text, rest []byte, err error) {
	n, used := binary.Uvarint(key)
	if used <= 0 || uint64(len(key)-used) < n {
		return nil, nil, errKey
	}
	return key[used : used+int(n)], key[used+int(n):], nil
}

func decodeFixed(b array.Builder, key []byte) ([]byte, error) {
	width := 8
	switch b.(type) {
	case *array.BooleanBuilder:
		width = 1
	case *array.Decimal128Builder:
		width = 16
	}
	if len(key) < width {
		return nil, errKey
	}
	if b, ok := b.(*array.BooleanBuilder); ok {
		b.Append(key[0] == 1)
		return key[1:], nil
	}
	v := binary.LittleEndian.Uint64(key)
	switch b := b.(type) {
	case *array.Decimal128Builder:
		b.Append(decimal128.New(int64(v), binary.LittleEndian.Uint64(key[8:])))
	case *array.Float32Builder:
		b.Append(float32(math.Float64frombits(v)))
	case *array.Float64Builder:
		b.Append(math.Float64frombits(v))
	default:
		if err := compute.AppendInteger(b, int64(v)); err != nil {
			return nil, err
		}
	}
	return key[width:], nil
}
