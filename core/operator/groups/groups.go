package groups

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/state"
)

// What a row of a list is beside one that was there before the batch and stays.
const (
	Fresh uint8 = 1 << iota // it came with the batch
	Gone                    // the batch takes it back
)

// Sorter sorts the rows of groups. It belongs to one operator.
type Sorter struct {
	order []int // columns
	keys  []rowsort.Key
	names []string

	// Rows are rows of lists, and Groups the place of each one's group among those that
	// were gathered. Both are valid until the next Gather, and may be narrowed.
	Rows   []int32
	Groups []int64

	flags []uint8 // by row of the lists
}

// NewSorter returns a sorter of rows with columns of in.
func NewSorter(order []*jobgraph.SortKey, in datatype.Schema) (*Sorter, error) {
	s := &Sorter{keys: []rowsort.Key{{}}}
	for i, k := range order {
		if int(k.Column) >= len(in) {
			return nil, fmt.Errorf("order column %d of %d", k.Column, len(in))
		}
		s.order, s.names = append(s.order, int(k.Column)), append(s.names, in[k.Column].Name)
		s.keys = append(s.keys, rowsort.Key{Column: i + 1, Order: compute.Order{Descending: k.Descending, NullsFirst: k.NullsFirst}})
	}
	return s, nil
}

// Gather lists the rows of groups.
func (s *Sorter) Gather(lists state.Lists, slots []int32) {
	first, next := lists.Chains()
	s.Rows, s.Groups = s.Rows[:0], s.Groups[:0]
	for g, slot := range slots {
		for r := first[slot]; r >= 0; r = next[r] {
			s.Rows, s.Groups = append(s.Rows, r), append(s.Groups, int64(g))
		}
	}
}

// Flag notes rows that came and rows that are taken back; the caller Unflags them.
func (s *Sorter) Flag(lists state.Lists, came, taken []int32) {
	if _, next := lists.Chains(); len(s.flags) < len(next) {
		s.flags = append(s.flags, make([]uint8, len(next)+len(next)/4-len(s.flags))...)
	}
	for _, r := range came {
		s.flags[r] |= Fresh
	}
	for _, r := range taken {
		s.flags[r] |= Gone
	}
}

// Flags are those of a row of the lists.
func (s *Sorter) Flags(row int32) uint8 { return s.flags[row] }

// Unflag forgets what Flag noted.
func (s *Sorter) Unflag(came, taken []int32) {
	for _, r := range came {
		s.flags[r] = 0
	}
	for _, r := range taken {
		s.flags[r] = 0
	}
}

// Sort returns the positions of Rows in order, and what they were sorted by, which the
// caller releases.
func (s *Sorter) Sort(mem memory.Allocator, lists state.Lists) ([]int32, arrow.RecordBatch, error) {
	columns, fields := make([]arrow.Array, 0, len(s.keys)), make([]arrow.Field, 0, len(s.keys))
	defer func() { compute.ReleaseAll(columns) }()
	places := array.NewInt64Builder(mem)
	defer places.Release()
	places.AppendValues(s.Groups, nil)
	columns = append(columns, places.NewArray())
	fields = append(fields, arrow.Field{Name: "group", Type: arrow.PrimitiveTypes.Int64})
	for i, o := range s.order {
		c, err := lists.Take(o, s.Rows)
		if err != nil {
			return nil, nil, fmt.Errorf("sort by column %s: %w", s.names[i], err)
		}
		columns = append(columns, c)
		fields = append(fields, arrow.Field{Name: s.names[i], Type: c.DataType(), Nullable: true})
	}
	record := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(len(s.Rows)))
	order, err := rowsort.Permutation(record, s.keys)
	if err != nil {
		record.Release()
		return nil, nil, err
	}
	return order, record, nil
}

// Peers compares rows of what Sort returned by the order alone.
func (s *Sorter) Peers(sorted arrow.RecordBatch) ([]compute.Comparer, error) {
	return rowsort.Comparers(sorted, sorted, s.keys[1:])
}
