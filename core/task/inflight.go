package task

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// Blocks of what is in flight are Arrow IPC streams: the columns of the exchange, then the
// kinds of the rows.
const (
	kindColumn = "tidemill.kind"
	// blockBytes is the size at which a block is full.
	blockBytes = 1 << 20
)

// writeInFlight stores what the barrier overtook, input by input.
func (t *Task) writeInFlight(f *frozen) error {
	for i, batches := range f.flight {
		if len(batches) == 0 {
			continue
		}
		groups := keygroup.Range{Last: keygroup.Group(t.d.KeyGroups)}
		if distribution(t.d.In[i]) == shuffle.Hash {
			owners, err := keygroup.Even(t.d.KeyGroups, t.d.Parallelism)
			if err != nil {
				return err
			}
			groups = owners.Range(int(t.d.Attempt.Subtask.Index))
		}
		w := blockWriter{schema: blockSchema(batches[0].Record.Schema()), alloc: t.account.Allocator()}
		name := fmt.Sprintf("%d-%d-%d.in%d", t.d.Attempt.Subtask.Vertex, t.d.Attempt.Subtask.Index, t.d.Attempt.N, i)
		handles, err := t.env.Snapshots.WriteInFlight(t.ctx, t.d.Job, f.ack.Barrier.Checkpoint, name, w.blocks(batches))
		if err != nil {
			return err
		}
		for n, h := range handles {
			h.FirstGroup, h.LastGroup, h.Rows = uint32(groups.First), uint32(groups.Last), w.rows[n]
		}
		f.ack.State.InFlight = append(f.ack.State.InFlight, &checkpoint.InFlight{Input: uint32(i), Blocks: handles})
	}
	return nil
}

// blockSchema is the plain columns of a batch and the kinds.
func blockSchema(of *arrow.Schema) *arrow.Schema {
	return arrow.NewSchema(append(compute.DecodedSchema(of).Fields(), arrow.Field{Name: kindColumn, Type: arrow.PrimitiveTypes.Uint8}), nil)
}

// blockWriter encodes batches in order.
type blockWriter struct {
	schema *arrow.Schema
	alloc  memory.Allocator
	rows   []uint64 // by block
}

// blocks is the batches in blocks; each is valid until the next one is asked for.
func (w *blockWriter) blocks(batches []*stream.Batch) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var block bytes.Buffer
		for len(batches) > 0 {
			block.Reset()
			n, err := w.fill(&block, batches)
			if !yield(block.Bytes(), err) || err != nil {
				return
			}
			batches = batches[n:]
		}
	}
}

// fill encodes batches until the block is full, and returns how many.
func (w *blockWriter) fill(block *bytes.Buffer, batches []*stream.Batch) (n int, err error) {
	out := ipc.NewWriter(block, ipc.WithSchema(w.schema))
	rows := uint64(0)
	for n < len(batches) && (n == 0 || block.Len() < blockBytes) {
		if err := w.add(out, batches[n]); err != nil {
			_ = out.Close()
			return 0, err
		}
		rows += uint64(batches[n].Len())
		n++
	}
	w.rows = append(w.rows, rows)
	return n, out.Close()
}

func (w *blockWriter) add(out *ipc.Writer, b *stream.Batch) error {
	b, err := compute.TakeBatch(w.alloc, b.Share())
	if err != nil {
		return err
	}
	defer b.Release()
	var columns []arrow.Array
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	for _, c := range b.Record.Columns() {
		plain, err := compute.Decode(w.alloc, c)
		if err != nil {
			return err
		}
		columns = append(columns, plain)
	}
	kinds := make([]byte, b.Len())
	for i := range kinds {
		kinds[i] = byte(b.Kind(i))
	}
	data := array.NewData(arrow.PrimitiveTypes.Uint8, len(kinds), []*memory.Buffer{nil, memory.NewBufferBytes(kinds)}, nil, 0, 0)
	defer data.Release()
	record := array.NewRecordBatch(w.schema, append(columns, array.NewUint8Data(data)), int64(len(kinds)))
	defer record.Release()
	columns = append(columns, record.Column(len(columns)))
	return out.Write(record)
}

