package parquet

import (
	"cmp"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

const (
	// maxGap is how many unwanted bytes a read may cover to save a second one.
	maxGap = 256 << 10
	// maxRange is where coalescing stops: larger reads gain nothing.
	maxRange = 16 << 20
	// prefetchBytes is how much of the row groups to come is under way while one is
	// decoded: what a fast line brings in the time that a store takes to answer.
	prefetchBytes = 8 << 20
)

// chunkRange is the place of one chunk in the file and, after fetch, its bytes.
type chunkRange struct {
	offset, length int64
	bytes          []byte
}

// coalesced is one read and the chunks that it brings.
type coalesced struct {
	offset, length int64
	chunks         []*chunkRange
}

// coalesce plans few reads that cover the chunks.
func coalesce(chunks []*chunkRange) []coalesced {
	sorted := slices.Clone(chunks)
	slices.SortFunc(sorted, func(a, b *chunkRange) int { return cmp.Compare(a.offset, b.offset) })
	var reads []coalesced
	for len(sorted) > 0 {
		first, n := sorted[0], 1
		end := first.offset + first.length
		for ; n < len(sorted) && sorted[n].offset-end <= maxGap; n++ {
			next := max(end, sorted[n].offset+sorted[n].length)
			if next-first.offset > maxRange {
				break
			}
			end = next
		}
		reads = append(reads, coalesced{offset: first.offset, length: end - first.offset, chunks: sorted[:n]})
		sorted = sorted[n:]
	}
	return reads
}

// prefetch has the input begin with reads that will come, where it is slow enough
// to want that.
func prefetch(in formats.Input, reads []coalesced) {
	slow, ok := in.ReaderAt.(fs.Prefetcher)
	if !ok {
		return
	}
	for _, r := range reads {
		slow.Prefetch(r.offset, r.length)
	}
}

// fetch does the reads, gives the chunks their bytes and returns the buffers that
// own them. Each chunk's capacity exceeds its length by padding.
func fetch(in formats.Input, reads []coalesced, alloc memory.Allocator) (owners []*memory.Buffer, read int64, err error) {
	for _, r := range reads {
		buffer := newDirty(alloc, int(r.length)+padding)
		owners = append(owners, buffer)
		if err := readFull(in, buffer.Bytes()[:r.length], r.offset); err != nil {
			release(owners...)
			return nil, read, err
		}
		read += r.length
		for _, c := range r.chunks {
			at := c.offset - r.offset
			c.bytes = buffer.Bytes()[at : at+c.length]
		}
	}
	return owners, read, nil
}
