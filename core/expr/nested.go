package expr

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// castNested casts the children of arrays, maps and rows.
func castNested(from, to datatype.Type, env *environment, try bool) (kernel, bool) {
	if from.Kind != to.Kind {
		return nil, false
	}
	fromTypes, toTypes := childTypes(from), childTypes(to)
	kernels := make([]kernel, len(fromTypes))
	same := true
	for i := range kernels {
		k, relabel := castKernel(fromTypes[i], toTypes[i], env, try)
		if k == nil && !relabel && fromTypes[i].Kind != datatype.Null {
			return nil, false
		}
		kernels[i], same = k, same && relabel
	}
	if same {
		return nil, true
	}
	return func(k *call) error {
		d := k.args[0].arr.Data()
		out, err := k.castChildren(d, to.Arrow(), fromTypes, toTypes, kernels)
		if err != nil {
			return err
		}
		defer out.Release()
		k.setNested(array.MakeFromData(out))
		return nil
	}, false
}

// childTypes are the types of the children that hold values.
func childTypes(t datatype.Type) []datatype.Type {
	switch t.Kind {
	case datatype.Row:
		out := make([]datatype.Type, len(t.Fields))
		for i, f := range t.Fields {
			out[i] = f.Type
		}
		return out
	case datatype.Map:
		return []datatype.Type{*t.Key, *t.Elem}
	case datatype.Multiset:
		return []datatype.Type{*t.Elem, datatype.Of(datatype.Int)}
	default:
		return []datatype.Type{*t.Elem}
	}
}

// castChildren rebuilds d as type t with cast children. A map's children sit in
// a struct of their own.
func (k *call) castChildren(d arrow.ArrayData, t arrow.DataType, from, to []datatype.Type, kernels []kernel) (arrow.ArrayData, error) {
	if m, ok := t.(*arrow.MapType); ok {
		entries, err := k.castChildren(d.Children()[0], m.Elem(), from, to, kernels)
		if err != nil {
			return nil, err
		}
		defer entries.Release()
		return array.NewData(t, d.Len(), d.Buffers(), []arrow.ArrayData{entries}, d.NullN(), d.Offset()), nil
	}
	children := make([]arrow.ArrayData, 0, len(from))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for i, c := range d.Children() {
		child, err := k.castColumn(c, from[i], to[i], kernels[i])
		if err != nil {
			return nil, err
		}
		children = append(children, child.Data())
	}
	return array.NewData(t, d.Len(), d.Buffers(), children, d.NullN(), d.Offset()), nil
}

// castColumn applies a cast to a whole child column in a run of its own.
func (k *call) castColumn(d arrow.ArrayData, from, to datatype.Type, cast kernel) (arrow.Array, error) {
	arr := array.MakeFromData(d)
	defer arr.Release()
	inner := run{mem: k.mem, textLimit: k.textLimit}
	inner.reset([]arrow.Array{arr}, arr.Len())
	defer inner.finish()
	v, err := inner.loadColumn(arr, layoutOf(from))
	if err != nil {
		return nil, err
	}
	if cast != nil && !v.null {
		n := &callNode{args: []node{&fixedNode{v}}, kernel: cast, out: layoutOf(to), strict: true}
		if v, err = n.eval(&inner, nil); err != nil {
			if raised := (*RowError)(nil); errors.As(err, &raised) { // its row is one of the elements
				err = raised.err
			}
			return nil, err
		}
	}
	return inner.toArrow(v, to, arr.Len())
}

// setNested takes over arr as the result of the call.
func (k *call) setNested(arr arrow.Array) {
	v := k.nestedVector(arr)
	v.constant = k.out.constant
	*k.out = *v
}

// argument returns argument i as an Arrow array of type t with a value for each
// row; the caller releases it.
func (k *call) argument(i int, t datatype.Type) (arrow.Array, error) {
	return k.toArrow(k.args[i], t, k.n)
}

// arrayKernel is ARRAY[...]: the arguments' rows, interleaved.
func arrayKernel(t datatype.Type) kernel {
	return func(k *call) error {
		elements, err := k.interleave(k.args, *t.Elem)
		if err != nil {
			return err
		}
		defer elements.Release()
		offsets := k.evenOffsets(len(k.args))
		defer offsets.Release()
		k.setNestedData(t.Arrow(), []*memory.Buffer{nil, offsets}, elements)
		return nil
	}
}

func (k *call) setNestedData(t arrow.DataType, buffers []*memory.Buffer, children ...arrow.Array) {
	data := make([]arrow.ArrayData, len(children))
	for i, c := range children {
		data[i] = c.Data()
	}
	d := array.NewData(t, k.n, buffers, data, 0, 0)
	defer d.Release()
	k.setNested(array.MakeFromData(d))
}

// evenOffsets are the offsets of lists that all have each elements.
func (k *call) evenOffsets(each int) *memory.Buffer {
	b := memory.NewResizableBuffer(k.mem)
	b.Resize((k.n + 1) * 4)
	for i := range arrow.GetData[int32](b.Bytes()) {
		arrow.GetData[int32](b.Bytes())[i] = int32(i * each)
	}
	return b
}

