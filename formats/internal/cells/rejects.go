package cells

import (
	"bytes"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// Rejects are the records of a batch in the making that are no rows, where somebody takes
// them. Those that cannot be split are noted as they are found, those with a value that does
// not fit when the columns are parsed: Sift takes them out of what was split, and has the
// columns parsed once more without them.
type Rejects struct {
	// Take is ReadOptions.Reject; nil: nobody takes them.
	Take   func(formats.Rejected) error
	found  []reject
	faults []fault
}

// reject is a record that is no row: Text[start:end] of the window.
type reject struct {
	start, end uint32
	err        error
}

// fault is a row with a value that does not fit.
type fault struct {
	row int
	err error
}

// Begin forgets what was told of the batch before.
func (r *Rejects) Begin() { r.found, r.faults = r.found[:0], r.faults[:0] }

// Len is how many there are so far; of nil none.
func (r *Rejects) Len() int {
	if r == nil {
		return 0
	}
	return len(r.found)
}

// Add notes the record at start, which ends at end.
func (r *Rejects) Add(start, end int, err error) {
	r.found = append(r.found, reject{uint32(start), uint32(end), err})
}

// Fault notes that a value of a row does not fit. Of a row the first one counts.
func (r *Rejects) Fault(row int, err error) { r.faults = append(r.faults, fault{row, err}) }

// Split is what was split of a window.
type Split struct {
	Starts  *[]uint32         // where rows begin
	End     func(row int) int // where one ends
	Columns [][]Cell
	Parse   func() (arrow.RecordBatch, error) // the columns
}

// Sift returns the batch that was parsed of a split, or what is left of it without the rows
// that are rejected, and tells these. It owns batch.
func (r *Rejects) Sift(batch arrow.RecordBatch, s Split, w *Window) (arrow.RecordBatch, error) {
	if r.drop(s.Starts, s.End, s.Columns) {
		batch.Release()
		var err error
		if batch, err = s.Parse(); err != nil {
			return nil, err
		}
	}
	err := r.tell(w)
	if err == nil && len(r.faults) > 0 {
		err = failure.Errorf(failure.Internal, "%s: a rejected record was taken for a row: %w", w.Place(0), r.faults[0].err)
	}
	if err != nil {
		batch.Release()
		return nil, err
	}
	return batch, nil
}

// drop takes the rows with faults out of starts and the columns, and notes them. It reports
// whether there were any.
func (r *Rejects) drop(starts *[]uint32, end func(row int) int, columns [][]Cell) bool {
	if len(r.faults) == 0 {
		return false
	}
	slices.SortStableFunc(r.faults, func(a, b fault) int { return a.row - b.row })
	r.faults = slices.CompactFunc(r.faults, func(a, b fault) bool { return a.row == b.row })
	for _, f := range r.faults {
		r.Add(int((*starts)[f.row]), end(f.row), f.err)
	}
	*starts = without(*starts, r.faults)
	for i := range columns {
		columns[i] = without(columns[i], r.faults)
	}
	r.faults = r.faults[:0]
	return true
}

// without is all without the elements at the faults' rows, in place.
func without[T any](all []T, faults []fault) []T {
	kept := faults[0].row
	for i, f := range faults {
		next := len(all)
		if i+1 < len(faults) {
			next = faults[i+1].row
		}
		kept += copy(all[kept:], all[f.row+1:next])
	}
	return all[:kept]
}

// tell gives the records to who takes them, in the order in which they stand in the file.
func (r *Rejects) tell(w *Window) error {
	slices.SortFunc(r.found, func(a, b reject) int { return int(a.start) - int(b.start) })
	for _, f := range r.found {
		text := bytes.TrimRight(w.Text[f.start:f.end], "\r\n")
		if err := r.Take(formats.Rejected{Place: w.Place(int(f.start)), Err: f.err, Text: text}); err != nil {
			return err
		}
	}
	return nil
}
