package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"

	"github.com/tidemill/tidemill/core/stream"
)

// Hostile bytes: what a message says of itself may be anything. It is refused as
// malformed or as damaged, or it is read; then every value can be looked at. Nothing
// panics, and all memory comes back. Seeds are whole messages of several shapes, and
// go test -fuzz breaks them.

// fuzzSchema has a column of each layout: fixed width, bits, offsets, nested, nulls.
func fuzzSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "i", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "b", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "l", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
		{Name: "r", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int32, Nullable: true}), Nullable: true},
		{Name: "m", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float64), Nullable: true},
	}, nil)
}

var fuzzRows = []string{
	`[]`,
	`[{"i":1,"b":true,"s":"tide","l":["a",null,"b"],"r":{"x":3},"m":[{"key":"k","value":1.5}]}]`,
	`[{"i":null,"b":null,"s":null,"l":null,"r":null,"m":null},{"i":2,"b":false,"s":"","l":[],"r":{"x":null},"m":[]}]`,
	`[{"i":1,"b":true,"s":"` + strings.Repeat("long ", 2000) + `","l":["x"],"r":{"x":1},"m":[]},{"i":3,"b":false,"s":"y","l":[],"r":{"x":4},"m":[]}]`,
}

// fuzzSeeds are encoded batches of fuzzSchema; one has row kinds, one a dictionary.
func fuzzSeeds(t testing.TB) (all []*Message) {
	t.Helper()
	schema := fuzzSchema()
	for i, text := range fuzzRows {
		r, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		b := stream.NewBatch(r)
		if i == 2 {
			b.Kinds = []stream.RowKind{stream.UpdateBefore, stream.UpdateAfter}
		}
		if i == 3 {
			b = withDictionary(b)
		}
		m, err := Encode(memory.DefaultAllocator, schema, Header{Lane: 1, Attempt: 2, Seq: 3, Partition: 4, Digest: 5}, b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// withDictionary has the texts of column s in a dictionary.
func withDictionary(b *stream.Batch) *stream.Batch {
	columns := append([]arrow.Array(nil), b.Record.Columns()...)
	indexes, _, _ := array.FromJSON(memory.DefaultAllocator, arrow.PrimitiveTypes.Int32, strings.NewReader("[1,0]"))
	columns[2] = array.NewDictionaryArray(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, indexes, columns[2])
	fields := fuzzSchema().Fields()
	fields[2].Type = columns[2].DataType()
	return b.WithRecord(array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, 2))
}

func wholeBytes(m *Message) []byte {
	parts := m.marshal()
	defer parts.Free()
	return parts.Materialize()
}

// receive reads a message as the codec does, from pieces of n bytes.
func receive(alloc memory.Allocator, b []byte, n int) (*Message, error) {
	var pieces mem.BufferSlice
	for len(b) > n {
		pieces, b = append(pieces, mem.SliceBuffer(b[:n])), b[n:]
	}
	m := &Message{}
	if err := (Codec{Alloc: alloc}).Unmarshal(append(pieces, mem.SliceBuffer(b)), m); err != nil {
		return nil, err
	}
	return m, nil
}

// examine takes a message all the way: to a batch whose every value is looked at.
func examine(t *testing.T, m *Message) {
	if m.Kind != KindData {
		_ = m.Content(&Open{}) // may fail
		m.Release()
		return
	}
	b, err := Batch(fuzzSchema(), m)
	if err == nil {
		b, err = Decode(b)
	}
	if err != nil {
		refused(t, err)
		return
	}
	defer b.Release()
	for i, c := range b.Record.Columns() {
		if int64(c.Len()) != b.Record.NumRows() {
			t.Fatalf("column %d has %d rows of %d", i, c.Len(), b.Record.NumRows())
		}
		for row := range c.Len() {
			_ = c.ValueStr(row)
		}
	}
	if b.Kinds != nil && len(b.Kinds) != int(b.Record.NumRows()) {
		t.Fatalf("%d kinds of %d rows", len(b.Kinds), b.Record.NumRows())
	}
}

func refused(t *testing.T, err error) {
	if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrChecksum) {
		t.Fatalf("refused without its name: %v", err)
	}
}

// FuzzUnmarshal: bytes from a socket, as they are.
func FuzzUnmarshal(f *testing.F) {
	for _, m := range fuzzSeeds(f) {
		whole := wholeBytes(m)
		f.Add(whole, 16<<10)
		f.Add(whole[:len(whole)/2], 7)
		m.Release()
	}
	open, err := Control(Header{Kind: KindOpen}, &Open{Server: "a-1", Ticket: make([]byte, 70), Exchange: &Exchange{Job: make([]byte, 16), Lanes: 2}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wholeBytes(open), 5)
	f.Add([]byte{0xc2, 0x3e, 0xff, 0xff, 0xff, 0xff, 0x0f}, 100) // a body of 4 GiB that is not there
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer alloc.AssertSize(t, 0)
		m, err := receive(alloc, b, max(piece, 1))
		if err != nil {
			refused(t, err)
			return
		}
		examine(t, m)
	})
}

// FuzzDecode: a sender that computes checksums, but lies in everything that they cover.
func FuzzDecode(f *testing.F) {
	for _, m := range fuzzSeeds(f) {
		p := m.payload
		var body []byte
		for _, part := range p.parts {
			body = append(body, part...)
		}
		f.Add(byte(m.Kind), m.Rows, m.Value, p.extra, p.meta, body)
		f.Add(byte(m.Kind), m.Rows+1, m.Value, p.extra, p.meta, body)
		f.Add(byte(m.Kind), m.Rows, int64(-1), p.extra, p.meta, body[:len(body)/2])
		m.Release()
	}
	f.Add(byte(KindOpen), uint32(0), int64(0), []byte{tlvControl, 3, 0, 0, 0, 10, 1, 'x'}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, kind byte, rows uint32, value int64, extra, meta, body []byte) {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer alloc.AssertSize(t, 0)
		sent := &Message{Header: Header{Kind: Kind(kind), Rows: rows, Value: value}, payload: newPayload(extra, meta, [][]byte{body}, nil)}
		m, err := receive(alloc, wholeBytes(sent), 1<<20)
		sent.Release()
		if err != nil {
			refused(t, err)
			return
		}
		examine(t, m)
	})
}

// FuzzParseBlock: bytes of a file.
func FuzzParseBlock(f *testing.F) {
	for _, m := range fuzzSeeds(f) {
		whole := m.AppendBlock(nil)
		f.Add(whole)
		f.Add(whole[:len(whole)-1])
		m.Release()
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer alloc.AssertSize(t, 0)
		buf := NewBuffer(alloc, len(b))
		copy(buf.Bytes(), b)
		m, err := ParseBlock(buf)
		if err != nil {
			refused(t, err)
			return
		}
		examine(t, m)
	})
}
