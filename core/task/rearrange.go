package task

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/state"
)

// rearranging restores a backend from state of another plan, in which columns of lists stood
// elsewhere.
type rearranging struct {
	state.Backend
	by map[uint16]*checkpoint.Rearranged
}

// rearranged is the backend itself where nothing has moved.
func rearranged(b state.Backend, all []*checkpoint.Rearranged) state.Backend {
	if len(all) == 0 {
		return b
	}
	r := rearranging{Backend: b, by: map[uint16]*checkpoint.Rearranged{}}
	for _, one := range all {
		r.by[uint16(one.GetTable())] = one
	}
	return r
}

// Restore implements state.Backend.
func (r rearranging) Restore(p state.Piece, stale []bool) error {
	move := r.by[p.Table.ID]
	if move == nil {
		return r.Backend.Restore(p, stale)
	}
	former, width := int(move.GetFormer()), len(p.Table.List)
	if former > width {
		return failure.Errorf(failure.BadData, "state table %d %s has lists of %d columns, want at least %d", p.Table.ID, p.Table.Name, width, former)
	}
	var places []int
	for _, at := range move.GetFrom() {
		if int(at) >= former {
			return failure.Errorf(failure.Internal, "column %d of the %d that state table %s had", at, former, p.Table.Name)
		}
		places = append(places, int(at))
	}
	for at := former; at < width; at++ { // what the operator hides behind its rows
		places = append(places, at)
	}
	list := make(datatype.Schema, len(places))
	for i, at := range places {
		list[i] = p.Table.List[at]
	}
	p.Table.List = list
	if p.Kind != state.PutRow {
		return r.Backend.Restore(p, stale)
	}
	before := int(p.Rows.NumCols()) - width
	if before < 0 {
		return failure.Errorf(failure.BadData, "state table %d %s: rows of %d columns, want at least %d", p.Table.ID, p.Table.Name, p.Rows.NumCols(), width)
	}
	for i := range places {
		places[i] += before
	}
	for i := before - 1; i >= 0; i-- {
		places = append([]int{i}, places...)
	}
	columns, fields := make([]arrow.Array, len(places)), make([]arrow.Field, len(places))
	for i, at := range places {
		columns[i], fields[i] = p.Rows.Column(at), p.Rows.Schema().Field(at)
	}
	rows := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, p.Rows.NumRows())
	defer rows.Release()
	p.Rows = rows
	return r.Backend.Restore(p, stale)
}
