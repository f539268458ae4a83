package filesystem

import (
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
)

// route groups b's rows by partition directory, in the order in which the
// directories first appear. Values are spelled once per distinct combination,
// not per row.
func (w *writer) route(b *stream.Batch) (dirs []string, rows [][]int32) {
	codes := make([][]int32, len(w.keys))
	for i, k := range w.keys {
		codes[i] = w.codes(b.Column(k), b.PhysicalRows())
	}
	index := map[string]int{}
	var key []byte
	last, lastKey := -1, ""
	each(b, func(row int32) {
		key = key[:0]
		for _, c := range codes {
			key = strconv.AppendInt(key, int64(c[row]), 10)
			key = append(key, ' ')
		}
		if last < 0 || lastKey != string(key) {
			at, seen := index[string(key)]
			if !seen {
				at = len(dirs)
				index[string(key)] = at
				dirs = append(dirs, w.directory(b, int(row)))
				rows = append(rows, nil)
			}
			last, lastKey = at, string(key)
		}
		rows[last] = append(rows[last], row)
	})
	return dirs, rows
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

// codes numbers the distinct values of a column; equal values have equal codes.
func (w *writer) codes(column arrow.Array, n int) []int32 {
	out := make([]int32, n)
	if d, ok := column.(*array.Dictionary); ok && d.Dictionary().NullN() == 0 {
		for i := range n {
			out[i] = -1
			if !d.IsNull(i) {
				out[i] = int32(d.GetValueIndex(i))
			}
		}
		return out
	}
	numbers := map[string]int32{}
	for i := range n {
		if column.IsNull(i) {
			out[i] = -1
			continue
		}
		text := column.ValueStr(i)
		code, ok := numbers[text]
		if !ok {
			code = int32(len(numbers))
			numbers[strings.Clone(text)] = code
		}
		out[i] = code
	}
	return out
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
