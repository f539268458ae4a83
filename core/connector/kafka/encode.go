package kafka

import (
	"bytes"
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
)

// encoder turns rows into messages.
type encoder struct {
	topic  string
	upsert bool
	alloc  memory.Allocator
	key    *textOf // nil: messages have no key
	value  *textOf
}

// textOf writes some columns of rows as one half of messages.
type textOf struct {
	*encoding
	schema  datatype.Schema
	columns []int
}

func newEncoder(o *options, columns datatype.Schema, alloc memory.Allocator) (*encoder, error) {
	e := &encoder{topic: o.topics[0], upsert: o.upsert, alloc: alloc}
	var err error
	if e.value, err = newTextOf(&o.value, columns); err != nil {
		return nil, err
	}
	if o.key != nil {
		e.key, err = newTextOf(o.key, columns)
	}
	return e, err
}

func newTextOf(e *encoding, columns datatype.Schema) (*textOf, error) {
	t := &textOf{encoding: e}
	for _, f := range e.columns {
		i := columns.Index(f.Name)
		if i < 0 {
			return nil, failure.Errorf(failure.Internal, "there is no column %s to write", f.Name)
		}
		f.Name = f.Name[len(e.prefix):]
		t.columns, t.schema = append(t.columns, i), append(t.schema, f)
	}
	if e.format == nil {
		return t, nil
	}
	w, err := e.format.NewWriter(&bytes.Buffer{}, t.schema, formats.WriteOptions{Options: e.options}) // that it can be written
	if err != nil {
		return nil, err
	}
	return t, w.Close()
}

// records makes a message of each row; rows that only take another one back are none where
// changes are by key.
func (e *encoder) records(ctx context.Context, b *stream.Batch) ([]*kgo.Record, error) {
	rows := make([]int32, 0, b.Len())
	for i := range b.Len() {
		row := int32(i)
		if b.Sel != nil {
			row = b.Sel[i]
		}
		switch kind := b.Kind(int(row)); {
		case kind == stream.Insert || e.upsert && kind != stream.UpdateBefore:
			rows = append(rows, row)
		case !e.upsert:
			return nil, failure.Errorf(failure.Internal, "topic %s: a row of kind %v", e.topic, kind)
		}
	}
	out := make([]*kgo.Record, len(rows))
	for i := range out {
		out[i] = &kgo.Record{Topic: e.topic}
	}
	if len(rows) == 0 {
		return out, nil
	}
	values, err := e.value.texts(ctx, e.alloc, b.Record, rows)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		if b.Kind(int(rows[i])) != stream.Delete {
			out[i].Value = v
		}
	}
	if e.key == nil {
		return out, nil
	}
	keys, err := e.key.texts(ctx, e.alloc, b.Record, rows)
	if err != nil {
		return nil, err
	}
	for i, k := range keys {
		out[i].Key = k
	}
	return out, nil
}

// texts writes rows, each by itself.
func (t *textOf) texts(ctx context.Context, alloc memory.Allocator, from arrow.RecordBatch, rows []int32) ([][]byte, error) {
	record, err := t.project(alloc, from, rows)
	if err != nil {
		return nil, fmt.Errorf("gather the rows to write: %w", err)
	}
	defer record.Release()
	if t.format == nil {
		return rawTexts(record.Column(0)), nil
	}
	all, err := t.write(ctx, record)
	if err != nil {
		return nil, err
	}
	if lines := bytes.SplitAfter(all, []byte{'\n'}); len(lines) == len(rows)+1 { // behind the last one is nothing
		out := lines[:len(rows)]
		for i, line := range out {
			out[i] = trimmed(line)
		}
		return out, nil
	}
	out := make([][]byte, len(rows)) // some texts have line breaks
	for i := range out {
		one := record.NewSlice(int64(i), int64(i)+1)
		text, err := t.write(ctx, one)
		one.Release()
		if err != nil {
			return nil, err
		}
		out[i] = trimmed(text)
	}
	return out, nil
}

// trimmed is a line without its end, and without room to grow into the next one.
func trimmed(line []byte) []byte {
	n := len(bytes.TrimSuffix(line, []byte{'\n'}))
	return line[:n:n]
}

func (t *textOf) write(ctx context.Context, record arrow.RecordBatch) ([]byte, error) {
	var text bytes.Buffer
	w, err := t.format.NewWriter(&text, t.schema, formats.WriteOptions{Options: t.options})
	if err != nil {
		return nil, err
	}
	if err := w.Write(ctx, record); err != nil {
		return nil, err
	}
	return text.Bytes(), w.Close()
}

func (t *textOf) project(alloc memory.Allocator, from arrow.RecordBatch, rows []int32) (arrow.RecordBatch, error) {
	columns, fields := make([]arrow.Array, len(t.columns)), make([]arrow.Field, len(t.columns))
	defer func() { compute.ReleaseAll(columns) }()
	for i, c := range t.columns {
		taken, err := compute.Take(alloc, from.Column(c), rows)
		if err != nil {
			return nil, err
		}
		columns[i] = taken
		if t.format == nil {
			plain, err := compute.Decode(alloc, taken)
			taken.Release()
			if columns[i] = plain; err != nil {
				columns[i] = nil
				return nil, err
			}
		}
		fields[i] = arrow.Field{Name: t.schema[i].Name, Type: columns[i].DataType(), Nullable: true}
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(len(rows))), nil
}

// rawTexts are copies of a column's values; a null is no value.
func rawTexts(column arrow.Array) [][]byte {
	out := make([][]byte, column.Len())
	for i := range out {
		if column.IsNull(i) {
			continue
		}
		switch c := column.(type) {
		case *array.String:
			out[i] = []byte(c.Value(i))
		case *array.Binary:
			out[i] = bytes.Clone(c.Value(i))
		}
		if out[i] == nil {
			out[i] = []byte{} // empty is not nothing
		}
	}
	return out
}
