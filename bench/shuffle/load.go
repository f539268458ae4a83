package shuffle

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
)

// wholeRows is a whole batch's number of rows. At 87 bytes a row it has 696 KiB; small
// batches are its slices.
const wholeRows = 8192

// distinct batches are sent in turn, so that they do not all stay in a cache.
const distinct = 12

// load is what every path moves: the same batches, as Arrow and as bytes.
type load struct {
	schema  *arrow.Schema
	batches []arrow.RecordBatch
	frames  [][]byte // of each batch, an Arrow IPC message
	sizes   []int64  // of each batch, its Arrow buffers
	rows    int      // of every batch
	each    int      // batches that every stream sends
	streams int
}

// newLoad makes batches of that many rows, enough for total bytes on all streams.
func newLoad(rows, streams int, total int64) (*load, error) {
	l := &load{schema: schema(), rows: rows, streams: streams}
	for seed := range uint64(distinct) {
		whole := wholeBatch(l.schema, seed)
		for from := 0; from < wholeRows && len(l.batches) < distinct; from += rows {
			l.batches = append(l.batches, whole.NewSlice(int64(from), int64(from+rows)))
		}
		whole.Release()
	}
	for _, b := range l.batches {
		frame, err := message(b)
		if err != nil {
			return nil, fmt.Errorf("encode a batch: %w", err)
		}
		l.frames = append(l.frames, frame)
		l.sizes = append(l.sizes, (&stream.Batch{Record: b}).Bytes())
	}
	l.each = max(int(total/l.sizes[0])/streams, 1)
	return l, nil
}

func (l *load) release() {
	for _, b := range l.batches {
		b.Release()
	}
}

// at is the position of a stream's batch i among the distinct ones.
func (l *load) at(stream, i int) int { return (stream*5 + i) % len(l.batches) }

// bytes is what all streams send together.
func (l *load) bytes() (n int64) {
	for s := range l.streams {
		for i := range l.each {
			n += l.sizes[l.at(s, i)]
		}
	}
	return n
}

// messages is how many batches all streams send together.
func (l *load) messages() int { return l.each * l.streams }

func schema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "at", Type: arrow.FixedWidthTypes.Timestamp_us},
		{Name: "amount", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "text", Type: arrow.BinaryTypes.String},
	}, nil)
}

// wholeBatch has rows of 87 bytes: three numbers, an offset and a text of 59 letters on
// average, which compress as words do.
func wholeBatch(schema *arrow.Schema, seed uint64) arrow.RecordBatch {
	random := rand.New(rand.NewPCG(seed, 1))
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	words := []string{"tide ", "mill ", "river ", "stone ", "water ", "wheel ", "grain ", "flour "}
	text := make([]byte, 0, 80)
	for row := range wholeRows {
		b.Field(0).(*array.Int64Builder).Append(int64(seed)*wholeRows + int64(row))
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(1_700_000_000_000_000 + int64(row)*37))
		b.Field(2).(*array.Float64Builder).Append(float64(random.IntN(1_000_000)) / 100)
		text = text[:0]
		for letters := 40 + random.IntN(39); len(text) < letters; {
			if random.IntN(3) == 0 {
				text = append(text, byte('0'+random.IntN(10)))
			} else {
				text = append(text, words[random.IntN(len(words))]...)
				text = text[:min(len(text), letters)]
			}
		}
		b.Field(3).(*array.StringBuilder).Append(string(text))
	}
	return b.NewRecordBatch()
}

// message is a batch as an Arrow IPC message.
func message(b arrow.RecordBatch) ([]byte, error) {
	p, err := ipc.GetRecordBatchPayload(b)
	if err != nil {
		return nil, err
	}
	defer p.Release()
	var out bytes.Buffer
	if _, err := p.WritePayload(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
