package parquet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

// reader reads the row groups of a span, one after the other.
type reader struct {
	file     *file
	opts     formats.ReadOptions
	alloc    *recorder // that of opts
	codec    *decompressor
	decoders []decoder
	sources  []decoder        // those that read a leaf: of nested columns each leaf's
	order    []int            // of decoders in the current row group
	owners   []*memory.Buffer // the bytes of the current row group
	group    int              // the current row group
	next     int              // the row group after it
	end      int
	left     int64      // rows left in the current row group
	rows     []rowRange // of it, those that the page index leaves; nil: all
	most     int        // rows of a batch, where they are not long
	filters  []*rowFilter
	window   int                 // rows to filter at once
	pending  []arrow.RecordBatch // read and not yet returned
	schema   *arrow.Schema
	stats    formats.ReadStats
	closed   bool

	before    position // where the last Read began
	failed    bool     // it returned an error
	suspended bool     // what was held is given back, see Yield
}

var _ formats.Reader = (*reader)(nil)

func newReader(f *file, opts formats.ReadOptions) (*reader, error) {
	r := &reader{file: f, opts: opts.Complete(), codec: &decompressor{}}
	r.alloc = &recorder{Allocator: r.opts.Alloc, live: map[*byte][]byte{}}
	r.opts.Alloc = r.alloc
	r.filters, r.window, r.most = newFilters(r.opts), r.opts.BatchRows, r.opts.BatchRows
	var err error
	if r.next, r.end, err = f.groupRange(opts.Span); err != nil {
		return nil, err
	}
	r.stats.Groups = int64(r.end - r.next)
	if err := r.openDecoders(); err != nil {
		r.Close()
		return nil, err
	}
	r.prefetchFrom(r.next)
	return r, nil
}

func (r *reader) openDecoders() error {
	for _, want := range r.opts.Columns {
		d, err := r.decoder(want)
		if err != nil {
			return failure.Errorf(failure.BadData, "%s: column %s: %w", r.file.in.Path, want.Name, err)
		}
		r.decoders = append(r.decoders, d)
		if n, ok := d.(*nestedDecoder); ok {
			for _, l := range n.leaves {
				r.sources = append(r.sources, l)
			}
		} else if d.source() != nil {
			r.sources = append(r.sources, d)
		}
	}
	return nil
}

func (r *reader) decoder(want datatype.Field) (decoder, error) {
	c := r.file.column(want.Name)
	switch {
	case c == nil && r.opts.AllowMissing && want.Type.Nullable:
		return &missingDecoder{want: want.Type, alloc: r.opts.Alloc}, nil
	case c == nil:
		return nil, fmt.Errorf("the file does not have it; it has %s", r.file.columnNames())
	case c.nested:
		return r.nestedDecoder(c.root, want.Type)
	}
	p := newPages(c.leaves[0], r.file.in.Path, r.opts.Alloc, r.codec)
	p.in, p.read = r.file.in, &r.stats.Bytes
	d, err := newDecoder(p, want.Type, r.opts.Alloc)
	if err != nil {
		p.close()
	}
	return d, err
}

// Read implements formats.Reader.
func (r *reader) Read(ctx context.Context) (batch arrow.RecordBatch, err error) {
	if len(r.pending) > 0 {
		return r.first(), nil
	}
	r.before, r.failed = r.position(), true
	r.alloc.begin()
	defer func() {
		if v := recover(); v != nil {
			err = r.recovered(v)
		}
		if r.failed = err != nil; !r.failed {
			r.alloc.end()
		}
	}()
	if r.suspended {
		if err := r.resume(); err != nil {
			return nil, err
		}
	}
	return r.read(ctx)
}

// first takes the first pending batch.
func (r *reader) first() arrow.RecordBatch {
	batch := r.pending[0]
	r.pending = r.pending[1:]
	return batch
}

func (r *reader) read(ctx context.Context) (batch arrow.RecordBatch, err error) {
	for len(r.pending) == 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch pass, rows := r.rangeLeft(); {
		case pass > 0:
			r.pass(pass)
		case rows > 0 && r.filtering():
			err = r.filtered(rows)
		case rows > 0:
			return r.batch(rows)
		case r.next == r.end:
			return nil, io.EOF
		default:
			err = r.open(r.next)
			r.next++
		}
		if err != nil {
			return nil, err
		}
	}
	return r.first(), nil
}

// recovered is the error of a panic. The allocator panics with an error of its own
// where memory is refused; anything else is the decoder's.
func (r *reader) recovered(v any) error {
	if err, ok := v.(error); ok {
		var bug runtime.Error
		if !errors.As(err, &bug) {
			return fmt.Errorf("%s: row group %d: %w", r.file.in.Path, r.group, err)
		}
	}
	return failure.Errorf(failure.BadData, "%s: row group %d: the decoder gave up: %v\n%s", r.file.in.Path, r.group, v, debug.Stack())
}

// filtering reports whether a filter is worth asking.
func (r *reader) filtering() bool {
	return slices.ContainsFunc(r.filters, (*rowFilter).works)
}

// open begins a row group, unless no row of it can match.
func (r *reader) open(group int) error {
	r.releaseGroup()
	rank(r.filters)
	r.group = group
	if skip, err := r.skips(group); skip || err != nil {
		r.stats.Skipped++
		return err
	}
	r.prefetchFrom(group)
	if err := r.start(group); err != nil {
		return err
	}
	r.left = r.file.meta.groups[group].rows
	return nil
}

