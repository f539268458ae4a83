package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
)

// decodeBytes is the most text of messages that is decoded at once: what the text formats
// read in one piece.
const decodeBytes = 1 << 20

// decoded is what became of some messages: rows, or none, and the offset behind them.
type decoded struct {
	record arrow.RecordBatch // nil: no rows
	kinds  []stream.RowKind  // nil: inserts
	next   int64
	bad    *kgo.Record // the message that is no row, and is rejected when this is returned
	err    error       // what is wrong with it
}

// decoder turns messages into rows.
type decoder struct {
	columns datatype.Schema
	schema  *arrow.Schema
	alloc   memory.Allocator
	halves  []*half // the value, then the key, if that is read
	from    []place // of each column
	upsert  bool    // a message without value is a delete
	skipped *metric.Counter
	reject  func(connector.Rejected) // nil: nobody takes malformed messages
	text    []byte
}

// place is where a column comes from.
type place struct{ half, column int }

// half is the key or the value of messages.
type half struct {
	*encoding
	of   func(*kgo.Record) []byte
	want datatype.Schema // columns that are wanted, by the names that the format sees
	all  datatype.Schema // what messages hold
}

func newDecoder(o *options, columns datatype.Schema, env connector.ReaderEnv) (*decoder, error) {
	d := &decoder{columns: columns, schema: columns.Arrow(), alloc: env.Alloc, from: make([]place, len(columns)), reject: env.Reject, upsert: o.upsert}
	d.skipped = env.Metrics.Counter("tidemill_source_skipped_rows_total", "Messages that were left out because they are malformed.")
	value := &half{encoding: &o.value, of: func(m *kgo.Record) []byte { return m.Value }, all: o.value.columns}
	d.halves = []*half{value}
	key := &half{encoding: o.key, of: func(m *kgo.Record) []byte { return m.Key }}
	for i, f := range columns {
		inKey := o.upsert && o.key.columns.Index(f.Name) >= 0 // which a delete has, too
		if !inKey && value.encoding.columns.Index(f.Name) >= 0 {
			d.from[i] = place{0, len(value.want)}
			value.want = append(value.want, f)
			continue
		}
		if o.key == nil {
			return nil, failure.Errorf(failure.Internal, "table %s: there is no column %s", o.table.Name, f.Name)
		}
		d.from[i] = place{1, len(key.want)}
		f.Name = f.Name[len(o.key.prefix):]
		key.want = append(key.want, f)
	}
	if len(key.want) > 0 {
		for _, f := range o.key.columns {
			f.Name = f.Name[len(o.key.prefix):]
			key.all = append(key.all, f)
		}
		d.halves = append(d.halves, key)
	}
	return d, nil
}

// take says how many of the messages to decode at once, and what they are charged with.
func (d *decoder) take(records []*kgo.Record, rows int) (n int, charged int64) {
	text := 0
	for n < len(records) && n < max(rows, 1) {
		m := records[n]
		if text += len(m.Key) + len(m.Value) + 2; text > decodeBytes && n > 0 {
			break
		}
		n++
	}
	return n, sizeOf(records[:n])
}

// batches decodes messages of one partition.
func (d *decoder) batches(ctx context.Context, all []*kgo.Record) ([]decoded, error) {
	rows := make([]*kgo.Record, 0, len(all))
	for _, m := range all {
		// A message without value says that a key is gone.
		if !m.Attrs.IsControl() && (d.upsert || m.Value != nil) {
			rows = append(rows, m)
		}
	}
	var out []decoded
	err := d.split(ctx, rows, &out)
	if err != nil {
		for _, o := range out {
			o.release()
		}
		return nil, err
	}
	behind := all[len(all)-1].Offset + 1
	if n := len(out); n > 0 {
		out[n-1].next = behind
		return out, nil
	}
	return []decoded{{next: behind}}, nil
}

