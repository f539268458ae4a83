package hashtable

import (
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

// tightBudget is one that should not be used up.
type tightBudget struct{ *budget }

func (tightBudget) Tight() bool { return true }

// model is a directory and what should be in it.
type model struct {
	t *testing.T
	directory
	known map[int32]bool
}

// add gives a new key a slot, as stores do.
func (m *model) add(hash uint64) {
	at := hash & m.mask
	for m.entries[at] != 0 {
		at = (at + 1) & m.mask
	}
	slot, err := m.slot(len(m.hashes), hash)
	if err != nil {
		m.t.Fatal(err)
	}
	m.set(at, entry(hash, slot))
	m.known[int32(slot)] = true
	if m.used++; m.full() {
		if err := m.grow(); err != nil {
			m.t.Fatal(err)
		}
	}
}

// check looks every slot up, here and, where its entry lies before moved, in the next one.
func (m *model) check() {
	m.t.Helper()
	early := 0
	for slot := range m.known {
		at, there := found(m.entries, m.hashes[slot], slot)
		if !there {
			m.t.Fatalf("slot %d is not found", slot)
		}
		if m.next == nil {
			continue
		}
		if _, ahead := found(m.next, m.hashes[slot], slot); ahead != (at < m.moved) {
			m.t.Fatalf("slot %d at %d, %d moved: in the next one %v", slot, at, m.moved, ahead)
		}
		if at < m.moved {
			early++
		}
	}
	if n, ahead := held(m.entries), held(m.next); n != len(m.known) || n != m.used || ahead != early {
		m.t.Fatalf("%d entries of %d keys, %d used; %d of %d in the next one", n, len(m.known), m.used, ahead, early)
	}
}

func found(entries []uint64, hash uint64, slot int32) (uint64, bool) {
	mask := uint64(len(entries) - 1)
	at := hash & mask
	for ; entries[at] != 0; at = (at + 1) & mask {
		if slotOf(entries[at]) == slot {
			return at, true
		}
	}
	return at, false
}

func held(entries []uint64) (n int) {
	for _, e := range entries {
		if e != 0 {
			n++
		}
	}
	return n
}

// Keys come and go while the next directory is filled: it has what it should at each moment,
// also of runs that go round the end, and takes the place of the one before.
func TestNextDirectory(t *testing.T) {
	grown := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		purse := &budget{limit: 1 << 40}
		m := &model{t: t, directory: directory{hashes: []uint64{}, ledger: &ledger{account: purse}}, known: map[int32]bool{}}
		if err := m.resize(64); err != nil {
			t.Fatal(err)
		}
		for range 600 {
			if m.next == nil && r.IntN(40) == 0 {
				if err := m.ledger.grow(int64(m.larger()) * 8); err != nil {
					t.Fatal(err)
				}
				m.next = make([]uint64, m.larger())
			}
			if m.next != nil {
				before := len(m.entries)
				if m.fill(r.IntN(8)); len(m.entries) > before {
					grown++
				}
			}
			switch r.IntN(5) {
			case 0:
				for slot := range m.known {
					m.remove(slot)
					delete(m.known, slot)
					m.free = append(m.free, slot)
					break
				}
			case 1:
				if seed%4 == 0 && r.IntN(20) == 0 {
					n := r.IntN(len(m.hashes) + 1)
					m.truncate(n)
					m.free = m.free[:0]
					for slot := range m.known {
						if int(slot) >= n {
							delete(m.known, slot)
						}
					}
				}
			default:
				hash := r.Uint64()
				if r.IntN(2) == 0 { // near the end, and many in one place
					hash |= uint64(len(m.entries)-1) &^ 3
				}
				m.add(hash)
			}
			m.check()
		}
		if m.forgetNext(); purse.used != m.ledger.used || m.ledger.used < int64(len(m.entries))*8 {
			t.Fatalf("%d bytes are charged, of %d for entries", purse.used, len(m.entries)*8)
		}
	}
	if grown == 0 {
		t.Error("no directory was full ahead")
	}
}

// A large directory of a table whose keys can be removed is full ahead: none of the look-ups
// has to wait for all of it. Where memory for it is tight or refused it grows as small ones do.
func TestDirectoryIsFilledAhead(t *testing.T) {
	for _, how := range []string{"free", "tight", "refused"} {
		purse := &budget{limit: 1 << 40}
		refused, account := how == "refused", stream.Account(purse)
		if how == "tight" {
			account = tightBudget{purse}
		}
		m := &model{t: t, directory: directory{hashes: make([]uint64, 0, 1<<20), ledger: &ledger{account: account}}, known: map[int32]bool{}}
		if err := m.resize(aheadDirectory); err != nil {
			t.Fatal(err)
		}
		if refused {
			purse.limit = purse.used
		}
		r, most, at := rand.New(rand.NewPCG(1, 5)), uint64(0), 0
		for len(m.entries) == aheadDirectory {
			if at++; refused && 2*(m.used+1) >= len(m.entries) {
				purse.limit = 1 << 40
			}
			before := m.moved
			if m.ahead(1); m.next != nil {
				most = max(most, m.moved-before)
			}
			if len(m.entries) == aheadDirectory {
				m.add(r.Uint64())
			}
		}
		m.check()
		if (how == "free") != (m.used < aheadDirectory/2) || most > aheadStep {
			t.Errorf("%s: it grew with %d keys, %d entries at a time", how, m.used, most)
		}
	}
}

// Slices of state for which room is asked are not equally long either: all would be full, and
// copied, during the same batch. Those of other tables are.
func TestReservedSlicesDiffer(t *testing.T) {
	const n = 1 << 16
	number := datatype.Field{Name: "n", Type: datatype.Of(datatype.BigInt)}
	for _, removable := range []bool{true, false} {
		table, err := New(datatype.Schema{number}, datatype.Schema{number, number, number, number}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if removable {
			table.Removable()
		}
		if err := table.Reserve(n); err != nil {
			t.Fatal(err)
		}
		caps := map[int]bool{cap(table.keys.(*oneWord).keys): true}
		for _, c := range table.values {
			caps[cap(c.Int64)], caps[cap(c.Valid)] = true, true
		}
		for c := range caps {
			if c < n || c > n+n/16 {
				t.Errorf("room for %d, %d was asked for", c, n)
			}
		}
		if want := 9; removable && len(caps) != want || !removable && len(caps) != 1 {
			t.Errorf("removable %v: %d lengths", removable, len(caps))
		}
		table.Release()
	}
}
