package partition

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// block is a batch of a run, in memory, on disk or in the remote tier.
type block struct {
	batch  *stream.Batch // nil: it has a pack or an object
	bytes  int64         // stream.Batch.Bytes
	seq    uint64        // its place in the run's partition
	rows   uint64
	digest uint64
	pack   *pack
	object *object
	offset int64
	length int64
}

// owner says whose a block is; it is part of the header, so that a block read
// from a wrong place is noticed.
type owner struct{ lane, attempt, partition uint32 }

// Digest is the sum of the hashes of b's rows and their kinds, the same in any
// order and however they are cut into batches. b has no selection. That of a batch in
// wire form is what it came with.
func Digest(b *stream.Batch) (sum uint64) {
	if r, ok := b.Record.(*wire.Record); ok {
		return r.Header().Digest
	}
	columns := b.Record.Columns()
	if len(columns) == 0 {
		return uint64(b.Len())
	}
	hashes := compute.HashColumns(columns, nil, nil)
	for i, h := range hashes {
		if b.Kinds != nil {
			h += uint64(b.Kinds[i]-stream.Insert) * 0x9E3779B97F4A7C15
		}
		sum += h
	}
	return sum
}

// encode appends the block's bytes to buf.
func encode(buf []byte, mem memory.Allocator, schema *arrow.Schema, o owner, b *block) ([]byte, error) {
	h := wire.Header{Lane: o.lane, Attempt: o.attempt, Partition: o.partition, Seq: b.seq, Digest: b.digest}
	m, err := wire.Encode(mem, schema, h, b.batch.Share())
	if err != nil {
		return nil, err
	}
	defer m.Release()
	return m.AppendBlock(buf), nil
}

// decode reads a block's bytes, which it takes over. The batch stays in wire form.
func decode(data *memory.Buffer, schema *arrow.Schema, o owner, b *block) (*stream.Batch, error) {
	m, err := wire.ParseBlock(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", shuffle.ErrDataLoss, err)
	}
	want := wire.Header{
		Kind: wire.KindData, Lane: o.lane, Attempt: o.attempt, Seq: b.seq, Rows: uint32(b.rows),
		Partition: o.partition, Value: b.bytes, Digest: b.digest,
	}
	if m.Header != want {
		m.Release()
		return nil, fmt.Errorf("%w: block %+v in the place of block %+v", shuffle.ErrDataLoss, m.Header, want)
	}
	batch, err := wire.Batch(schema, m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", shuffle.ErrDataLoss, err)
	}
	return batch, nil
}