// assignRestored gives each input what was in flight on it.
func (t *Task) assignRestored() error {
	if t.d.Restore.GetFinished() {
		return nil
	}
	for _, f := range t.d.Restore.GetInFlight() {
		switch {
		case int(f.GetInput()) >= len(t.gates):
			return failure.Errorf(failure.Conflict, "restore rows in flight on input %d of %d", f.GetInput(), len(t.gates))
		case t.env.Snapshots == nil:
			return failure.Errorf(failure.Internal, "no storage to restore from")
		}
		g := t.gates[f.GetInput()]
		g.restored = append(g.restored, f.GetBlocks()...)
	}
	return nil
}

// readRestored reads the next block of what was in flight on input i.
func (t *Task) readRestored(i int) error {
	g := t.gates[i]
	h := g.restored[0]
	data, err := t.env.Snapshots.ReadInFlight(t.ctx, h)
	if err != nil {
		return fmt.Errorf("restore what was in flight: %w", err)
	}
	g.restored = g.restored[1:]
	if err := t.decodeBlock(i, h, data); err != nil {
		return fmt.Errorf("restore what was in flight from %s, byte %d: %w", h.GetPath(), h.GetOffset(), err)
	}
	return nil
}

// decodeBlock puts the rows of a block that are the subtask's ahead of what is read.
func (t *Task) decodeBlock(i int, h *checkpoint.Handle, data []byte) error {
	want, err := schemas(t.d.In[i].Exchange.Schema)
	if err != nil {
		return err
	}
	schema := want[0].Arrow()
	r, err := ipc.NewReader(bytes.NewReader(data), ipc.WithAllocator(t.account.Allocator()))
	if err != nil {
		return fmt.Errorf("%w: %w", checkpoint.ErrCorrupt, err)
	}
	defer r.Release()
	if have := r.Schema(); !sameTypes(have, blockSchema(schema)) {
		return failure.Errorf(failure.Conflict, "rows of %v, the input has %v", have, schema)
	}
	for r.Next() {
		b, err := t.ownRows(i, h, blockBatch(r.RecordBatch(), schema))
		if err != nil {
			return err
		}
		if b.Len() == 0 {
			b.Release()
			continue
		}
		t.gates[i].ahead = append(t.gates[i].ahead, stream.Data(b))
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: %w", checkpoint.ErrCorrupt, err)
	}
	return nil
}

// sameTypes reports whether the columns have the same types.
func sameTypes(a, b *arrow.Schema) bool {
	if a.NumFields() != b.NumFields() {
		return false
	}
	for i, f := range a.Fields() {
		if !arrow.TypeEqual(f.Type, b.Field(i).Type) {
			return false
		}
	}
	return true
}

// blockBatch is a record of a block as a batch.
func blockBatch(record arrow.RecordBatch, schema *arrow.Schema) *stream.Batch {
	last := schema.NumFields()
	b := stream.NewBatch(array.NewRecordBatch(schema, record.Columns()[:last], record.NumRows()))
	for i, k := range record.Column(last).(*array.Uint8).Uint8Values() {
		if kind := stream.RowKind(k); kind != stream.Insert && b.Kinds == nil {
			b.Kinds = make([]stream.RowKind, record.NumRows())
			for j := range b.Kinds {
				b.Kinds[j] = stream.Insert
			}
		}
		if b.Kinds != nil {
			b.Kinds[i] = stream.RowKind(k)
		}
	}
	return b
}

// ownRows leaves out the rows of a hashed input that are of other groups than the block's
// handle says. It consumes b.
func (t *Task) ownRows(i int, h *checkpoint.Handle, b *stream.Batch) (*stream.Batch, error) {
	if distribution(t.d.In[i]) != shuffle.Hash || h.Groups().Len() >= t.d.KeyGroups {
		return b, nil
	}
	var keys []arrow.Array
	for _, k := range t.d.In[i].Exchange.Keys {
		keys = append(keys, b.Column(int(k)))
	}
	own := []int32{}
	for row, hash := range compute.HashColumns(keys, nil, nil) {
		if h.Groups().Contains(keygroup.Of(hash, t.d.KeyGroups)) {
			own = append(own, int32(row))
		}
	}
	if len(own) < b.PhysicalRows() {
		b.Sel = own
	}
	return compute.TakeBatch(t.account.Allocator(), b)
}
