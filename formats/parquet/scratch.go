package parquet

import (
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/format"
)

// scratch is what the columns of one writer need for a moment only. It is given
// back after each call of the writer, so that many open files do not hold it.
type scratch struct {
	codec   compress.Codec
	kind    format.CompressionCodec
	page    list[byte] // levels and values of the page being made
	packed  list[byte] // compressed
	levels  list[byte] // encoded levels or indexes
	wide    list[int32]
	seen    list[byte] // by entry of a dictionary
	ints    list[uint32]
	longs   list[uint64]
	present list[byte] // bitmap of a nested leaf's values
}

func newScratch(kind format.CompressionCodec, alloc memory.Allocator) *scratch {
	s := &scratch{codec: parquet.LookupCompressionCodec(kind), kind: kind}
	for _, l := range []*list[byte]{&s.page, &s.packed, &s.levels, &s.seen, &s.present} {
		l.alloc = alloc
	}
	s.wide.alloc, s.ints.alloc, s.longs.alloc = alloc, alloc, alloc
	return s
}

// compress returns the compressed page, valid until the next call.
func (s *scratch) compress(page []byte) ([]byte, error) {
	switch s.kind {
	case format.Uncompressed:
		return page, nil
	case format.Snappy:
		// The fast encoder: the better one of package snappy takes twice the time for 7 % fewer bytes.
		return s2.EncodeSnappy(s.packed.resize(max(s2.MaxEncodedLen(len(page)), 1)), page), nil
	default:
		return s.codec.Encode(s.packed.resize(len(page)), page)
	}
}

func (s *scratch) release() {
	s.page.release()
	s.packed.release()
	s.wide.release()
	s.seen.release()
	s.ints.release()
	s.longs.release()
	s.present.release()
	s.levels.release()
}
