package expr

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// listOffsets are where the elements of each row begin and end.
func listOffsets(arr arrow.Array) []int32 {
	if arr.Len() == 0 {
		return []int32{0}
	}
	d := arr.Data()
	return arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset() : d.Offset()+d.Len()+1]
}

// absent is a list of n rows that stand for null.
func absent(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = -1
	}
	return rows
}

// arrayElementKernel is array[i], counting from 1; null outside the array.
func arrayElementKernel(t datatype.Type) kernel {
	return func(k *call) error {
		list := k.args[0].arr.(*array.List)
		offsets, mask, index := listOffsets(list), k.args[0].mask(), k.args[1].integers()
		rows := absent(k.n)
		for _, r := range k.rows() {
			from, to := offsets[int(r)&mask], offsets[(int(r)&mask)+1]
			if i := index.at(r); i >= 1 && i <= int64(to-from) {
				rows[r] = from + int32(i) - 1
			}
		}
		return k.gatherElements(list.ListValues(), rows, t)
	}
}

// singleElementKernel is ELEMENT: the one element of an array, null of none.
func singleElementKernel(t datatype.Type) kernel {
	return func(k *call) error {
		list := k.args[0].arr.(*array.List)
		offsets, rows := listOffsets(list), absent(k.n)
		for _, r := range k.rows() {
			switch n := offsets[r+1] - offsets[r]; {
			case n == 1:
				rows[r] = offsets[r]
			case n > 1:
				return failure.Errorf(failure.UserCode, "ELEMENT: the array has %d elements, not one", n)
			}
		}
		return k.gatherElements(list.ListValues(), rows, t)
	}
}

// mapElementKernel is map[key]: the value of the last entry with that key.
func mapElementKernel(t datatype.Type) kernel {
	return func(k *call) error {
		m := k.args[0].arr.(*array.Map)
		key, err := k.argumentAs(1, m.Keys())
		if err != nil {
			return err
		}
		defer key.Release()
		same, err := compute.NewComparer(m.Keys(), key, compute.Order{})
		if err != nil {
			return err
		}
		offsets, mask, rows := listOffsets(m), k.args[0].mask(), absent(k.n)
		for _, r := range k.rows() {
			for e := offsets[int(r)&mask]; e < offsets[(int(r)&mask)+1]; e++ {
				if same.Compare(int(e), int(r)&k.args[1].mask()) == 0 {
					rows[r] = e
				}
			}
		}
		return k.gatherElements(m.Items(), rows, t)
	}
}

// argumentAs is argument i as an array of like's type; constants have one row.
func (k *call) argumentAs(i int, like arrow.Array) (arrow.Array, error) {
	t, err := datatype.FromArrow(like.DataType(), true)
	if err != nil {
		return nil, err
	}
	n := k.n
	if k.args[i].constant {
		n = 1
	}
	return k.toArrow(k.args[i], t, n)
}

// cardinalityKernel counts elements or entries.
func cardinalityKernel(k *call) error {
	k.allocate(k.out)
	out, offsets := values[int32](k.out), listOffsets(k.args[0].arr)
	for _, r := range k.rows() {
		out[r] = offsets[r+1] - offsets[r]
	}
	return nil
}

// containsKernel is ARRAY_CONTAINS; a null is found among nulls.
func containsKernel(k *call) error {
	k.allocate(k.out)
	clear(k.out.data)
	if k.args[0].null {
		k.out.valid = k.zeros(k.n)
		return nil
	}
	list := k.args[0].arr.(*array.List)
	if !k.args[0].constant || k.out.constant {
		k.out.valid = k.args[0].valid
	}
	value, err := k.argumentAs(1, list.ListValues())
	if err != nil {
		return err
	}
	defer value.Release()
	same, err := compute.NewComparer(list.ListValues(), value, compute.Order{})
	if err != nil {
		return err
	}
	offsets, mask := listOffsets(list), k.args[0].mask()
	for _, r := range k.rows() {
		for e := offsets[int(r)&mask]; e < offsets[(int(r)&mask)+1]; e++ {
			if same.Compare(int(e), int(r)&k.args[1].mask()) == 0 {
				setBit(k.out.data, int(r))
				break
			}
		}
	}
	return nil
}

// mapPartKernel is MAP_KEYS and MAP_VALUES: the lists of one side of the entries.
func mapPartKernel(part int, t datatype.Type) kernel {
	return func(k *call) error {
		m := k.args[0].arr.(*array.Map)
		child := m.Keys()
		if part == 1 {
			child = m.Items()
		}
		d := array.NewData(t.Arrow(), m.Len(), m.Data().Buffers(), []arrow.ArrayData{child.Data()}, m.NullN(), m.Data().Offset())
		defer d.Release()
		k.setNested(array.MakeFromData(d))
		return nil
	}
}

// concatArrays is array || array.
func concatArrays(t datatype.Type) kernel {
	if t.Kind != datatype.Array {
		return nil
	}
	return func(k *call) error {
		a, b := k.args[0].arr.(*array.List), k.args[1].arr.(*array.List)
		elements, err := compute.Concat(k.mem, []arrow.Array{a.ListValues(), b.ListValues()})
		if err != nil {
			return err
		}
		defer elements.Release()
		var rows []int32
		offsets := memory.NewResizableBuffer(k.mem)
		defer offsets.Release()
		offsets.Resize((k.n + 1) * 4)
		to := arrow.GetData[int32](offsets.Bytes())
		ao, am, bo, bm := listOffsets(a), k.args[0].mask(), listOffsets(b), k.args[1].mask()
		base := int32(a.ListValues().Len())
		for r := range k.n {
			to[r] = int32(len(rows))
			if k.out.valid != nil && !bitSet(k.out.valid, r) {
				continue
			}
			for e := ao[r&am]; e < ao[(r&am)+1]; e++ {
				rows = append(rows, e)
			}
			for e := bo[r&bm]; e < bo[(r&bm)+1]; e++ {
				rows = append(rows, base+e)
			}
		}
		to[k.n] = int32(len(rows))
		joined, err := compute.Take(k.mem, elements, append([]int32{}, rows...))
		if err != nil {
			return err
		}
		defer joined.Release()
		return k.setList(t, offsets, joined)
	}
}

// setList makes a list of elements the result, null where the call is.
func (k *call) setList(t datatype.Type, offsets *memory.Buffer, elements arrow.Array) error {
	var valid *memory.Buffer
	nulls := 0
	if k.out.valid != nil {
		valid = k.copyBuffer(k.out.valid)
		defer valid.Release()
		nulls = k.n - countBits(k.out.valid, k.n)
	}
	d := array.NewData(t.Arrow(), k.n, []*memory.Buffer{valid, offsets}, []arrow.ArrayData{elements.Data()}, nulls, 0)
	defer d.Release()
	k.setNested(array.MakeFromData(d))
	return nil
}
