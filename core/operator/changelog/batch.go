package changelog

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// Part is rows of one kind.
type Part struct {
	Kind    stream.RowKind
	Columns []arrow.Array // they stay the caller's
	Rows    int
}

// Batch makes one batch of parts, in their order; those without rows are left out. It
// is nil where nothing is left.
func Batch(mem memory.Allocator, schema *arrow.Schema, parts ...Part) (*stream.Batch, error) {
	rows, some := 0, make([]Part, 0, len(parts))
	for _, p := range parts {
		if p.Rows > 0 {
			rows, some = rows+p.Rows, append(some, p)
		}
	}
	switch {
	case rows == 0:
		return nil, nil
	case len(some) == 1:
		b := operator.NewBatch(schema, some[0].Columns, rows)
		b.Kinds = kinds(some, rows)
		return b, nil
	}
	columns := make([]arrow.Array, 0, schema.NumFields())
	defer func() { compute.ReleaseAll(columns) }()
	pieces := make([]arrow.Array, len(some))
	for i := range schema.NumFields() {
		for j, p := range some {
			pieces[j] = p.Columns[i]
		}
		c, err := compute.Concat(mem, pieces)
		if err != nil {
			return nil, fmt.Errorf("changes of column %s: %w", schema.Field(i).Name, err)
		}
		columns = append(columns, c)
	}
	b := operator.NewBatch(schema, columns, rows)
	b.Kinds = kinds(some, rows)
	return b, nil
}

// kinds is the kind of each row; nil where all are inserts.
func kinds(parts []Part, rows int) []stream.RowKind {
	changes := false
	out := make([]stream.RowKind, 0, rows)
	for _, p := range parts {
		changes = changes || p.Kind != stream.Insert
		for range p.Rows {
			out = append(out, p.Kind)
		}
	}
	if !changes {
		return nil
	}
	return out
}

// Split divides the selected rows of b into those it adds and those it takes back, as
// physical rows. Where it takes none back added is b.Sel, which may be nil for all.
func Split(b *stream.Batch) (added, removed []int32) {
	if b.Kinds == nil {
		return b.Sel, nil
	}
	added = make([]int32, 0, b.Len())
	for i := range b.Len() {
		row := int32(i)
		if b.Sel != nil {
			row = b.Sel[i]
		}
		if b.Kinds[row].Retracts() {
			removed = append(removed, row)
		} else {
			added = append(added, row)
		}
	}
	return added, removed
}
