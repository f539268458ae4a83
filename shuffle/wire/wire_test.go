package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	gen "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// What is encoded, sent, received and decoded is what it was: every type, nulls,
// slices, dictionaries, row kinds, no rows at all.

func schema(t testing.TB) datatype.Schema {
	t.Helper()
	types := []string{
		"BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT NOT NULL", "FLOAT", "DOUBLE", "DECIMAL(10, 2)", "DECIMAL(38, 4)",
		"STRING", "STRING", "BYTES", "DATE", "TIME(3)", "TIME(9)", "TIMESTAMP(6)", "TIMESTAMP_LTZ(3)",
		"ARRAY<INT>", "MAP<STRING, BIGINT>", "ROW<a INT, b ARRAY<STRING>>", "NULL",
	}
	var s datatype.Schema
	for i, name := range types {
		of, err := datatype.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, datatype.Field{Name: fmt.Sprintf("c%d", i), Type: of})
	}
	return s
}

const dictionaryColumn = 10

// batch has rows of every type, with nulls, cut out of a larger one.
func batch(t testing.TB, alloc memory.Allocator, rows int) *stream.Batch {
	t.Helper()
	s := schema(t).Arrow()
	columns := make([]arrow.Array, s.NumFields())
	for i := range columns {
		var text bytes.Buffer
		text.WriteByte('[')
		for row := range rows + 5 {
			if row > 0 {
				text.WriteByte(',')
			}
			if (row+i)%4 == 0 && s.Field(i).Nullable {
				text.WriteString("null")
				continue
			}
			fmt.Fprint(&text, value(s.Field(i).Type, row))
		}
		text.WriteByte(']')
		whole, _, err := array.FromJSON(alloc, s.Field(i).Type, &text)
		if err != nil {
			t.Fatal(s.Field(i).Type, err)
		}
		columns[i] = array.NewSlice(whole, 3, int64(3+rows))
		whole.Release()
	}
	columns[dictionaryColumn].Release()
	columns[dictionaryColumn] = words(t, alloc, rows)
	fields := append([]arrow.Field(nil), s.Fields()...)
	fields[dictionaryColumn].Type = columns[dictionaryColumn].DataType()
	r := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(rows))
	for _, c := range columns {
		c.Release()
	}
	b := stream.NewBatch(r)
	b.Kinds = make([]stream.RowKind, rows)
	for i := range b.Kinds {
		b.Kinds[i] = stream.Insert + stream.RowKind(i%4)
	}
	return b
}

func value(t arrow.DataType, row int) string {
	switch t.ID() {
	case arrow.BOOL:
		return fmt.Sprint(row%2 == 0)
	case arrow.STRING:
		return fmt.Sprintf("%q", fmt.Sprint("text ", row))
	case arrow.BINARY:
		return `"AQID"`
	case arrow.DECIMAL64, arrow.DECIMAL128:
		return fmt.Sprintf(`"%d.5"`, row)
	case arrow.DATE32:
		return `"2024-02-29"`
	case arrow.TIME32, arrow.TIME64:
		return `"12:34:56"`
	case arrow.TIMESTAMP:
		if t.(*arrow.TimestampType).TimeZone != "" {
			return `"2024-02-29T12:34:56Z"`
		}
		return `"2024-02-29T12:34:56"`
	case arrow.LIST:
		return fmt.Sprintf("[%d, null, 7]", row)
	case arrow.MAP:
		return fmt.Sprintf(`[{"key": "k", "value": %d}]`, row)
	case arrow.STRUCT:
		return fmt.Sprintf(`{"a": %d, "b": ["x", "y"]}`, row)
	case arrow.NULL:
		return "null"
	default:
		return fmt.Sprint(row % 100)
	}
}

func words(t testing.TB, alloc memory.Allocator, rows int) arrow.Array {
	t.Helper()
	b := array.NewDictionaryBuilder(alloc, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String})
	defer b.Release()
	for i := range rows {
		if i%5 == 4 {
			b.AppendNull()
		} else if err := b.AppendValueFromString(fmt.Sprint("word ", i%3)); err != nil {
			t.Fatal(err)
		}
	}
	return b.NewArray()
}

