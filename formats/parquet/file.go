package parquet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

const (
	magic          = "PAR1"
	encryptedMagic = "PARE"
	// footerGuess is read from the file's end in one go: most footers fit.
	footerGuess = 64 << 10
	// memoryOfFooter is about how many bytes a byte of the footer takes once parsed.
	memoryOfFooter = 8
	// maxGroupRows bounds a row group: more rows than anyone writes, few enough
	// that a count that lies does not keep a reader busy for ever.
	maxGroupRows = 1<<31 - 1
)

// file is an opened file: its checked footer. All but in is shared with those who
// open it again (formats.Memo), so nothing here is changed after openFile.
type file struct {
	in      formats.Input
	meta    *fileMetadata
	columns []column
	leaves  []*leaf
}

// openFile reads and checks the footer. Afterwards each chunk is known to lie
// inside the file and to have its leaf's physical type.
func openFile(ctx context.Context, in formats.Input) (*file, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Memo != nil {
		if known, ok := in.Memo.Load().(*file); ok {
			f := *known
			f.in = in
			return &f, nil
		}
	}
	footer, err := readFooter(in)
	if err != nil {
		return nil, err
	}
	f := &file{in: in}
	if f.meta, err = parseMetadata(footer); err != nil {
		return nil, badFile(in, err)
	}
	if f.meta.encrypted {
		return nil, badFile(in, errors.New("the file is encrypted, which is not supported"))
	}
	if f.columns, f.leaves, err = buildColumns(f.meta); err != nil {
		return nil, badFile(in, err)
	}
	if err := f.check(); err != nil {
		return nil, badFile(in, err)
	}
	if in.Memo != nil {
		kept := *f
		kept.in = formats.Input{}
		in.Memo.Store(&kept, int64(len(footer))*memoryOfFooter)
	}
	return f, nil
}

func badFile(in formats.Input, err error) error {
	return failure.Errorf(failure.BadData, "%s: not a readable Parquet file: %w", in.Path, err)
}

func readFooter(in formats.Input) ([]byte, error) {
	if in.Size < 12 {
		return nil, badFile(in, fmt.Errorf("%d bytes are too few", in.Size))
	}
	tail := make([]byte, min(in.Size, footerGuess))
	if err := readFull(in, tail, in.Size-int64(len(tail))); err != nil {
		return nil, err
	}
	end := tail[len(tail)-8:]
	if string(end[4:]) == encryptedMagic {
		return nil, badFile(in, errors.New("the file is encrypted, which is not supported"))
	}
	if string(end[4:]) != magic {
		return nil, badFile(in, fmt.Errorf("it ends in %q instead of %q: truncated, or another format", end[4:], magic))
	}
	length := int64(binary.LittleEndian.Uint32(end))
	if length > in.Size-12 {
		return nil, badFile(in, fmt.Errorf("footer of %d bytes in a file of %d", length, in.Size))
	}
	if length <= int64(len(tail)-8) {
		return tail[len(tail)-8-int(length) : len(tail)-8], nil
	}
	footer := make([]byte, length)
	return footer, readFull(in, footer, in.Size-8-length)
}

// readFull reads len(p) bytes at off. A file that ends early was cut after it
// was listed and is bad data; other errors keep their class.
func readFull(in formats.Input, p []byte, off int64) error {
	n, err := in.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return failure.Errorf(failure.BadData, "%s: file ends at byte %d, expected %d more", in.Path, off+int64(n), len(p)-n)
	}
	return fmt.Errorf("read %s, %d bytes at %d: %w", in.Path, len(p), off, err)
}

func (f *file) check() error {
	rows := int64(0)
	for i := range f.meta.groups {
		g := &f.meta.groups[i]
		if g.rows > maxGroupRows {
			return fmt.Errorf("row group %d: %d rows, the limit is %d", i, g.rows, maxGroupRows)
		}
		if g.rows < 0 || len(g.chunks) != len(f.leaves) {
			return fmt.Errorf("row group %d: %d rows, %d columns where the schema has %d", i, g.rows, len(g.chunks), len(f.leaves))
		}
		for j := range g.chunks {
			if err := f.checkChunk(&g.chunks[j], f.leaves[j], g.rows); err != nil {
				return fmt.Errorf("row group %d, column %s: %w", i, f.leaves[j].path, err)
			}
		}
		rows += g.rows
	}
	f.meta.rows = rows // some writers leave the total at zero
	return nil
}

func (f *file) checkChunk(c *chunk, l *leaf, rows int64) error {
	if c.elsewhere {
		return errors.New("its data is encrypted or in another file, which is not supported")
	}
	if c.physical != l.physical {
		return fmt.Errorf("stored as %s, the schema says %s", c.physical, l.physical)
	}
	start := c.start()
	if rows == 0 && c.values == 0 {
		return nil
	}
	if start < int64(len(magic)) || c.compressed < 0 || start > f.in.Size-c.compressed {
		return fmt.Errorf("%d bytes at %d lie outside the file of %d", c.compressed, start, f.in.Size)
	}
	if l.maxRep == 0 && c.values != rows {
		return fmt.Errorf("%d values in %d rows", c.values, rows)
	}
	return nil
}

// schema returns the file's columns.
func (f *file) schema() datatype.Schema {
	s := make(datatype.Schema, len(f.columns))
	for i, c := range f.columns {
		s[i] = datatype.Field{Name: c.name, Type: c.typ}
	}
	return s
}

// column finds a top-level column by name, nil if there is none.
func (f *file) column(name string) *column {
	for i := range f.columns {
		if f.columns[i].name == name {
			return &f.columns[i]
		}
	}
	return nil
}

// groupRange returns the row groups of a span.
func (f *file) groupRange(s formats.Span) (first, end int, err error) {
	if s.Whole() {
		return 0, len(f.meta.groups), nil
	}
	if s.First < 0 || s.First > s.End || s.End > int64(len(f.meta.groups)) {
		return 0, 0, failure.Errorf(failure.BadData, "%s: no row groups %d to %d: the file has %d; it changed since it was planned",
			f.in.Path, s.First, s.End, len(f.meta.groups))
	}
	return int(s.First), int(s.End), nil
}
