package operatortest

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// batch makes a batch of steps [from, to), which are rows.
func (f *feed) batch(table Table, from, to int) *stream.Batch {
	var rows [][]any
	var sel []int32
	var kinds []stream.RowKind
	changes := slices.ContainsFunc(table.Steps[from:to], func(s Step) bool { return s.Kind > stream.Insert })
	for _, s := range table.Steps[from:to] {
		if f.way.sel {
			for f.rand.IntN(3) == 0 { // a row that does not count: another one, again
				rows = append(rows, table.Steps[f.rand.IntN(to)].orElse(s.Row))
				kinds = append(kinds, stream.Insert)
			}
			sel = append(sel, int32(len(rows)))
		}
		rows, kinds = append(rows, s.Row), append(kinds, max(s.Kind, stream.Insert))
	}
	record := Record(f.mem, table.Schema, rows)
	defer record.Release()
	columns := make([]arrow.Array, record.NumCols())
	for i, c := range record.Columns() {
		t := table.Schema[i].Type
		if f.way.dictionaries && (t.IsString() || t.IsBinary()) && f.rand.IntN(3) > 0 {
			columns[i] = f.encode(c)
			continue
		}
		c.Retain()
		columns[i] = c
	}
	b := operator.NewBatch(record.Schema(), columns, len(rows))
	for _, c := range columns {
		c.Release()
	}
	if b.Sel = sel; changes {
		b.Kinds = kinds
	}
	return b
}

// orElse is the step's row, or another where it is a watermark.
func (s Step) orElse(row []any) []any {
	if s.Row == nil {
		return row
	}
	return s.Row
}

// encode returns a column as a dictionary, with values that no row has.
func (f *feed) encode(c arrow.Array) arrow.Array {
	plain := c.DataType()
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: plain}
	b := array.NewDictionaryBuilder(f.mem, dt).(*array.BinaryDictionaryBuilder)
	defer b.Release()
	for i := range c.Len() {
		if c.IsNull(i) {
			b.AppendNull()
			continue
		}
		var v []byte
		switch c := c.(type) {
		case *array.String:
			v = []byte(c.Value(i))
		case *array.Binary:
			v = c.Value(i)
		}
		if err := b.Append(v); err != nil {
			panic(fmt.Sprintf("operatortest: %v", err))
		}
	}
	return b.NewArray()
}
