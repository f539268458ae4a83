package formats

import (
	"context"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/predicate"
)

// DefaultBatchRows is the size of a batch when ReadOptions does not say.
const DefaultBatchRows = 8192

// Input is one file to read: random access to Size bytes. Path is what errors
// call it. Whoever opened it closes it, after the readers made of it.
type Input struct {
	Path string
	io.ReaderAt
	Size int64
	// Memo keeps what formats learn of the file beyond a reader's life; nil keeps
	// nothing.
	Memo Memo
}

// Options are a table's options; a format looks at those under its own prefix.
type Options map[string]string

// Span is a piece of a file, First inclusive and End exclusive, in the format's
// own units. The zero Span is the whole file.
type Span struct {
	First, End int64
}

// Whole reports whether s is the zero Span.
func (s Span) Whole() bool { return s == Span{} }

// SpanInfo is a Span and what is known of it.
type SpanInfo struct {
	Span Span
	// Rows is the number of rows, or -1 where it is not known without reading.
	Rows int64
	// Bytes is about what a reader of all columns reads from the file.
	Bytes int64
}

// SpanOptions says how a file is cut; the zero value does not cut it.
type SpanOptions struct {
	// TargetBytes is the size that spans should have; 0 means one span. Formats
	// cut where they can, so spans may be larger or smaller.
	TargetBytes int64
	// Predicate drops spans that cannot match; nil drops none. Its literals are in
	// the physical form of the types in Columns, which are those that readers will
	// want; columns not named there have the type that Schema says.
	Predicate *predicate.Predicate
	Columns   datatype.Schema
	Options   Options
}

// ReadOptions says what a reader reads.
type ReadOptions struct {
	// Columns are the wanted columns, in the order of the batches. File columns
	// not named are not read. With none, batches have rows but no columns.
	Columns datatype.Schema
	// Declared are the columns that the file itself holds, in their order, as the
	// table declares them: what a CSV file without a header takes its columns'
	// names from. Nil means the columns that Schema returns. Files that name
	// their columns do not look at it.
	Declared datatype.Schema
	// AllowMissing makes a column that the file does not have null; otherwise it
	// is an error that names it. A missing NOT NULL column is always an error.
	AllowMissing bool
	// Predicate is a hint for skipping, in terms of the file's columns by name
	// and literals in the physical form of the wanted types; nil skips nothing.
	Predicate *predicate.Predicate
	// Filters drop rows, by columns among the wanted ones, which nobody asks for. A
	// reader that can is quicker by it; others return the rows all the same.
	Filters []predicate.RowFilter
	// Span is the piece to read.
	Span Span
	// Reject takes the records that are no rows of the wanted columns, in their order, where
	// reading would else fail; an error of its own ends reading. Read may then return empty
	// batches, so that not too many are told at once. Formats whose files have no records to
	// tell apart do not look at it: see Rejecter. nil: reading fails.
	Reject func(Rejected) error
	// BatchRows is the most rows of a batch; 0 means DefaultBatchRows.
	BatchRows int
	// Alloc owns the memory of batches and of large buffers; nil means Go's heap.
	Alloc   memory.Allocator
	Options Options
}

// Rejected is a record that is no row.
type Rejected struct {
	Place string // file:line
	Err   error  // what is wrong with it, without the place
	Text  []byte // the record without its line break; valid until the call returns
}

// Rejecter is the ability of a Format to tell records that are no rows from a file that
// cannot be read.
type Rejecter interface {
	// Rejects reports whether its readers make use of ReadOptions.Reject.
	Rejects() bool
}

// Complete returns o with its zero values replaced by the defaults.
func (o ReadOptions) Complete() ReadOptions {
	if o.BatchRows <= 0 {
		o.BatchRows = DefaultBatchRows
	}
	if o.Alloc == nil {
		o.Alloc = memory.DefaultAllocator
	}
	return o
}

// ReadStats counts what a reader has done so far.
type ReadStats struct {
	// Groups are the independent pieces (row groups) in the span, and Skipped
	// those of them that the predicate excluded; both 0 where there are none.
	Groups, Skipped int64
	Rows            int64 // rows returned
	Filtered        int64 // rows left out because a filter or the predicate drops them
	Bytes           int64 // bytes read from the input
	BadRows         int64 // rows left out because an option says to ignore them
}

// Reader reads one span front to back. One goroutine uses it at a time.
type Reader interface {
	// Read returns the next batch, never empty unless records are rejected, or io.EOF. The caller owns one
	// reference of it, and it stays valid after Close. After an error other than
	// the context's only Close and Stats may follow.
	Read(ctx context.Context) (arrow.RecordBatch, error)
	// Stats returns the counts so far; also after Close.
	Stats() ReadStats
	// Close frees what the reader holds; the second time it does nothing.
	Close() error
}

// Yielder is a Reader that can give back the memory it holds of what it is reading,
// and get it again by reading that once more.
type Yielder interface {
	// Yield gives it back; the next Read goes on behind the last batch. After a Read
	// that failed for want of memory it makes Read possible again.
	Yield()
}

// WriteOptions says how a file is written.
type WriteOptions struct {
	// Alloc owns large buffers; nil means Go's heap.
	Alloc   memory.Allocator
	Options Options
}

// Writer writes one file front to back. One goroutine uses it at a time.
type Writer interface {
	// Write appends the rows of a batch, whose columns are those of the writer's
	// schema in order; character and binary columns may be dictionaries. It does
	// not keep the batch. After an error only Close may follow.
	Write(ctx context.Context, batch arrow.RecordBatch) error
	// Close writes what is left and the footer; the second time it does nothing.
	// After a failed Write it only frees memory and the file is not complete.
	Close() error
	// Bytes is about how large the file would be if it were closed now; after
	// Close it is exact. Rolling sinks ask it after each Write.
	Bytes() int64
}

// Flusher is a Writer that holds many rows back to write them together, and can
// write them sooner when memory is short. The file's pieces get smaller by it.
type Flusher interface {
	// Buffered is about how many bytes of memory the rows take that are held back.
	Buffered() int64
	// Flush writes them. After an error only Close may follow.
	Flush() error
}

// Statistics is what a file says of its rows without reading them.
type Statistics struct {
	// Rows is the number of rows, or -1 if it is not known.
	Rows int64
	// Columns has the bounds and null counts of columns for which some are known.
	Columns map[string]predicate.Summary
}

// Format is one encoding of files. Its methods may be called concurrently.
type Format interface {
	// Name is the format's name in table options, lower case: "parquet".
	Name() string
	// Extensions are the file name endings that mean this format, with the
	// leading point and in lower case.
	Extensions() []string
	// Schema returns the file's columns as SQL types: what it says itself, or
	// what a bounded sample of its text suggests.
	Schema(ctx context.Context, in Input, opts Options) (datatype.Schema, error)
	// Spans cuts the file into pieces, in file order; none means that no row can
	// match.
	Spans(ctx context.Context, in Input, opts SpanOptions) ([]SpanInfo, error)
	// Statistics returns what the file says of its rows.
	Statistics(ctx context.Context, in Input) (Statistics, error)
	// NewReader begins to read a span. The reader uses in until it is closed.
	NewReader(ctx context.Context, in Input, opts ReadOptions) (Reader, error)
	// NewWriter begins a file of that schema on w.
	NewWriter(w io.Writer, schema datatype.Schema, opts WriteOptions) (Writer, error)
}
