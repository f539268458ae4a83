package endpoint

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// Values is the operator of a jobgraph.Values: constant rows from subtask 0.
type Values struct {
	rows   [][]any
	schema datatype.Schema
	arrow  *arrow.Schema
	at     int
	ctx    *operator.Context
	ready  chan struct{}
}

// NewValues returns the operator that emits the rows of spec as columns of out.
func NewValues(spec *jobgraph.Values, out datatype.Schema) (operator.Source, error) {
	v := &Values{schema: out, arrow: out.Arrow(), ready: make(chan struct{})}
	for i, r := range spec.Rows {
		if len(r.Values) != len(out) {
			return nil, failure.Errorf(failure.Internal, "values: %d in row %d, want %d", len(r.Values), i+1, len(out))
		}
		row := make([]any, len(out))
		for j, l := range r.Values {
			x, err := literal(l)
			if err != nil {
				return nil, fmt.Errorf("values: row %d: %w", i+1, err)
			}
			row[j] = x
		}
		v.rows = append(v.rows, row)
	}
	return v, nil
}

// Open implements operator.Operator.
func (v *Values) Open(ctx *operator.Context) error {
	v.ctx = ctx
	for _, saved := range ctx.Restored {
		n, used := binary.Uvarint(saved)
		if used <= 0 || n > uint64(len(v.rows)) {
			return failure.Errorf(failure.BadData, "values: saved position of %d bytes is damaged", len(saved))
		}
		v.at = max(v.at, int(n))
	}
	return nil
}

// Poll implements operator.Source.
func (v *Values) Poll() (operator.Status, error) {
	if v.ctx.Attempt.Subtask.Index != 0 || v.at == len(v.rows) {
		return operator.Finished, nil
	}
	to := min(v.at+v.ctx.BatchRows, len(v.rows))
	b := array.NewRecordBuilder(v.ctx.Alloc, v.arrow)
	defer b.Release()
	for _, row := range v.rows[v.at:to] {
		for i, x := range row {
			if err := compute.AppendValue(b.Field(i), x); err != nil {
				return operator.InvalidStatus, fmt.Errorf("values: column %s: %w", v.schema[i].Name, err)
			}
		}
	}
	record := b.NewRecordBatch()
	if len(v.schema) == 0 { // rows without columns still count
		record.Release()
		record = array.NewRecordBatch(v.arrow, nil, int64(to-v.at))
	}
	v.at = to
	return operator.More, v.ctx.Output.Emit(stream.NewBatch(record))
}

// Ready implements operator.Source; Poll never says Waiting.
func (v *Values) Ready() <-chan struct{} { return v.ready }

// Snapshot implements operator.Snapshotter: the next row.
func (v *Values) Snapshot(stream.Barrier) ([]byte, error) {
	return binary.AppendUvarint(nil, uint64(v.at)), nil
}

// Completed implements operator.Snapshotter.
func (v *Values) Completed(id.Checkpoint) error { return nil }

// Process implements operator.Operator; values have no inputs.
func (v *Values) Process(_ int, b *stream.Batch) error {
	b.Release()
	return failure.Errorf(failure.Internal, "values have no input")
}

// Watermark implements operator.Operator.
func (v *Values) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (v *Values) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (v *Values) Close() error { return nil }

var (
	_ operator.Source      = (*Values)(nil)
	_ operator.Snapshotter = (*Values)(nil)
)
