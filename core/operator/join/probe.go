package join

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// probe finds the pairs of probe batches and emits what the join makes of them.
type probe struct {
	join   *Join
	hashes []uint64
	slots  []int32 // by selected row of the batch, -1: no match
	some   []int32
	ints   []int64

	rows    []int32 // pairs: physical row of the probe batch,
	at      []int32 // its position among the selected rows,
	builds  []int32 // row of the build side, -1 for none
	matched []bool  // by position: had a pair that passed

	// Where the build side comes in blocks: which rows of the probe side's file had
	// a pair so far, and the row at which the batch begins.
	seen    []uint64
	base    int
	charged int64
}

// batch consumes b.
func (p *probe) batch(b *stream.Batch) error {
	defer b.Release()
	if err := p.find(b); err != nil {
		return err
	}
	j := p.join
	p.matched = nil
	if j.build.bySlot {
		p.mark()
		return nil
	}
	if j.check == nil && j.onlyProbe() {
		if p.seen != nil {
			p.see(func(i int) bool { return p.slots[i] >= 0 })
			return nil
		}
		return p.emitProbe(b, func(i int) bool { return p.slots[i] >= 0 })
	}
	if (j.check != nil || p.seen != nil) && (j.onlyProbe() || j.fillsProbe()) {
		p.matched = make([]bool, b.Len())
	}
	if err := p.pairs(b); err != nil {
		return err
	}
	switch {
	case p.matched == nil:
		return nil
	case p.seen != nil:
		p.see(func(i int) bool { return p.matched[i] })
		return nil
	case j.onlyProbe():
		return p.emitProbe(b, func(i int) bool { return p.matched[i] })
	default:
		return p.unmatchedProbe(b)
	}
}

// remember makes room for what is known of the rows of a file between blocks.
func (p *probe) remember(f *spill.File) error {
	words := int64(1)
	if f != nil {
		words += f.Rows() / 64
	}
	if err := p.join.ctx.Memory.Grow(8 * words); err != nil {
		return fmt.Errorf("join: probe side: %w", err)
	}
	p.charged, p.seen = 8*words, make([]uint64, words)
	return nil
}

func (p *probe) forget() {
	if p.seen != nil {
		p.join.ctx.Memory.Shrink(p.charged)
		p.charged, p.seen = 0, nil
	}
}

// see remembers which rows of the batch had a pair.
func (p *probe) see(match func(i int) bool) {
	for i := range p.slots {
		if match(i) {
			at := p.base + i
			p.seen[at>>6] |= 1 << (at & 63)
		}
	}
}

// mark notes the slots that had a pair.
func (p *probe) mark() {
	matched := p.join.build.matched
	for _, s := range p.slots {
		if s >= 0 {
			matched[s] = true
		}
	}
}

// later emits what is due of b after the last block.
func (p *probe) later(b *stream.Batch) error {
	defer b.Release()
	p.matched = make([]bool, b.Len())
	for i := range p.matched {
		at := p.base + i
		p.matched[i] = p.seen[at>>6]>>(at&63)&1 != 0
	}
	if p.join.onlyProbe() {
		return p.emitProbe(b, func(i int) bool { return p.matched[i] })
	}
	return p.unmatchedProbe(b)
}

// fills reports whether rows of the batch without a match are due at once.
func (p *probe) fills() bool {
	return p.join.fillsProbe() && p.join.check == nil && p.seen == nil
}

