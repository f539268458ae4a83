package csv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

// reader reads a range of records.
type reader struct {
	in         formats.Input
	opts       formats.ReadOptions
	split      splitter
	converters []*cells.Converter
	slots      []int // per wanted column: its cells in split.columns, -1 if the file lacks it
	schema     *arrow.Schema
	window     *cells.Window
	stats      formats.ReadStats
	rejects    cells.Rejects
	closed     bool
}

var _ formats.Reader = (*reader)(nil)

func newReader(ctx context.Context, in formats.Input, opts formats.ReadOptions) (*reader, error) {
	opts = opts.Complete()
	d, err := parseOptions(opts.Options)
	if err != nil {
		return nil, err
	}
	l, err := readLayout(ctx, in, opts.Alloc, d, opts.Declared, headRows, headBytes)
	if err != nil {
		return nil, err
	}
	r := &reader{in: in, opts: opts, schema: opts.Columns.Arrow(), rejects: cells.Rejects{Take: opts.Reject}}
	r.split = splitter{dialect: d, width: len(l.names)}
	if opts.Reject != nil {
		r.split.rejects = &r.rejects
	}
	from, end, err := cells.SpanOf(in, opts.Span, l.start)
	if err != nil {
		return nil, err
	}
	if err := r.plan(l); err != nil {
		return nil, failure.Errorf(failure.BadData, "%s: %w", in.Path, err)
	}
	r.window = cells.NewWindow(in, opts.Alloc, from, end)
	return r, nil
}

// plan finds the wanted columns among the file's fields.
func (r *reader) plan(l *layout) error {
	r.split.slots = make([]int, len(l.names))
	for i := range r.split.slots {
		r.split.slots[i] = -1
	}
	for k, want := range r.opts.Columns {
		if !cells.Supported(want.Type) {
			return fmt.Errorf("column %s: %s in CSV is not supported yet", want.Name, want.Type)
		}
		r.converters = append(r.converters, &cells.Converter{
			Type: want.Type, Alloc: r.opts.Alloc, Unescape: r.split.unescape, Lenient: r.split.lenient,
		})
		if r.opts.Reject != nil {
			r.converters[k].Reject = func(e *cells.Error) { r.rejects.Fault(e.Row, fmt.Errorf("column %s: %w", want.Name, e)) }
		}
		i := slices.Index(l.names, want.Name)
		switch {
		case i < 0 && (!r.opts.AllowMissing || !want.Type.Nullable):
			return fmt.Errorf("column %s: the file does not have it; it has %v", want.Name, l.names)
		case i < 0:
			r.slots = append(r.slots, -1)
		case r.split.slots[i] >= 0:
			r.slots = append(r.slots, r.split.slots[i])
		default:
			r.split.slots[i] = len(r.split.columns)
			r.slots = append(r.slots, len(r.split.columns))
			r.split.columns = append(r.split.columns, nil)
		}
	}
	return nil
}

// Read implements formats.Reader.
func (r *reader) Read(ctx context.Context) (arrow.RecordBatch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := r.window.Ready(); err != nil {
			return nil, err
		}
		if len(r.window.Text) == 0 {
			return nil, io.EOF
		}
		used, err := r.splitBatch()
		if err != nil {
			return nil, err
		}
		if used == 0 {
			if err := r.window.More(); err != nil {
				return nil, err
			}
			continue
		}
		batch, err := r.batch()
		r.window.Pass(used)
		if batch != nil || err != nil {
			return batch, err
		}
	}
}

// splitBatch splits the next records and says how many bytes they take; 0 asks
// for more text.
func (r *reader) splitBatch() (int, error) {
	bad := r.split.bad
	r.rejects.Begin()
	used, err := r.split.records(r.window.Text, r.opts.BatchRows, r.window.Final())
	r.stats.BadRows += r.split.bad - bad
	var malformed *recordError
	if errors.As(err, &malformed) {
		return 0, failure.Errorf(failure.BadData, "%s: %w", r.window.Place(malformed.start), err)
	}
	return used, err
}

// batch parses the cells that were split, without the rows that are rejected; nil if there
// is nothing.
func (r *reader) batch() (arrow.RecordBatch, error) {
	batch, err := r.parse()
	if batch != nil && r.opts.Reject != nil {
		end := func(row int) int { return int(r.split.ends[row]) }
		batch, err = r.rejects.Sift(batch, cells.Split{Starts: &r.split.starts, End: end, Columns: r.split.columns, Parse: r.parse}, r.window)
	}
	r.stats.Rows += int64(len(r.split.starts))
	return batch, err
}

func (r *reader) parse() (arrow.RecordBatch, error) {
	n := len(r.split.starts)
	if n == 0 && r.rejects.Len() == 0 {
		return nil, nil
	}
	arrays := make([]arrow.Array, 0, len(r.converters))
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
	}()
	for i, c := range r.converters {
		if r.slots[i] < 0 {
			arrays = append(arrays, array.MakeArrayOfNull(r.opts.Alloc, c.Type.Arrow(), n))
			continue
		}
		column := r.split.columns[r.slots[i]]
		r.settleEmpty(c, column)
		bad := c.Bad
		a, err := c.Array(r.window.Text, column)
		if err != nil {
			return nil, r.cellError(i, err)
		}
		r.stats.BadRows += c.Bad - bad
		arrays = append(arrays, a)
	}
	return array.NewRecordBatch(r.schema, arrays, int64(n)), nil
}

// settleEmpty decides what empty fields are, where their column's type does:
// NULL unless it is text, and the empty string in text that cannot be NULL.
func (r *reader) settleEmpty(c *cells.Converter, column []cells.Cell) {
	text := c.Type.IsString()
	switch {
	case !text && r.split.hasNull:
		for i := range column {
			if column[i].Kind == cells.Plain && column[i].Start == column[i].End {
				column[i].Kind = cells.Null
			}
		}
	case text && !c.Type.Nullable && !r.split.hasNull:
		for i := range column {
			if column[i].Kind == cells.Null {
				column[i].Kind = cells.Plain
			}
		}
	}
}

func (r *reader) cellError(column int, err error) error {
	var bad *cells.Error
	name := r.opts.Columns[column].Name
	if errors.As(err, &bad) {
		return failure.Errorf(failure.BadData, "%s: column %s: %w", r.window.Place(int(r.split.starts[bad.Row])), name, err)
	}
	return failure.Errorf(failure.BadData, "%s: column %s: %w", r.in.Path, name, err)
}

// Stats implements formats.Reader.
func (r *reader) Stats() formats.ReadStats {
	r.stats.Bytes = r.window.Bytes
	return r.stats
}

// Close implements formats.Reader.
func (r *reader) Close() error {
	if !r.closed {
		r.closed = true
		r.window.Release()
	}
	return nil
}