func encode(t testing.TB, alloc memory.Allocator, b *stream.Batch) *wire.Message {
	t.Helper()
	m, err := wire.Encode(alloc, schema(t).Arrow(), wire.Header{Lane: 3, Attempt: 1, Seq: 9, Partition: 4, Digest: 77}, b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	for _, rows := range []int{0, 1, 7, 8, 1000} {
		alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
		given := batch(t, alloc, rows)
		sent := encode(t, alloc, given.Share())
		for _, way := range []struct {
			name string
			pass func(*wire.Message) *wire.Message
		}{
			{"codec", func(m *wire.Message) *wire.Message { return viaCodec(t, alloc, m) }},
			{"block", func(m *wire.Message) *wire.Message { return viaBlock(t, alloc, m) }},
		} {
			sent.Retain()
			got := way.pass(sent)
			if got.Header != sent.Header {
				t.Errorf("%s: %+v", way.name, got.Header)
			}
			b, err := wire.Batch(schema(t).Arrow(), got)
			if err != nil {
				t.Fatal(err)
			}
			if b.Len() != rows || b.Bytes() != given.Bytes() || b.Pinned() != given.Bytes() {
				t.Errorf("%s: %d rows, %d bytes", way.name, b.Len(), b.Bytes())
			}
			// A server hands on what it got, and it can be had again.
			again := viaCodec(t, alloc, encode(t, alloc, b.Share()))
			second, err := wire.Batch(schema(t).Arrow(), again)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []*stream.Batch{b, second} {
				if b, err = wire.Decode(b); err != nil {
					t.Fatal(err)
				}
				if pinned := b.Pinned(); rows > 0 && pinned > b.Bytes()*5/4+4096 {
					t.Errorf("%d rows of %d bytes pin %d", rows, b.Bytes(), pinned)
				}
				if !same(t, alloc, b.Record, given.Record) || fmt.Sprint(b.Kinds) != fmt.Sprint(given.Kinds) {
					t.Errorf("%s: %d rows came back as %v", way.name, rows, b.Record)
				}
				b.Release()
			}
		}
		given.Release()
		sent.Release()
		alloc.AssertSize(t, 0)
	}
}

// same compares values: small batches are sent without dictionaries.
func same(t testing.TB, alloc memory.Allocator, a, b arrow.RecordBatch) bool {
	t.Helper()
	equal := a.NumCols() == b.NumCols() && a.NumRows() == b.NumRows()
	for i := 0; equal && i < int(a.NumCols()); i++ {
		x, err := compute.Decode(alloc, a.Column(i))
		if err != nil {
			t.Fatal(err)
		}
		y, err := compute.Decode(alloc, b.Column(i))
		if err != nil {
			t.Fatal(err)
		}
		equal = array.Equal(x, y)
		x.Release()
		y.Release()
	}
	return equal
}

// viaCodec consumes m.
func viaCodec(t testing.TB, alloc memory.Allocator, m *wire.Message) *wire.Message {
	t.Helper()
	defer m.Release()
	c := wire.Codec{Alloc: alloc}
	out, err := c.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Free()
	var in wire.Message
	if err := c.Unmarshal(out, &in); err != nil {
		t.Fatal(err)
	}
	return &in
}

func viaBlock(t testing.TB, alloc memory.Allocator, m *wire.Message) *wire.Message {
	t.Helper()
	defer m.Release()
	data := m.AppendBlock([]byte("before"))[6:]
	if len(data) != m.BlockBytes() {
		t.Errorf("block of %d bytes, said to have %d", len(data), m.BlockBytes())
	}
	buf := wire.NewBuffer(alloc, len(data))
	copy(buf.Bytes(), data)
	got, err := wire.ParseBlock(buf)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The bytes are those of the generated code, in both directions.
func TestCodecIsFlightData(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	m := encode(t, alloc, batch(t, alloc, 2000))
	defer m.Release()
	out, err := wire.Codec{}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Free()
	var data gen.FlightData
	if err := proto.Unmarshal(out.Materialize(), &data); err != nil {
		t.Fatal(err)
	}
	back, err := proto.MarshalOptions{Deterministic: true}.Marshal(&data)
	if err != nil || !bytes.Equal(back, out.Materialize()) {
		t.Errorf("generated code writes other bytes, or %v", err)
	}
	data.FlightDescriptor = &gen.FlightDescriptor{Cmd: []byte("skipped")}
	if back, err = proto.Marshal(&data); err != nil {
		t.Fatal(err)
	}
	var in wire.Message
	if err := (wire.Codec{Alloc: alloc}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(back)}, &in); err != nil {
		t.Fatal(err)
	}
	in.Release()
	var q gen.Ticket
	if err := (wire.Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer("\x0a\x01x")}, &q); err != nil || string(q.Ticket) != "x" {
		t.Errorf("other messages: %v, %v", &q, err)
	}
}

