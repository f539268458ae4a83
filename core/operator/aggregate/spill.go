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
// ends. What DISTINCT has seen of groups that do fit is divided by values instead.
//
// What spilling takes itself, the buffers of files and a part of the rows, is
// charged ahead, so that it cannot be refused.
const (
	// How many bits divide, by the memory that the buffers of files may take.
	leastBits = 2
	mostBits  = 5
	mostParts = 1 << mostBits
	// Levels take their bits between these, from the top. They lie under those that
	// key groups come from and, but for vast tables, above those of directories.
	topBit    = 47
	bottomBit = 20
	// Parts of the fair share: for buffers, and for what is read at a time of a
	// file that is divided by values.
	bufferShare = 8
	valueShare  = 4
	// How many rows are divided at a time: a part of them all, for memory is short.
	spillShare    = 16
	leastSpilling = 1 << 8
	mostSpilling  = 1 << 14
)

// spilled are files of groups that have left memory.
type spilled struct {
	division
	used    bool // there are files
	charged int64
	parts   [mostParts]files
}

// division says by which bits of a hash rows are divided.
type division struct{ bit, bits int }

// of is the part of a hash.
func (d division) of(hash uint64) int { return int(hash >> d.bit & (1<<d.bits - 1)) }

// division is the one below top.
func (a *Aggregate) division(top int) division {
	bits := leastBits
	for bits < mostBits && a.bufferBytes(bits+1) <= a.share.Fair()/bufferShare {
		bits++
	}
	return division{bit: top - bits, bits: bits}
}

// bufferBytes is what files hold while they are written, divided by bits.
func (a *Aggregate) bufferBytes(bits int) int64 {
	files := int64(1)
	for _, d := range a.distinct {
		if d != nil {
			files++
		}
	}
	return files * spill.BufferBytes << bits
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
	if !a.spills || a.spilled != nil && a.spilled.bit < bottomBit {
		return false
	}
	n := a.groups.rows.Len()
	for _, s := range a.groups.distinct {
		if s.table != nil {
			n = max(n, s.rows.Len())
		}
	}
	return n > 1
}

// keepRoom charges ahead what spilling the groups will take, and spills them where
// that is refused or others need the memory.
func (a *Aggregate) keepRoom() error {
	if !a.spills || a.share == nil || a.groups.rows.Len() == 0 {
		return nil
	}
	want := a.groups.dividing()
	if a.spilled == nil {
		want += a.bufferBytes(a.division(topBit).bits)
	} else if !a.spilled.used {
		want += a.bufferBytes(a.spilled.bits)
	}
	if more := want - a.groups.room; more > 0 {
		if err := a.ctx.Memory.Grow(more); exhausted(err) {
			return a.spill()
		} else if err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		a.groups.room = want
	}
	if a.share.Over() {
		return a.spill()
	}
	return nil
}

// spill moves all groups to files and starts with an empty table, if they may
// leave.
func (a *Aggregate) spill() error {
	if !a.canSpill() {
		return nil
	}
	if a.spilled == nil {
		a.spilled = &spilled{division: a.division(topBit)}
	}
	return a.spillAll()
}

func (a *Aggregate) spillAll() (err error) {
	if !a.spilled.used {
		a.spilled.used = true
		a.spilled.charged = min(a.groups.room, a.bufferBytes(a.spilled.bits))
		a.groups.room -= a.spilled.charged
	}
	a.groups.seal()
	a.groups.yield(a.ctx.Memory)
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
			err = a.scatter(schema, columns, len(a.keyTypes), a.spilled.division, func(p int) *spillFile { return &a.spilled.parts[p].groups })
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
			err = a.scatter(schema, columns[1:], len(a.keyTypes), a.spilled.division, func(p int) *spillFile {
				f := &a.spilled.parts[p]
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

// scatter appends rows to the files of their parts, by the hashes of their first
// columns.
func (a *Aggregate) scatter(schema *arrow.Schema, columns []arrow.Array, keys int, d division, of func(part int) *spillFile) error {
	hashes := compute.HashColumns(columns[:keys], nil, nil)
	var rows [mostParts][]int32
	for i, h := range hashes {
		p := d.of(h)
		rows[p] = append(rows[p], int32(i))
	}
	whole := array.NewRecordBatch(schema, columns, int64(columns[0].Len()))
	defer whole.Release()
	for i, sel := range rows {
		if len(sel) == 0 {
			continue
		}
		f := of(i)
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
		a.spilled = &spilled{division: a.division(done.bit)}
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
			if err := f.finish(); err != nil {
				return err
			}
		}
	}
	a.uncharge(a.spilled)
	return nil
}

// uncharge gives back what was charged for the buffers of s.
func (a *Aggregate) uncharge(s *spilled) {
	a.ctx.Memory.Shrink(s.charged)
	s.charged = 0
}

// finish ends writing, if it has begun.
func (f *spillFile) finish() (err error) {
	if f.writer == nil {
		return nil
	}
	if f.file, err = f.writer.Finish(); err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	f.writer = nil
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
	if err == nil && a.divideValues(f) {
		err = a.mergeValues(f)
		f = &files{}
	}
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
	if err := a.emitLast(); err != nil {
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
		if err := a.keepRoom(); err != nil {
			return err
		}
	}
	return f.file.Remove()
}
