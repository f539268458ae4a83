package csv

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

// Format is delimited text. The zero Format is ready to use.
type Format struct{}

var _ formats.Format = Format{}

// Name implements formats.Format.
func (Format) Name() string { return "csv" }

// Extensions implements formats.Format.
func (Format) Extensions() []string { return []string{".csv"} }

// Schema implements formats.Format: names from the header, types from a sample.
func (Format) Schema(ctx context.Context, in formats.Input, opts formats.Options) (datatype.Schema, error) {
	d, err := parseOptions(opts)
	if err != nil {
		return nil, err
	}
	l, err := readLayout(ctx, in, memory.DefaultAllocator, d, nil, cells.SampleRows, sampleBytes)
	if err != nil {
		return nil, err
	}
	schema := make(datatype.Schema, len(l.names))
	for i, name := range l.names {
		schema[i] = datatype.Field{Name: name, Type: l.types[i]}
	}
	return schema, nil
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

// Spans implements formats.Format: ranges of bytes that begin at a record.
func (Format) Spans(ctx context.Context, in formats.Input, opts formats.SpanOptions) ([]formats.SpanInfo, error) {
	d, err := parseOptions(opts.Options)
	if err != nil {
		return nil, err
	}
	if in.Size == 0 {
		return nil, nil
	}
	target := opts.TargetBytes
	if target <= 0 || in.Size <= target+target/2 {
		return []formats.SpanInfo{{Span: formats.Span{End: in.Size}, Rows: -1, Bytes: in.Size}}, nil
	}
	b := borders{in: in, split: splitter{dialect: d, width: -1}}
	var spans []formats.SpanInfo
	for from := int64(0); from < in.Size; {
		to, err := b.after(ctx, from+target)
		if err != nil {
			return nil, err
		}
		spans = append(spans, formats.SpanInfo{Span: formats.Span{First: from, End: to}, Rows: -1, Bytes: to - from})
		from = to
	}
	return spans, nil
}

// borders walks a file from its start to find where records begin.
type borders struct {
	in     formats.Input
	split  splitter
	buffer []byte
	text   []byte
	offset int64 // of text[0], always the beginning of a record
}

// after returns the first record's beginning at or behind target, or the end.
func (b *borders) after(ctx context.Context, target int64) (int64, error) {
	for b.offset < target {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		final, err := b.fill(cells.BufferBytes)
		if err != nil {
			return 0, err
		}
		if len(b.text) == 0 {
			return b.in.Size, nil
		}
		used, err := b.advance(final, target)
		if err != nil {
			return 0, err
		}
		for size := 2 * cells.BufferBytes; used == 0; size *= 2 {
			if size > cells.MaxRecordBytes || final {
				return b.in.Size, nil // the reader will say what is wrong
			}
			if final, err = b.fill(size); err != nil {
				return 0, err
			}
			if used, err = b.advance(final, target); err != nil {
				return 0, err
			}
		}
		b.text = b.text[used:]
		b.offset += int64(used)
	}
	return b.offset, nil
}

// advance returns how many bytes of text are whole records that begin before
// target.
func (b *borders) advance(final bool, target int64) (int, error) {
	if b.split.comments && b.openingQuote(0) < len(b.text) { // it may stand in a comment
		return b.advanceByRecord(final, target)
	}
	// limit is where a line break makes the record behind it begin at target.
	limit := int(min(int64(len(b.text)), max(target-b.offset-1, 0)))
	used := 0
	for at := 0; ; {
		quote := b.openingQuote(at)
		if from := max(at, limit); from < quote {
			if i := bytes.IndexByte(b.text[from:quote], '\n'); i >= 0 {
				return from + i + 1, nil
			}
		}
		if i := bytes.LastIndexByte(b.text[at:quote], '\n'); i >= 0 {
			used = at + i + 1
		}
		if quote < len(b.text) {
			_, next, err := b.split.quoted(b.text, quote, final)
			if errors.Is(err, errPartial) {
				return used, nil
			}
			if at = next; err != nil {
				used = next // a malformed record ends where the splitter goes on
				if used > limit {
					return used, nil
				}
			}
			quote = at
		}
		if quote == len(b.text) {
			if final {
				return quote, nil
			}
			return used, nil
		}
	}
}

// openingQuote is where, from a place outside of quotes on, the next field in
// quotes begins, or the text's end. Within a field a quote is a byte like others.
func (b *borders) openingQuote(at int) int {
	for b.split.quoting {
		i := bytes.IndexByte(b.text[at:], b.split.quote)
		if i < 0 {
			break
		}
		at += i
		if at == 0 || b.text[at-1] == b.split.delimiter || b.text[at-1] == '\n' {
			return at
		}
		at++
	}
	return len(b.text)
}

// advanceByRecord is advance in small steps.
func (b *borders) advanceByRecord(final bool, target int64) (int, error) {
	used := 0
	for used < len(b.text) && b.offset+int64(used) < target {
		next, err := b.split.record(b.text, used, final)
		if errors.Is(err, errPartial) {
			break
		}
		used = next // a malformed record ends where the splitter goes on
	}
	return used, nil
}

// fill reads until text has size bytes and reports whether the file ends there.
func (b *borders) fill(size int) (final bool, err error) {
	want := int(min(int64(size), b.in.Size-b.offset))
	if want > len(b.text) {
		if len(b.buffer) < want {
			b.buffer = append(make([]byte, 0, want), b.text...)[:want]
		}
		kept := copy(b.buffer, b.text)
		b.text = b.buffer[:want]
		at := b.offset + int64(kept)
		if n, err := b.in.ReadAt(b.text[kept:], at); n < want-kept {
			return false, cells.ReadError(b.in, at+int64(n), err)
		}
	}
	return b.offset+int64(len(b.text)) == b.in.Size, nil
}

// Rejects implements formats.Rejecter.
func (Format) Rejects() bool { return true }

var _ formats.Rejecter = Format{}
