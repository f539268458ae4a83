package expr

import (
	"regexp"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// mapFunction finds the kernels of functions that make and take apart maps.
func (c *compiler) mapFunction(x *Call) kernel {
	switch x.Function {
	case "MAP_KEYS":
		return mapPartKernel(0, x.T)
	case "MAP_VALUES":
		return mapPartKernel(1, x.T)
	case "MAP_ENTRIES":
		return mapEntriesKernel(x.T)
	case "MAP_FROM_ARRAYS":
		return mapFromArraysKernel(x.T)
	case "MAP_UNION":
		return mapUnionKernel(x.T)
	case "STR_TO_MAP":
		return textToMapKernel(x.T)
	default:
		return nil
	}
}

// mapEntriesKernel is MAP_ENTRIES: the entries, as they are, as rows.
func mapEntriesKernel(t datatype.Type) kernel {
	return func(k *call) error {
		m := k.args[0].arr.(*array.Map)
		entries := m.Data().Children()[0]
		rows := array.NewData(t.Elem.Arrow(), entries.Len(), []*memory.Buffer{nil}, entries.Children(), 0, entries.Offset())
		defer rows.Release()
		d := array.NewData(t.Arrow(), m.Len(), m.Data().Buffers(), []arrow.ArrayData{rows}, m.NullN(), m.Data().Offset())
		defer d.Release()
		k.setNested(array.MakeFromData(d))
		return nil
	}
}

// mapFromArraysKernel is MAP_FROM_ARRAYS; both arrays are as long, and no key is
// null.
func mapFromArraysKernel(t datatype.Type) kernel {
	return func(k *call) error {
		keys, values := k.args[0].arr.(*array.List), k.args[1].arr.(*array.List)
		ko, vo, km, vm := listOffsets(keys), listOffsets(values), k.args[0].mask(), k.args[1].mask()
		b := newMapBuilder(k)
		for _, r := range k.rows() {
			b.begin(r)
			from, to := ko[int(r)&km], ko[(int(r)&km)+1]
			first, last := vo[int(r)&vm], vo[(int(r)&vm)+1]
			if to-from != last-first {
				return failure.Errorf(failure.UserCode, "MAP_FROM_ARRAYS: %d keys and %d values", to-from, last-first)
			}
			for e := from; e < to; e++ {
				if keys.ListValues().IsNull(int(e)) {
					return failure.Errorf(failure.UserCode, "MAP_FROM_ARRAYS: a key is NULL")
				}
				b.keys, b.items = append(b.keys, e), append(b.items, first+e-from)
			}
		}
		return b.finish(t, keys.ListValues(), values.ListValues())
	}
}

// mapUnionKernel is MAP_UNION: the entries of all maps; of equal keys the last
// one's value.
func mapUnionKernel(t datatype.Type) kernel {
	return func(k *call) error {
		var keys, items []arrow.Array
		base, at := make([]int32, len(k.args)), int32(0)
		for i, a := range k.args {
			m := a.arr.(*array.Map)
			keys, items = append(keys, m.Keys()), append(items, m.Items())
			base[i] = at
			at += int32(m.Keys().Len())
		}
		pool, err := compute.Concat(k.mem, keys)
		if err != nil {
			return err
		}
		defer pool.Release()
		values, err := compute.Concat(k.mem, items)
		if err != nil {
			return err
		}
		defer values.Release()
		same, err := compute.NewComparer(pool, pool, compute.Order{})
		if err != nil {
			return err
		}
		hashes, found := compute.HashColumns([]arrow.Array{pool}, nil, nil), map[uint64][]int{}
		b := newMapBuilder(k)
		for _, r := range k.rows() {
			b.begin(r)
			clear(found)
			for i, a := range k.args {
				offsets, x := listOffsets(a.arr), int(r)&a.mask()
				for e := base[i] + offsets[x]; e < base[i]+offsets[x+1]; e++ {
					b.put(e, hashes[e], found, same)
				}
			}
		}
		return b.finish(t, pool, values)
	}
}

// mapBuilder makes maps of keys and values by their positions.
type mapBuilder struct {
	k           *call
	offsets     *memory.Buffer
	next        int
	keys, items []int32
}

func newMapBuilder(k *call) *mapBuilder {
	b := &mapBuilder{k: k, offsets: memory.NewResizableBuffer(k.mem)}
	k.buffers = append(k.buffers, b.offsets)
	b.offsets.Resize((k.n + 1) * 4)
	return b
}

// begin moves on to row r.
func (b *mapBuilder) begin(r int32) {
	for offsets := arrow.GetData[int32](b.offsets.Bytes()); b.next <= int(r); b.next++ {
		offsets[b.next] = int32(len(b.keys))
	}
}

// put adds an entry, or replaces the value of the one with the same key; found
// has the row's entries by the hashes of their keys.
func (b *mapBuilder) put(e int32, hash uint64, found map[uint64][]int, same compute.Comparer) {
	for _, at := range found[hash] {
		if same.Compare(int(b.keys[at]), int(e)) == 0 {
			b.items[at] = e
			return
		}
	}
	found[hash] = append(found[hash], len(b.keys))
	b.keys, b.items = append(b.keys, e), append(b.items, e)
}

// finish makes the maps the call's result, null where the call is.
func (b *mapBuilder) finish(t datatype.Type, keys, items arrow.Array) error {
	b.begin(int32(b.k.n))
	ks, err := compute.Take(b.k.mem, keys, b.keys)
	if err != nil {
		return err
	}
	defer ks.Release()
	vs, err := compute.Take(b.k.mem, items, b.items)
	if err != nil {
		return err
	}
	defer vs.Release()
	pairs := mapEntries(t, ks, vs)
	defer pairs.Release()
	return b.k.setList(t, b.offsets, pairs)
}

// textToMapKernel is STR_TO_MAP; the delimiters are regular expressions. A piece
// without one between key and value is a key of a null, and of equal keys the
// last one counts.
func textToMapKernel(t datatype.Type) kernel {
	return func(k *call) error {
		maps := array.NewBuilder(k.mem, t.Arrow()).(*array.MapBuilder)
		defer maps.Release()
		keys, items := maps.KeyBuilder().(*array.StringBuilder), maps.ItemBuilder().(*array.StringBuilder)
		a, between, within, next, total := k.arguments(), regexes{}, regexes{}, int32(0), 0
		for _, r := range k.rows() {
			for ; next < r; next++ {
				maps.AppendNull()
			}
			next++
			first, second := []byte(","), []byte("=")
			if a.count() > 1 {
				first = a.s(1, r)
			}
			if a.count() > 2 {
				second = a.s(2, r)
			}
			outer, err := between.of(first, 0)
			if err != nil {
				return err
			}
			inner, err := within.of(second, 0)
			if err != nil {
				return err
			}
			maps.Append(true)
			total += len(a.s(0, r)) // of which entries are parts
			if err := k.checkText(total); err != nil {
				return err
			}
			for _, e := range textEntries(string(a.s(0, r)), outer, inner) {
				keys.Append(e[0])
				if len(e) > 1 {
					items.Append(e[1])
				} else {
					items.AppendNull()
				}
			}
		}
		for ; int(next) < k.n; next++ {
			maps.AppendNull()
		}
		k.setNested(maps.NewArray())
		return nil
	}
}

// textEntries are the keys and values of a text, each key once.
func textEntries(text string, between, within *regexp.Regexp) (entries [][]string) {
	at := map[string]int{}
	for _, piece := range between.Split(text, -1) {
		e := within.Split(piece, 2)
		if i, ok := at[e[0]]; ok {
			entries[i] = e
			continue
		}
		at[e[0]] = len(entries)
		entries = append(entries, e)
	}
	return entries
}
