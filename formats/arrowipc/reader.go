package arrowipc

import (
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// reader reads a range of record batches.
type reader struct {
	in      formats.Input
	opts    formats.ReadOptions
	source  *source
	columns []int // per wanted column: its place in the file, -1 if it lacks it
	next    int
	end     int // -1: as long as the stream goes
	batch   arrow.RecordBatch
	at      int64 // rows of batch that were returned
	stats   formats.ReadStats
	closed  bool
}

var _ formats.Reader = (*reader)(nil)

func newReader(ctx context.Context, in formats.Input, opts formats.ReadOptions) (*reader, error) {
	opts = opts.Complete()
	if _, err := parseOptions(opts.Options); err != nil {
		return nil, err
	}
	s, err := openSource(ctx, in, opts.Alloc)
	if err != nil {
		return nil, err
	}
	r := &reader{in: in, opts: opts, source: s, end: -1}
	if err := r.plan(); err != nil {
		s.close()
		return nil, failure.Errorf(failure.BadData, "%s: %w", in.Path, err)
	}
	return r, nil
}

// plan finds the wanted columns and the span.
func (r *reader) plan() error {
	span, n := r.opts.Span, int64(1)
	if r.source.file != nil {
		n = int64(r.source.count)
		r.end = r.source.count
	}
	if !span.Whole() {
		if span.First < 0 || span.First > span.End || span.End > n {
			return fmt.Errorf("no record batches %d to %d: the file has %d; it changed since it was planned", span.First, span.End, n)
		}
		if r.source.file != nil {
			r.next, r.end = int(span.First), int(span.End)
		}
	}
	r.stats.Groups = n
	fields := r.source.schema
	for _, want := range r.opts.Columns {
		found := fields.FieldIndices(want.Name)
		switch {
		case len(found) == 0 && r.opts.AllowMissing && want.Type.Nullable:
			r.columns = append(r.columns, -1)
		case len(found) == 0:
			return fmt.Errorf("column %s: the file does not have it", want.Name)
		default:
			if err := convertible(fields.Field(found[0]).Type, want.Type); err != nil {
				return fmt.Errorf("column %s: %w", want.Name, err)
			}
			r.columns = append(r.columns, found[0])
		}
	}
	return nil
}

// Read implements formats.Reader.
func (r *reader) Read(ctx context.Context) (arrow.RecordBatch, error) {
	for r.batch == nil || r.at == r.batch.NumRows() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.drop()
		if r.next == r.end {
			return nil, io.EOF
		}
		b, err := r.source.batch(r.next)
		if err != nil {
			return nil, err
		}
		r.next++
		r.batch, r.at = b, 0
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r.slice()
}

func (r *reader) drop() {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}

// slice converts the next rows of the record batch.
func (r *reader) slice() (out arrow.RecordBatch, err error) {
	n := min(r.batch.NumRows()-r.at, int64(r.opts.BatchRows))
	arrays := make([]arrow.Array, 0, len(r.columns))
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
		if v := recover(); v != nil {
			err = failure.Errorf(failure.BadData, "%s: record batch %d: the decoder gave up: %v", r.in.Path, r.next-1, v)
		}
	}()
	fields := make([]arrow.Field, len(r.columns))
	for i, at := range r.columns {
		want := r.opts.Columns[i]
		var a arrow.Array
		if at < 0 {
			a = array.MakeArrayOfNull(r.opts.Alloc, want.Type.Arrow(), int(n))
		} else if a, err = r.column(r.batch.Column(at), want, n); err != nil {
			return nil, failure.Errorf(failure.BadData, "%s: record batch %d, column %s: %w", r.in.Path, r.next-1, want.Name, err)
		}
		arrays = append(arrays, a)
		fields[i] = arrow.Field{Name: want.Name, Type: a.DataType(), Nullable: want.Type.Nullable}
	}
	r.at += n
	r.stats.Rows += n
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), arrays, n), nil
}

func (r *reader) column(a arrow.Array, want datatype.Field, n int64) (arrow.Array, error) {
	part := array.NewSlice(a, r.at, r.at+n)
	defer part.Release()
	if err := validate(part.Data()); err != nil {
		return nil, err
	}
	if !want.Type.Nullable && part.NullN() > 0 {
		return nil, fmt.Errorf("null in a column declared %s", want.Type)
	}
	return convert(part, want.Type, r.opts.Alloc)
}

// Stats implements formats.Reader.
func (r *reader) Stats() formats.ReadStats {
	r.stats.Bytes = r.source.bytes.read
	return r.stats
}

// Close implements formats.Reader.
func (r *reader) Close() error {
	if !r.closed {
		r.closed = true
		r.drop()
		r.source.close()
	}
	return nil
}
