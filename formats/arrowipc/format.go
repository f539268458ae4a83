package arrowipc

import (
	"context"
	"io"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// Format is Arrow IPC. The zero Format is ready to use.
type Format struct{}

var (
	_ formats.Format        = Format{}
	_ formats.OptionChecker = Format{}
)

type options struct {
	stream      bool
	compression string
}

func parseOptions(o formats.Options) (out options, err error) {
	s, err := o.Section("arrow", "layout", "compression")
	if err != nil {
		return out, err
	}
	switch v := strings.ToLower(s["layout"]); v {
	case "", "file":
	case "stream":
		out.stream = true
	default:
		return out, failure.Errorf(failure.Usage, "arrow.layout = %q: want file or stream", v)
	}
	switch v := strings.ToLower(s["compression"]); v {
	case "", "none":
	case "lz4", "zstd":
		out.compression = v
	default:
		return out, failure.Errorf(failure.Usage, "arrow.compression = %q: want none, lz4 or zstd", v)
	}
	return out, nil
}

// CheckOptions implements formats.OptionChecker.
func (Format) CheckOptions(o formats.Options, _ datatype.Schema) error {
	_, err := parseOptions(o)
	return err
}

// Name implements formats.Format.
func (Format) Name() string { return "arrow" }

// Extensions implements formats.Format.
func (Format) Extensions() []string { return []string{".arrow", ".feather", ".ipc", ".arrows"} }

// Schema implements formats.Format.
func (Format) Schema(ctx context.Context, in formats.Input, opts formats.Options) (datatype.Schema, error) {
	if _, err := parseOptions(opts); err != nil {
		return nil, err
	}
	s, err := openSource(ctx, in, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	schema, err := datatype.SchemaFromArrow(s.schema)
	if err != nil {
		return nil, failure.Errorf(failure.BadData, "%s: %w", in.Path, err)
	}
	return schema, nil
}

// Spans implements formats.Format: ranges of a file's record batches, whose
// sizes are taken to be alike.
func (Format) Spans(ctx context.Context, in formats.Input, opts formats.SpanOptions) ([]formats.SpanInfo, error) {
	if _, err := parseOptions(opts.Options); err != nil {
		return nil, err
	}
	s, err := openSource(ctx, in, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if s.file == nil {
		return []formats.SpanInfo{{Span: formats.Span{End: 1}, Rows: -1, Bytes: in.Size}}, nil
	}
	n := int64(s.count)
	if n == 0 {
		return nil, nil
	}
	size := max(in.Size/n, 1)
	step := n
	if opts.TargetBytes > 0 {
		step = max(opts.TargetBytes/size, 1)
	}
	var spans []formats.SpanInfo
	for from := int64(0); from < n; from += step {
		to := min(n, from+step)
		spans = append(spans, formats.SpanInfo{Span: formats.Span{First: from, End: to}, Rows: -1, Bytes: size * (to - from)})
	}
	return spans, nil
}

// Statistics implements formats.Format; the format keeps none.
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
