package memstate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// snapshot is frozen content: the rows of each namespace of each table.
type snapshot struct {
	groups int
	alloc  memory.Allocator
	tables []frozen
}

type frozen struct {
	spec   state.TableSpec
	spaces []arrow.RecordBatch
}

// Snapshot implements state.Backend. It copies everything.
func (b *Backend) Snapshot() (state.Snapshot, error) {
	s := &snapshot{groups: b.groups, alloc: b.alloc}
	for _, id := range slices.Sorted(maps.Keys(b.tables)) {
		t := b.tables[id]
		s.tables = append(s.tables, frozen{spec: t.spec})
		f := &s.tables[len(s.tables)-1]
		schema := snapshotSchema(t.spec)
		for _, ns := range t.Namespaces() {
			if t.spaces[ns].Len() == 0 {
				continue
			}
			record, err := freeze(b.alloc, schema, ns, t.spaces[ns])
			if err != nil {
				s.Release()
				return nil, fmt.Errorf("freeze state table %d %s: %w", id, t.spec.Name, err)
			}
			f.spaces = append(f.spaces, record)
		}
	}
	return s, nil
}

// snapshotSchema is the namespace, the keys, the values.
func snapshotSchema(spec state.TableSpec) *arrow.Schema {
	s := datatype.Schema{{Name: "namespace", Type: datatype.Of(datatype.BigInt).NotNull()}}
	s = append(append(s, spec.Keys...), spec.Values...)
	for i := range s {
		s[i].Type = s[i].Type.WithNull(i > 0) // a value that was never set is null
	}
	return s.Arrow()
}

func freeze(alloc memory.Allocator, schema *arrow.Schema, ns int64, t *hashtable.Table) (arrow.RecordBatch, error) {
	n := t.Len()
	space, err := compute.Constant(alloc, datatype.Of(datatype.BigInt), ns, n)
	if err != nil {
		return nil, err
	}
	columns := []arrow.Array{space}
	defer func() { compute.ReleaseAll(columns) }()
	keys, err := t.Keys(alloc, 0, n)
	if err != nil {
		return nil, err
	}
	columns = append(columns, keys...)
	for _, c := range t.Values() {
		a, err := hashtable.ToArrow(alloc, c, 0, n)
		if err != nil {
			return nil, err
		}
		columns = append(columns, a)
	}
	return array.NewRecordBatch(schema, columns, int64(n)), nil
}

// Write implements state.Snapshot.
func (s *snapshot) Write(ctx context.Context, emit func(state.TableSpec, keygroup.Range, arrow.RecordBatch) error) error {
	for _, t := range s.tables {
		if err := s.writeTable(ctx, t, emit); err != nil {
			return fmt.Errorf("write state table %d %s: %w", t.spec.ID, t.spec.Name, err)
		}
	}
	return nil
}

func (s *snapshot) writeTable(ctx context.Context, t frozen, emit func(state.TableSpec, keygroup.Range, arrow.RecordBatch) error) error {
	if len(t.spaces) == 0 {
		return nil
	}
	all, err := compute.ConcatRecords(s.alloc, t.spaces)
	if err != nil {
		return err
	}
	defer all.Release()
	rows, groups := s.byGroup(all, len(t.spec.Keys))
	for from := 0; from < len(rows); from += stream.TargetRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := rows[from:min(from+stream.TargetRows, len(rows))]
		record, err := compute.TakeRecord(s.alloc, all, part)
		if err != nil {
			return err
		}
		held := keygroup.Range{First: groups[part[0]], Last: groups[part[len(part)-1]] + 1}
		err = emit(t.spec, held, record)
		record.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// byGroup returns the rows of a record in the order of their key groups, and each
// row's group.
func (s *snapshot) byGroup(record arrow.RecordBatch, keys int) ([]int32, []keygroup.Group) {
	hashes := compute.HashColumns(record.Columns()[1:1+keys], nil, nil)
	groups := make([]keygroup.Group, len(hashes))
	next := make([]int32, s.groups+1)
	for i, h := range hashes {
		groups[i] = keygroup.Of(h, s.groups)
		next[groups[i]+1]++
	}
	for g := range s.groups {
		next[g+1] += next[g]
	}
	rows := make([]int32, len(hashes))
	for i, g := range groups {
		rows[next[g]] = int32(i)
		next[g]++
	}
	return rows, groups
}

// Release implements state.Snapshot.
func (s *snapshot) Release() {
	for _, t := range s.tables {
		for _, r := range t.spaces {
			r.Release()
		}
	}
	s.tables = nil
}

var _ state.Snapshot = (*snapshot)(nil)
