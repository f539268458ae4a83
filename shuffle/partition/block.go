package partition

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// HeaderBytes is the length of a block's header on disk.
const HeaderBytes = 64

const blockMagic = "TMB1"

// block is a batch of a run, in memory or on disk.
type block struct {
	batch  *stream.Batch // nil: on disk
	bytes  int64         // stream.Batch.Bytes
	seq    uint32        // its place in the run's partition
	rows   uint64
	digest uint64
	pack   *pack
	offset int64
	length int64
}

// owner says whose a block is; it is part of the header, so that a block read
// from a wrong place is noticed.
type owner struct{ lane, attempt, partition uint32 }

// Digest is the sum of the hashes of b's rows and their kinds, the same in any
// order and however they are cut into batches. b has no selection.
func Digest(b *stream.Batch) (sum uint64) {
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
func encode(buf *bytes.Buffer, o owner, b *block) error {
	start := buf.Len()
	buf.Write(make([]byte, HeaderBytes))
	w := ipc.NewWriter(buf, ipc.WithSchema(b.batch.Record.Schema()))
	if err := w.Write(b.batch.Record); err != nil {
		return fmt.Errorf("encode block: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("encode block: %w", err)
	}
	arrowBytes := buf.Len() - start - HeaderBytes
	for _, k := range b.batch.Kinds {
		buf.WriteByte(byte(k))
	}
	h := buf.Bytes()[start:]
	copy(h, blockMagic)
	le := binary.LittleEndian
	le.PutUint32(h[4:], o.lane)
	le.PutUint32(h[8:], o.attempt)
	le.PutUint32(h[12:], o.partition)
	le.PutUint32(h[16:], uint32(b.rows))
	le.PutUint32(h[20:], uint32(len(b.batch.Kinds)))
	le.PutUint32(h[24:], b.seq)
	le.PutUint64(h[32:], uint64(arrowBytes))
	le.PutUint64(h[40:], b.digest)
	le.PutUint32(h[28:], crc32.Checksum(h, castagnoli()))
	return nil
}

// decode reads a block's bytes. The batch is the caller's; it shares nothing
// with data.
func decode(mem memory.Allocator, data []byte, o owner, seq uint32) (*stream.Batch, error) {
	le := binary.LittleEndian
	if len(data) < HeaderBytes || string(data[:4]) != blockMagic {
		return nil, fmt.Errorf("%w: no block header", shuffle.ErrDataLoss)
	}
	sum := le.Uint32(data[28:])
	le.PutUint32(data[28:], 0)
	if crc32.Checksum(data, castagnoli()) != sum {
		return nil, fmt.Errorf("%w: checksum of block differs", shuffle.ErrDataLoss)
	}
	if have := (owner{le.Uint32(data[4:]), le.Uint32(data[8:]), le.Uint32(data[12:])}); have != o {
		return nil, fmt.Errorf("%w: block of lane %d attempt %d partition %d", shuffle.ErrDataLoss, have.lane, have.attempt, have.partition)
	}
	if have := le.Uint32(data[24:]); have != seq {
		return nil, fmt.Errorf("%w: block %d in the place of block %d", shuffle.ErrDataLoss, have, seq)
	}
	kinds, arrowBytes := uint64(le.Uint32(data[20:])), le.Uint64(data[32:])
	body := data[HeaderBytes:]
	if arrowBytes > uint64(len(body)) || kinds != uint64(len(body))-arrowBytes {
		return nil, fmt.Errorf("%w: lengths of block differ", shuffle.ErrDataLoss)
	}
	b, err := readRecord(mem, body[:arrowBytes])
	if err != nil {
		return nil, err
	}
	if kinds > 0 {
		b.Kinds = make([]stream.RowKind, kinds)
		for i, k := range body[arrowBytes:] {
			b.Kinds[i] = stream.RowKind(k)
		}
	}
	return b, nil
}

func readRecord(mem memory.Allocator, data []byte) (*stream.Batch, error) {
	r, err := ipc.NewReader(bytes.NewReader(data), ipc.WithAllocator(mem))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", shuffle.ErrDataLoss, err)
	}
	defer r.Release()
	if !r.Next() {
		return nil, fmt.Errorf("%w: block without rows: %w", shuffle.ErrDataLoss, r.Err())
	}
	record := r.RecordBatch()
	record.Retain()
	return stream.NewBatch(record), nil
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