// find sets slots for the selected rows of b.
func (p *probe) find(b *stream.Batch) error {
	n, table := b.Len(), p.join.build.table
	if cap(p.slots) < n {
		p.slots = make([]int32, n)
	}
	p.slots = p.slots[:n]
	if table == nil || p.join.build.rows == 0 {
		slot := int32(0)
		if p.join.build.rows == 0 {
			slot = -1
		}
		for i := range p.slots {
			p.slots[i] = slot
		}
		return nil
	}
	keys := columnsOf(b, p.join.leftKeys)
	sel := compute.NotNull(keys, b.Sel)
	out := p.slots
	if len(sel) < n && sel != nil {
		if cap(p.some) < len(sel) {
			p.some = make([]int32, len(sel))
		}
		out = p.some[:len(sel)]
	}
	if dense := p.join.build.dense; dense != nil && len(out) > 0 {
		p.ints = dense.findIn(keys[0], sel, p.ints, out)
	} else if len(out) > 0 {
		p.hashes = compute.HashColumns(keys, sel, p.hashes)
		if err := table.Find(keys, sel, p.hashes, out); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	if len(out) < n {
		p.spread(b, sel, out)
	}
	return nil
}

// spread puts the slots of the rows in sel, which are some of b's, where they
// belong.
func (p *probe) spread(b *stream.Batch, sel, slots []int32) {
	next := 0
	for i := range p.slots {
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		if p.slots[i] = -1; next < len(sel) && sel[next] == r {
			p.slots[i] = slots[next]
			next++
		}
	}
}

// pairs emits the pairs of b in batches; without a residual the rows of an outer
// join that have no match are among them.
func (p *probe) pairs(b *stream.Batch) error {
	limit := p.join.ctx.BatchRows
	if room := min(limit, b.PhysicalRows()) + 1; cap(p.rows) < room {
		p.rows, p.at, p.builds = make([]int32, 0, room), make([]int32, 0, room), make([]int32, 0, room)
	}
	if p.join.build.starts != nil {
		return p.runs(b)
	}
	if p.join.kind == jobgraph.JoinType_JOIN_INNER && p.join.check == nil && b.PhysicalRows() <= limit && p.most(b) {
		return p.beside(b)
	}
	// Each row has one pair at most: it is always written, and kept if there is one.
	least := int32(0)
	if p.fills() {
		least = -1
	}
	for from := 0; from < len(p.slots); from += limit {
		to := min(from+limit, len(p.slots))
		room, n := to-from+1, 0
		rows, at, builds := p.rows[:room], p.at[:room], p.builds[:room]
		for i := from; i < to; i++ {
			r := int32(i)
			if b.Sel != nil {
				r = b.Sel[i]
			}
			s := p.slots[i]
			rows[n], at[n], builds[n] = r, int32(i), s
			if s >= least {
				n++
			}
		}
		p.rows, p.at, p.builds = rows[:n], at[:n], builds[:n]
		p.join.build.rowsOf(p.builds)
		if err := p.flush(b); err != nil {
			return err
		}
	}
	return nil
}

// most reports whether most of b's physical rows have a match.
func (p *probe) most(b *stream.Batch) bool {
	n := int32(0)
	for _, s := range p.slots {
		n += 1 + s>>31
	}
	return 2*int(n) > b.PhysicalRows()
}

// beside emits b's own columns, with a selection of the rows that have their one
// match, and the build side's beside them: where most rows match that costs less
// than to gather both.
func (p *probe) beside(b *stream.Batch) error {
	builds := p.builds[:b.PhysicalRows()]
	sel := make([]int32, len(p.slots)+1)
	n := 0
	if b.Sel != nil {
		clear(builds)
	}
	for i, s := range p.slots {
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		builds[r] = max(s, 0)
		sel[n] = r
		n += int(1 + s>>31)
	}
	p.join.build.rowsOf(builds)
	right, err := p.buildColumns(builds, b.Record.Columns())
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(right)
	out := operator.NewBatch(p.join.pairs, append(slices.Clone(b.Record.Columns()), right...), len(builds))
	if n < len(builds) {
		out.Sel = sel[:n]
	}
	return p.join.ctx.Output.Emit(out)
}

// runs is pairs for keys of several rows.
func (p *probe) runs(b *stream.Batch) error {
	build, limit := &p.join.build, p.join.ctx.BatchRows
	fill := p.fills()
	none := []int32{-1}
	for i, s := range p.slots {
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		var run []int32
		if s >= 0 {
			run = build.order[build.starts[s]:build.starts[s+1]]
		} else if fill {
			run = none
		}
		if p.join.onlyBuild() {
			run = p.unmarked(run)
		}
		for len(run) > 0 {
			n := min(len(run), limit-len(p.rows))
			for _, row := range run[:n] {
				p.rows, p.at, p.builds = append(p.rows, r), append(p.at, int32(i)), append(p.builds, row)
			}
			if run = run[n:]; len(p.rows) == limit {
				if err := p.flush(b); err != nil {
					return err
				}
			}
		}
	}
	return p.flush(b)
}

// unmarked are those rows of the build side that had no pair so far.
func (p *probe) unmarked(rows []int32) []int32 {
	p.some = p.some[:0]
	for _, r := range rows {
		if !p.join.build.matched[r] {
			p.some = append(p.some, r)
		}
	}
	return p.some
}

// flush emits the pairs that pass the residual.
func (p *probe) flush(b *stream.Batch) error {
	if len(p.rows) == 0 {
		return nil
	}
	out, err := p.gather(b)
	p.rows = p.rows[:0]
	at, builds := p.at, p.builds
	p.at, p.builds = p.at[:0], p.builds[:0]
	if err != nil {
		return err
	}
	if p.join.check != nil {
		if out.Sel, err = p.join.check.Select(out); err != nil {
			out.Release()
			return err
		}
	}
	p.note(out, at, builds)
	if out.Len() == 0 || p.join.onlyProbe() || p.join.onlyBuild() {
		out.Release()
		return nil
	}
	return p.join.ctx.Output.Emit(out)
}

// note remembers the rows of both sides that have a pair in out.
func (p *probe) note(out *stream.Batch, at, builds []int32) {
	mark := p.join.build.matched
	if mark == nil && p.matched == nil {
		return
	}
	for i := range out.Len() {
		pair := i
		if out.Sel != nil {
			pair = int(out.Sel[i])
		}
		if p.matched != nil {
			p.matched[at[pair]] = true
		}
		if mark != nil && builds[pair] >= 0 {
			mark[builds[pair]] = true
		}
	}
}

// gather makes a batch of the pairs.
func (p *probe) gather(b *stream.Batch) (*stream.Batch, error) {
	columns := make([]arrow.Array, 0, p.join.pairs.NumFields())
	defer func() { compute.ReleaseAll(columns) }()
	mem := p.join.ctx.Alloc
	rows := p.rows
	if len(rows) == b.PhysicalRows() && inOrder(rows) {
		rows = nil
	}
	for _, c := range b.Record.Columns() {
		a, err := compute.Take(mem, c, rows)
		if err != nil {
			return nil, fmt.Errorf("join: %w", err)
		}
		columns = append(columns, a)
	}
	right, err := p.buildColumns(p.builds, columns)
	if err != nil {
		return nil, err
	}
	columns = append(columns, right...)
	return operator.NewBatch(p.join.pairs, columns, len(p.rows)), nil
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

// buildColumns gathers the build side's columns; -1 gives nulls. left are the probe
// side's beside them, if any: equal keys are taken from there.
func (p *probe) buildColumns(rows []int32, left []arrow.Array) ([]arrow.Array, error) {
	mem, record := p.join.ctx.Alloc, p.join.build.record
	out := make([]arrow.Array, len(p.join.right))
	for i, f := range p.join.right {
		if record == nil {
			out[i] = compute.Nulls(mem, f.Type.Arrow(), len(rows))
			continue
		}
		if same := p.join.equal[i]; same >= 0 && left != nil {
			left[same].Retain()
			out[i] = left[same]
			continue
		}
		take := compute.Take
		if p.join.fillsProbe() {
			take = compute.TakeOrNull
		}
		var err error
		if out[i], err = take(mem, record.Column(i), rows); err != nil {
			compute.ReleaseAll(out)
			return nil, fmt.Errorf("join: %w", err)
		}
	}
	return out, nil
}

// emitProbe emits the rows of b that a semi join keeps: those that match, or, for
// an anti join, the others.
func (p *probe) emitProbe(b *stream.Batch, match func(i int) bool) error {
	want := p.join.kind == jobgraph.JoinType_JOIN_SEMI
	sel := make([]int32, 0, b.Len())
	for i := range b.Len() {
		if match(i) != want {
			continue
		}
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		sel = append(sel, r)
	}
	if len(sel) == 0 {
		return nil
	}
	out := b.Share()
	if out.Sel = sel; len(sel) == b.PhysicalRows() {
		out.Sel = nil
	}
	return p.join.ctx.Output.Emit(out)
}

// unmatchedProbe emits the rows of b that had no pair, with nulls.
func (p *probe) unmatchedProbe(b *stream.Batch) error {
	for i, m := range p.matched {
		if m {
			continue
		}
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		p.rows, p.builds = append(p.rows, r), append(p.builds, -1)
		if len(p.rows) == p.join.ctx.BatchRows {
			if err := p.flushUnmatched(b); err != nil {
				return err
			}
		}
	}
	return p.flushUnmatched(b)
}

func (p *probe) flushUnmatched(b *stream.Batch) error {
	if len(p.rows) == 0 {
		return nil
	}
	out, err := p.gather(b)
	p.rows, p.builds = p.rows[:0], p.builds[:0]
	if err != nil {
		return err
	}
	return p.join.ctx.Output.Emit(out)
}

// rest emits what is due of the build side after the probe side has ended.
func (p *probe) rest() error {
	switch {
	case p.join.keepsBuild():
		return p.unmatchedBuild()
	case p.join.onlyBuild() && p.join.build.rows > 0:
		return p.chosenBuild()
	}
	return nil
}

// chosenBuild emits the build rows that had a pair, or, for an anti join, the
// others.
func (p *probe) chosenBuild() error {
	build, want := &p.join.build, p.join.kind == jobgraph.JoinType_JOIN_RIGHT_SEMI
	for from := 0; from < build.rows; from += p.join.ctx.BatchRows {
		to := min(from+p.join.ctx.BatchRows, build.rows)
		sel := make([]int32, 0, to-from)
		for row := from; row < to; row++ {
			if build.hadPair(row) == want {
				sel = append(sel, int32(row-from))
			}
		}
		if len(sel) == 0 {
			continue
		}
		out := stream.NewBatch(build.record.NewSlice(int64(from), int64(to)))
		if len(sel) < to-from {
			out.Sel = sel
		}
		if err := p.join.ctx.Output.Emit(out); err != nil {
			return err
		}
	}
	return nil
}

// unmatchedBuild emits the build rows that had no pair, with nulls.
func (p *probe) unmatchedBuild() error {
	var rows []int32
	for i, m := range p.join.build.matched {
		if !m {
			rows = append(rows, int32(i))
		}
		if len(rows) == p.join.ctx.BatchRows || len(rows) > 0 && i == len(p.join.build.matched)-1 {
			if err := p.emitBuild(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return nil
}

func (p *probe) emitBuild(rows []int32) error {
	var columns []arrow.Array
	defer func() { compute.ReleaseAll(columns) }()
	for _, f := range p.join.left {
		columns = append(columns, compute.Nulls(p.join.ctx.Alloc, f.Type.Arrow(), len(rows)))
	}
	right, err := p.buildColumns(rows, nil)
	if err != nil {
		return err
	}
	columns = append(columns, right...)
	return p.join.ctx.Output.Emit(operator.NewBatch(p.join.pairs, columns, len(rows)))
}
