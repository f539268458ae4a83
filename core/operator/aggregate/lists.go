package aggregate

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// listagg joins texts by a separator, a comma unless the call names another. An
// accumulator is the length of the first separator, then separator and text of
// each row, so that merging is appending; the result leaves the first one out.
type listagg struct {
	parts
	typ datatype.Type
}

func (l *listagg) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	c, texts := acc[0], compute.NewTexts(args[0])
	separator := func(int) []byte { return []byte{','} }
	if len(args) > 1 {
		separator = compute.NewTexts(args[1]).At
	}
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		sep := separator(r)
		before := len(c.Bytes[s])
		if !c.Valid[s] {
			c.Bytes[s], c.Valid[s] = binary.AppendUvarint(nil, uint64(len(sep))), true
		}
		c.Bytes[s] = append(append(c.Bytes[s], sep...), texts.At(r)...)
		l.kept += int64(len(c.Bytes[s]) - before)
	}
	return nil
}

func (l *listagg) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	l.mergeParts(acc[0], in[0], sel, slots, func(part []byte) int {
		_, n := binary.Uvarint(part)
		return n
	})
	return nil
}

func (l *listagg) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(l.typ, to-from)
	for i := range out.Valid {
		if s := from + i; acc[0].Valid[s] {
			sep, n := binary.Uvarint(acc[0].Bytes[s])
			out.Bytes[i], out.Valid[i] = acc[0].Bytes[s][n+int(sep):], true
		}
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}

// elements is ARRAY_AGG, with nulls, and COLLECT, without. An accumulator is the
// values one after the other: 0 for null, else 1 and the value.
type elements struct {
	parts
	arg, out datatype.Type
}

func newElements(arg, result datatype.Type) (accumulator, error) {
	if hashtable.StorageOf(arg) == hashtable.NoStorage {
		return nil, failure.Errorf(failure.InvalidSQL, "collecting values of type %s is not supported", arg)
	}
	return &elements{arg: arg, out: result}, nil
}

func (e *elements) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	c := acc[0]
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		before := len(c.Bytes[s])
		c.Bytes[s], c.Valid[s] = appendElement(c.Bytes[s], compute.ValueAt(args[0], r)), true
		e.kept += int64(len(c.Bytes[s]) - before)
	}
	return nil
}

func appendElement(b []byte, v any) []byte {
	if v == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	switch v := v.(type) {
	case bool:
		if v {
			return append(b, 1)
		}
		return append(b, 0)
	case int64:
		return binary.AppendVarint(b, v)
	case float64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	case decimal128.Num:
		b = binary.LittleEndian.AppendUint64(b, v.LowBits())
		return binary.LittleEndian.AppendUint64(b, uint64(v.HighBits()))
	case string:
		return append(binary.AppendUvarint(b, uint64(len(v))), v...)
	case []byte:
		return append(binary.AppendUvarint(b, uint64(len(v))), v...)
	default:
		panic("aggregate: value without an encoding")
	}
}

// element decodes the first value of b.
func (e *elements) element(b []byte) (v any, rest []byte) {
	if b[0] == 0 {
		return nil, b[1:]
	}
	b = b[1:]
	switch hashtable.StorageOf(e.arg) {
	case hashtable.Integer:
		if e.arg.Kind == datatype.Boolean {
			return b[0] != 0, b[1:]
		}
		x, n := binary.Varint(b)
		return x, b[n:]
	case hashtable.Real:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:]
	case hashtable.Wide:
		return decimal128.New(int64(binary.LittleEndian.Uint64(b[8:])), binary.LittleEndian.Uint64(b)), b[16:]
	}
	n, skip := binary.Uvarint(b)
	text := b[skip : skip+int(n)]
	if e.arg.IsString() {
		return string(text), b[skip+int(n):]
	}
	return text, b[skip+int(n):]
}

func (e *elements) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	e.mergeParts(acc[0], in[0], sel, slots, nil)
	return nil
}

func (e *elements) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	b := array.NewBuilder(mem, e.out.Arrow())
	defer b.Release()
	for s := from; s < to; s++ {
		values := e.values(acc[0].Bytes[s])
		if e.out.Kind == datatype.Multiset {
			values = counted(values)
		} else if !acc[0].Valid[s] {
			b.AppendNull()
			continue
		}
		if err := compute.AppendValue(b, values); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

func (e *elements) values(b []byte) []any {
	values := []any{}
	for len(b) > 0 {
		var v any
		v, b = e.element(b)
		values = append(values, v)
	}
	return values
}

// counted turns values into the multiset's map: value, count, value, count.
func counted(values []any) []any {
	out, at := []any{}, map[any]int{}
	for _, v := range values {
		key := v
		if b, ok := v.([]byte); ok {
			key = string(b)
		}
		if i, ok := at[key]; ok {
			out[i] = out[i].(int64) + 1
			continue
		}
		at[key] = len(out) + 1
		out = append(out, v, int64(1))
	}
	return out
}