// split decodes messages together, and in halves where one is malformed.
func (d *decoder) split(ctx context.Context, rows []*kgo.Record, out *[]decoded) error {
	if len(rows) == 0 {
		return nil
	}
	record, err := d.decode(ctx, rows, false)
	if err == nil {
		*out = append(*out, decoded{record: record, kinds: d.kinds(rows), next: rows[len(rows)-1].Offset + 1})
		return nil
	}
	if failure.Of(err) != failure.BadData {
		return err
	}
	if half := len(rows) / 2; half > 0 {
		if err := d.split(ctx, rows[:half], out); err != nil {
			return err
		}
		return d.split(ctx, rows[half:], out)
	}
	if d.reject != nil {
		empty := emptyRecord(formats.ReadOptions{Columns: d.columns, Alloc: d.alloc})
		*out = append(*out, decoded{record: empty, next: rows[0].Offset + 1, bad: rows[0], err: err})
		return nil
	}
	if !d.lenient() {
		return err
	}
	if record, err = d.decode(ctx, rows, true); err == nil {
		*out = append(*out, decoded{record: record, kinds: d.kinds(rows), next: rows[0].Offset + 1})
		return nil
	}
	if failure.Of(err) != failure.BadData {
		return err
	}
	d.skipped.Add(1)
	return nil
}

// tell tells of the message that was rejected, if one was.
func (d *decoder) tell(o decoded) {
	if o.bad == nil {
		return
	}
	where := locate(o.bad)
	wrong := strings.TrimPrefix(o.err.Error(), where)
	wrong = strings.TrimPrefix(strings.TrimPrefix(wrong, ":1"), ": ") // a message is a text of one line
	data := o.bad.Value
	if data == nil {
		data = o.bad.Key
	}
	d.reject(connector.Rejected{Place: where, Err: errors.New(wrong), Data: data})
}

// kinds are those of the rows of messages, each of which replaces or deletes that of its key.
func (d *decoder) kinds(rows []*kgo.Record) []stream.RowKind {
	if !d.upsert {
		return nil
	}
	kinds := make([]stream.RowKind, len(rows))
	for i, m := range rows {
		if kinds[i] = stream.UpdateAfter; m.Value == nil {
			kinds[i] = stream.Delete
		}
	}
	return kinds
}

func (o decoded) release() {
	if o.record != nil {
		o.record.Release()
	}
}

func (d *decoder) lenient() bool {
	for _, h := range d.halves {
		if h.lenient {
			return true
		}
	}
	return false
}

// decode makes one row of each message.
func (d *decoder) decode(ctx context.Context, rows []*kgo.Record, lenient bool) (arrow.RecordBatch, error) {
	parts := make([]arrow.RecordBatch, 0, len(d.halves))
	defer func() {
		for _, p := range parts {
			p.Release()
		}
	}()
	for i, h := range d.halves {
		decode := d.half
		switch {
		case d.upsert && i == 0:
			decode = d.present
		case d.upsert:
			decode = d.primaryKey
		}
		record, err := decode(ctx, h, rows, lenient)
		if err != nil {
			return nil, err
		}
		parts = append(parts, record)
	}
	columns := make([]arrow.Array, len(d.columns))
	for i, p := range d.from {
		columns[i] = parts[p.half].Column(p.column)
	}
	return array.NewRecordBatch(d.schema, columns, int64(len(rows))), nil
}

// primaryKey decodes keys, none of which may be missing or have a null.
func (d *decoder) primaryKey(ctx context.Context, h *half, rows []*kgo.Record, _ bool) (arrow.RecordBatch, error) {
	for _, m := range rows {
		if m.Key == nil {
			return nil, failure.Errorf(failure.BadData, "%s: the message has no key, which is the row's primary key", locate(m))
		}
	}
	record, err := d.half(ctx, h, rows, false)
	if err != nil {
		return nil, err
	}
	for i, column := range record.Columns() {
		if column.NullN() > 0 {
			record.Release()
			return nil, failure.Errorf(failure.BadData, "%s: column %s of the primary key is null", locate(rows[0]), record.ColumnName(i))
		}
	}
	return record, nil
}

// present decodes the values that there are; the others' columns are null.
func (d *decoder) present(ctx context.Context, h *half, rows []*kgo.Record, lenient bool) (arrow.RecordBatch, error) {
	some := make([]*kgo.Record, 0, len(rows))
	places := make([]int32, len(rows))
	for i, m := range rows {
		if places[i] = -1; m.Value != nil {
			places[i] = int32(len(some))
			some = append(some, m)
		}
	}
	if len(some) == len(rows) {
		return d.half(ctx, h, rows, lenient)
	}
	record := emptyRecord(formats.ReadOptions{Columns: h.want, Alloc: d.alloc})
	if len(some) > 0 {
		record.Release()
		var err error
		if record, err = d.half(ctx, h, some, lenient); err != nil {
			return nil, err
		}
	}
	defer record.Release()
	columns := make([]arrow.Array, 0, len(h.want))
	defer func() { compute.ReleaseAll(columns) }()
	for _, c := range record.Columns() {
		spread, err := compute.TakeOrNull(d.alloc, c, places)
		if err != nil {
			return nil, err
		}
		columns = append(columns, spread)
	}
	return array.NewRecordBatch(record.Schema(), columns, int64(len(rows))), nil
}

