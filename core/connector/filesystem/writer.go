package filesystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

// staged is what a committable's Data says: one sealed file, or only what the writer has to
// say of partitions.
type staged struct {
	Version   int
	Marks     *marks `json:",omitempty"`
	Path      string
	Partition string // directory below the table, "" for none
	Token     []byte
	Rows      int64
	Bytes     int64
}

// part is a file being written.
type part struct {
	path      string
	partition string
	file      fs.RecoverableWriter
	out       formats.Writer
	rows      int64
	buffered  int64 // held back in memory, as of its last write
	used      int64 // when it was written last, in the writer's count of batches
}

// writer stages one file per table partition at a time.
type writer struct {
	loc      location
	spec     connector.SinkSpec
	env      connector.WriterEnv
	recover  fs.Recoverer
	inFile   datatype.Schema
	columns  []int // of the input, that go into files
	keys     []int // of the input, that are partition columns
	static   []fs.PartitionValue
	open     map[string]*part
	sealed   []connector.Committable
	files    int
	batches  int64
	buffered int64 // by all open files
	pending  *pendingPartitions
}

// sinkLocation is locate with what a sink needs besides.
func (c *Connector) sinkLocation(s connector.SinkSpec) (location, error) {
	loc, err := c.locate(s.Table)
	if err != nil {
		return loc, err
	}
	if loc.format == nil {
		return loc, failure.Errorf(failure.InvalidSQL, "table %s: option 'format' is missing (one of %s)",
			s.Table.Name, strings.Join(c.formats.Names(), ", "))
	}
	if fs.HasGlob(loc.path) {
		return loc, failure.Errorf(failure.InvalidSQL, "table %s: cannot write to a glob: %s", s.Table.Name, loc.uri)
	}
	return loc, nil
}

func newWriter(loc location, s connector.SinkSpec, env connector.WriterEnv) (*writer, error) {
	recover, ok := fs.RecovererOf(loc.fsys)
	if !ok {
		return nil, failure.Errorf(failure.InvalidSQL, "table %s: %s cannot be written to: its file system has no recoverable writer", s.Table.Name, loc.uri)
	}
	w := &writer{loc: loc, spec: s, env: env, recover: recover, open: map[string]*part{}}
	for i, f := range s.Columns {
		if !slices.Contains(s.Table.Partitions, f.Name) {
			w.columns = append(w.columns, i)
			w.inFile = append(w.inFile, f)
		}
	}
	for _, name := range s.Table.Partitions {
		if v, ok := s.StaticPartition[name]; ok {
			w.static = append(w.static, fs.PartitionValue{Key: name, Value: v})
			continue
		}
		i := s.Columns.Index(name)
		if i < 0 {
			return nil, failure.Errorf(failure.InvalidSQL, "table %s: partition column %s gets no value", s.Table.Name, name)
		}
		w.keys = append(w.keys, i)
	}
	if loc.completion != nil {
		var err error
		if w.pending, err = newPending(loc.completion, env.Restored); err != nil {
			return nil, err
		}
	}
	if len(w.inFile) == 0 {
		return nil, failure.Errorf(failure.InvalidSQL, "table %s: every column is a partition column", s.Table.Name)
	}
	return w, nil
}

// Write implements connector.Writer.
func (w *writer) Write(ctx context.Context, b *stream.Batch) error {
	defer b.Release()
	w.batches++
	if b.Len() == 0 {
		return nil
	}
	if len(w.keys) == 0 {
		record, err := w.project(b.Record, b.Sel)
		if err != nil {
			return fmt.Errorf("gather the rows to write: %w", err)
		}
		defer record.Release()
		return w.append(ctx, fs.PartitionPath(w.static), record)
	}
	return w.scatter(ctx, b)
}

// scatter gathers b's rows once, in the order of their partitions, and writes a
// slice to each partition's file.
func (w *writer) scatter(ctx context.Context, b *stream.Batch) error {
	dirs, rows, ends := w.route(b)
	record, err := w.project(b.Record, rows)
	if err != nil {
		return fmt.Errorf("split a batch by partition: %w", err)
	}
	defer record.Release()
	from := 0
	for i, dir := range dirs {
		slice := record.NewSlice(int64(from), int64(ends[i]))
		err := w.append(ctx, dir, slice)
		slice.Release()
		if err != nil {
			return err
		}
		from = ends[i]
	}
	return nil
}