// interleave returns row 0 of every argument, then row 1, and so on.
func (k *call) interleave(args []*vector, t datatype.Type) (arrow.Array, error) {
	parts := make([]arrow.Array, 0, len(args))
	defer func() { compute.ReleaseAll(parts) }()
	for _, a := range args {
		part, err := k.toArrow(a, t, k.n)
		if err != nil {
			return nil, err
		}
		plain, err := compute.Decode(k.mem, part)
		part.Release()
		if err != nil {
			return nil, err
		}
		parts = append(parts, plain)
	}
	if len(parts) == 0 {
		return compute.Nulls(k.mem, t.Arrow(), 0), nil
	}
	all, err := compute.Concat(k.mem, parts)
	if err != nil {
		return nil, err
	}
	defer all.Release()
	rows := make([]int32, 0, k.n*len(args))
	for r := range k.n {
		for a := range args {
			rows = append(rows, int32(a*k.n+r))
		}
	}
	return compute.Take(k.mem, all, rows)
}

// mapKernel is MAP[k, v, ...].
func mapKernel(t datatype.Type) kernel {
	return func(k *call) error {
		var keys, items []*vector
		for i := 0; i < len(k.args); i += 2 {
			keys, items = append(keys, k.args[i]), append(items, k.args[i+1])
			for _, r := range k.rows() {
				if k.args[i].isNull(int(r)) {
					return failure.Errorf(failure.UserCode, "MAP: a key is NULL")
				}
			}
		}
		ks, err := k.interleave(keys, t.Key.WithNull(true))
		if err != nil {
			return err
		}
		defer ks.Release()
		vs, err := k.interleave(items, *t.Elem)
		if err != nil {
			return err
		}
		defer vs.Release()
		pairs := mapEntries(t, ks, vs)
		defer pairs.Release()
		offsets := k.evenOffsets(len(keys))
		defer offsets.Release()
		k.setNestedData(t.Arrow(), []*memory.Buffer{nil, offsets}, pairs)
		return nil
	}
}

// rowKernel is ROW(...).
func rowKernel(t datatype.Type) kernel {
	return func(k *call) error {
		children := make([]arrow.Array, 0, len(k.args))
		defer func() { compute.ReleaseAll(children) }()
		for i := range k.args {
			child, err := k.argument(i, t.Fields[i].Type)
			if err != nil {
				return err
			}
			plain, err := compute.Decode(k.mem, child)
			child.Release()
			if err != nil {
				return err
			}
			children = append(children, plain)
		}
		k.setNestedData(t.Arrow(), []*memory.Buffer{nil}, children...)
		return nil
	}
}

// fieldKernel is row.field; a field of a null row is null.
func fieldKernel(at int, t datatype.Type) kernel {
	return func(k *call) error {
		row := k.args[0].arr.(*array.Struct)
		return k.setColumn(row.Field(at), t)
	}
}

// setColumn makes an array that the arguments own the result of a strict call.
func (k *call) setColumn(arr arrow.Array, t datatype.Type) error {
	valid, constant := k.out.valid, k.out.constant
	v, err := k.loadColumn(arr, layoutOf(t))
	if err != nil {
		return err
	}
	if valid != nil && !v.null {
		v.arr = keepNested(v)
		v.valid = k.andValid([]*vector{v, {valid: valid}}, k.n)
	}
	if valid != nil && v.layout == nestedLayout {
		return k.maskNested(arr, v)
	}
	*k.out = *v
	k.out.constant = k.out.constant || constant
	return nil
}

// keepNested drops the Arrow column of a vector whose nulls no longer are the
// column's, except where it is all the vector has.
func keepNested(v *vector) arrow.Array {
	if v.layout == nestedLayout {
		return v.arr
	}
	return nil
}

// maskNested makes rows null that v says are.
func (k *call) maskNested(arr arrow.Array, v *vector) error {
	rows := make([]int32, k.n)
	for i := range rows {
		if rows[i] = int32(i); v.isNull(i) {
			rows[i] = -1
		}
	}
	out, err := compute.TakeOrNull(k.mem, arr, rows)
	if err != nil {
		return err
	}
	k.setNested(out)
	return nil
}

// gatherElements makes the result from the elements at rows, -1 for null.
func (k *call) gatherElements(elements arrow.Array, rows []int32, t datatype.Type) error {
	out, err := compute.TakeOrNull(k.mem, elements, rows)
	if err != nil {
		return err
	}
	k.release = append(k.release, out)
	constant := k.out.constant
	v, err := k.loadColumn(out, layoutOf(t))
	if err != nil {
		return err
	}
	*k.out = *v
	k.out.constant = k.out.constant || constant
	return nil
}

// mapEntries are the keys and values of maps of type t as the array that such maps
// are lists of.
func mapEntries(t datatype.Type, keys, items arrow.Array) arrow.Array {
	d := array.NewData(t.Arrow().(*arrow.MapType).Elem(), keys.Len(), []*memory.Buffer{nil}, []arrow.ArrayData{keys.Data(), items.Data()}, 0, 0)
	defer d.Release()
	return array.MakeFromData(d)
}
