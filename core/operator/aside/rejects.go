package aside

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/json"
)

// Limits of what is kept of a record; what is beyond is cut off.
const (
	maxRaw   = 1 << 20
	maxError = 4 << 10
)

// The columns of rejected records, in the order of RejectColumns.
const (
	sourceTable = iota
	place
	errorText
	raw
	rejectedAt
)

// RejectColumns are the columns of rejected records on their way to the table that takes them:
// the table that they are of; where they are, if that is known; what is wrong with them; what
// they are, or the row as JSON where it is its time that is wrong; and the time of the clock.
func RejectColumns() datatype.Schema {
	text := datatype.Type{Kind: datatype.Varchar, Precision: datatype.MaxLength}
	return datatype.Schema{
		sourceTable: {Name: "source_table", Type: text},
		place:       {Name: "place", Type: text.WithNull(true)},
		errorText:   {Name: "error", Type: text},
		raw:         {Name: "raw", Type: datatype.Type{Kind: datatype.Varbinary, Precision: datatype.MaxLength, Nullable: true}},
		rejectedAt:  {Name: "rejected_at", Type: datatype.Type{Kind: datatype.TimestampLTZ, Precision: 3}},
	}
}

// Rejects collects the rejected records of one table in a subtask and emits them to side 1.
// One goroutine uses it. A nil one takes none.
type Rejects struct {
	table  string
	now    func() time.Time
	out    operator.SideOutput // nil: nobody writes them
	build  *array.RecordBuilder
	count  int64
	failed error // for want of memory; Emit tells
}

// NewRejects collects for a table. Open precedes all else, Close ends it.
func NewRejects(table string, now func() time.Time) *Rejects {
	return &Rejects{table: table, now: now}
}

// Open makes the records go to side 1 of the operator's output if sides, else nowhere.
func (r *Rejects) Open(ctx *operator.Context, sides bool) error {
	if r == nil || !sides {
		return nil
	}
	out, err := sideOutput(ctx, "rejected records of "+r.table)
	if err != nil {
		return err
	}
	r.out, r.build = out, array.NewRecordBuilder(ctx.Alloc, RejectColumns().Arrow())
	return nil
}

// Add takes a record: where it is, empty if that is not known, what is wrong with it, and what
// it is, nil if that cannot be told.
func (r *Rejects) Add(at string, wrong error, data []byte) {
	r.count++
	if r.out == nil || r.failed != nil {
		return
	}
	r.failed = r.add(at, wrong, data)
}

func (r *Rejects) add(at string, wrong error, data []byte) (err error) {
	defer memory.Recover(&err)
	text := wrong.Error()
	text = strings.ToValidUTF8(text[:min(len(text), maxError)], "\uFFFD")
	r.build.Field(sourceTable).(*array.StringBuilder).Append(r.table)
	if at == "" {
		r.build.Field(place).AppendNull()
	} else {
		r.build.Field(place).(*array.StringBuilder).Append(at)
	}
	r.build.Field(errorText).(*array.StringBuilder).Append(text)
	if data == nil {
		r.build.Field(raw).AppendNull()
	} else {
		r.build.Field(raw).(*array.BinaryBuilder).Append(data[:min(len(data), maxRaw)])
	}
	r.build.Field(rejectedAt).(*array.TimestampBuilder).Append(arrow.Timestamp(r.now().UnixMilli()))
	return nil
}

// AddRow takes a row of a batch whose columns are schema.
func (r *Rejects) AddRow(at string, wrong error, b *stream.Batch, row int, schema datatype.Schema) {
	var data []byte
	if r.out != nil {
		data = rowText(b.Record, row, schema)
	}
	r.Add(at, wrong, data)
}

// rowText is a row as JSON, nil if it has a column that JSON has no form of.
func rowText(record arrow.RecordBatch, row int, schema datatype.Schema) []byte {
	var text bytes.Buffer
	w, err := json.Format{}.NewWriter(&text, schema, formats.WriteOptions{})
	if err != nil {
		return nil
	}
	one := record.NewSlice(int64(row), int64(row)+1)
	defer one.Release()
	if w.Write(context.Background(), one) != nil || w.Close() != nil {
		return nil
	}
	return bytes.TrimSpace(text.Bytes())
}

// Emit emits what was collected.
func (r *Rejects) Emit() (err error) {
	if r == nil || r.out == nil {
		return nil
	}
	if r.failed != nil {
		return r.failed
	}
	if r.build.Field(sourceTable).Len() == 0 {
		return nil
	}
	var record arrow.RecordBatch
	func() {
		defer memory.Recover(&err)
		record = r.build.NewRecordBatch()
	}()
	if err != nil {
		return err
	}
	return r.out.EmitSide(1, stream.NewBatch(record))
}

// Count is how many records there were, since it was opened.
func (r *Rejects) Count() int64 {
	if r == nil {
		return 0
	}
	return r.count
}

// Close forgets what was not emitted; the second time it does nothing.
func (r *Rejects) Close() {
	if r != nil && r.build != nil {
		r.build.Release()
		r.build = nil
	}
}
