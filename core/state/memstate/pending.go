package memstate

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
)

// pending is what a snapshot has still to copy of a namespace. The task copies it step by
// step between elements, clustered by key group, and first of all what it is about to
// change:
//
//	scan slots --> sort by group --> copy keys --> scan rows --> sort --> copy lists
//	                                    ^                                    ^
//	   Touch, Remove, Evict: saveKeys --+     TouchRows, RemoveRows: saveRows+
//
// Rows of a list are copied in its order: who saves one saves all that are left of its list.
type pending struct {
	freezer
	snapshot *snapshot
	into     *frozenTable
	whole    keygroup.Range
	keys     backlog // by slot
	rows     backlog // by row of lists
	stage    stage
	at       int
	found    []int32 // slots that have something to copy
	places   []int32 // by group: where the next one of found comes in order
	order    []int32 // slots by group; -1: none
	// dirty is how many rows a slot's list had to copy, once counted, and of groups in whole
	// none.
	dirty   []int32
	counted bool
	owners  []int32 // rows that were taken from order, with their slots
	taken   []int32
	were    *digests
	// dropped: nobody has the namespace any more, which is released in the end.
	dropped bool
}

// backlog says which numbers are still to be copied: those that have changed since the
// snapshot before, or are of groups that are copied whole, unless they are done.
type backlog struct {
	changed []bool
	done    []bool // copied, or not in use when the snapshot was taken
}

// begin takes over what has changed of n numbers, of which free are not in use.
func (l *backlog) begin(m *marks, n int, free []int32) {
	l.changed, l.done = m.set, make([]bool, n)
	*m = marks{}
	for _, x := range free {
		l.done[x] = true
	}
}

func (l *backlog) isChanged(x int32) bool { return int(x) < len(l.changed) && l.changed[x] }

type stage uint8

const (
	scanKeys stage = iota
	sortKeys
	takeKeys
	scanRows
	sortLists
	takeLists
	copied
)

// scanned is how many slots or rows are looked at in the time that it takes to copy one.
const scanned = 16

func newPending(s *space, into *snapshot, t *frozenTable) *pending {
	p := &pending{
		freezer: freezer{space: s, ns: s.ns, everything: into.whole == s.table.backend.owned}, snapshot: into, into: t, whole: into.whole,
		places: make([]int32, s.table.backend.groups+1),
	}
	p.keys.begin(&s.changed, s.Len(), s.Free())
	s.saved = s.saved || s.Len() > 0
	if s.lists != nil {
		p.rows.begin(&s.lists.changed, len(s.lists.Sequences()), s.lists.Unused())
		s.lists.since = s.lists.Upcoming()
		p.dirty = make([]int32, s.Len())
	}
	p.were = p.digest()
	return p
}

// hasKey reports whether the key of a slot is still to be copied.
func (p *pending) hasKey(x int32) bool {
	return int(x) < len(p.keys.done) && !p.keys.done[x] && (p.keys.isChanged(x) || p.whole.Contains(p.group(x)))
}

// hasRow is hasKey of a row of a list.
func (p *pending) hasRow(r int32) bool {
	return int(r) < len(p.rows.done) && !p.rows.done[r] &&
		(p.rows.isChanged(r) || p.whole.Contains(p.group(p.space.lists.Owners()[r])))
}

// step does so much as it takes to copy about n rows, or what is left of the stage, and
// returns how much that was.
func (p *pending) step(n int) (did int, err error) {
	switch p.stage {
	case scanKeys:
		to := min(p.at+scanned*n, len(p.keys.done))
		p.findKeys(p.at, to)
		return p.looked(to, len(p.keys.done)), nil
	case scanRows:
		to := min(p.at+scanned*n, len(p.rows.done))
		p.findLists(p.at, to)
		p.counted = to == len(p.rows.done)
		return p.looked(to, len(p.rows.done)), nil
	case sortKeys, sortLists:
		to := min(p.at+scanned*n, len(p.found))
		for _, x := range p.found[p.at:to] {
			if p.stage == sortKeys && p.keys.done[x] || p.stage == sortLists && p.dirty[x] == 0 {
				continue // perhaps another key's by now
			}
			g := p.group(x)
			p.order[p.places[g]] = x
			p.places[g]++
		}
		return p.looked(to, len(p.found)), nil
	case takeKeys:
		return p.copyKeys(n)
	default:
		return p.copyRows(n)
	}
}

