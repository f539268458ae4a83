package window

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
)

// fireWindow emits the window that ends at end.
func (a *Aggregate) fireWindow(end int64) error {
	var parts []int64
	start := a.slicing.start(end)
	for _, slice := range a.table.Namespaces() {
		if start < slice && slice <= end {
			parts = append(parts, slice)
		}
	}
	if len(parts) == 1 {
		rows, err := a.table.Namespace(parts[0])
		if err != nil {
			return err
		}
		return a.emitWindow(rows, end)
	}
	merged, err := a.merge(parts)
	if err != nil {
		return err
	}
	defer merged.Release()
	return a.emitWindow(hashtable.Rows{Table: merged, Mem: a.ctx.Alloc}, end)
}

// merge combines slices in a table of its own.
func (a *Aggregate) merge(parts []int64) (*hashtable.Table, error) {
	merged, err := hashtable.New(a.keyTypes, a.acc.Columns(), a.ctx.Memory)
	if err != nil {
		return nil, err
	}
	for _, slice := range parts {
		rows, err := a.table.Namespace(slice)
		if err == nil {
			err = a.mergeSlice(merged, rows)
		}
		if err != nil {
			merged.Release()
			return nil, err
		}
	}
	a.acc.Grown() // the merged values live until the window is emitted
	return merged, nil
}

func (a *Aggregate) mergeSlice(merged *hashtable.Table, rows state.Rows) error {
	return a.runs(rows, func(v state.View, from, to int) error { return a.mergeSlots(merged, v, from, to) })
}

// runs hands out the keys of a slice, as many at a time as an output batch has rows.
func (a *Aggregate) runs(rows state.Rows, do func(v state.View, from, to int) error) error {
	return rows.Each(func(v state.View, from, to int) error {
		for ; from < to; from += a.ctx.BatchRows {
			if err := do(v, from, min(from+a.ctx.BatchRows, to)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *Aggregate) mergeSlots(merged *hashtable.Table, rows state.View, from, to int) error {
	keys, err := rows.Keys(from, to)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(keys)
	values, err := a.acc.Partials(a.ctx.Alloc, rows.Values(), from, to)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(values)
	slots := make([]int32, to-from)
	if err := merged.Resolve(keys, nil, compute.HashColumns(keys, nil, nil), slots); err != nil {
		return err
	}
	return a.acc.Merge(merged.Values(), values, nil, slots)
}

// emitWindow emits results and window properties of every key.
func (a *Aggregate) emitWindow(rows state.Rows, end int64) error {
	return a.runs(rows, func(v state.View, from, to int) error {
		results, err := a.acc.Results(a.ctx.Alloc, v.Values(), from, to)
		if err != nil {
			return err
		}
		for i, p := range a.properties {
			at := len(a.output) - len(a.properties) + i
			results = append(results, a.property(p, a.output[at].Type, end, to-from))
		}
		return a.emit(v, from, to, results)
	})
}

// property is a column of n times a window's start, end or time.
func (a *Aggregate) property(p jobgraph.WindowProperty, t datatype.Type, end int64, n int) arrow.Array {
	at := end
	switch p {
	case jobgraph.WindowProperty_WINDOW_START:
		at = a.slicing.start(end)
	case jobgraph.WindowProperty_WINDOW_TIME:
		at = end - 1
	}
	return constant(a.ctx.Alloc, t, at*unit(t), n)
}

// emit passes columns on behind the keys of slots [from, to), and releases them.
func (a *Aggregate) emit(rows state.View, from, to int, columns []arrow.Array) error {
	defer func() { compute.ReleaseAll(columns) }()
	if !a.global {
		keys, err := rows.Keys(from, to)
		if err != nil {
			return err
		}
		columns = append(keys, columns...)
	}
	return a.ctx.Output.Emit(operator.NewBatch(a.arrow, columns, to-from))
}

// flushLarge flushes a partial phase that holds many keys.
func (a *Aggregate) flushLarge() error {
	n := 0
	for _, end := range a.table.Namespaces() {
		rows, err := a.table.Namespace(end)
		if err != nil {
			return fmt.Errorf("window: %w", err)
		}
		n += rows.Len()
	}
	if n < flushRows {
		return nil
	}
	return a.flush()
}

// flush emits every slice of a partial phase and drops it.
func (a *Aggregate) flush() error {
	for _, end := range a.table.Namespaces() {
		rows, err := a.table.Namespace(end)
		if err != nil {
			return fmt.Errorf("window: %w", err)
		}
		for from := 0; from < rows.Len(); from += a.ctx.BatchRows {
			to := min(from+a.ctx.BatchRows, rows.Len())
			values, err := a.acc.Partials(a.ctx.Alloc, rows.Values(), from, to)
			if err != nil {
				return fmt.Errorf("window: %w", err)
			}
			slice := constant(a.ctx.Alloc, a.output[len(a.keys)].Type, end, to-from)
			if err := a.emit(rows, from, to, append([]arrow.Array{slice}, values...)); err != nil {
				return err
			}
		}
		a.drop(end)
	}
	return nil
}

// constant is a column of n times v.
func constant(mem memory.Allocator, t datatype.Type, v int64, n int) arrow.Array {
	a, err := compute.Constant(mem, t, v, n)
	if err != nil {
		panic(fmt.Sprintf("window: %v", err)) // the planner gives properties a timestamp type
	}
	return a
}
