package aggregate

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/spill"
)

// Groups that do not fit memory leave it as accumulators, in files by bits of
// their keys' hashes; the table starts again, empty. When input ends, each file is
// merged like input, and where its groups do not fit either, spilled by the next
// bits. A file whose rows are all one group becomes one accumulator, so that this
// ends.
const (
	partBits  = 5
	partCount = 1 << partBits
	maxLevels = 5
	// The bits of the first level; others follow below. They lie under those that
	// key groups come from and, but for vast tables, above those of directories.
	firstBit = 42
	// How many rows are divided at a time: a part of them all, for memory is short.
	spillShare    = 16
	leastSpilling = 1 << 8
	mostSpilling  = 1 << 14
)

// spilled are files of groups that have left memory.
type spilled struct {
	level int
	used  bool // there are files
	parts [partCount]files
}

// files are what has left memory of one part: groups, whose accumulators of
// DISTINCT calls do not count, and for those calls group and value of what they
// have seen.
type files struct {
	groups   spillFile
	distinct []spillFile
}

// spillFile is a file while it is written, and then to be read.
type spillFile struct {
	writer *spill.Writer
	file   *spill.File
}

func exhausted(err error) bool {
	var e *memory.ExhaustedError
	return errors.As(err, &e)
}

// canSpill reports whether what is in memory can leave it.
func (a *Aggregate) canSpill() bool {
	return a.spills && a.groups.rows.Len() > 1 && (a.spilled == nil || a.spilled.level < maxLevels)
}

// spill moves all groups to files and starts with an empty table, if they may
// leave.
func (a *Aggregate) spill() error {
	if !a.canSpill() {
		return nil
	}
	if a.spilled == nil {
		a.spilled = &spilled{}
	}
	return a.spillAll()
}

func (a *Aggregate) spillAll() (err error) {
	a.spilled.used = true
	a.groups.seal()
	if err := a.spillGroups(); err != nil {
		return fmt.Errorf("aggregate: spill groups: %w", err)
	}
	for i := range a.distinct {
		if err := a.spillDistinct(i); err != nil {
			return fmt.Errorf("aggregate: spill distinct values: %w", err)
		}
	}
	return a.emptyTable()
}

// stepOf is how many of n rows to divide at a time.
func stepOf(n int) int { return min(max(n/spillShare, leastSpilling), mostSpilling) }

func (a *Aggregate) spillGroups() error {
	schema := append(a.keyTypes[:len(a.keyTypes):len(a.keyTypes)], a.acc.Columns()...).Arrow()
	rows := a.groups.rows
	step := stepOf(rows.Len())
	for from := 0; from < rows.Len(); from += step {
		to := min(from+step, rows.Len())
		columns, err := rows.Keys(from, to)
		if err != nil {
			return err
		}
		values, err := a.acc.Partials(a.ctx.Alloc, rows.Values(), from, to)
		columns = append(columns, values...)
		if err == nil {
			err = a.scatter(schema, columns, func(f *files) *spillFile { return &f.groups })
		}
		compute.ReleaseAll(columns)
		if err != nil {
			return err
		}
	}
	return nil
}

// spillDistinct writes group and value of what the i-th call has seen.
func (a *Aggregate) spillDistinct(i int) error {
	d := a.distinct[i]
	if d == nil {
		return nil
	}
	schema := a.distinctColumns(d).Arrow()
	keys, err := a.groups.rows.Keys(0, a.groups.rows.Len())
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(keys)
	seen := a.groups.distinct[i].rows
	step := stepOf(seen.Len())
	for from := 0; from < seen.Len(); from += step {
		columns, err := seen.Keys(from, min(from+step, seen.Len()))
		if err != nil {
			return err
		}
		slots := columns[0].(*array.Int32)
		for k, key := range keys {
			var column arrow.Array
			if column, err = compute.Take(a.ctx.Alloc, key, slots.Int32Values()); err != nil {
				break
			}
			columns = append(columns[:1+k], append([]arrow.Array{column}, columns[1+k:]...)...)
		}
		if err == nil {
			err = a.scatter(schema, columns[1:], func(f *files) *spillFile {
				if f.distinct == nil {
					f.distinct = make([]spillFile, len(a.distinct))
				}
				return &f.distinct[i]
			})
		}
		compute.ReleaseAll(columns)
		if err != nil {
			return err
		}
	}
	return nil
}

// distinctColumns are group and value.
func (a *Aggregate) distinctColumns(d *Distinct) datatype.Schema {
	return append(a.keyTypes[:len(a.keyTypes):len(a.keyTypes)], d.values...)
}

