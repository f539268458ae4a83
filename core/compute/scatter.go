package compute

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
)

// Clustered is a batch's rows ordered by partition, in one record.
type Clustered struct {
	// Record has the rows of partition p at [Bounds[p], Bounds[p+1]), each
	// partition's in the order in which they were in the batch.
	Record arrow.RecordBatch
	Kinds  []stream.RowKind // nil: all inserted
	Bounds []int32          // n+1 of them
}

// Cluster orders b's selected rows by partition: parts names the partition, below
// n, of each selected row. One counting sort, then one gather a column: the one
// copy on the sending side of an exchange. b stays the caller's; the record is
// owned by the caller.
func Cluster(mem memory.Allocator, b *stream.Batch, parts []uint32, n int) (Clustered, error) {
	bounds := make([]int32, n+1)
	for _, p := range parts {
		bounds[p+1]++
	}
	whole := false
	for p := range n {
		whole = whole || int(bounds[p+1]) == len(parts)
		bounds[p+1] += bounds[p]
	}
	rows := b.Sel
	if !whole {
		rows = orderByPartition(b.Sel, parts, bounds)
	}
	record, err := TakeRecord(mem, b.Record, rows)
	if err != nil {
		return Clustered{}, err
	}
	kinds := b.Kinds
	if rows != nil {
		kinds = takeKinds(b.Kinds, rows)
	}
	return Clustered{Record: record, Kinds: kinds, Bounds: bounds}, nil
}

func orderByPartition(sel []int32, parts []uint32, bounds []int32) []int32 {
	rows := make([]int32, len(parts))
	next := append([]int32(nil), bounds[:len(bounds)-1]...)
	if sel == nil {
		for i, p := range parts {
			rows[next[p]] = int32(i)
			next[p]++
		}
		return rows
	}
	for i, p := range parts {
		rows[next[p]] = sel[i]
		next[p]++
	}
	return rows
}

// Partition returns the rows of partition p as a batch of its own that shares the
// record's columns, or nil when it has none.
func (c Clustered) Partition(p int) *stream.Batch {
	from, to := c.Bounds[p], c.Bounds[p+1]
	if from == to {
		return nil
	}
	if int64(to-from) == c.Record.NumRows() {
		c.Record.Retain()
		b := stream.NewBatch(c.Record)
		b.Kinds = c.Kinds
		return b
	}
	b := stream.NewBatch(c.Record.NewSlice(int64(from), int64(to)))
	if c.Kinds != nil {
		b.Kinds = c.Kinds[from:to]
	}
	return b
}

// Scatter splits b's selected rows by partition: out[p] holds those of partition
// p, or is nil where there are none. Row kinds and order are kept. The batches
// are uncharged slices of one gathered record. b stays the caller's.
func Scatter(mem memory.Allocator, b *stream.Batch, parts []uint32, n int) ([]*stream.Batch, error) {
	c, err := Cluster(mem, b, parts, n)
	if err != nil {
		return nil, err
	}
	defer c.Record.Release()
	out := make([]*stream.Batch, n)
	for p := range out {
		out[p] = c.Partition(p)
	}
	return out, nil
}
