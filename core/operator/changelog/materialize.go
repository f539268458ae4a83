package changelog

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// stateTable is the operators' table in keyed state.
const stateTable = 1

// New returns the operator that spec describes, over input columns of in. It keeps rows
// by all columns, with how often each is there, or, with keys, a list of rows for each
// key in the order in which they came, or, where the changes are upserts, the last one. With a time to live, which only what tells changes
// has, keys that nothing has come for are forgotten: their rows stay with those who read.
func New(spec *jobgraph.Materialize, in datatype.Schema) (operator.Operator, error) {
	if len(in) == 0 {
		return nil, fmt.Errorf("materialize: no columns")
	}
	if spec.KeepMillis > 0 && (spec.AtEnd || len(spec.Keys) == 0) {
		return nil, fmt.Errorf("materialize: rows that are told at the end have a time to live")
	}
	b := base{in: in, arrow: in.Arrow()}
	if len(spec.Keys) == 0 {
		if !spec.AtEnd || spec.Upserts {
			return nil, fmt.Errorf("materialize: no keys, which only rows that are told at the end need not have")
		}
		b.spec = state.TableSpec{
			ID: stateTable, Name: "rows", Keys: in,
			Values:    datatype.Schema{{Name: "count", Type: datatype.Of(datatype.BigInt).NotNull()}},
			Evictable: true,
		}
		return &bag{base: b}, nil
	}
	m := &latest{base: b, atEnd: spec.AtEnd, before: spec.UpdateBefore, upserts: spec.Upserts, ages: groups.Ages{Keep: spec.KeepMillis}}
	for _, k := range spec.Keys {
		if int(k) >= len(in) {
			return nil, fmt.Errorf("materialize: key column %d of %d", k, len(in))
		}
		m.keys = append(m.keys, int(k))
		m.spec.Keys = append(m.spec.Keys, in[k])
	}
	m.spec.ID, m.spec.Name, m.spec.List, m.spec.Evictable = stateTable, "rows by key", in, spec.KeepMillis == 0
	if spec.KeepMillis > 0 {
		m.spec.Values = datatype.Schema{groups.Touched()}
	}
	return m, nil
}

// base is what both ways to keep rows share.
type base struct {
	in    datatype.Schema
	arrow *arrow.Schema
	spec  state.TableSpec

	ctx    *operator.Context
	own    state.Backend // where the job keeps no state
	rows   state.Rows
	hashes []uint64
	slots  []int32
}

// Open implements operator.Operator.
func (m *base) Open(ctx *operator.Context) error {
	m.ctx = ctx
	backend := ctx.State
	if backend == nil {
		m.own = memstate.New(1, keygroup.Range{Last: 1}, ctx.Alloc, ctx.Memory)
		backend = m.own
	}
	table, err := backend.Table(m.spec)
	if err != nil {
		return fmt.Errorf("materialize: %w", err)
	}
	if m.rows, err = table.Namespace(0); err != nil {
		return fmt.Errorf("materialize: %w", err)
	}
	return nil
}

// Watermark implements operator.Operator.
func (*base) Watermark(stream.Watermark) error { return nil }

// Close implements operator.Operator.
func (m *base) Close() error {
	if m.own != nil {
		return m.own.Close()
	}
	return nil
}

// resolve gives the selected rows of keys their slots.
func (m *base) resolve(keys []arrow.Array, sel []int32, rows int) error {
	if cap(m.slots) < rows {
		m.slots = make([]int32, rows)
	}
	m.slots = m.slots[:rows]
	m.hashes = compute.HashColumns(keys, sel, m.hashes)
	return m.rows.Resolve(keys, sel, m.hashes, m.slots)
}

// emit emits parts as one batch.
func (m *base) emit(parts ...Part) error {
	b, err := Batch(m.ctx.Alloc, m.arrow, parts...)
	if err != nil || b == nil {
		return err
	}
	return m.ctx.Output.Emit(b)
}

// bag keeps rows by all columns and tells them at the end.
type bag struct {
	base
	gone []int32
}

// Process implements operator.Operator. A row may be taken back before it comes, where
// the two have different ways: counts may be negative.
func (m *bag) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	if err := m.resolve(b.Record.Columns(), b.Sel, b.Len()); err != nil {
		return fmt.Errorf("materialize: %w", err)
	}
	count := m.rows.Values()[0]
	for i, slot := range m.slots {
		row := i
		if b.Sel != nil {
			row = int(b.Sel[i])
		}
		count.Valid[slot] = true
		if b.Kind(row).Retracts() {
			count.Int64[slot]--
		} else {
			count.Int64[slot]++
		}
	}
	if b.Kinds == nil {
		return nil
	}
	m.gone = m.gone[:0]
	for _, slot := range m.slots {
		if count.Valid[slot] && count.Int64[slot] == 0 {
			count.Valid[slot] = false // once
			m.gone = append(m.gone, slot)
		}
	}
	m.rows.Remove(m.gone)
	return nil
}

// EndInput implements operator.Operator: it tells the rows.
func (m *bag) EndInput(int) error {
	err := m.rows.Each(func(v state.View, from, to int) error {
		for from < to {
			next := min(to, from+m.ctx.BatchRows)
			if err := m.tell(v, from, next); err != nil {
				return err
			}
			from = next
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("materialize: %w", err)
	}
	return nil
}

// tell emits slots as often as they are there.
func (m *bag) tell(v state.View, from, to int) error {
	keys, err := v.Keys(from, to)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(keys)
	count := v.Values()[0].Int64[from:to]
	once := true
	for _, n := range count {
		once = once && n == 1
	}
	if once {
		return m.emit(Part{Kind: stream.Insert, Columns: keys, Rows: to - from})
	}
	var rows []int32
	for i, n := range count {
		for range n {
			if rows = append(rows, int32(i)); len(rows) == m.ctx.BatchRows {
				if err := m.tellRows(keys, rows); err != nil {
					return err
				}
				rows = rows[:0]
			}
		}
	}
	return m.tellRows(keys, rows)
}

func (m *bag) tellRows(keys []arrow.Array, rows []int32) error {
	if len(rows) == 0 {
		return nil
	}
	columns := make([]arrow.Array, len(keys))
	defer func() { compute.ReleaseAll(columns) }()
	for i, k := range keys {
		var err error
		if columns[i], err = compute.Take(m.ctx.Alloc, k, rows); err != nil {
			return err
		}
	}
	return m.emit(Part{Kind: stream.Insert, Columns: columns, Rows: len(rows)})
}

var (
	_ operator.Operator = (*bag)(nil)
	_ operator.Operator = (*latest)(nil)
	_ operator.Ticker   = (*latest)(nil)
)
