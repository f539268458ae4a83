package gateway

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// rows is the Result of a statement without a job.
type rows struct {
	schema datatype.Schema
	batch  *stream.Batch // nil: nothing left
}

var _ client.Result = (*rows)(nil)

// newRows makes a result of values in physical form.
func newRows(schema datatype.Schema, all [][]any) (*rows, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	defer b.Release()
	for _, row := range all {
		for i, v := range row {
			if err := compute.AppendValue(b.Field(i), v); err != nil {
				return nil, fmt.Errorf("column %s: %w", schema[i].Name, err)
			}
		}
	}
	return &rows{schema: schema, batch: stream.NewBatch(b.NewRecordBatch())}, nil
}

// Schema implements client.Result.
func (r *rows) Schema() datatype.Schema { return r.schema }

// Live implements client.Result.
func (r *rows) Live() bool { return false }

// Zone implements client.Result.
func (r *rows) Zone() *time.Location { return time.UTC }

// Changelog implements client.Result.
func (r *rows) Changelog() bool { return false }

// Next implements client.Result.
func (r *rows) Next(ctx context.Context) (*stream.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.batch == nil {
		return nil, io.EOF
	}
	b := r.batch
	r.batch = nil
	return b, nil
}

// Job implements client.Result.
func (r *rows) Job() (id.Job, bool) { return id.Job{}, false }

// Progress implements client.Result.
func (r *rows) Progress() client.Progress { return client.Progress{State: "FINISHED"} }

// Close implements client.Result.
func (r *rows) Close() error {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
	return nil
}
