package keyfilter

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
)

// Keys is the set of keys of a build side, or of one part of it. It is immutable and
// may be used by several goroutines. Keys with a null in them are not in it.
type Keys struct {
	rows    int
	integer bool     // of one column of integers:
	bounds  bounds   // theirs
	bits    *bitmap  // nil: they lie too far apart, or are no integers
	hashes  []uint64 // of a part without bitmap
	bloom   *bloom   // of all parts, without bitmap
}

// Bound is at most how many bytes Of takes for so many rows.
func Bound(rows int) int64 { return smallSpan/8 + 8*int64(rows) }

// Of returns the keys in batches of key columns, or nil where they are too many.
// With integer they are one column that compute.Integers takes.
func Of(batches [][]arrow.Array, integer bool) *Keys {
	k := &Keys{integer: integer, bounds: noBounds()}
	if integer && k.collect(batches) {
		return k
	}
	return k.hash(batches)
}

// collect sets the bounds and makes the bitmap; false: there is none.
func (k *Keys) collect(batches [][]arrow.Array) bool {
	var buf []int64
	each := func(f func(values []int64, valid []bool)) {
		for _, b := range batches {
			var values []int64
			values, buf = compute.Integers(b[0], nil, buf)
			f(values, compute.Validity(b[0], nil, nil))
		}
	}
	each(func(values []int64, valid []bool) {
		for i, v := range values {
			if valid == nil || valid[i] {
				k.bounds.widen(bounds{v, v})
				k.rows++
			}
		}
	})
	if k.bits = newBitmap(k.bounds, k.rows); k.bits == nil {
		return k.rows == 0
	}
	each(k.bits.add)
	return true
}

// hash sets the hashes; it returns k, or nil where there are too many.
func (k *Keys) hash(batches [][]arrow.Array) *Keys {
	k.rows = 0
	for _, b := range batches {
		k.rows += b[0].Len()
	}
	if k.rows > maxHashed {
		return nil
	}
	k.hashes = make([]uint64, 0, k.rows)
	for _, b := range batches {
		sel := compute.NotNull(b, nil)
		if sel != nil && len(sel) == 0 || b[0].Len() == 0 {
			continue
		}
		from := len(k.hashes)
		k.hashes = k.hashes[:from+len(compute.HashColumns(b, sel, k.hashes[from:]))] // there is room
	}
	k.rows = len(k.hashes)
	return k
}

// union is the keys of all parts, ready to be asked, nil where they are too many.
func union(parts []*Keys) *Keys {
	k := &Keys{integer: true, bounds: noBounds()}
	dense := true
	for _, p := range parts {
		k.rows += p.rows
		k.integer = k.integer && p.integer
		k.bounds.widen(p.bounds)
		dense = dense && p.hashes == nil
	}
	switch {
	case k.rows == 0:
		return k
	case len(parts) == 1 && dense:
		return parts[0]
	case dense:
		k.bits = newBitmap(k.bounds, k.rows)
	}
	if k.bits != nil {
		for _, p := range parts {
			if p.bits != nil {
				k.bits.merge(p.bits)
			}
		}
		return k
	}
	if k.rows > maxHashed {
		return nil
	}
	k.bloom = newBloom(k.rows)
	for _, p := range parts {
		if k.bloom.add(p.hashes); p.bits != nil {
			k.bloom.add(hashInts(p.bits.values(nil)))
		}
	}
	return k
}

// hashInts hashes integers as a column of them.
func hashInts(values []int64) []uint64 {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(values, nil)
	a := b.NewArray()
	defer a.Release()
	return compute.HashColumns([]arrow.Array{a}, nil, nil)
}

// Bytes is the size of the set.
func (k *Keys) Bytes() int64 {
	n := 8 * len(k.hashes)
	if k.bits != nil {
		n += 8 * len(k.bits.words)
	}
	if k.bloom != nil {
		n += 8 * len(k.bloom.words)
	}
	return int64(n)
}

// Exact reports whether no row is kept whose key is not in the set.
func (k *Keys) Exact() bool { return k.bloom == nil }

// Between reports whether there may be a key from low to high; of keys that are not
// integers it says only whether there are any.
func (k *Keys) Between(low, high int64) bool {
	if k.rows == 0 || !k.integer {
		return k.rows > 0
	}
	low, high = max(low, k.bounds.least), min(high, k.bounds.most)
	if low > high {
		return false
	}
	return k.bits == nil || k.bits.between(low, high)
}

// Has reports whether a key of one column, an int64, a string or a []byte as it is
// laid out in the column, may be in the set; of other values it does not know.
func (k *Keys) Has(v any) bool {
	if k.rows == 0 {
		return false
	}
	switch v := v.(type) {
	case int64:
		return k.integer && k.Between(v, v) && (k.bloom == nil || k.bloom.has(hashInts([]int64{v})[0])) || !k.integer
	case string:
		return k.hasBytes([]byte(v))
	case []byte:
		return k.hasBytes(v)
	}
	return true
}

func (k *Keys) hasBytes(v []byte) bool {
	if k.bloom == nil {
		return true
	}
	b := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
	defer b.Release()
	b.Append(v)
	a := b.NewArray()
	defer a.Release()
	return k.bloom.has(compute.HashColumns([]arrow.Array{a}, nil, nil)[0])
}
