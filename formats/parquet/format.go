package parquet

import (
	"context"
	"io"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

// Format is Apache Parquet. The zero Format is ready to use.
type Format struct{}

var _ formats.Format = Format{}

// Name implements formats.Format.
func (Format) Name() string { return "parquet" }

// Extensions implements formats.Format.
func (Format) Extensions() []string { return []string{".parquet", ".parq", ".pq"} }

// Schema implements formats.Format. It reads the footer.
func (Format) Schema(ctx context.Context, in formats.Input, opts formats.Options) (datatype.Schema, error) {
	if err := checkOptions(opts); err != nil {
		return nil, err
	}
	f, err := openFile(ctx, in)
	if err != nil {
		return nil, err
	}
	return f.schema(), nil
}

// Spans implements formats.Format: a span is a range of row groups. Groups that
// cannot match end a span and are in none.
func (Format) Spans(ctx context.Context, in formats.Input, opts formats.SpanOptions) ([]formats.SpanInfo, error) {
	if err := checkOptions(opts.Options); err != nil {
		return nil, err
	}
	f, err := openFile(ctx, in)
	if err != nil {
		return nil, err
	}
	var spans []formats.SpanInfo
	open := false // the last span can take the next group
	for i := range f.meta.groups {
		if f.prune(i, opts.Predicate, opts.Columns) {
			open = false
			continue
		}
		g := &f.meta.groups[i]
		if !open {
			spans = append(spans, formats.SpanInfo{Span: formats.Span{First: int64(i)}})
		}
		s := &spans[len(spans)-1]
		s.Span.End = int64(i + 1)
		s.Rows += g.rows
		for j := range g.chunks {
			s.Bytes += g.chunks[j].compressed
		}
		open = opts.TargetBytes <= 0 || s.Bytes < opts.TargetBytes
	}
	return spans, nil
}

// Statistics implements formats.Format.
func (Format) Statistics(ctx context.Context, in formats.Input) (formats.Statistics, error) {
	f, err := openFile(ctx, in)
	if err != nil {
		return formats.Statistics{}, err
	}
	return f.fileStatistics(), nil
}

// NewReader implements formats.Format.
func (Format) NewReader(ctx context.Context, in formats.Input, opts formats.ReadOptions) (formats.Reader, error) {
	if err := checkOptions(opts.Options); err != nil {
		return nil, err
	}
	f, err := openFile(ctx, in)
	if err != nil {
		return nil, err
	}
	return newReader(f, opts)
}

// NewWriter implements formats.Format.
func (Format) NewWriter(w io.Writer, schema datatype.Schema, opts formats.WriteOptions) (formats.Writer, error) {
	return newWriter(w, schema, opts)
}
