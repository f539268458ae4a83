package gateway

import (
	"context"
	"errors"
	"io"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
	"github.com/tidemill/tidemill/core/stream"
)

// keeping is the Result of ANALYZE TABLE. It has no rows: the one of its job goes to
// the catalog once the job has finished.
type keeping struct {
	*Result // of the job
	source  string
	keep    func(row []any) error
	row     []any
	kept    bool
}

var _ client.Result = (*keeping)(nil)

// Schema implements client.Result.
func (k *keeping) Schema() datatype.Schema { return nil }

// Next implements client.Result.
func (k *keeping) Next(ctx context.Context) (*stream.Batch, error) {
	for !k.kept {
		b, err := k.Result.Next(ctx)
		switch {
		case err == nil:
			k.row = firstRow(b)
			b.Release()
		case !errors.Is(err, io.EOF):
			return nil, err
		case k.row == nil:
			return nil, failure.Errorf(failure.Internal, "job %v yielded no row of statistics", k.job().id)
		default:
			if err := k.keep(k.row); err != nil {
				return nil, sqlerr.Attach(err, k.source)
			}
			k.kept = true
		}
	}
	return nil, io.EOF
}

// firstRow is a batch's first row in physical form.
func firstRow(b *stream.Batch) []any {
	at := 0
	if b.Sel != nil {
		at = int(b.Sel[0])
	}
	row := make([]any, b.Record.NumCols())
	for i, c := range b.Record.Columns() {
		row[i] = compute.ValueAt(c, at)
	}
	return row
}
