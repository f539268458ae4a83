package json

import (
	"bytes"
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

// reader reads a range of lines.
type reader struct {
	in      formats.Input
	opts    formats.ReadOptions
	lenient bool
	columns []*column
	cells   [][]cells.Cell // per column
	byName  map[string]int // the first column of each name
	keys    []expectedKey  // of the last line, in their order
	starts  []uint32       // where each line begins
	schema  *arrow.Schema
	window  *cells.Window
	stats   formats.ReadStats
	rejects cells.Rejects
	closed  bool
}

var _ formats.Reader = (*reader)(nil)

func newReader(ctx context.Context, in formats.Input, opts formats.ReadOptions) (*reader, error) {
	opts = opts.Complete()
	o, err := parseOptions(opts.Options)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	from, end, err := cells.SpanOf(in, opts.Span, 0)
	if err != nil {
		return nil, err
	}
	r := &reader{in: in, opts: opts, lenient: o.lenient, schema: opts.Columns.Arrow(), byName: map[string]int{}, rejects: cells.Rejects{Take: opts.Reject}}
	for i, want := range opts.Columns {
		c, err := newColumn(want.Name, want.Type, opts.Alloc, o.lenient)
		if err != nil {
			return nil, failure.Errorf(failure.BadData, "%s: %w", in.Path, err)
		}
		if opts.Reject != nil {
			c.rejectBy(r.fault)
		}
		r.columns = append(r.columns, c)
		if _, twice := r.byName[want.Name]; twice {
			return nil, failure.Errorf(failure.Usage, "%s: column %s is wanted twice", in.Path, want.Name)
		}
		r.byName[want.Name] = i
	}
	r.cells = make([][]cells.Cell, len(r.columns))
	r.window = cells.NewWindow(in, opts.Alloc, from, end)
	return r, nil
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
		used, err := r.split()
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

// split finds the cells of the next lines and says how many bytes they take; 0
// asks for more text.
func (r *reader) split() (used int, err error) {
	for i := range r.cells {
		r.cells[i] = r.cells[i][:0]
	}
	r.starts = r.starts[:0]
	r.rejects.Begin()
	text := r.window.Text
	for used < len(text) && len(r.starts)+r.rejects.Len() < r.opts.BatchRows {
		end := bytes.IndexByte(text[used:], '\n')
		next := used + end + 1
		if end < 0 {
			if !r.window.Final() {
				break
			}
			next = len(text)
		}
		if err := r.line(text[:next], used); err != nil {
			switch {
			case r.opts.Reject != nil:
				r.rejects.Add(used, next, err)
			case r.lenient:
				r.stats.BadRows++
			default:
				return 0, failure.Errorf(failure.BadData, "%s: %w", r.window.Place(used), err)
			}
			for i := range r.cells {
				r.cells[i] = r.cells[i][:len(r.starts)]
			}
		}
		used = next
	}
	return used, nil
}

// line splits the object at text[at:]; a line of spaces is passed over.
func (r *reader) line(text []byte, at int) error {
	if at == 0 && bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		at = 3
	}
	s := scanner{text: text, at: at}
	if s.peek() == 0 && s.at == len(text) {
		return nil
	}
	row := len(r.starts)
	for i := range r.cells {
		r.cells[i] = append(r.cells[i], cells.Cell{Start: uint32(at), End: uint32(at)})
	}
	if err := r.members(&s, row); err != nil {
		return err
	}
	if s.peek() != 0 || s.at < len(text) {
		return s.unexpected("the line's end")
	}
	r.starts = append(r.starts, uint32(at))
	return nil
}

// fault notes a value that does not fit, with the row that it stands in.
func (r *reader) fault(e *cellError) {
	row, exact := slices.BinarySearch(r.starts, e.at)
	if !exact {
		row--
	}
	r.rejects.Fault(row, e)
}

// rowEnd is where the line of a row ends.
func (r *reader) rowEnd(row int) int {
	text, at := r.window.Text, int(r.starts[row])
	if end := bytes.IndexByte(text[at:], '\n'); end >= 0 {
		return at + end
	}
	return len(text)
}

// batch parses the cells that were split, without the rows that are rejected; nil if there
// is nothing.
func (r *reader) batch() (arrow.RecordBatch, error) {
	batch, err := r.parse()
	if batch != nil && r.opts.Reject != nil {
		batch, err = r.rejects.Sift(batch, cells.Split{Starts: &r.starts, End: r.rowEnd, Columns: r.cells, Parse: r.parse}, r.window)
	}
	r.stats.Rows += int64(len(r.starts))
	return batch, err
}

func (r *reader) parse() (arrow.RecordBatch, error) {
	n := len(r.starts)
	if n == 0 && r.rejects.Len() == 0 {
		return nil, nil
	}
	arrays := make([]arrow.Array, 0, len(r.columns))
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
	}()
	for i, c := range r.columns {
		bad := c.badCount()
		a, err := c.array(r.window.Text, r.cells[i])
		if err != nil {
			return nil, r.valueError(err)
		}
		r.stats.BadRows += c.badCount() - bad
		arrays = append(arrays, a)
	}
	return array.NewRecordBatch(r.schema, arrays, int64(n)), nil
}

func (r *reader) valueError(err error) error {
	var bad *cellError
	if errors.As(err, &bad) {
		return failure.Errorf(failure.BadData, "%s: %w", r.window.Place(int(bad.at)), err)
	}
	return failure.Wrap(failure.BadData, fmt.Errorf("%s: %w", r.in.Path, err))
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
