package over

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
)

// section computes the first n rows that are kept, emits those that are ready and
// drops those that are needed no longer. Of an open section the last partition
// may go on. An error before anything was emitted leaves the rows kept, and is
// told by bound being false.
func (o *Over) section(n int, open bool, foreseen *foresight) (bound bool, err error) {
	s, ready, err := o.bind(n, open, foreseen)
	defer func() {
		for _, c := range o.columns {
			c.free()
		}
		if s != nil {
			s.record.Release()
		}
	}()
	if err != nil {
		return false, err
	}
	if err := o.emit(ready); err != nil {
		return true, err
	}
	return true, o.trim(s, ready)
}

// bind prepares all columns for a section, and says how many rows of it are ready.
func (o *Over) bind(n int, open bool, foreseen *foresight) (s *section, ready int, err error) {
	defer ledger.Recover(&err)
	if err := o.reserve(n); err != nil {
		return nil, 0, fmt.Errorf("over: rows for %s: %w", o.keepers(), err)
	}
	if parts := len(o.kept.parts); parts > 4 && o.kept.n < parts*(o.ctx.BatchRows/8) {
		if err := o.kept.merge(o.ctx.Alloc); err != nil {
			return nil, 0, fmt.Errorf("over: %w", err)
		}
	}
	record, err := o.kept.gather(o.ctx.Alloc, o.needed, n)
	if err != nil {
		return nil, 0, fmt.Errorf("over: gather rows for %s: %w", o.keepers(), err)
	}
	s = &section{record: record, rows: n, order: o.order, before: o.dropped, open: open, foreseen: foreseen}
	if err := s.divide(&o.bounds, o.local); err != nil {
		return s, 0, fmt.Errorf("over: %w", err)
	}
	ready = n
	for i, c := range o.columns {
		if err := c.bind(s); err != nil {
			return s, 0, fmt.Errorf("over: %s: %w", o.names[i], err)
		}
		ready = min(ready, c.ready())
	}
	// What is emitted takes room, too; better to learn now that there is none.
	room := int64(len(o.columns)) * int64(min(n, o.ctx.BatchRows)) * emittedBytes
	if err := o.ctx.Memory.Grow(room); err != nil {
		return s, 0, fmt.Errorf("over: results of %s: %w", o.keepers(), err)
	}
	o.ctx.Memory.Shrink(room)
	return s, ready, nil
}

// emittedBytes is what computing a value takes, about.
const emittedBytes = 32

// emit emits the rows up to ready that are not done.
func (o *Over) emit(ready int) error {
	at := o.done
	return o.kept.each(o.done, ready, func(record arrow.RecordBatch, from, to int) error {
		for ; from < to; from += o.ctx.BatchRows {
			n := min(o.ctx.BatchRows, to-from)
			if err := o.emitSome(record, from, at, n); err != nil {
				return err
			}
			at += n
		}
		return nil
	})
}

// emitSome emits n rows of a record, which are those from at on of the section.
func (o *Over) emitSome(record arrow.RecordBatch, from, at, n int) error {
	part := record.NewSlice(int64(from), int64(from+n))
	defer part.Release()
	out := append([]arrow.Array(nil), part.Columns()...)
	var made []arrow.Array
	defer func() { compute.ReleaseAll(made) }()
	for i, c := range o.columns {
		a, err := o.values(c, at, at+n)
		if err != nil {
			return fmt.Errorf("over: %s: %w", o.names[i], err)
		}
		made, out = append(made, a), append(out, a)
	}
	return o.ctx.Output.Emit(operator.NewBatch(o.output, out, n))
}

func (o *Over) values(c column, from, to int) (a arrow.Array, err error) {
	defer ledger.Recover(&err)
	return c.values(from, to)
}

// trim drops the rows of a section, of which some are done, that are not needed
// for the others.
func (o *Over) trim(s *section, done int) error {
	if !s.open {
		o.forget(s.rows)
		return nil
	}
	keep := done
	if done > 0 && (done == s.rows || int(s.start[done]) < done) {
		keep-- // tells whether the next row is its peer
	}
	for _, c := range o.columns {
		keep = min(keep, c.keep(done))
	}
	from := int(s.start[keep])
	if from < keep {
		if err := o.carry(from, keep); err != nil {
			return err
		}
	}
	if from > 0 {
		o.dropped = 0
	}
	o.dropped += int64(keep - from)
	o.kept.drop(keep)
	o.done = done - keep
	o.next = o.kept.n + max(o.kept.n, o.ctx.BatchRows)
	return nil
}

func (o *Over) carry(from, to int) (err error) {
	defer ledger.Recover(&err)
	for i, c := range o.columns {
		if err := c.drop(from, to); err != nil {
			return fmt.Errorf("over: %s: %w", o.names[i], err)
		}
	}
	return nil
}

// forget drops the first n rows, after which a partition begins.
func (o *Over) forget(n int) {
	o.kept.drop(n)
	o.done, o.dropped = 0, 0
	o.next = o.kept.n + o.ctx.BatchRows
	if o.reserved > 4*max(o.next, o.ctx.BatchRows) {
		o.unreserve()
	}
}