// start has the decoders begin a row group.
func (r *reader) start(group int) error {
	g, ranges := &r.file.meta.groups[group], r.ranges(group)
	owners, read, err := fetch(r.file.in, coalesce(r.together(ranges)), r.opts.Alloc)
	r.stats.Bytes += read
	if err != nil {
		return fmt.Errorf("row group %d: %w", group, err)
	}
	r.owners = owners
	r.opts.BatchRows = r.batchRows(g)
	r.window = min(r.window, maxWindow*r.opts.BatchRows)
	r.sort(g)
	for _, d := range r.decoders {
		if d.source() == nil {
			d.start(group, nil, nil)
		}
	}
	for i, c := range ranges {
		d := r.sources[i]
		d.start(group, &g.chunks[d.source().index], c.bytes)
	}
	return nil
}

// longBatch is how many bytes a batch of long rows has: 32-bit offsets count 2 GiB, and
// some rows are longer than others.
const longBatch = 128 << 20

// batchRows is how many rows of a row group a batch has.
func (r *reader) batchRows(g *rowGroup) int {
	bytes := int64(0)
	for _, d := range r.sources {
		bytes += g.chunks[d.source().index].plainBytes
	}
	if each := bytes / max(g.rows, 1); each > 0 {
		return int(min(int64(r.most), max(longBatch/each, 1)))
	}
	return r.most
}

// skips reports whether a row group can be skipped, by what the footer tells, else by
// bloom filters and the page index.
func (r *reader) skips(group int) (bool, error) {
	if r.excluded(group) {
		return true, nil
	}
	if p := r.opts.Predicate; p != nil {
		if none, err := r.bloomExcludes(group, p); none || err != nil {
			return none, err
		}
	}
	err := r.findRows(group)
	return r.rows != nil && len(r.rows) == 0, err
}

// sort finds the order of the decoders: what is largest comes first, for opening a
// page takes more memory than it holds afterwards.
func (r *reader) sort(g *rowGroup) {
	size := func(i int) int64 {
		if l := r.decoders[i].source(); l != nil {
			return g.chunks[l.index].compressed
		}
		return 0
	}
	r.order = r.order[:0]
	for i := range r.decoders {
		r.order = append(r.order, i)
	}
	slices.SortStableFunc(r.order, func(a, b int) int { return cmp.Compare(size(b), size(a)) })
}

// together are the chunks to read before any is decoded: of an input that is slow to
// answer all of them. Of others each is read when its decoder comes to it, and given
// back with its last page, so that not all are there at a time; but those of nested
// columns have two readers each.
func (r *reader) together(ranges []*chunkRange) []*chunkRange {
	if _, slow := r.file.in.ReaderAt.(fs.Prefetcher); slow {
		return ranges
	}
	var out []*chunkRange
	for i, c := range ranges {
		if _, nested := r.sources[i].(*nestedLeaf); nested {
			out = append(out, c)
		}
	}
	return out
}

// ranges are where the wanted chunks of a row group lie, one for each source.
func (r *reader) ranges(group int) []*chunkRange {
	g := &r.file.meta.groups[group]
	if g.rows == 0 {
		return nil
	}
	ranges := make([]*chunkRange, len(r.sources))
	for i, d := range r.sources {
		c := &g.chunks[d.source().index]
		ranges[i] = &chunkRange{offset: c.start(), length: c.compressed}
	}
	return ranges
}

// prefetchFrom has a slow input begin with the row groups from one on, as many as
// make up a good request each and keep enough requests on their way.
func (r *reader) prefetchFrom(group int) {
	if _, slow := r.file.in.ReaderAt.(fs.Prefetcher); !slow {
		return
	}
	for ahead := int64(0); group < r.end && ahead < prefetchBytes; group++ {
		if r.excluded(group) {
			continue
		}
		reads := coalesce(r.ranges(group))
		for _, read := range reads {
			ahead += read.length
		}
		prefetch(r.file.in, reads)
	}
}

func (r *reader) releaseGroup() {
	release(r.owners...)
	r.owners = nil
}

// batch decodes some of the next rows of the current row group.
func (r *reader) batch(rows int64) (arrow.RecordBatch, error) {
	n := int(min(rows, int64(r.opts.BatchRows)))
	arrays := make([]arrow.Array, len(r.decoders))
	defer func() { compute.ReleaseAll(arrays) }()
	for _, i := range r.order {
		var err error
		if arrays[i], err = r.decoders[i].read(n); err != nil {
			return nil, err
		}
	}
	r.left -= int64(n)
	r.stats.Rows += int64(n)
	return array.NewRecordBatch(r.schemaOf(arrays), arrays, int64(n)), nil
}

// schemaOf returns the schema of the arrays, the same one while the columns do
// not turn from dictionary to plain or back.
func (r *reader) schemaOf(arrays []arrow.Array) *arrow.Schema {
	if r.schema != nil {
		same := true
		for i, a := range arrays {
			have := r.schema.Field(i).Type
			same = same && have.ID() == a.DataType().ID()
		}
		if same {
			return r.schema
		}
	}
	fields := make([]arrow.Field, len(arrays))
	for i, a := range arrays {
		want := r.opts.Columns[i]
		fields[i] = arrow.Field{Name: want.Name, Type: a.DataType(), Nullable: want.Type.Nullable}
	}
	r.schema = arrow.NewSchema(fields, nil)
	return r.schema
}

// Stats implements formats.Reader.
func (r *reader) Stats() formats.ReadStats { return r.stats }

// Close implements formats.Reader.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.releasePending()
	r.releaseState()
	r.codec.close()
	return nil
}
