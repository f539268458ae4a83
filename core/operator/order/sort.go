package order

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// Sort is the operator of a jobgraph.Sort.
type Sort struct {
	keys   []rowsort.Key
	ctx    *operator.Context
	share  *memory.Share
	schema *arrow.Schema // of runs
	runs   []*spill.File // each sorted, in the order of their rows' arrival
	// cut leaves some of the rows of a record that are sorted at a time; nil: all.
	cut func(all arrow.RecordBatch, rows []int32) ([]int32, error)
	// relief makes room instead of a spill; nil: there is no other way.
	relief func() error

	kept     []*stream.Batch
	rows     int   // of kept
	held     int64 // bytes of kept
	reserved int64 // charged for sorting kept
}

// NewSort returns the operator that spec describes.
func NewSort(spec *jobgraph.Sort, in datatype.Schema) (operator.Operator, error) {
	keys, err := SortKeys(spec.Keys, in)
	return &Sort{keys: keys}, err
}

// SortKeys reads the sort keys of rows of in.
func SortKeys(spec []*jobgraph.SortKey, in datatype.Schema) ([]rowsort.Key, error) {
	keys := make([]rowsort.Key, len(spec))
	for i, k := range spec {
		if int(k.Column) >= len(in) {
			return nil, fmt.Errorf("sort: key column %d of %d", k.Column, len(in))
		}
		keys[i] = rowsort.Key{Column: int(k.Column), Order: compute.Order{Descending: k.Descending, NullsFirst: k.NullsFirst}}
	}
	return keys, nil
}

// Open implements operator.Operator.
func (s *Sort) Open(ctx *operator.Context) error {
	s.ctx, s.share = ctx, ctx.Contend()
	return nil
}

// Process implements operator.Operator: it keeps the batch, and spills what is
// kept when memory is short.
func (s *Sort) Process(_ int, b *stream.Batch) error {
	b, err := s.take(b)
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	if b.Len() == 0 {
		b.Release()
		return nil
	}
	if err := s.keep(b); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	return nil
}

// take leaves only the rows that count, if need be after a spill.
func (s *Sort) take(b *stream.Batch) (*stream.Batch, error) {
	if b.Sel == nil {
		return b, nil
	}
	share := b.Share()
	taken, err := s.tryTake(b)
	if err == nil {
		share.Release()
		return taken, nil
	}
	if err := s.spill(); err != nil {
		share.Release()
		return nil, err
	}
	return s.tryTake(share)
}

func (s *Sort) tryTake(b *stream.Batch) (taken *stream.Batch, err error) {
	defer memory.Recover(&err)
	return compute.TakeBatch(s.ctx.Alloc, b)
}

// keep adds a batch. Sorting it will take a copy and the permutation, which are
// reserved now, so that it cannot fail for want of memory later.
func (s *Sort) keep(b *stream.Batch) error {
	wanted := b.Bytes() + int64(b.Len())*permutationBytes
	if s.share.Over() || s.ctx.Memory.Grow(wanted) != nil {
		if err := s.spill(); err != nil {
			b.Release()
			return err
		}
		if s.ctx.Memory.Grow(wanted) != nil { // others use it all: the batch is a run of its own
			s.add(b, 0)
			return s.spill()
		}
	}
	s.add(b, wanted)
	return nil
}

func (s *Sort) add(b *stream.Batch, reserved int64) {
	pinned := b.Pinned()
	s.kept = append(s.kept, b)
	s.rows, s.held, s.reserved = s.rows+b.Len(), s.held+pinned, s.reserved+reserved
	s.share.Hold(pinned)
}

// Spill implements operator.Spiller.
func (s *Sort) Spill() error {
	if err := s.spill(); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	return nil
}

// Watermark implements operator.Operator.
func (s *Sort) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator: it sorts and emits.
func (s *Sort) EndInput(int) error {
	if len(s.runs) == 0 {
		if len(s.kept) == 0 {
			return nil
		}
		return s.emitKept()
	}
	if err := s.spill(); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	return s.emitMerged()
}

// emitKept sorts what is kept into the output.
func (s *Sort) emitKept() error {
	batches := s.yield()
	defer func() { releaseAll(batches) }()
	sorted, err := s.sort(batches)
	if err != nil { // others were faster to take what was reserved
		s.kept, batches = batches, nil
		if err := s.spill(); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		if len(s.runs) == 0 {
			return nil
		}
		return s.emitMerged()
	}
	defer sorted.release()
	releaseAll(batches)
	batches = nil
	return s.emitSorted(sorted)
}