// half decodes the keys or the values.
func (d *decoder) half(ctx context.Context, h *half, rows []*kgo.Record, lenient bool) (arrow.RecordBatch, error) {
	if len(h.want) == 0 && h.format == nil {
		return array.NewRecordBatch(arrow.NewSchema(nil, nil), nil, int64(len(rows))), nil
	}
	if h.format == nil {
		return d.raw(h, rows)
	}
	d.text = d.text[:0]
	for _, m := range rows {
		d.append(h, h.of(m))
	}
	where := locate(rows[0])
	opts := formats.ReadOptions{
		Columns: h.want, Declared: h.all, AllowMissing: true, BatchRows: len(rows) + 1, Alloc: d.alloc, Options: h.strict,
	}
	if lenient {
		opts.Options = h.options
	}
	in := formats.Input{Path: where, ReaderAt: bytes.NewReader(d.text), Size: int64(len(d.text))}
	record, err := readAll(ctx, h.format, in, opts)
	if err != nil {
		return nil, err
	}
	if n := record.NumRows(); n != int64(len(rows)) {
		record.Release()
		return nil, failure.Errorf(failure.BadData, "%s: a message is one row, but here are %d of %d", where, n, len(rows))
	}
	return record, nil
}

// append adds a message as a line. JSON has no line breaks that matter.
func (d *decoder) append(h *half, text []byte) {
	at := len(d.text)
	d.text = append(d.text, text...)
	if h.name == "json" {
		for i, c := range d.text[at:] {
			if c == '\n' || c == '\r' {
				d.text[at+i] = ' '
			}
		}
	}
	d.text = append(d.text, '\n')
}

func locate(m *kgo.Record) string {
	return fmt.Sprintf("topic %s, partition %d, offset %d", m.Topic, m.Partition, m.Offset)
}

// readAll reads a text as one batch; there is one also of no rows.
func readAll(ctx context.Context, f formats.Format, in formats.Input, opts formats.ReadOptions) (record arrow.RecordBatch, err error) {
	r, err := f.NewReader(ctx, in, opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var all []arrow.RecordBatch
	defer func() {
		for _, b := range all {
			b.Release()
		}
	}()
	for {
		b, err := r.Read(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	switch len(all) {
	case 0:
		return emptyRecord(opts), nil
	case 1:
		record, all = all[0], nil
		return record, nil
	}
	return compute.ConcatRecords(opts.Alloc, all)
}

func emptyRecord(opts formats.ReadOptions) arrow.RecordBatch {
	columns := make([]arrow.Array, len(opts.Columns))
	for i, f := range opts.Columns {
		columns[i] = array.MakeArrayOfNull(opts.Alloc, f.Type.Arrow(), 0)
	}
	defer compute.ReleaseAll(columns)
	return array.NewRecordBatch(opts.Columns.Arrow(), columns, 0)
}

// raw makes a column of what the messages are.
func (d *decoder) raw(h *half, rows []*kgo.Record) (arrow.RecordBatch, error) {
	b := array.NewBuilder(d.alloc, h.want[0].Type.Arrow())
	defer b.Release()
	b.Reserve(len(rows))
	for _, m := range rows {
		v := h.of(m)
		if v == nil && !h.want[0].Type.Nullable {
			return nil, failure.Errorf(failure.BadData, "%s: column %s is NOT NULL, and there is nothing", locate(m), h.want[0].Name)
		}
		switch b := b.(type) {
		case *array.StringBuilder:
			if !utf8.Valid(v) {
				return nil, failure.Errorf(failure.BadData, "%s: not UTF-8", locate(m))
			}
			if v == nil {
				b.AppendNull()
			} else {
				b.BinaryBuilder.Append(v)
			}
		case *array.BinaryBuilder:
			if v == nil {
				b.AppendNull()
			} else {
				b.Append(v)
			}
		default:
			return nil, failure.Errorf(failure.Internal, "raw column of type %s", h.want[0].Type)
		}
	}
	column := b.NewArray()
	defer column.Release()
	return array.NewRecordBatch(h.want.Arrow(), []arrow.Array{column}, int64(len(rows))), nil
}