// scatter appends rows to the files of their parts. The first columns are keys.
func (a *Aggregate) scatter(schema *arrow.Schema, columns []arrow.Array, of func(*files) *spillFile) error {
	hashes := compute.HashColumns(columns[:len(a.keyTypes)], nil, nil)
	var rows [partCount][]int32
	bit := firstBit - partBits*a.spilled.level
	for i, h := range hashes {
		p := h >> bit % partCount
		rows[p] = append(rows[p], int32(i))
	}
	whole := array.NewRecordBatch(schema, columns, int64(columns[0].Len()))
	defer whole.Release()
	for i, sel := range rows {
		if len(sel) == 0 {
			continue
		}
		f := of(&a.spilled.parts[i])
		if f.writer == nil {
			var err error
			if f.writer, err = a.ctx.Spill.Create("groups", schema); err != nil {
				return err
			}
		}
		record, err := compute.TakeRecord(a.ctx.Alloc, whole, sel)
		if err != nil {
			return err
		}
		err = f.writer.Append(record)
		record.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// mergeSpilled emits the groups of all parts, what is still in memory included.
func (a *Aggregate) mergeSpilled() error {
	if err := a.spillRest(); err != nil {
		return err
	}
	done := a.spilled
	for i := range done.parts {
		a.spilled = &spilled{level: done.level + 1}
		if err := a.mergePart(&done.parts[i]); err != nil {
			return err
		}
	}
	a.spilled = nil
	return nil
}

// spillRest writes what is in memory and ends the files.
func (a *Aggregate) spillRest() error {
	if a.groups.rows.Len() > 0 {
		if err := a.spillAll(); err != nil {
			return err
		}
	}
	for i := range a.spilled.parts {
		p := &a.spilled.parts[i]
		for _, f := range p.all() {
			if f.writer == nil {
				continue
			}
			var err error
			if f.file, err = f.writer.Finish(); err != nil {
				return fmt.Errorf("aggregate: %w", err)
			}
			f.writer = nil
		}
	}
	return nil
}

func (f *files) all() []*spillFile {
	out := []*spillFile{&f.groups}
	for i := range f.distinct {
		out = append(out, &f.distinct[i])
	}
	return out
}

// emptyTable starts again.
func (a *Aggregate) emptyTable() (err error) {
	a.groups.release(a.ctx.Memory)
	a.groups, err = a.newGroups()
	return err
}

// mergePart merges the files of a part and emits its groups.
func (a *Aggregate) mergePart(f *files) error {
	err := a.readFile(&f.groups, func(columns []arrow.Array) error {
		n := len(a.keyTypes)
		if err := a.resolveRows(columns[:n]); err != nil {
			return err
		}
		if err := a.acc.mergeWhere(func(i int) bool { return a.distinct[i] == nil }, a.groups.rows.Values(), columns[n:], nil, a.slots); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		return a.charge()
	})
	for i := range f.distinct {
		if err == nil {
			err = a.readFile(&f.distinct[i], func(columns []arrow.Array) error {
				return a.distinctAgain(i, columns[:len(a.keyTypes)], columns[len(a.keyTypes):])
			})
		}
	}
	if err != nil {
		return err
	}
	if a.spilled.used {
		return a.mergeSpilled()
	}
	if err := a.emitAll(a.groups); err != nil {
		return err
	}
	return a.emptyTable()
}

// distinctAgain adds values of groups, from a file, that the i-th call has not
// seen since.
func (a *Aggregate) distinctAgain(i int, keys, args []arrow.Array) error {
	if err := a.resolveRows(keys); err != nil {
		return err
	}
	first := func() ([]int32, []int32, error) {
		return a.distinct[i].firsts(a.ctx.Alloc, a.groups.distinct[i].rows, nil, args, nil, a.slots)
	}
	rows, slots, err := first()
	if made, failed := a.makeRoom(err); failed != nil {
		return failed
	} else if made {
		if err = a.resolveRows(keys); err == nil {
			rows, slots, err = first()
		}
	}
	if err == nil {
		err = a.acc.addArgs(i, a.groups.rows.Values(), args, rows, slots)
	}
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	return a.charge()
}

// resolveRows sets the slots for rows of keys that come from a file.
func (a *Aggregate) resolveRows(keys []arrow.Array) error {
	return a.resolve(keys, nil, keys[0].Len())
}

// readFile gives take the batches of a file, spills in between where memory runs
// short, and removes the file.
func (a *Aggregate) readFile(f *spillFile, take func([]arrow.Array) error) error {
	if f.file == nil {
		return nil
	}
	r, err := f.file.Open(a.ctx.Alloc)
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	defer r.Close()
	for {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		err = take(record.Columns())
		record.Release()
		if err != nil {
			return err
		}
		if a.share.Over() {
			if err := a.spill(); err != nil {
				return err
			}
		}
	}
	return f.file.Remove()
}
