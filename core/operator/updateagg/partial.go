package updateagg

import (
	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// grouping is what a partial phase has not passed on yet.
type grouping struct {
	table *hashtable.Table // nil: nothing
	space space
	most  int // groups that there were at once
}

func (g *grouping) release(account stream.Account) {
	if g.table == nil {
		return
	}
	g.most = max(g.most, g.table.Len())
	g.table.Release()
	account.Shrink(g.space.charged)
	g.table, g.space = nil, space{}
}

// group adds the n rows of the batch to the groups of a partial phase.
func (a *Aggregate) group(n int) error {
	g := &a.part
	if g.table == nil {
		table, err := hashtable.New(a.keyTypes, a.acc.Columns(), a.ctx.Memory)
		if err != nil {
			return err
		}
		g.table = table
		g.space.rows = hashtable.Rows{Table: table, Mem: a.ctx.Alloc}
		if err := table.Reserve(min(g.most, n)); err != nil {
			return err
		}
	}
	if err := a.apply(&g.space, n); err != nil {
		return err
	}
	if a.spec.HoldMillis == 0 || g.table.Len() >= heldGroups {
		return a.pass()
	}
	return nil
}

// pass emits the groups of a partial phase and forgets them.
func (a *Aggregate) pass() error {
	g := &a.part
	a.since = 0
	if g.table == nil {
		return nil
	}
	for from := 0; from < g.table.Len(); from += a.ctx.BatchRows {
		if err := a.passSome(from, min(from+a.ctx.BatchRows, g.table.Len())); err != nil {
			return err
		}
	}
	g.release(a.ctx.Memory)
	return nil
}

func (a *Aggregate) passSome(from, to int) error {
	rows := a.part.space.rows
	columns, err := a.acc.Partials(a.ctx.Alloc, rows.Values(), from, to)
	defer func() { compute.ReleaseAll(columns) }()
	if err != nil {
		return err
	}
	if !a.global {
		keys, err := rows.Keys(from, to)
		if err != nil {
			return err
		}
		columns = append(keys, columns...)
	}
	return a.ctx.Output.Emit(operator.NewBatch(a.arrow, columns, to-from))
}
