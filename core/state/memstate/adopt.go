package memstate

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
)

// Referrer is a Store that can hold entries which lie in files. The backend's task uses it.
type Referrer interface {
	Store
	// Refers reports whether this one can.
	Refers() bool
	// Refer makes files' entries the store's, each round on top of those before. Within a
	// round ranges of one file do not overlap, and what two files say of one key may be taken
	// in any order. After an error the store is to be closed.
	Refer(ctx context.Context, rounds [][]Reference) error
	// Referred names, by Place.Name, the files of which something is still read.
	Referred() []string
}

// Reference is a stretch of a file with entries (Sorted), of which those in Ranges count. The
// ranges ascend.
type Reference struct {
	Place  state.Place
	Ranges []KeyRange
}

// KeyRange is the keys from From to below To.
type KeyRange struct{ From, To []byte }

// Adopt implements state.Adopter.
func (b *Backend) Adopt(ctx context.Context, pieces []state.Stored) (bool, error) {
	if b.tier == nil || len(b.tables) > 0 {
		return false, nil
	}
	store, ok := b.tier.store.(Referrer)
	if !ok || !store.Refers() {
		return false, nil
	}
	// What pieces of one kind of one snapshot say of a key may be taken in any order, and in
	// the order of kinds those of all tables can be taken together.
	pieces = slices.Clone(pieces)
	slices.SortStableFunc(pieces, func(x, y state.Stored) int {
		return cmp.Or(cmp.Compare(x.Snapshot, y.Snapshot), cmp.Compare(x.Kind, y.Kind))
	})
	var drops []state.Stored
	for _, p := range pieces {
		if p.Kind == state.DropSpace {
			drops = append(drops, p)
		}
	}
	var rounds [][]Reference
	for i, p := range pieces {
		if p.Kind == state.DropSpace {
			continue
		}
		if i == 0 || p.Snapshot != pieces[i-1].Snapshot || p.Kind != pieces[i-1].Kind {
			rounds = append(rounds, nil)
		}
		groups := b.counting(p, drops)
		ranges := b.ranges(p, groups)
		if len(ranges) == 0 {
			continue
		}
		at := len(rounds) - 1
		rounds[at] = append(rounds[at], Reference{p.Place, ranges})
		if err := b.adopt(p, groups); err != nil {
			return false, err
		}
	}
	b.tracking = true
	if err := store.Refer(ctx, rounds); err != nil {
		return false, fmt.Errorf("adopt state: %w", err)
	}
	return true, nil
}

// Adopted implements state.Adopter.
func (b *Backend) Adopted() []string {
	if b.tier == nil {
		return nil
	}
	if store, ok := b.tier.store.(Referrer); ok {
		return store.Referred()
	}
	return nil
}

// counting are, by namespace of a piece, the groups of which its rows count: those that the
// backend owns, that are not stale, and whose namespace no later snapshot has dropped.
func (b *Backend) counting(p state.Stored, drops []state.Stored) [][]keygroup.Range {
	out := make([][]keygroup.Range, len(p.Spaces))
	for i, ns := range p.Spaces {
		var dropped []keygroup.Range
		for _, d := range drops {
			if _, found := slices.BinarySearch(d.Spaces, ns); found && d.Snapshot > p.Snapshot && d.Table.ID == p.Table.ID {
				dropped = append(dropped, d.Groups)
			}
		}
		for g := p.Groups.First; g < p.Groups.Last; g++ {
			if !b.owned.Contains(g) || int(g) < len(p.Stale) && p.Stale[g] ||
				slices.ContainsFunc(dropped, func(r keygroup.Range) bool { return r.Contains(g) }) {
				continue
			}
			if n := len(out[i]); n > 0 && out[i][n-1].Last == g {
				out[i][n-1].Last = g + 1
			} else {
				out[i] = append(out[i], keygroup.Range{First: g, Last: g + 1})
			}
		}
	}
	return out
}

// ranges are the keys of groups by namespace.
func (b *Backend) ranges(p state.Stored, groups [][]keygroup.Range) (out []KeyRange) {
	if !slices.ContainsFunc(groups, func(r []keygroup.Range) bool { return len(r) != 1 || r[0] != p.Groups }) {
		return []KeyRange{{p.First, p.Last}}
	}
	t := &table{backend: b, spec: p.Table}
	for i, ns := range p.Spaces {
		for _, g := range groups[i] {
			from, to := t.bounds(ns, g)
			if from, to = larger(from, p.First), smaller(to, p.Last); bytes.Compare(from, to) < 0 {
				out = append(out, KeyRange{from, to})
			}
		}
	}
	return out
}

func larger(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return b
	}
	return a
}

func smaller(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return b
	}
	return a
}

// adopt notes the namespaces of a piece. How many keys they have is not known: pieces may say
// the same of a key, and something of one that is gone.
func (b *Backend) adopt(p state.Stored, groups [][]keygroup.Range) error {
	if p.Kind != state.PutKey && p.Kind != state.PutRow {
		return nil
	}
	t, err := b.declare(p.Table)
	if err != nil {
		return err
	}
	for i, ns := range p.Spaces {
		part := 0
		for _, g := range groups[i] {
			part += g.Len()
		}
		if part == 0 {
			continue
		}
		s, err := t.space(ns)
		if err != nil {
			return err
		}
		s.saved, s.cold.adopted, s.cold.filter.off = true, true, true
		if p.Kind == state.PutKey {
			n := int64(p.Counts[i]) * int64(part) / int64(p.Groups.Len())
			s.cold.away, s.cold.stored = s.cold.away+n, s.cold.stored+n
		}
		if s.lists != nil {
			s.lists.Continue(p.Sequence + 1)
			s.lists.since = s.lists.Upcoming()
		}
	}
	return nil
}

var _ state.Adopter = (*Backend)(nil)
