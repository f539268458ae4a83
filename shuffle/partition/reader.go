package partition

import (
	"fmt"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// Reader reads one partition, lane after lane, so that the order is the same
// every time. One goroutine uses it, and closes it.
type Reader struct {
	store     *Store
	partition uint32
	lanes     []uint32 // that are to be read still
	block     int      // of the first of them
	attempt   uint32   // that has written it; of the first block on
	seen      shuffle.PartitionTotals
	way       far
}

// Reader returns a reader that stands before the first of these lanes.
func (s *Store) Reader(partition uint32, lanes []uint32) *Reader {
	return &Reader{store: s, partition: partition, lanes: lanes}
}

// Next returns the next batch, which the caller owns; it may be in wire form
// (wire.Decode). Without one, end says whether all lanes have been read; otherwise the
// next lane is not sealed yet. A lane that does not hold what its manifest says is
// ErrDataLoss, for all readers from then on.
func (r *Reader) Next() (b *stream.Batch, end bool, err error) {
	for len(r.lanes) > 0 {
		lane := r.lanes[0]
		at, err := r.store.at(lane, r.partition, r.block, &r.way)
		if err == nil && r.block > 0 && (!at.sealed || at.attempt != r.attempt) {
			if at.batch != nil {
				at.batch.Release()
			}
			err = dataLoss(owner{lane, r.attempt, r.partition}, fmt.Errorf("%w: another attempt took its place", shuffle.ErrDataLoss))
		}
		if err != nil {
			return nil, false, fmt.Errorf("partition %d: %w", r.partition, err)
		}
		if !at.sealed {
			return nil, false, nil
		}
		if !at.end {
			r.attempt = at.attempt
			r.block++
			r.seen.Rows += at.rows
			r.seen.Bytes += uint64(at.bytes)
			r.seen.Digest += at.digest
			return at.batch, false, nil
		}
		if want := r.store.totals(lane, r.partition); want != r.seen {
			err := r.store.damage(at.owner, fmt.Errorf("%w: read %+v, written %+v", shuffle.ErrDataLoss, r.seen, want))
			return nil, false, fmt.Errorf("partition %d: %w", r.partition, err)
		}
		r.lanes, r.block, r.seen = r.lanes[1:], 0, shuffle.PartitionTotals{}
	}
	r.Close()
	return nil, true, nil
}

// Close gives back what was read ahead. It may be called more than once.
func (r *Reader) Close() { r.way.close() }
