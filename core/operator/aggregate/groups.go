package aggregate

import (
	"fmt"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// stateTable is the operator's table in keyed state; those of DISTINCT follow.
const stateTable = 1

// set is a table, in keyed state or of the operator's own.
type set struct {
	rows  state.Rows
	table *hashtable.Table // rows, where they are not in keyed state
}

// groups are groups with their accumulators and, by call, what DISTINCT has seen.
type groups struct {
	set
	distinct []set
	charged  int64 // for bytes outside the tables
	room     int64 // charged ahead of what spilling them takes
}

func (a *Aggregate) newGroups() (*groups, error) {
	g := &groups{distinct: make([]set, len(a.distinct))}
	var err error
	if g.set, err = a.openSet(stateTable, a.keyTypes, a.acc.Columns()); err != nil {
		return nil, err
	}
	for i, d := range a.distinct {
		if d == nil {
			continue
		}
		if g.distinct[i], err = a.openSet(stateTable+1+uint16(i), d.Columns(), nil); err != nil {
			g.release(a.ctx.Memory)
			return nil, err
		}
	}
	return g, nil
}

// inState says whether groups are in keyed state. A partial's never are: its keys
// are not those of the subtask.
func (a *Aggregate) inState() bool {
	return a.ctx.State != nil && a.phase != jobgraph.Phase_PHASE_PARTIAL
}

func (a *Aggregate) openSet(id uint16, keys, values datatype.Schema) (set, error) {
	if !a.inState() {
		table, err := hashtable.New(keys, values, a.ctx.Memory)
		if err != nil {
			return set{}, fmt.Errorf("aggregate: %w", err)
		}
		return set{rows: hashtable.Rows{Table: table, Mem: a.ctx.Alloc}, table: table}, nil
	}
	table, err := a.ctx.State.Table(state.TableSpec{ID: id, Name: "groups", Keys: keys, Values: values})
	if err != nil {
		return set{}, fmt.Errorf("aggregate: %w", err)
	}
	rows, err := table.Namespace(0)
	return set{rows: rows}, err
}

// bytes is what the groups have charged.
func (g *groups) bytes() int64 {
	n := g.charged
	for _, s := range append([]set{g.set}, g.distinct...) {
		if s.table != nil {
			n += s.table.Bytes()
		}
	}
	return n
}

// dividing is what dividing the rows of the groups, or of one of their sets, takes
// at a time: a part of them twice.
func (g *groups) dividing() int64 {
	most := int64(0)
	for i, s := range append([]set{g.set}, g.distinct...) {
		if s.table == nil || s.rows.Len() == 0 {
			continue
		}
		n, bytes := int64(s.rows.Len()), s.table.Bytes()
		if i == 0 {
			bytes += g.charged
		}
		most = max(most, 2*bytes/n*min(int64(stepOf(int(n))), n))
	}
	return most
}

// yield gives back the room that was charged ahead.
func (g *groups) yield(account stream.Account) {
	account.Shrink(g.room)
	g.room = 0
}

// seal gives back what is not needed to read the groups.
func (g *groups) seal() {
	for _, s := range append([]set{g.set}, g.distinct...) {
		if s.table != nil {
			s.table.Seal()
		}
	}
}

// release gives back what the groups hold outside of keyed state.
func (g *groups) release(account stream.Account) {
	g.yield(account)
	account.Shrink(g.charged)
	g.charged = 0
	for _, s := range append([]set{g.set}, g.distinct...) {
		if s.table != nil {
			s.table.Release()
		}
	}
}
