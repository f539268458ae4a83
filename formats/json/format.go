package json

import (
	"bytes"
	"context"
	"io"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

// Format is JSON lines. The zero Format is ready to use.
type Format struct{}

var _ formats.Format = Format{}

// Name implements formats.Format.
func (Format) Name() string { return "json" }

// Extensions implements formats.Format.
func (Format) Extensions() []string { return []string{".json", ".jsonl", ".ndjson"} }

// Schema implements formats.Format: names and types of a sample of lines.
func (Format) Schema(ctx context.Context, in formats.Input, opts formats.Options) (datatype.Schema, error) {
	if _, err := parseOptions(opts); err != nil {
		return nil, err
	}
	return inferSchema(ctx, in)
}

// Statistics implements formats.Format; text says nothing of itself.
func (Format) Statistics(context.Context, formats.Input) (formats.Statistics, error) {
	return formats.Statistics{Rows: -1}, nil
}

// NewReader implements formats.Format.
func (Format) NewReader(ctx context.Context, in formats.Input, opts formats.ReadOptions) (formats.Reader, error) {
	return newReader(ctx, in, opts)
}

// NewWriter implements formats.Format.
func (Format) NewWriter(w io.Writer, schema datatype.Schema, opts formats.WriteOptions) (formats.Writer, error) {
	return newWriter(w, schema, opts)
}

// Spans implements formats.Format: ranges of bytes that begin at a line. Only
// the surroundings of each border are read.
func (Format) Spans(ctx context.Context, in formats.Input, opts formats.SpanOptions) ([]formats.SpanInfo, error) {
	if _, err := parseOptions(opts.Options); err != nil {
		return nil, err
	}
	var spans []formats.SpanInfo
	for from := int64(0); from < in.Size; {
		to := in.Size
		if t := opts.TargetBytes; t > 0 && in.Size-from > t+t/2 {
			var err error
			if to, err = lineAfter(ctx, in, from+t); err != nil {
				return nil, err
			}
		}
		spans = append(spans, formats.SpanInfo{Span: formats.Span{First: from, End: to}, Rows: -1, Bytes: to - from})
		from = to
	}
	return spans, nil
}

// lineAfter returns where the first line behind at begins, or the file's end.
func lineAfter(ctx context.Context, in formats.Input, at int64) (int64, error) {
	chunk := make([]byte, 64<<10)
	for at--; at < in.Size; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		part := chunk[:min(int64(len(chunk)), in.Size-at)]
		if n, err := in.ReadAt(part, at); n < len(part) {
			return 0, cells.ReadError(in, at+int64(n), err)
		}
		if i := bytes.IndexByte(part, '\n'); i >= 0 {
			return at + int64(i) + 1, nil
		}
		at += int64(len(part))
	}
	return in.Size, nil
}

// Rejects implements formats.Rejecter.
func (Format) Rejects() bool { return true }

var _ formats.Rejecter = Format{}