// findKeys notes which of the slots [from, to) have something to copy.
func (p *pending) findKeys(from, to int) {
	hashes, groups, whole := p.space.Hashes(), p.space.table.backend.groups, p.whole
	for x := from; x < to; x++ {
		if p.keys.done[x] {
			continue
		}
		g := keygroup.Of(hashes[x], groups)
		if whole.Contains(g) || p.keys.isChanged(int32(x)) {
			p.found = append(p.found, int32(x))
			p.places[g+1]++
		}
	}
}

// findLists notes the slots whose lists have some of the rows [from, to) to copy, and counts
// them.
func (p *pending) findLists(from, to int) {
	owners := p.space.lists.Owners()
	for r := from; r < to; r++ {
		if !p.hasRow(int32(r)) {
			continue
		}
		slot := owners[r]
		if p.dirty[slot] == 0 {
			p.found = append(p.found, slot)
			p.places[p.group(slot)+1]++
		}
		p.dirty[slot]++
	}
}

// looked notes how far a stage without copying has come.
func (p *pending) looked(to, end int) int {
	did := (to-p.at)/scanned + 1
	if p.at = to; to < end {
		return did
	}
	switch p.stage {
	case scanKeys, scanRows:
		for g := range p.places[1:] {
			p.places[g+1] += p.places[g]
		}
		p.order = slices.Repeat([]int32{-1}, len(p.found))
	default:
		p.found = nil
	}
	p.next()
	return did
}

// next begins the next stage.
func (p *pending) next() {
	p.at = 0
	if p.stage++; p.stage == scanRows {
		if clear(p.places); p.space.lists == nil {
			p.stage = copied
		}
	}
}

func (p *pending) copyKeys(n int) (int, error) {
	slots := make([]int32, 0, min(n, len(p.order)-p.at))
	for ; p.at < len(p.order) && len(slots) < n; p.at++ {
		if x := p.order[p.at]; x >= 0 && !p.keys.done[x] {
			slots = append(slots, x)
		}
	}
	if p.at == len(p.order) {
		p.next()
	}
	return len(slots) + 1, p.putKeys(slots, false)
}

func (p *pending) copyRows(n int) (int, error) {
	for ; p.at < len(p.order) && len(p.taken) < n; p.at++ {
		if x := p.order[p.at]; x >= 0 {
			p.takeList(x)
		}
	}
	did := min(n, len(p.taken))
	owners, rows := p.owners[:0:did], p.taken[:0:did] // in place
	for i, r := range p.taken[:did] {
		if !p.rows.done[r] {
			owners, rows = append(owners, p.owners[i]), append(rows, r)
		}
	}
	err := p.putRows(owners, rows, false)
	if did < len(p.taken) {
		p.taken, p.owners = p.taken[did:], p.owners[did:]
		return did + 1, err
	}
	if p.taken, p.owners = p.taken[:0], p.owners[:0]; p.at == len(p.order) {
		p.next()
	}
	return did + 1, err
}

// takeList takes the rows of a slot's list that are to be copied, in their order.
func (p *pending) takeList(slot int32) {
	l, from, done := p.space.lists, len(p.taken), p.rows.done
	whole := p.whole.Contains(p.group(slot))
	if first, next := l.Chains(); whole || !p.counted {
		for r := first[slot]; r >= 0; r = next[r] {
			if int(r) < len(done) && !done[r] && (whole || p.rows.isChanged(r)) {
				p.taken, p.owners = append(p.taken, r), append(p.owners, slot)
			}
		}
		return
	}
	before := l.Before() // changes are mostly at the end
	for r, left := l.Last(slot), p.dirty[slot]; left > 0 && r >= 0; r = before[r] {
		if int(r) < len(done) && !done[r] && p.rows.isChanged(r) {
			p.taken, p.owners = append(p.taken, r), append(p.owners, slot)
			left--
		}
	}
	slices.Reverse(p.taken[from:])
}

