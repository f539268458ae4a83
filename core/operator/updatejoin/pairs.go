package updatejoin

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/stream"
)

// pairs finds the pairs of a delta with rows of the other side, in pieces of at most
// as many as a batch has rows.
type pairs struct {
	join   *Join
	heads  []int32 // by position: the first row of its list, -1: none
	at     []int32 // positions in the delta
	rows   []int32 // rows of the other side's lists
	own    []int32 // physical rows
	turned []int32 // rows of the other side that got their first partner, or lost their last
}

// walk goes through the lists of the keys that the delta's rows have found.
func (p *pairs) walk(d *delta) error {
	limit := p.join.ctx.BatchRows
	first, next := d.other.lists.Chains()
	p.at, p.rows = p.at[:0], p.rows[:0]
	p.heads = sized(p.heads, len(d.slots)) // apart, so that the loads need not wait for one another
	for i, slot := range d.slots {
		p.heads[i] = -1
		if slot >= 0 {
			p.heads[i] = first[slot]
		}
	}
	for i, r := range p.heads {
		for ; r >= 0; r = next[r] {
			p.at, p.rows = append(p.at, int32(i)), append(p.rows, r)
			if len(p.at) == limit {
				if err := p.flush(d); err != nil {
					return err
				}
			}
		}
	}
	return p.flush(d)
}

// flush counts the pairs that pass the residual and tells what becomes of them.
func (p *pairs) flush(d *delta) error {
	if len(p.at) == 0 {
		return nil
	}
	columns, err := p.check(d)
	defer func() { compute.ReleaseAll(columns) }()
	if err == nil && len(p.at) > 0 {
		if err = p.count(d); err == nil {
			err = p.tell(d, columns)
		}
	}
	p.at, p.rows = p.at[:0], p.rows[:0]
	return err
}

// check leaves the pairs that pass the residual; columns are those of them that were
// gathered for it.
func (p *pairs) check(d *delta) (columns []arrow.Array, err error) {
	j := p.join
	if j.check == nil {
		return nil, nil
	}
	if columns, err = p.gather(d, nil, j.residual.Reads); err != nil {
		return columns, err
	}
	sel, err := j.check.SelectColumns(columns, len(p.at))
	if err != nil || sel == nil {
		return columns, err
	}
	for i, k := range sel { // ascending: what is read is not yet overwritten
		p.at[i], p.rows[i] = p.at[k], p.rows[k]
	}
	p.at, p.rows = p.at[:len(sel)], p.rows[:len(sel)]
	compute.ReleaseAll(columns)
	return nil, nil
}

// count notes the partners that rows of both sides get or lose.
func (p *pairs) count(d *delta) error {
	if d.counts != nil && d.kind == stream.Insert {
		for _, i := range p.at {
			d.counts[i]++
		}
	}
	p.turned = p.turned[:0]
	if !d.other.counted {
		return nil
	}
	d.other.lists.TouchRows(p.rows)
	partners := d.other.column(d.other.partners)
	for _, r := range p.rows {
		if d.kind == stream.Insert {
			if partners[r]++; partners[r] == 1 {
				p.turned = append(p.turned, r)
			}
			continue
		}
		if partners[r] == 0 {
			return failure.Errorf(failure.Internal, "a row of the %s side loses a partner that it has not got", d.other.name)
		}
		if partners[r]--; partners[r] == 0 {
			p.turned = append(p.turned, r)
		}
	}
	return nil
}

// tell tells the pairs, and of rows of the other side that they are no longer, or
// again, by themselves. Deletes come first.
func (p *pairs) tell(d *delta, columns []arrow.Array) (err error) {
	j := p.join
	alone := changelog.Part{Kind: stream.Delete, Rows: len(p.turned)}
	if (d.kind == stream.Delete) != (j.kind == jobgraph.JoinType_JOIN_SEMI) {
		alone.Kind = stream.Insert
	}
	if j.atClosing && j.tellsLonely(d.other) {
		alone.Rows = 0
	}
	if alone.Rows > 0 {
		alone.Columns, err = j.kept(d.other, p.turned)
		defer compute.ReleaseAll(alone.Columns)
		if err != nil {
			return err
		}
	}
	if j.onlyLeft() {
		return j.emit(alone)
	}
	all, err := p.gather(d, columns, nil)
	defer compute.ReleaseAll(all)
	if err != nil {
		return err
	}
	both := changelog.Part{Kind: d.kind, Columns: all, Rows: len(p.at)}
	if alone.Kind == stream.Delete {
		return j.emit(alone, both)
	}
	return j.emit(both, alone)
}

