package filesystem

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
)

// route orders b's rows by partition directory, in the order in which the
// directories first appear: those of dirs[i] end at ends[i] of rows. Values are
// spelled once per distinct combination, not per row.
func (w *writer) route(b *stream.Batch) (dirs []string, rows []int32, ends []int) {
	dirs, of, counts := w.partitions(b)
	at := make([]int, len(dirs))
	ends = make([]int, len(dirs))
	total := 0
	for i, n := range counts {
		at[i] = total
		total += n
		ends[i] = total
	}
	rows = make([]int32, total)
	i := 0
	each(b, func(row int32) {
		p := of[i]
		rows[at[p]] = row
		at[p]++
		i++
	})
	return dirs, rows, ends
}

// partitions says of each of b's rows in which of dirs it belongs, and how many
// rows each has.
func (w *writer) partitions(b *stream.Batch) (dirs []string, of []int32, counts []int) {
	codes, distinct := codesOf(b.Column(w.keys[0]), b.PhysicalRows())
	for _, k := range w.keys[1:] {
		more, _ := codesOf(b.Column(k), b.PhysicalRows())
		numbers := numbering[uint64]{}
		for i, c := range more {
			codes[i] = numbers.of(uint64(codes[i])<<32 | uint64(c))
		}
		distinct = len(numbers.known)
	}
	index := make([]int32, distinct) // of dirs by code, one more than it
	of = make([]int32, 0, b.Len())
	each(b, func(row int32) {
		at := index[codes[row]]
		if at == 0 {
			dirs = append(dirs, w.directory(b, int(row)))
			counts = append(counts, 0)
			at = int32(len(dirs))
			index[codes[row]] = at
		}
		of = append(of, at-1)
		counts[at-1]++
	})
	return dirs, of, counts
}

func each(b *stream.Batch, visit func(row int32)) {
	if b.Sel != nil {
		for _, r := range b.Sel {
			visit(r)
		}
		return
	}
	for r := range b.PhysicalRows() {
		visit(int32(r))
	}
}

// codesOf numbers the distinct values of a column, null being one of them; equal
// codes mean equal values. It also returns how many codes there are.
func codesOf(column arrow.Array, n int) (codes []int32, distinct int) {
	switch c := column.(type) {
	case *array.Dictionary:
		return dictionaryCodes(c, n)
	case *array.Int32:
		return numberAll(column, c.Int32Values())
	case *array.Date32:
		return numberAll(column, c.Date32Values())
	case *array.Int64:
		return numberAll(column, c.Int64Values())
	}
	texts := make([]string, n)
	for i := range texts {
		if column.IsValid(i) {
			texts[i] = column.ValueStr(i)
		}
	}
	return numberAll(column, texts)
}

// dictionaryCodes takes the indexes as codes; what is null gets the last one.
func dictionaryCodes(d *array.Dictionary, n int) (codes []int32, distinct int) {
	codes, null := make([]int32, n), d.Dictionary().Len()
	for i := range codes {
		codes[i] = int32(null)
		if d.IsValid(i) && d.Dictionary().IsValid(d.GetValueIndex(i)) {
			codes[i] = int32(d.GetValueIndex(i))
		}
	}
	return codes, null + 1
}

func numberAll[T comparable](column arrow.Array, values []T) (codes []int32, distinct int) {
	codes = make([]int32, len(values))
	numbers, null := numbering[T]{}, int32(-1)
	for i, v := range values {
		if column.IsValid(i) {
			codes[i] = numbers.of(v)
		} else {
			codes[i] = null
		}
	}
	if column.NullN() == 0 {
		return codes, len(numbers.known)
	}
	for i, c := range codes {
		if c == null {
			codes[i] = int32(len(numbers.known))
		}
	}
	return codes, len(numbers.known) + 1
}

// numbering numbers values in the order in which they first appear.
type numbering[T comparable] struct {
	known map[T]int32
	last  T
	code  int32
}

func (n *numbering[T]) of(v T) int32 {
	if n.known == nil {
		n.known = map[T]int32{}
	} else if v == n.last {
		return n.code
	}
	code, ok := n.known[v]
	if !ok {
		code = int32(len(n.known))
		n.known[v] = code
	}
	n.last, n.code = v, code
	return code
}

// directory spells the partition of one row: static values in their places,
// dynamic ones from the row.
func (w *writer) directory(b *stream.Batch, row int) string {
	values := make([]fs.PartitionValue, 0, len(w.spec.Table.Partitions))
	static, next := w.static, 0
	for _, name := range w.spec.Table.Partitions {
		if len(static) > 0 && static[0].Key == name {
			values = append(values, static[0])
			static = static[1:]
			continue
		}
		k := w.keys[next]
		next++
		text, null := spell(b.Column(k), row, w.spec.Columns[k].Type)
		values = append(values, fs.PartitionValue{Key: name, Value: text, Null: null})
	}
	return fs.PartitionPath(values)
}
