package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

var (
	_ connector.EarlyReader    = (*reader)(nil)
	_ connector.YieldingReader = (*reader)(nil)
)

// reader reads the spans it is given, one after the other.
type reader struct {
	c     *Connector
	loc   location
	spec  connector.SourceSpec
	env   connector.ReaderEnv
	ready chan struct{}

	inFile datatype.Schema       // the wanted columns that files hold
	held   datatype.Schema       // all columns that files hold
	rowsBy []predicate.RowFilter // the filters over inFile
	bySpan []predicate.RowFilter // the others, over partition columns, too
	schema *arrow.Schema
	queue  []piece
	rows   int64 // handed out so far, for Limit
	// rejected are the records of the current span that were rejected since its position was
	// noted last.
	rejected int64

	current *span             // nil between spans
	next    *span             // of the first in the queue, opened early; or nil
	record  arrow.RecordBatch // read and not yet handed out, for that failed; or nil
}

// span is a piece that is open.
type span struct {
	piece
	formats.Reader
	file   fs.File
	slow   bool           // reading is worth beginning early
	values map[string]any // of its partition
	// skipping: what is read was handed out before a restart.
	skipping bool
}

func newReader(c *Connector, loc location, s connector.SourceSpec, env connector.ReaderEnv) *reader {
	r := &reader{c: c, loc: loc, spec: s, env: env, ready: make(chan struct{}, 1), schema: s.Columns.Arrow()}
	inDirectory := func(f datatype.Field) bool { return slices.Contains(s.Table.Partitions, f.Name) }
	r.inFile = slices.DeleteFunc(slices.Clone(s.Columns), inDirectory)
	r.held = slices.DeleteFunc(slices.Clone(s.Table.Schema), inDirectory)
	for _, f := range env.Filters {
		if slices.ContainsFunc(f.Columns(), func(c string) bool { return slices.Contains(s.Table.Partitions, c) }) {
			r.bySpan = append(r.bySpan, f)
		} else {
			r.rowsBy = append(r.rowsBy, f)
		}
	}
	return r
}

// Add implements connector.Reader.
func (r *reader) Add(s connector.Split) error {
	p, err := parsePiece(s)
	if err != nil {
		return err
	}
	r.queue = append(r.queue, p)
	return nil
}

// Ready implements connector.Reader; reading blocks, so it is never signalled.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Early implements connector.EarlyReader: where reading is slow to start, the next
// span is opened, and its first reads are on their way, while this one is decoded.
// Where only asking is slow, half of this one has been read: whoever is idle by then may
// have it. Where some rows suffice it may never be wanted.
func (r *reader) Early() bool {
	if r.current == nil || len(r.queue) > 0 || r.spec.Limit > 0 {
		return false
	}
	return r.current.slow || r.env.SlowSplits && r.current.Rows > 0 && 2*r.current.Skip >= r.current.Rows
}

// Poll implements connector.Reader.
func (r *reader) Poll(ctx context.Context) (*stream.Batch, connector.Wait, error) {
	for {
		if r.spec.Limit > 0 && r.rows >= r.spec.Limit {
			r.queue = nil
			return nil, connector.ForSplit, r.Close()
		}
		if r.passOver(); r.current == nil && len(r.queue) == 0 {
			return nil, connector.ForSplit, nil
		}
		if err := r.advance(ctx); err != nil {
			return nil, connector.NoWait, err
		}
		if r.record == nil {
			record, err := r.current.Read(ctx)
			if errors.Is(err, io.EOF) {
				if err := r.endSpan(); err != nil {
					return nil, connector.NoWait, err
				}
				continue
			}
			if err != nil {
				return nil, connector.NoWait, err
			}
			r.record = record
		}
		b, err := r.assemble(r.record)
		if err != nil {
			return nil, connector.NoWait, err
		}
		r.record = nil
		r.current.Skip += int64(b.PhysicalRows()) + r.rejected
		r.rejected = 0
		r.rows += int64(b.PhysicalRows())
		return b, connector.NoWait, nil
	}
}

// Yields implements connector.YieldingReader.
func (r *reader) Yields() bool {
	for _, s := range []*span{r.current, r.next} {
		if s == nil {
			continue
		}
		if _, ok := s.Reader.(formats.Yielder); !ok {
			return false
		}
	}
	return true
}

// Yield implements connector.YieldingReader.
func (r *reader) Yield() {
	for _, s := range []*span{r.current, r.next} {
		if s == nil {
			continue
		}
		if y, ok := s.Reader.(formats.Yielder); ok {
			y.Yield()
		}
	}
}

// passOver drops pieces from the front of the queue of whose partition a filter wants
// no row.
func (r *reader) passOver() {
	for len(r.bySpan) > 0 && r.current == nil && r.next == nil && len(r.queue) > 0 && r.excluded(r.queue[0]) {
		r.queue = r.queue[1:]
	}
}

func (r *reader) excluded(p piece) bool {
	values, err := p.values(r.spec.Table)
	if err != nil {
		return false // opening it says so
	}
	one := func(column string) (predicate.Summary, bool) {
		v, ok := values[column]
		return predicate.Summary{Min: v, Max: v, Nulls: -1, Rows: -1}, ok && v != nil
	}
	return slices.ContainsFunc(r.bySpan, func(f predicate.RowFilter) bool { return f.Ready() && f.Excludes(one) })
}

// values are those of the piece's partition.
func (p piece) values(t connector.Table) (map[string]any, error) {
	return file{info: fs.Info{Path: p.Path}, partitions: p.Partitions}.values(t.Schema, t.Partitions)
}

