package over

import (
	"bytes"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/rowsort"
)

// section is the rows that are computed at a time, with the bounds of each row's
// partition and of its peers, the rows of equal order, as far as they are in the
// section.
type section struct {
	record   arrow.RecordBatch // the needed columns
	rows     int
	order    []rowsort.Key
	before   int64 // rows of the first partition that came before the section
	open     bool  // the last partition may go on behind it
	foreseen *foresight

	start, end        []int32 // of the partition, by row
	peers, peersAfter []int32 // of the peers, by row
}

// foresight is what is known of the partition of a section that was read from a
// file. The partition is the only one of the section.
type foresight struct {
	rows   int64 // of the partition
	chunks int   // how many of the file's batches were read, up to the section's end
}

// bounds are buffers for the bounds of sections.
type bounds struct {
	start, end, peers, peersAfter []int32
	parted, ordered               []bool
	ints                          []int64
	valid                         []bool
}

// divide finds the bounds of partitions and peers.
func (s *section) divide(b *bounds, partition []rowsort.Key) error {
	n := s.rows
	if n > math.MaxInt32/2 {
		return fmt.Errorf("%d rows of a partition at a time", n)
	}
	b.parted, b.ordered = resize(b.parted, n), resize(b.ordered, n)
	clear(b.parted)
	clear(b.ordered)
	if err := b.marks(s.record, partition, b.parted); err != nil {
		return err
	}
	if err := b.marks(s.record, s.order, b.ordered); err != nil {
		return err
	}
	b.start, b.end = resize(b.start, n), resize(b.end, n)
	b.peers, b.peersAfter = resize(b.peers, n), resize(b.peersAfter, n)
	s.start, s.end, s.peers, s.peersAfter = b.start, b.end, b.peers, b.peersAfter
	start, peers := int32(0), int32(0)
	for i := range n {
		if b.parted[i] {
			start, peers = int32(i), int32(i)
		} else if b.ordered[i] {
			peers = int32(i)
		}
		s.start[i], s.peers[i] = start, peers
	}
	end, after := int32(n), int32(n)
	for i := n - 1; i >= 0; i-- {
		s.end[i], s.peersAfter[i] = end, after
		if b.parted[i] {
			end, after = int32(i), int32(i)
		} else if b.ordered[i] {
			after = int32(i)
		}
	}
	return nil
}

// marks flags the rows that differ from the one before in one of keys.
func (b *bounds) marks(record arrow.RecordBatch, keys []rowsort.Key, flags []bool) error {
	for _, k := range keys {
		a := record.Column(k.Column)
		valid := compute.Validity(a, nil, b.valid)
		if valid != nil {
			b.valid = valid
		}
		switch a.DataType().ID() {
		case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.DATE32, arrow.TIMESTAMP, arrow.DECIMAL64:
			var v []int64
			v, b.ints = compute.Integers(a, nil, b.ints)
			markIntegers(v, valid, flags)
			continue
		case arrow.STRING, arrow.BINARY:
			if offsets, chars := compute.NewTexts(a).Plain(); offsets != nil {
				markTexts(offsets, chars, valid, flags)
				continue
			}
		}
		c, err := compute.NewComparer(a, a, k.Order)
		if err != nil {
			return err
		}
		for i := 1; i < len(flags); i++ {
			flags[i] = flags[i] || c.Compare(i-1, i) != 0
		}
	}
	return nil
}

func markIntegers(v []int64, valid, flags []bool) {
	if valid == nil {
		for i := 1; i < len(flags); i++ {
			if v[i] != v[i-1] {
				flags[i] = true
			}
		}
		return
	}
	for i := 1; i < len(flags); i++ {
		if valid[i] != valid[i-1] || valid[i] && v[i] != v[i-1] {
			flags[i] = true
		}
	}
}

func markTexts(offsets []int32, chars []byte, valid, flags []bool) {
	for i := 1; i < len(flags); i++ {
		if flags[i] {
			continue
		}
		if valid != nil && !(valid[i] && valid[i-1]) {
			flags[i] = valid[i] != valid[i-1]
			continue
		}
		flags[i] = !bytes.Equal(chars[offsets[i-1]:offsets[i]], chars[offsets[i]:offsets[i+1]])
	}
}

// resize returns a slice of n elements of any content, buf's if it has the room.
func resize[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n+n/4)[:n]
	}
	return buf[:n]
}

// lastStart is where the section's last partition starts.
func (s *section) lastStart() int { return int(s.start[s.rows-1]) }

// firstAt is the first row whose bound is the section's end.
func (s *section) firstAt(at []int32) int {
	for i, bound := range at {
		if int(bound) == s.rows {
			return i
		}
	}
	return s.rows
}

// carried reports whether rows of row i's partition came before the section.
func (s *section) carried(i int) bool { return s.start[i] == 0 && s.before > 0 }

// number is the number of row i in its partition, from 0.
func (s *section) number(i int) int64 {
	n := int64(i) - int64(s.start[i])
	if s.start[i] == 0 {
		n += s.before
	}
	return n
}

// size is how many rows row i's partition has; it is known.
func (s *section) size(i int) int64 {
	if s.foreseen != nil {
		return s.foreseen.rows
	}
	return int64(s.end[i]) - int64(s.start[i])
}
