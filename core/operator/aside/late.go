package aside

import (
	"bytes"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/json"
)

// The columns of late rows, in the order of LateColumns.
const (
	lateOperator = iota
	lateEventTime
	lateReached
	lateKind
	lateRow
)

// LateColumns are the columns of late rows on their way to the table that takes them: the
// operator that left them out, as plans call it; the time by which they are late, as their
// column has it or, of a TIMESTAMP_LTZ, in UTC; the watermark that the operator had; what they
// do to the operator's input; and the row, with the columns that the operator reads, as JSON,
// or null if it has a column that JSON has no form of.
func LateColumns() datatype.Schema {
	text := datatype.Type{Kind: datatype.Varchar, Precision: datatype.MaxLength}
	millis := datatype.Type{Kind: datatype.Timestamp, Precision: 3, Nullable: true}
	return datatype.Schema{
		lateOperator:  {Name: "operator", Type: text},
		lateEventTime: {Name: "event_time", Type: millis},
		lateReached:   {Name: "reached", Type: millis},
		lateKind:      {Name: "row_kind", Type: text},
		lateRow:       {Name: "raw", Type: text.WithNull(true)},
	}
}

// Late counts the rows of one input that an operator leaves out because their time is over,
// and emits them to side 1 if the operator's spec has one. One goroutine uses it.
type Late struct {
	count int64
	rows  []int32 // physical, of the batch at hand
	ctx   *operator.Context
	out   operator.SideOutput // nil: nobody takes them
	in    datatype.Schema
	time  int
}

// Open precedes all else: in are the columns of the input, time the one by which rows are late,
// negative if there is none.
func (l *Late) Open(ctx *operator.Context, in datatype.Schema, time int) error {
	l.ctx, l.in, l.time = ctx, in, time
	if ctx.Sides == 0 {
		return nil
	}
	out, err := sideOutput(ctx, "late rows of "+ctx.Name)
	if err != nil {
		return err
	}
	l.out = out
	return nil
}

// Add takes physical row r of the batch at hand.
func (l *Late) Add(r int32) {
	l.count++
	if l.out != nil {
		l.rows = append(l.rows, r)
	}
}

// AddAll takes some of the batch's physical rows.
func (l *Late) AddAll(rows []int32) {
	l.count += int64(len(rows))
	if l.out != nil {
		l.rows = append(l.rows, rows...)
	}
}

// Count is how many rows there were, since it was opened.
func (l *Late) Count() int64 { return l.count }

// Emit emits the rows that were taken of b, which were late at watermark w. It must be called
// before b is released.
func (l *Late) Emit(b *stream.Batch, w stream.Watermark) error {
	if len(l.rows) == 0 {
		return nil
	}
	record, err := l.record(b, w)
	l.rows = l.rows[:0]
	if err != nil {
		return err
	}
	return l.out.EmitSide(1, stream.NewBatch(record))
}

func (l *Late) record(b *stream.Batch, w stream.Watermark) (_ arrow.RecordBatch, err error) {
	defer memory.Recover(&err)
	texts, err := l.texts(b)
	if err != nil {
		return nil, err
	}
	millis, valid := l.times(b)
	build := array.NewRecordBuilder(l.ctx.Alloc, LateColumns().Arrow())
	defer build.Release()
	for i, r := range l.rows {
		build.Field(lateOperator).(*array.StringBuilder).Append(l.ctx.Name)
		appendMillis(build.Field(lateEventTime), millis[i], valid == nil || valid[i])
		appendMillis(build.Field(lateReached), int64(w), w != stream.MinWatermark && w != stream.MaxWatermark)
		build.Field(lateKind).(*array.StringBuilder).Append(b.Kind(int(r)).String())
		if row := build.Field(lateRow).(*array.StringBuilder); texts == nil {
			row.AppendNull()
		} else {
			row.BinaryBuilder.Append(texts[i][:min(len(texts[i]), maxRaw)])
		}
	}
	return build.NewRecordBatch(), nil
}

// times are the times of the rows in milliseconds, and which rows have one; nil: all.
func (l *Late) times(b *stream.Batch) (millis []int64, valid []bool) {
	millis = make([]int64, len(l.rows))
	if l.time < 0 {
		return millis, make([]bool, len(l.rows))
	}
	v, _ := compute.Integers(b.Column(l.time), l.rows, nil)
	for i, t := range v {
		millis[i] = compute.Millis(l.in[l.time].Type, t)
	}
	return millis, compute.Validity(b.Column(l.time), l.rows, nil)
}

func appendMillis(to array.Builder, v int64, valid bool) {
	if !valid {
		to.AppendNull()
		return
	}
	to.(*array.TimestampBuilder).Append(arrow.Timestamp(v))
}

// texts are the rows as JSON, nil if they have a column that JSON has no form of.
func (l *Late) texts(b *stream.Batch) ([][]byte, error) {
	var text bytes.Buffer
	w, err := json.Format{}.NewWriter(&text, l.in, formats.WriteOptions{})
	if err != nil {
		return nil, nil //nolint:nilerr // of a type that JSON has no form of, which is told by the row's being null
	}
	rows, err := compute.TakeRecord(l.ctx.Alloc, b.Record, l.rows)
	if err != nil {
		return nil, err
	}
	defer rows.Release()
	if err := w.Write(l.ctx, rows); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.Split(bytes.TrimSuffix(text.Bytes(), []byte{'\n'}), []byte{'\n'}), nil
}