// advance makes the first piece in the queue the current one when there is none,
// and opens the one after it when that should be early.
func (r *reader) advance(ctx context.Context) (err error) {
	if r.current == nil {
		if r.current, r.next = r.next, nil; r.current == nil {
			if r.current, err = r.openSpan(ctx, r.queue[0]); err != nil {
				return err
			}
		}
		if err := r.skip(ctx, r.current.Skip); err != nil {
			return errors.Join(err, r.endSpan())
		}
		r.queue = r.queue[1:]
	}
	if r.next == nil && r.current.slow && len(r.queue) > 0 {
		r.next, err = r.openSpan(ctx, r.queue[0])
	}
	return err
}

func (r *reader) openSpan(ctx context.Context, p piece) (*span, error) {
	format, err := r.c.formatFor(r.loc, p.Path)
	if err != nil {
		return nil, err
	}
	values, err := p.values(r.spec.Table)
	if err != nil {
		return nil, err
	}
	in, f, err := r.loc.open(ctx, fs.Info{Path: p.Path, ETag: p.ETag, Size: p.Size, ModTime: p.ModTime})
	if err != nil {
		return nil, err
	}
	if etag := f.Info().ETag; p.ETag != "" && etag != p.ETag {
		f.Close()
		return nil, failure.Errorf(failure.Conflict, "%s: the file was replaced while the job was reading the table", p.Path)
	}
	opened := &span{piece: p, values: values}
	opts := formats.ReadOptions{
		Columns: r.inFile, Declared: r.held, AllowMissing: r.loc.allowMissing, Predicate: r.spec.Predicate, Span: p.Span,
		BatchRows: r.env.BatchRows, Alloc: r.env.Alloc, Options: r.loc.options, Filters: r.rowsBy,
	}
	if r.env.Reject != nil {
		opts.Reject = opened.reject(r)
	}
	reader, err := format.NewReader(ctx, in, opts)
	if err != nil {
		f.Close()
		return nil, err
	}
	opened.Reader, opened.file = reader, f
	_, opened.slow = f.(fs.Prefetcher)
	return opened, nil
}

// reject counts rejected records of the span, which is being read, and passes them on unless
// that was before a restart.
func (s *span) reject(r *reader) func(formats.Rejected) error {
	return func(bad formats.Rejected) error {
		r.rejected++
		if !s.skipping {
			r.env.Reject(connector.Rejected{Place: bad.Place, Err: bad.Err, Data: bad.Text})
		}
		return nil
	}
}

// skip reads over the rows that were handed out before a restart, and those that were rejected.
// Batches of the same span come in the same cuts, so whole batches go.
func (r *reader) skip(ctx context.Context, rows int64) error {
	r.current.skipping, r.rejected = rows > 0, 0
	defer func() { r.current.skipping, r.rejected = false, 0 }()
	for rows > 0 {
		record, err := r.current.Read(ctx)
		if err != nil {
			return fmt.Errorf("%s: return to row %d of the split: %w", r.current.Path, r.current.Skip, err)
		}
		n := record.NumRows() + r.rejected
		record.Release()
		r.rejected = 0
		if rows -= n; rows < 0 {
			return failure.Errorf(failure.Fatal, "%s: row %d of the split is inside a batch: execution.batch-rows has changed",
				r.current.Path, r.current.Skip)
		}
	}
	return nil
}

func (r *reader) endSpan() error {
	s := r.current
	r.current = nil
	return s.end()
}

// end closes a span; nil is none.
func (s *span) end() error {
	if s == nil {
		return nil
	}
	if err := errors.Join(s.Close(), s.file.Close()); err != nil {
		return fmt.Errorf("close %s: %w", s.Path, err)
	}
	return nil
}

// assemble puts the file's columns and the partition columns in the wanted
// order. It consumes record unless it fails.
func (r *reader) assemble(record arrow.RecordBatch) (_ *stream.Batch, err error) {
	defer memory.Recover(&err)
	if len(r.inFile) == len(r.spec.Columns) {
		return stream.NewBatch(record), nil
	}
	n := int(record.NumRows())
	columns, fields := make([]arrow.Array, len(r.spec.Columns)), make([]arrow.Field, len(r.spec.Columns))
	defer func() { compute.ReleaseAll(columns) }()
	next := 0
	for i, f := range r.spec.Columns {
		if slices.Contains(r.spec.Table.Partitions, f.Name) {
			c, err := constant(r.env.Alloc, f.Type, r.current.values[f.Name], n)
			if err != nil {
				return nil, fmt.Errorf("%s: partition column %s: %w", r.current.Path, f.Name, err)
			}
			columns[i] = c
		} else {
			columns[i] = record.Column(next)
			columns[i].Retain()
			next++
		}
		fields[i] = r.schema.Field(i)
		fields[i].Type = columns[i].DataType()
	}
	defer record.Release()
	return stream.NewBatch(array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(n))), nil
}

// Snapshot implements connector.Reader.
func (r *reader) Snapshot() ([]connector.Split, error) {
	pieces := r.queue
	if r.current != nil {
		pieces = slices.Concat([]piece{r.current.piece}, r.queue)
	}
	splits := make([]connector.Split, len(pieces))
	for i, p := range pieces {
		var err error
		if splits[i], err = p.split(); err != nil {
			return nil, err
		}
	}
	return splits, nil
}

// Close implements connector.Reader.
func (r *reader) Close() error {
	err := errors.Join(r.current.end(), r.next.end())
	r.current, r.next = nil, nil
	if r.record != nil {
		r.record.Release()
		r.record = nil
	}
	return err
}
