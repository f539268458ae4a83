package parquet

import (
	"cmp"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/formats"
)

const (
	// maxGap is how many unwanted bytes a read may cover to save a second one.
	maxGap = 256 << 10
	// maxRange is where coalescing stops: larger reads gain nothing.
	maxRange = 16 << 20
)

// chunkRange is the place of one chunk in the file and, after fetch, its bytes.
type chunkRange struct {
	offset, length int64
	bytes          []byte
}

// fetch reads the chunks' bytes with few reads and returns the buffers that own
// them. Each chunk's capacity exceeds its length by padding.
func fetch(in formats.Input, chunks []*chunkRange, alloc memory.Allocator) (owners []*memory.Buffer, read int64, err error) {
	sorted := slices.Clone(chunks)
	slices.SortFunc(sorted, func(a, b *chunkRange) int { return cmp.Compare(a.offset, b.offset) })
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
		size := int(end - first.offset)
		buffer := newBuffer(alloc, size+padding)
		owners = append(owners, buffer)
		if err := readFull(in, buffer.Bytes()[:size], first.offset); err != nil {
			release(owners...)
			return nil, read, err
		}
		read += int64(size)
		for _, c := range sorted[:n] {
			at := c.offset - first.offset
			c.bytes = buffer.Bytes()[at : at+c.length]
		}
		sorted = sorted[n:]
	}
	return owners, read, nil
}