// append writes the record into a partition's file.
func (w *writer) append(ctx context.Context, dir string, record arrow.RecordBatch) error {
	p, err := w.partFor(ctx, dir)
	if err != nil {
		return err
	}
	if err := p.out.Write(ctx, record); err != nil {
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	p.rows += record.NumRows()
	p.used = w.batches
	if p.out.Bytes() >= w.loc.fileSize {
		return w.seal(ctx, p)
	}
	return w.account(p)
}

// account keeps what the open files hold back within maxBuffered.
func (w *writer) account(p *part) error {
	f, ok := p.out.(formats.Flusher)
	if !ok {
		return nil
	}
	now := f.Buffered()
	w.buffered += now - p.buffered
	p.buffered = now
	for w.buffered > maxBuffered {
		most := p
		for _, other := range w.open {
			if other.buffered > most.buffered {
				most = other
			}
		}
		f = most.out.(formats.Flusher)
		if err := f.Flush(); err != nil {
			return fmt.Errorf("write %s: %w", most.path, err)
		}
		now := f.Buffered()
		if w.buffered += now - most.buffered; now >= most.buffered {
			return nil // nothing left that could be written out
		}
		most.buffered = now
	}
	return nil
}

func (w *writer) project(record arrow.RecordBatch, rows []int32) (arrow.RecordBatch, error) {
	columns, fields := make([]arrow.Array, len(w.columns)), make([]arrow.Field, len(w.columns))
	defer func() { compute.ReleaseAll(columns) }()
	n := record.NumRows()
	for i, c := range w.columns {
		columns[i] = record.Column(c)
		if rows == nil {
			columns[i].Retain()
		} else {
			var err error
			if columns[i], err = compute.Take(w.env.Alloc, record.Column(c), rows); err != nil {
				return nil, err
			}
			n = int64(len(rows))
		}
		fields[i] = arrow.Field{Name: w.inFile[i].Name, Type: columns[i].DataType(), Nullable: true}
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, n), nil
}

func (w *writer) partFor(ctx context.Context, dir string) (*part, error) {
	if p, ok := w.open[dir]; ok {
		return p, nil
	}
	if len(w.open) >= maxOpenFiles {
		if err := w.sealOldest(ctx); err != nil {
			return nil, err
		}
	}
	a := w.env.Attempt
	// The vertex is part of it: several inserts of one job may write the same table.
	name := fmt.Sprintf("%s%d-%d-%d-%d%s", filePrefix(w.spec.Job), a.Subtask.Vertex, a.Subtask.Index, a.N, w.files, w.loc.format.Extensions()[0])
	w.files++
	p := &part{path: fs.Join(w.loc.path, dir, name), partition: dir}
	var err error
	if p.file, err = w.recover.CreateRecoverable(ctx, p.path); err != nil {
		return nil, err
	}
	p.out, err = w.loc.format.NewWriter(p.file, w.inFile, formats.WriteOptions{Alloc: w.env.Alloc, Options: w.loc.options})
	if err != nil {
		return nil, errors.Join(err, p.file.Abort(context.WithoutCancel(ctx)))
	}
	w.open[dir] = p
	return p, nil
}

func (w *writer) sealOldest(ctx context.Context) error {
	var oldest *part
	for _, p := range w.open {
		if oldest == nil || p.used < oldest.used || p.used == oldest.used && p.path < oldest.path {
			oldest = p
		}
	}
	return w.seal(ctx, oldest)
}

// seal makes files durable and committables of them: several at a time, for each waits
// for the disk.
func (w *writer) seal(ctx context.Context, parts ...*part) error {
	for _, p := range parts {
		if err := p.out.Close(); err != nil {
			return fmt.Errorf("write %s: %w", p.path, err)
		}
	}
	tokens := make([][]byte, len(parts))
	err := together(len(parts), func(i int) (err error) {
		tokens[i], err = parts[i].file.Seal(ctx)
		return err
	})
	for i, p := range parts { // what is sealed is told also of those that others have failed beside
		if tokens[i] != nil {
			err = errors.Join(err, w.sealedAs(p, tokens[i]))
		}
	}
	return err
}

func (w *writer) sealedAs(p *part, token []byte) error {
	delete(w.open, p.partition)
	w.buffered -= p.buffered
	size := p.out.Bytes()
	data, err := json.Marshal(staged{
		Version: splitVersion, Path: p.path, Partition: p.partition, Token: token, Rows: p.rows, Bytes: size,
	})
	if err != nil {
		return fmt.Errorf("encode committable of %s: %w", p.path, err)
	}
	w.sealed = append(w.sealed, connector.Committable{Data: data, Rows: p.rows, Bytes: size, Files: 1})
	if w.pending != nil {
		return w.pending.wrote(p.partition)
	}
	return nil
}

// Advance implements connector.TimedWriter.
func (w *writer) Advance(watermark int64) error {
	if w.pending != nil {
		w.pending.Watermark = watermark
	}
	return nil
}

// Prepare implements connector.Writer.
func (w *writer) Prepare(ctx context.Context) ([]connector.Committable, error) {
	parts := make([]*part, 0, len(w.open))
	for _, p := range w.open {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b *part) int { return strings.Compare(a.path, b.path) })
	if err := w.seal(ctx, parts...); err != nil {
		return nil, err
	}
	if w.pending != nil {
		fresh := map[string]bool{} // what is published with this checkpoint is not complete before
		for _, one := range w.sealed {
			if s, err := parseStaged(one); err == nil {
				fresh[s.Partition] = true
			}
		}
		mark, err := w.pending.prepared(ctx, w.loc, fresh)
		if err != nil {
			return nil, err
		}
		w.sealed = append(w.sealed, mark)
	}
	out := w.sealed
	w.sealed = nil
	return out, nil
}

// Snapshot implements connector.Writer: after Prepare no file is left open, but partitions
// may wait for their success files.
func (w *writer) Snapshot() ([]byte, error) {
	if w.pending == nil || len(w.pending.Pending) == 0 {
		return nil, nil
	}
	return json.Marshal(w.pending.marks)
}

// Close implements connector.Writer. Sealed files that no Prepare has returned
// are discarded with the open ones.
func (w *writer) Close() error {
	ctx := context.Background()
	var errs []error
	for dir, p := range w.open {
		delete(w.open, dir)
		errs = append(errs, p.out.Close(), p.file.Abort(ctx))
	}
	for _, c := range w.sealed {
		s, err := parseStaged(c)
		if err == nil && s.Marks == nil {
			err = w.recover.Discard(ctx, s.Token)
		}
		errs = append(errs, err)
	}
	w.sealed = nil
	return errors.Join(errs...)
}

var _ connector.TimedWriter = (*writer)(nil)

func parseStaged(c connector.Committable) (staged, error) {
	var s staged
	if err := json.Unmarshal(c.Data, &s); err != nil || s.Version != splitVersion {
		return s, failure.Errorf(failure.Fatal, "decode committable of version %d: %w", s.Version, err)
	}
	return s, nil
}
