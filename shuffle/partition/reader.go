package partition

import (
	"fmt"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// Reader reads one partition, lane after lane, so that the order is the same
// every time. One goroutine uses it.
type Reader struct {
	store     *Store
	partition uint32
	lanes     []uint32 // that are to be read still
	block     int      // of the first of them
	seen      shuffle.PartitionTotals
}

// Reader returns a reader that stands before the first of these lanes.
func (s *Store) Reader(partition uint32, lanes []uint32) *Reader {
	return &Reader{store: s, partition: partition, lanes: lanes}
}

// Next returns the next batch, which the caller owns; it may be in wire form
// (wire.Decode). Without one, end says whether all lanes have been read; otherwise the
// next lane is not sealed yet. A lane that does not hold what its manifest says is
// ErrDataLoss.
func (r *Reader) Next() (b *stream.Batch, end bool, err error) {
	for len(r.lanes) > 0 {
		lane := r.lanes[0]
		b, counts, sealed, err := r.store.at(lane, r.partition, r.block)
		if err != nil {
			return nil, false, fmt.Errorf("partition %d: %w", r.partition, err)
		}
		if !sealed {
			return nil, false, nil
		}
		if b != nil {
			r.block++
			r.seen.Rows += counts.Rows
			r.seen.Bytes += counts.Bytes
			r.seen.Digest += counts.Digest
			return b, false, nil
		}
		if want := r.store.totals(lane, r.partition); want != r.seen {
			return nil, false, fmt.Errorf("partition %d, lane %d: %w: read %+v, written %+v", r.partition, lane, shuffle.ErrDataLoss, r.seen, want)
		}
		r.lanes, r.block, r.seen = r.lanes[1:], 0, shuffle.PartitionTotals{}
	}
	return nil, true, nil
}
