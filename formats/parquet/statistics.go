package parquet

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/formats"
)

// columnNames lists the file's columns for error messages.
func (f *file) columnNames() string {
	names := f.schema().Names()
	if len(names) > 20 {
		names = append(names[:20], "...")
	}
	return strings.Join(names, ", ")
}

// prune reports whether the statistics prove that no row of the group matches.
// Bounds are taken in the wanted types' form, for that is the literals'.
func (f *file) prune(group int, p *predicate.Predicate, wanted datatype.Schema) bool {
	if p == nil {
		return false
	}
	return p.Prune(f.lookup(group, wanted))
}

// lookup finds the summaries of a row group's columns.
func (f *file) lookup(group int, wanted datatype.Schema) func(name string) (predicate.Summary, bool) {
	return func(name string) (predicate.Summary, bool) {
		c := f.column(name)
		if c == nil || c.nested {
			return predicate.Summary{}, false
		}
		t := c.typ
		if i := wanted.Index(name); i >= 0 {
			t = wanted[i].Type
		}
		return summarize(&f.meta.groups[group].chunks[c.leaves[0].index], c.leaves[0], t, f.meta.groups[group].rows), true
	}
}

// summarize turns a chunk's statistics into bounds of type want.
func summarize(c *chunk, l *leaf, want datatype.Type, rows int64) predicate.Summary {
	s := predicate.Summary{Nulls: c.statistics.nulls, Rows: rows}
	if l.maxDef == 0 {
		s.Nulls = 0
	} else if s.Nulls > rows {
		s.Nulls = -1
	}
	low, high := c.statistics.min, c.statistics.max
	if !l.ordered {
		low, high = nil, nil
	}
	if low == nil && high == nil && signedOrder(l) {
		low, high = c.statistics.oldMin, c.statistics.oldMax
	}
	s.Min, s.Max = boundOf(l, want, low), boundOf(l, want, high)
	if s.Min != nil && s.Max != nil {
		s.Min, s.Max = widenFloats(s.Min, s.Max)
	}
	return s
}

// signedOrder reports whether the deprecated bounds, which were compared as
// signed numbers, can be trusted for the leaf.
func signedOrder(l *leaf) bool {
	switch l.physical {
	case format.Int32, format.Int64:
		_, signed := integerWidth(&l.element)
		return signed
	}
	return false
}

// boundOf decodes one bound; nil where it is absent, malformed or has no order
// that we rely on.
func boundOf(l *leaf, want datatype.Type, b []byte) any {
	switch {
	case b == nil || l.physical == format.Int96:
		return nil
	case l.physical == format.Boolean && want.Kind == datatype.Boolean:
		if len(b) != 1 {
			return nil
		}
		return b[0] != 0
	case want.IsString() && l.datatype.Kind == datatype.Varchar:
		return string(b)
	case want.IsBinary() && l.datatype.IsBinary():
		return b
	case want.IsString(), want.IsBinary(), want.Kind == datatype.Boolean:
		return nil
	}
	return numberOf(l, want, b)
}

// numberOf decodes a bound of fixed width by the converter that reads the values.
func numberOf(l *leaf, want datatype.Type, b []byte) any {
	c, err := fixedConverter(l, want)
	if err != nil {
		return nil
	}
	if l.physical == format.ByteArray {
		v, ok := bigEndian(b)
		if !ok {
			return nil
		}
		b = binary.BigEndian.AppendUint64(nil, uint64(v.HighBits()))
		b = binary.BigEndian.AppendUint64(b, v.LowBits())
	}
	var out [16]byte
	if len(b) != c.in || c.run(out[:], b, 1) != nil {
		return nil
	}
	le := binary.LittleEndian
	switch c.store {
	case storeInt8:
		return int64(int8(out[0]))
	case storeInt16:
		return int64(int16(le.Uint16(out[:])))
	case storeInt32:
		return int64(int32(le.Uint32(out[:])))
	case storeInt64:
		return int64(le.Uint64(out[:]))
	case storeWide:
		return decimal128.New(int64(le.Uint64(out[8:])), le.Uint64(out[:]))
	case storeFloat:
		return number(float64(math.Float32frombits(le.Uint32(out[:]))))
	default:
		return number(math.Float64frombits(le.Uint64(out[:])))
	}
}

// number drops NaN, which bounds nothing.
func number(f float64) any {
	if math.IsNaN(f) {
		return nil
	}
	return f
}

// widenFloats makes equal float bounds differ: NaN does not count for bounds,
// so a column with one value between them may still hold NaN, which is unequal
// to that value.
func widenFloats(low, high any) (any, any) {
	l, ok := low.(float64)
	if h, same := high.(float64); !ok || !same || l != h {
		return low, high
	}
	return math.Nextafter(l, math.Inf(-1)), high
}

// fileStatistics merges the chunks' statistics of all row groups.
func (f *file) fileStatistics() formats.Statistics {
	s := formats.Statistics{Rows: f.meta.rows, Columns: map[string]predicate.Summary{}}
	for i := range f.columns {
		c := &f.columns[i]
		if c.nested || len(f.meta.groups) == 0 {
			continue
		}
		var all predicate.Summary
		for g := range f.meta.groups {
			one := summarize(&f.meta.groups[g].chunks[c.leaves[0].index], c.leaves[0], c.typ, f.meta.groups[g].rows)
			if g == 0 {
				all = one
			} else {
				all = merge(all, one)
			}
		}
		s.Columns[c.name] = all
	}
	return s
}

// merge summarizes two sets of rows together.
func merge(a, b predicate.Summary) predicate.Summary {
	out := predicate.Summary{Rows: a.Rows + b.Rows, Nulls: -1}
	if a.Nulls >= 0 && b.Nulls >= 0 {
		out.Nulls = a.Nulls + b.Nulls
	}
	switch {
	case a.Rows == a.Nulls: // no values: the other's bounds hold
		out.Min, out.Max = b.Min, b.Max
	case b.Rows == b.Nulls:
		out.Min, out.Max = a.Min, a.Max
	default:
		out.Min, out.Max = lesser(a.Min, b.Min), greater(a.Max, b.Max)
	}
	return out
}

func lesser(a, b any) any {
	if less, ok := lessThan(a, b); !ok {
		return nil
	} else if less {
		return a
	}
	return b
}

func greater(a, b any) any {
	if less, ok := lessThan(a, b); !ok {
		return nil
	} else if less {
		return b
	}
	return a
}

func lessThan(a, b any) (less, ok bool) {
	switch x := a.(type) {
	case int64:
		y, ok := b.(int64)
		return x < y, ok
	case float64:
		y, ok := b.(float64)
		return x < y, ok
	case string:
		y, ok := b.(string)
		return x < y, ok
	case []byte:
		y, ok := b.([]byte)
		return string(x) < string(y), ok
	case bool:
		y, ok := b.(bool)
		return !x && y, ok
	case decimal128.Num:
		y, ok := b.(decimal128.Num)
		return ok && x.Less(y), ok
	}
	return false, false
}
