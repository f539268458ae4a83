package memstate

import (
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	// sweeps is how often the hand goes round at most: as often as a key's hits last.
	sweeps = 5
	// stretches are how many parts of the hashes are told apart.
	stretches = 1 << 12
	// handRoom is the part of its slots that a hand's room exceeds them by.
	handRoom = 16
)

// hand goes round the slots of a space for those that have not been asked for since it came
// by, in the order of their hashes: keys that leave memory together are neighbours in the
// store, so that what is written in a round hardly overlaps, and the store has less to merge.
type hand struct {
	at    int
	slots int     // of the round, 0 before the first
	order []int32 // these; nil: memory was refused, all in their own order
}

// begin begins a round over the slots in use, those with flags.
func (h *hand) begin(flags []uint8, hashes []uint64, b *Backend) {
	h.at = 0
	if cap(h.order) < len(hashes) {
		h.release(b.account)
		room := len(hashes) + len(hashes)/handRoom
		if b.account.Grow(int64(room)*4) != nil {
			h.slots = len(hashes)
			return
		}
		h.order = make([]int32, 0, room)
	}
	stretch := stretchesOf(b.owned, b.groups)
	var next [stretches + 1]int32
	for x, hash := range hashes {
		if flags[x] != 0 {
			next[stretch.of(hash)+1]++
		}
	}
	for i := range stretches {
		next[i+1] += next[i]
	}
	h.slots = int(next[stretches])
	h.order = h.order[:h.slots]
	for x, hash := range hashes {
		if flags[x] != 0 {
			i := stretch.of(hash)
			h.order[next[i]] = int32(x)
			next[i]++
		}
	}
}

// slot is where the hand is.
func (h *hand) slot() int32 {
	if h.order == nil {
		return int32(h.at)
	}
	return h.order[h.at]
}

// bytes is what the hand takes.
func (h *hand) bytes() int64 { return int64(cap(h.order)) * 4 }

func (h *hand) release(account stream.Account) {
	account.Shrink(h.bytes())
	*h = hand{}
}

// stretched divides the hashes of a backend's groups, by their high halves.
type stretched struct{ low, width uint64 }

func stretchesOf(owned keygroup.Range, groups int) stretched {
	low, end := firstHash(owned.First, groups)>>32, uint64(1)<<32
	if int(owned.Last) < groups {
		end = firstHash(owned.Last, groups) >> 32
	}
	return stretched{low: low, width: max(end-low, 1)}
}

func (s stretched) of(hash uint64) uint64 {
	return min((hash>>32-s.low)*stretches/s.width, stretches-1)
}

// victims chooses n keys, or fewer where there are not so many.
func (s *space) victims(n int) []int32 {
	c, h := s.cold, &s.cold.hand
	c.reach(s.Table.Len())
	var out []int32
	for round := 0; len(out) < n; h.at++ {
		if h.at >= h.slots {
			h.begin(c.flags, s.Hashes(), s.table.backend)
			if round++; round > sweeps || h.slots == 0 {
				break
			}
		}
		x := h.slot()
		switch f := c.flags[x]; {
		case f&(inUse|isLeaving) != inUse:
		case f&hitBits != 0:
			c.flags[x] = f - oneHit
		case s.tooLong(x):
		default:
			out = append(out, x)
			c.flags[x] = f | isLeaving
		}
	}
	return out
}

// tooLong says that a key has a list that stays in memory.
func (s *space) tooLong(slot int32) bool {
	if s.lists == nil || s.lists.Count() <= longestList {
		return false
	}
	first, next := s.lists.Chains()
	n := 0
	for r := first[slot]; r >= 0; r = next[r] {
		if n++; n > longestList {
			return true
		}
	}
	return false
}