// saveKeys copies those of slots that are still to be, since they are about to change.
func (p *pending) saveKeys(slots []int32) {
	if p == nil {
		return
	}
	var some []int32
	for _, x := range slots {
		if p.hasKey(x) {
			some = append(some, x)
			p.keys.done[x] = true
		}
	}
	if err := p.putKeys(some, true); err != nil {
		p.snapshot.fail(err)
	}
}

// removed notes that slots are not in use any more, of which nothing is left to be copied:
// they may be those of other keys.
func (p *pending) removed(slots []int32) {
	if p == nil {
		return
	}
	for _, x := range slots {
		if int(x) < len(p.keys.done) {
			p.keys.done[x] = true
		}
	}
}

// removedRows is removed of rows.
func (p *pending) removedRows(rows []int32) {
	if p == nil {
		return
	}
	for _, r := range rows {
		if int(r) < len(p.rows.done) {
			p.rows.done[r] = true
		}
	}
}

// saveRows copies what is to be of the lists of rows that are about to change.
func (p *pending) saveRows(rows []int32) {
	if p == nil {
		return
	}
	owners := p.space.lists.Owners()
	p.save(func() {
		for _, r := range rows {
			if p.hasRow(r) { // each list once: then none of its rows is left
				p.saveList(owners[r])
			}
		}
	})
}

// saveLists copies what is to be of the lists of slots.
func (p *pending) saveLists(slots []int32) {
	if p == nil || p.space.lists == nil {
		return
	}
	p.save(func() {
		for _, x := range slots {
			p.saveList(x)
		}
	})
}

// save copies the lists that do saves, beside those that it is their turn of.
func (p *pending) save(do func()) {
	taken, owners := p.taken, p.owners
	p.taken, p.owners = nil, nil
	do()
	err := p.putRows(p.owners, p.taken, true)
	p.taken, p.owners = taken, owners
	if err != nil {
		p.snapshot.fail(err)
	}
}

// saveList takes what is to be copied of a list.
func (p *pending) saveList(slot int32) {
	if int(slot) >= len(p.dirty) {
		return
	}
	from := len(p.taken)
	p.takeList(slot)
	p.dirty[slot] = 0
	for _, r := range p.taken[from:] {
		p.rows.done[r] = true
	}
}

// putKeys copies slots; early ones are in no order.
func (p *pending) putKeys(slots []int32, early bool) error {
	s := p.space
	if p.were != nil {
		p.were.check(s.table.spec.Name, p.were.keys, s.Values(), slots)
	}
	s.kept = grown(s.kept, s.Len())
	for _, x := range slots {
		p.keys.done[x], s.kept[x] = true, true
	}
	if s.cold != nil {
		if err := p.snapshot.away.leaveOut(s, slots); err != nil {
			return err
		}
	}
	return p.put(state.PutKey, slots, nil, s.columns, early)
}

// putRows copies rows of lists, which belong to slots.
func (p *pending) putRows(slots, rows []int32, early bool) error {
	if p.were != nil {
		p.were.check(p.space.table.spec.Name, p.were.rows, p.space.lists.Fixed(), rows)
	}
	for _, r := range rows {
		p.rows.done[r] = true
	}
	return p.put(state.PutRow, slots, rows, p.space.lists.columns, early)
}

func (p *pending) put(kind state.Kind, slots, rows []int32, columns func(slots, rows []int32) ([]arrow.Array, error), early bool) error {
	if len(slots) == 0 {
		return nil
	}
	if !early {
		piece, err := p.one(kind, slots, rows, keygroup.Range{First: p.group(slots[0]), Last: p.group(slots[len(slots)-1]) + 1}, columns)
		if err == nil {
			p.into.kinds[kind] = append(p.into.kinds[kind], piece)
		}
		return err
	}
	groups := make([]keygroup.Group, len(slots))
	for i, x := range slots {
		groups[i] = p.group(x)
	}
	piece, err := p.one(kind, slots, rows, keygroup.Range{First: slices.Min(groups), Last: slices.Max(groups) + 1}, columns)
	if err == nil {
		p.into.early[kind] = append(p.into.early[kind], earlyPiece{piece, groups})
	}
	return err
}

// end lets go of the namespace.
func (p *pending) end() {
	s := p.space
	if s.pending = nil; p.dropped {
		s.release()
	} else if s.cold != nil {
		if err := s.shrink(); err != nil {
			s.table.backend.tier.fail(err)
		}
	}
}
