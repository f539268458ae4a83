package aggregate

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/spill"
)

// Where groups fit memory but the values that DISTINCT has seen of them do not,
// such as with one group of very many values, dividing by groups is in vain. Equal
// values of a group have equal hashes: divided by those, each part is added to the
// groups for itself, and what it has seen is forgotten before the next.

// divideValues reports whether the values of f, whose groups are in memory, must be
// divided.
func (a *Aggregate) divideValues(f *files) bool {
	if a.spilled.used || a.groups.bytes() > a.share.Fair()/valueShare {
		return false
	}
	var bytes int64
	for i := range f.distinct {
		bytes += f.distinct[i].inMemory()
	}
	return bytes > a.share.Fair()/2
}

// inMemory is about what a table of the file's rows takes.
func (f *spillFile) inMemory() int64 {
	if f.file == nil {
		return 0
	}
	return 2*f.file.Bytes() + 24*f.file.Rows()
}

// mergeValues adds the values of f to the groups in memory, which stay there.
func (a *Aggregate) mergeValues(f *files) error {
	a.spills = false
	defer func() { a.spills = true }()
	a.groups.yield(a.ctx.Memory)
	for i := range f.distinct {
		if err := a.mergeValuesOf(i, &f.distinct[i], topBit); err != nil {
			return err
		}
	}
	return nil
}

// mergeValuesOf adds the values of the i-th call in f, part for part where they
// are too many. top is where the bits end by which they may be divided.
func (a *Aggregate) mergeValuesOf(i int, f *spillFile, top int) error {
	if f.inMemory() <= a.share.Fair()/valueShare || top < bottomBit {
		n := len(a.keyTypes)
		err := a.readFile(f, func(columns []arrow.Array) error { return a.distinctAgain(i, columns[:n], columns[n:]) })
		if err != nil {
			return err
		}
		return a.forgetSeen(i)
	}
	parts, d, err := a.divide(i, f, top)
	for p := 0; err == nil && p < len(parts); p++ {
		err = a.mergeValuesOf(i, &parts[p], d.bit)
	}
	return err
}

// divide divides the rows of f by group and value.
func (a *Aggregate) divide(i int, f *spillFile, top int) ([]spillFile, division, error) {
	d := a.division(top)
	parts := make([]spillFile, 1<<d.bits)
	buffers := int64(len(parts)) * spill.BufferBytes
	if err := a.ctx.Memory.Grow(buffers); err != nil {
		return nil, d, fmt.Errorf("aggregate: divide distinct values: %w", err)
	}
	defer a.ctx.Memory.Shrink(buffers)
	schema := a.distinctColumns(a.distinct[i]).Arrow()
	err := a.readFile(f, func(columns []arrow.Array) error {
		return a.scatter(schema, columns, len(columns), d, func(p int) *spillFile { return &parts[p] })
	})
	for p := range parts {
		if err == nil {
			err = parts[p].finish()
		}
	}
	return parts, d, err
}

// forgetSeen empties what the i-th call has seen.
func (a *Aggregate) forgetSeen(i int) (err error) {
	if a.distinct[i] == nil {
		return nil
	}
	a.groups.distinct[i].table.Release()
	a.groups.distinct[i], err = a.openSet(stateTable+1+uint16(i), a.distinct[i].Columns(), nil)
	return err
}
