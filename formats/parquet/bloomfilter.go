package parquet

import (
	"fmt"
	"io"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A bloom filter has bloomBits bits for each value, rounded up to a power of two
// of bytes, which gives at most one false answer in a hundred.
const (
	bloomBits     = 10
	maxBloomBytes = 16 << 20
)

// bloomFilter collects the hashes of a chunk's values: of its dictionary's
// entries, and of each value that is not in it.
type bloomFilter struct {
	wanted bool
	hashes list[uint64]
}

func newBloomFilter(wanted bool, alloc memory.Allocator) bloomFilter {
	return bloomFilter{wanted: wanted, hashes: list[uint64]{alloc: alloc}}
}

// write writes the filter and begins a new one. It returns how many bytes it took.
func (f *bloomFilter) write(w io.Writer) (int, error) {
	values := len(f.hashes.v)
	size := min(max(1<<bits.Len(uint(values*bloomBits/8)), bloom.BlockSize), maxBloomBytes)
	header, err := thrift.Marshal(new(thrift.CompactProtocol), &format.BloomFilterHeader{
		NumBytes:    int32(size),
		Algorithm:   format.BloomFilterAlgorithm{Value: &format.SplitBlockAlgorithm{}},
		Hash:        format.BloomFilterHash{Value: &format.XxHash{}},
		Compression: format.BloomFilterCompression{Value: &format.BloomFilterUncompressed{}},
	})
	if err != nil {
		return 0, fmt.Errorf("encode bloom filter: %w", err)
	}
	bits := list[byte]{alloc: f.hashes.alloc}
	defer bits.release()
	clear(bits.resize(size))
	bloom.MakeSplitBlockFilter(bits.v).InsertBulk(f.hashes.v)
	f.hashes.v = f.hashes.v[:0]
	if _, err := w.Write(header); err != nil {
		return 0, err
	}
	if _, err := w.Write(bits.v); err != nil {
		return 0, err
	}
	return len(header) + size, nil
}