// Every byte that is changed, and every length that is cut, is noticed, and nothing
// stays allocated.
func TestBrokenMessages(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	m := encode(t, alloc, batch(t, alloc, 3))
	defer m.Release()
	out, err := wire.Codec{}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Free()
	good, block := out.Materialize(), m.AppendBlock(nil)
	try := func(data []byte) error {
		var in wire.Message
		err := wire.Codec{Alloc: alloc}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, &in)
		in.Release()
		return err
	}
	tryBlock := func(data []byte) error {
		buf := wire.NewBuffer(alloc, len(data))
		copy(buf.Bytes(), data)
		m, err := wire.ParseBlock(buf)
		if err == nil {
			m.Release()
		}
		return err
	}
	known := func(err error) bool { return errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrChecksum) }
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x11
		if err := try(bad); !known(err) {
			t.Fatalf("byte %d of %d changed: %v", i, len(good), err)
		}
		if err := try(good[:i]); !known(err) {
			t.Fatalf("cut at %d of %d: %v", i, len(good), err)
		}
	}
	for i := range block {
		bad := bytes.Clone(block)
		bad[i] ^= 0x11
		if err := tryBlock(bad); !known(err) {
			t.Fatalf("byte %d of the block changed: %v", i, err)
		}
		if err := tryBlock(block[:i]); !known(err) {
			t.Fatalf("block cut at %d: %v", i, err)
		}
	}
}

// A batch that is not of the exchange's schema does not go out.
func TestOtherSchema(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	other := arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int32}}, nil)
	if _, err := wire.Encode(alloc, other, wire.Header{}, batch(t, alloc, 1)); err == nil {
		t.Error("a batch of many columns on an exchange of one")
	}
	s := schema(t)
	s[3], s[4] = s[4], s[3]
	if _, err := wire.Encode(alloc, s.Arrow(), wire.Header{}, batch(t, alloc, 1)); err == nil {
		t.Error("columns of other types")
	}
	m := viaCodec(t, alloc, encode(t, alloc, batch(t, alloc, 5)))
	b, err := wire.Batch(other, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Decode(b); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("read as another schema: %v", err)
	}
}

func TestControl(t *testing.T) {
	sent, err := wire.Control(wire.Header{Kind: wire.KindProgress, Seq: 4}, &wire.Progress{Seq: 7, Window: 9})
	if err != nil {
		t.Fatal(err)
	}
	got := viaCodec(t, memory.DefaultAllocator, sent)
	var p wire.Progress
	if err := got.Content(&p); err != nil || got.Kind != wire.KindProgress || got.Seq != 4 || p.GetSeq() != 7 || p.GetWindow() != 9 {
		t.Errorf("%+v, %v, %v", got.Header, &p, err)
	}
	empty, err := wire.Control(wire.Header{Kind: wire.KindClose}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := viaCodec(t, memory.DefaultAllocator, empty).Content(&p); !errors.Is(err, wire.ErrMalformed) {
		t.Error(err)
	}
}