func (s *Sort) emitSorted(sorted *sorted) error {
	for {
		r, err := sorted.next(s.ctx.BatchRows)
		if err != nil || r == nil {
			return err
		}
		if err := s.emit(r); err != nil {
			return err
		}
	}
}

func (s *Sort) emit(r arrow.RecordBatch) error { return s.ctx.Output.Emit(stream.NewBatch(r)) }

// spill writes what is kept as sorted runs.
func (s *Sort) spill() error {
	if s.relief != nil {
		return s.relief()
	}
	if len(s.kept) == 0 {
		return nil
	}
	batches := s.yield()
	defer func() { releaseAll(batches) }()
	if s.schema == nil {
		s.schema = compute.DecodedSchema(batches[0].Record.Schema())
	}
	// Where memory is so short that not even the sort goes, it is done by halves.
	for n := len(batches); len(batches) > 0; {
		n = min(n, len(batches))
		err := s.spillRun(batches[:n])
		if err != nil && n == 1 {
			return err
		}
		if err != nil {
			n /= 2
			continue
		}
		releaseAll(batches[:n])
		batches = batches[n:]
	}
	if len(s.runs) >= maxRuns {
		return s.reduce(maxRuns / 4)
	}
	return nil
}

func (s *Sort) spillRun(batches []*stream.Batch) error {
	sorted, err := s.sort(batches)
	if err != nil {
		return err
	}
	defer sorted.release()
	bytes := int64(0)
	for _, b := range batches {
		bytes += b.Bytes()
	}
	rows := s.runRows(int64(len(sorted.rows)), bytes)
	f, err := s.writeRun(s.schema, func() (arrow.RecordBatch, error) { return sorted.next(rows) })
	if err == nil {
		s.runs = append(s.runs, f)
	}
	return err
}

// sorted is rows and their order.
type sorted struct {
	s    *Sort
	all  arrow.RecordBatch
	rows []int32
	at   int
	held int64 // charged
}

// sort orders the rows of batches, which stay the caller's.
func (s *Sort) sort(batches []*stream.Batch) (out *sorted, err error) {
	defer memory.Recover(&err)
	records := make([]arrow.RecordBatch, len(batches))
	for i, b := range batches {
		records[i] = b.Record
	}
	all, err := compute.ConcatRecords(s.ctx.Alloc, records)
	if err != nil {
		return nil, err
	}
	out = &sorted{s: s, all: all}
	n := all.NumRows() * permutationBytes
	if err = s.ctx.Memory.Grow(n); err == nil {
		out.held = n
	} else if len(batches) == 1 { // no smaller run is possible
		err = nil
	}
	if err == nil {
		out.rows, err = rowsort.Permutation(all, s.keys)
	}
	if err == nil && s.cut != nil {
		out.rows, err = s.cut(all, out.rows)
	}
	if err != nil {
		out.release()
		return nil, err
	}
	return out, nil
}

// next returns the next rows in order; nil at the end.
func (x *sorted) next(rows int) (r arrow.RecordBatch, err error) {
	defer memory.Recover(&err)
	if x.at == len(x.rows) {
		return nil, nil
	}
	from := x.at
	x.at = min(from+rows, len(x.rows))
	return compute.TakeRecord(x.s.ctx.Alloc, x.all, x.rows[from:x.at])
}

func (x *sorted) release() {
	x.all.Release()
	x.s.ctx.Memory.Shrink(x.held)
}

// permutationBytes is what sorting needs for each row beside the columns: two
// entries of 16 bytes and the row number.
const permutationBytes = 36

// yield hands over what is kept and gives back what was reserved for sorting it.
func (s *Sort) yield() []*stream.Batch {
	batches := s.kept
	s.share.Hold(-s.held)
	if s.reserved > 0 {
		s.ctx.Memory.Shrink(s.reserved)
	}
	s.kept, s.rows, s.held, s.reserved = nil, 0, 0, 0
	return batches
}

func releaseAll(batches []*stream.Batch) {
	for _, b := range batches {
		b.Release()
	}
}

// Close implements operator.Operator.
func (s *Sort) Close() (err error) {
	releaseAll(s.yield())
	s.share.Leave()
	for _, f := range s.runs {
		if e := f.Remove(); err == nil {
			err = e
		}
	}
	s.runs = nil
	return err
}

var (
	_ operator.Operator = (*Sort)(nil)
	_ operator.Spiller  = (*Sort)(nil)
)
