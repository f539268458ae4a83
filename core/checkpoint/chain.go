package checkpoint

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/keygroup"
)

// Chain is what restores the keyed state of one operator in one subtask: pieces of
// successive snapshots, less those that later ones have made stale. Snapshots are
// counted on through restores, so that of each key group the later one has the larger
// number, whoever has owned it.
type Chain struct {
	Handles []*Handle
	Shares  []*Share
	// Own are the key groups of the subtask; none: all. Pieces of former subtasks may be of
	// others besides, which do not count here.
	Own keygroup.Range
}

// Next is the number of the next snapshot.
func (c *Chain) Next() uint32 {
	n := uint32(0)
	for _, h := range c.Handles {
		n = max(n, h.Snapshot)
	}
	for _, s := range c.Shares {
		n = max(n, s.Snapshot)
	}
	return n + 1
}

// Add appends the pieces of a snapshot, which holds everything of the groups in whole,
// of a job with so many groups, and drops what is stale.
func (c *Chain) Add(handles []*Handle, whole keygroup.Range, groups int) {
	n := c.Next()
	for _, h := range handles {
		h.Snapshot = n
	}
	c.Handles = append(slices.Clone(c.Handles), handles...)
	c.Shares = slices.Clone(c.Shares)
	if whole.Len() > 0 {
		c.Shares = append(c.Shares, &Share{Snapshot: n, FirstGroup: uint32(whole.First), LastGroup: uint32(whole.Last)})
	}
	c.Trim(groups)
}

// Trim drops what is stale.
func (c *Chain) Trim(groups int) {
	latest := c.latest(groups)
	c.Handles = slices.DeleteFunc(c.Handles, func(h *Handle) bool {
		return c.covered(latest, h.Snapshot, h.FirstGroup, h.LastGroup)
	})
	c.Shares = slices.DeleteFunc(c.Shares, func(s *Share) bool {
		return c.covered(latest, s.Snapshot, s.FirstGroup, s.LastGroup)
	})
}

// Sort brings the pieces of former subtasks, one after the other, into the order in
// which they are restored.
func (c *Chain) Sort() {
	slices.SortStableFunc(c.Handles, func(a, b *Handle) int { return cmp.Compare(a.Snapshot, b.Snapshot) })
}

// Stale says, by group, of which ones a later snapshot than n holds everything; nil if
// of none.
func (c *Chain) Stale(n uint32, groups int) []bool {
	var stale []bool
	for g, latest := range c.latest(groups) {
		if latest > n {
			if stale == nil {
				stale = make([]bool, groups)
			}
			stale[g] = true
		}
	}
	return stale
}

// Since says how whoever has restored an earlier chain of the same groups goes on to this
// one: it forgets the groups in gone, by group, of which a later snapshot holds everything, and
// restores the handles in rest as those of this chain. It fails where had is not of this
// chain's past.
func (c *Chain) Since(had *Chain, groups int) (rest []*Handle, gone []bool, err error) {
	type place struct {
		path   string
		offset int64
	}
	known, kept := map[place]bool{}, map[place]bool{}
	for _, h := range had.Handles {
		known[place{h.Path, h.Offset}] = true
	}
	for _, h := range c.Handles {
		at := place{h.Path, h.Offset}
		if kept[at] = true; !known[at] {
			rest = append(rest, h)
		}
	}
	now, then := c.latest(groups), had.latest(groups)
	for _, h := range had.Handles {
		if !kept[place{h.Path, h.Offset}] && !c.covered(now, h.Snapshot, h.FirstGroup, h.LastGroup) {
			return nil, nil, fmt.Errorf("%s, byte %d, is not part of what it became", h.Path, h.Offset)
		}
	}
	own := c.Own
	if own.Len() == 0 {
		own.Last = keygroup.Group(groups)
	}
	gone = make([]bool, groups)
	for g := own.First; g < own.Last; g++ {
		if gone[g] = now[g] > then[g]; now[g] < then[g] {
			return nil, nil, fmt.Errorf("all of key group %d was written before, in snapshot %d", g, now[g])
		}
	}
	return rest, gone, nil
}

// latest is, by group, the last snapshot that holds everything of it.
func (c *Chain) latest(groups int) []uint32 {
	out := make([]uint32, groups)
	for _, s := range c.Shares {
		for g := s.FirstGroup; g < s.LastGroup && int(g) < groups; g++ {
			out[g] = max(out[g], s.Snapshot)
		}
	}
	return out
}

// covered reports whether of all own groups of [first, last) a later snapshot than n holds
// everything.
func (c *Chain) covered(latest []uint32, n, first, last uint32) bool {
	if c.Own.Len() > 0 {
		first, last = max(first, uint32(c.Own.First)), min(last, uint32(c.Own.Last))
	}
	for g := first; g < last && int(g) < len(latest); g++ {
		if latest[g] <= n {
			return false
		}
	}
	return true
}
