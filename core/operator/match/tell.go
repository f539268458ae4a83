package match

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
)

// value is what a reference is in some partial matches.
func (m *Match) value(r reference, ids []int32) (arrow.Array, error) {
	s := m.partials
	if r.register >= 0 {
		rows := make([]int32, len(ids))
		for i, id := range ids {
			rows[i] = s.registersOf(id)[r.register]
		}
		return m.rows.Lists().Take(r.column, rows)
	}
	picked := make([]*state.Column, len(s.accs[r.sum]))
	for i, c := range s.accs[r.sum] {
		picked[i] = pick(c, ids)
	}
	results, err := s.sums[r.sum].acc.Results(m.ctx.Alloc, picked, 0, len(ids))
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

func pick(c *state.Column, ids []int32) *state.Column {
	out := hashtable.NullColumn(c.Type, len(ids))
	for i, id := range ids {
		out.Valid[i] = c.Valid[id]
		switch {
		case out.Int64 != nil:
			out.Int64[i] = c.Int64[id]
		case out.Float64 != nil:
			out.Float64[i] = c.Float64[id]
		case out.Dec128 != nil:
			out.Dec128[i] = c.Dec128[id]
		default:
			out.Bytes[i] = c.Bytes[id]
		}
	}
	return out
}

// tell emits the matches that are to be told, and forgets them.
func (m *Match) tell() error {
	for some := range slices.Chunk(m.told, m.ctx.BatchRows) {
		if err := m.emit(some); err != nil {
			return err
		}
	}
	m.partials.drop(m.told...)
	m.told = m.told[:0]
	return nil
}

func (m *Match) emit(ids []int32) (err error) {
	columns := make([]arrow.Array, 0, len(m.spec.Partition)+len(m.measures))
	defer func() { compute.ReleaseAll(columns) }()
	rows := make([]int32, len(ids))
	for i, id := range ids {
		rows[i] = m.partials.last(id)
	}
	for _, p := range m.spec.Partition {
		c, err := m.rows.Lists().Take(int(p), rows)
		if err != nil {
			return err
		}
		columns = append(columns, c)
	}
	for _, r := range m.measures {
		c, err := m.value(r, ids)
		if err != nil {
			return err
		}
		columns = append(columns, c)
	}
	return m.ctx.Output.Emit(operator.NewBatch(m.arrow, columns, len(ids)))
}
