package memstate

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// pick makes a chunk of some records.
func (k *chunk) pick(records []int32) *chunk {
	out := &chunk{table: k.table, cycle: k.cycle, keys: pickAll(k.keys, records), values: pickAll(k.values, records)}
	place := make([]int32, k.len())
	for i := range place {
		place[i] = -1
	}
	for i, r := range records {
		place[r] = int32(i)
		out.hashes, out.flags, out.cycles = append(out.hashes, k.hashes[r]), append(out.flags, k.flags[r]), append(out.cycles, k.cycles[r])
	}
	var rows []int32
	for i, o := range k.owners {
		if p := place[o]; p >= 0 {
			rows = append(rows, int32(i))
			out.owners, out.sequences, out.changed = append(out.owners, p), append(out.sequences, k.sequences[i]), append(out.changed, k.changed[i])
		}
	}
	out.list = pickAll(k.list, rows)
	return out
}

func pickAll(columns []*state.Column, rows []int32) []*state.Column {
	out := make([]*state.Column, len(columns))
	for i, c := range columns {
		out[i] = &state.Column{Type: c.Type, Valid: pickOf(c.Valid, rows)}
		switch hashtable.StorageOf(c.Type) {
		case hashtable.Integer:
			out[i].Int64 = pickOf(c.Int64, rows)
		case hashtable.Real:
			out[i].Float64 = pickOf(c.Float64, rows)
		case hashtable.Wide:
			out[i].Dec128 = pickOf[decimal128.Num](c.Dec128, rows)
		default:
			out[i].Bytes = pickOf(c.Bytes, rows)
		}
	}
	return out
}

func pickOf[T any](v []T, rows []int32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = v[r]
	}
	return out
}

// awayView is a chunk as a view whose slots are its records.
type awayView struct {
	chunk *chunk
	mem   memory.Allocator
	rows  *lists // nil: none
}

// viewOf makes a view of a chunk, which is to be released.
func (s *space) viewOf(k *chunk) (*awayView, error) {
	v := &awayView{chunk: k, mem: s.table.backend.alloc}
	if s.lists == nil {
		return v, nil
	}
	l, err := hashtable.NewLists(s.table.spec.List, s.table.backend.account)
	if err != nil {
		return nil, err
	}
	v.rows = &lists{Lists: l, space: s}
	if err := v.fill(); err != nil {
		l.Release()
		return nil, err
	}
	return v, nil
}

func (v *awayView) fill() error {
	k := v.chunk
	if err := v.rows.Slots(k.len()); err != nil || len(k.owners) == 0 {
		return err
	}
	columns, err := arrays(v.mem, k.list, len(k.owners))
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(columns)
	return v.rows.AddAs(k.owners, k.sequences, columns, nil, make([]int32, len(k.owners)))
}

// Values implements state.View.
func (v *awayView) Values() []*state.Column { return v.chunk.values }

// Keys implements state.View.
func (v *awayView) Keys(from, to int) ([]arrow.Array, error) {
	out := make([]arrow.Array, 0, len(v.chunk.keys))
	for _, c := range v.chunk.keys {
		a, err := hashtable.ToArrow(v.mem, c, from, to)
		if err != nil {
			compute.ReleaseAll(out)
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// Lists implements state.View.
func (v *awayView) Lists() state.Lists {
	if v.rows == nil {
		return nil
	}
	return v.rows
}

func (v *awayView) release() {
	if v.rows != nil {
		v.rows.Release()
	}
}

var _ state.View = (*awayView)(nil)