// gather returns the columns of the pairs, left then right, that are wanted (nil:
// all). Those that there are already are not gathered again.
func (p *pairs) gather(d *delta, have []arrow.Array, wanted []bool) ([]arrow.Array, error) {
	mem, s, o := p.join.ctx.Alloc, d.side, d.other
	out := make([]arrow.Array, len(s.schema)+len(o.schema))
	for i, c := range have {
		if c != nil {
			c.Retain()
			out[i] = c
		}
	}
	p.own = p.own[:0]
	for _, i := range p.at {
		p.own = append(p.own, d.row(i))
	}
	own := p.own
	if len(own) == d.batch.PhysicalRows() && inOrder(own) {
		own = nil
	}
	var err error
	for i := range s.schema {
		if at := s.offset + i; out[at] == nil && (wanted == nil || wanted[at]) {
			if out[at], err = compute.Take(mem, d.batch.Column(i), own); err != nil {
				return out, err
			}
		}
	}
	for i := range o.schema {
		at := o.offset + i
		if out[at] != nil || wanted != nil && !wanted[at] {
			continue
		}
		if same := o.equal[i]; same >= 0 && out[s.offset+same] != nil {
			out[at] = out[s.offset+same]
			out[at].Retain()
			continue
		}
		if out[at], err = o.lists.Take(i, p.rows); err != nil {
			return out, err
		}
	}
	return out, nil
}

// inOrder reports whether rows are 0, 1, 2, ...
func inOrder(rows []int32) bool {
	for i, r := range rows {
		if int(r) != i {
			return false
		}
	}
	return true
}

// tellRows tells rows of a delta's batch by themselves.
func (j *Join) tellRows(kind stream.RowKind, d *delta, rows []int32) error {
	return j.pieces(kind, d.side, rows, func(i int, piece []int32) (arrow.Array, error) {
		if len(piece) == d.batch.PhysicalRows() {
			piece = nil
		}
		return compute.Take(j.ctx.Alloc, d.batch.Column(i), piece)
	})
}

// tellLonely tells rows of a batch that can never have a partner, if the output has
// such, as they come: added or taken back.
func (j *Join) tellLonely(s *side, b *stream.Batch, rows []int32) error {
	if !j.tellsLonely(s) {
		return nil
	}
	for piece := range slices.Chunk(rows, j.ctx.BatchRows) {
		columns, err := j.alone(s, piece, func(i int, rows []int32) (arrow.Array, error) {
			return compute.Take(j.ctx.Alloc, b.Column(i), rows)
		})
		if err != nil {
			compute.ReleaseAll(columns)
			return err
		}
		out := operator.NewBatch(j.output, columns, len(piece))
		compute.ReleaseAll(columns)
		if b.Kinds != nil {
			out.Kinds = make([]stream.RowKind, len(piece))
			for i, r := range piece {
				if out.Kinds[i] = stream.Insert; b.Kinds[r].Retracts() {
					out.Kinds[i] = stream.Delete
				}
			}
		}
		if err := j.ctx.Output.Emit(out); err != nil {
			return err
		}
	}
	return nil
}

// tellKept tells rows of a side's lists by themselves.
func (j *Join) tellKept(kind stream.RowKind, s *side, rows []int32) error {
	return j.pieces(kind, s, rows, s.lists.Take)
}

func (j *Join) pieces(kind stream.RowKind, s *side, rows []int32, take func(i int, rows []int32) (arrow.Array, error)) error {
	for piece := range slices.Chunk(rows, j.ctx.BatchRows) {
		columns, err := j.alone(s, piece, take)
		if err == nil {
			err = j.emit(changelog.Part{Kind: kind, Columns: columns, Rows: len(piece)})
		}
		compute.ReleaseAll(columns)
		if err != nil {
			return err
		}
	}
	return nil
}

// kept are the columns of rows of a side's lists by themselves.
func (j *Join) kept(s *side, rows []int32) ([]arrow.Array, error) {
	return j.alone(s, rows, s.lists.Take)
}

// alone are the columns of rows by themselves: with nulls for the other side's, where
// the output has these.
func (j *Join) alone(s *side, rows []int32, take func(i int, rows []int32) (arrow.Array, error)) (out []arrow.Array, err error) {
	out = make([]arrow.Array, j.output.NumFields())
	for i := range out {
		if i < s.offset || i >= s.offset+len(s.schema) {
			out[i] = compute.Nulls(j.ctx.Alloc, j.output.Field(i).Type, len(rows))
		} else if out[i], err = take(i-s.offset, rows); err != nil {
			return out, err
		}
	}
	return out, nil
}

// emit emits parts as one batch, or each as its own where they are too many for one.
func (j *Join) emit(parts ...changelog.Part) error {
	rows := 0
	for _, p := range parts {
		rows += p.Rows
	}
	if len(parts) > 1 && rows > j.ctx.BatchRows {
		for _, p := range parts {
			if err := j.emit(p); err != nil {
				return err
			}
		}
		return nil
	}
	b, err := changelog.Batch(j.ctx.Alloc, j.output, parts...)
	if err != nil || b == nil {
		return err
	}
	return j.ctx.Output.Emit(b)
}
