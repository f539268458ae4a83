package storage

import (
	"bytes"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// A chunk is decoded where it lies. One that is cut is an error, and so is a wrong length; its
// memory is given back.
func TestDecodeChunk(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	spec := state.TableSpec{ID: 1, Name: "texts", Keys: datatype.Schema{{Name: "k", Type: datatype.Of(datatype.Varchar)}}}
	rows, _, err := array.RecordFromJSON(memory.DefaultAllocator, state.PieceSchema(spec, state.PutKey),
		bytes.NewReader([]byte(`[{"namespace":1,"k":"one"},{"namespace":1,"k":null},{"namespace":2,"k":""}]`)))
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	if err := encodeChunk(&whole, state.Piece{Table: spec, Kind: state.PutKey, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	decode := func(data []byte) (*memory.Buffer, state.Piece, error) {
		b := memory.NewBufferWithAllocator(mem.Allocate(len(data)), mem)
		copy(b.Bytes(), data)
		p, err := decodeChunk(b, mem)
		return b, p, err
	}
	b, p, err := decode(whole.Bytes())
	if err != nil || !array.RecordEqual(p.Rows, rows) || p.Table.Name != "texts" || p.Kind != state.PutKey {
		t.Fatalf("have %+v, %v", p, err)
	}
	if mem.CurrentAlloc() != b.Cap() {
		t.Errorf("%d bytes are held for a chunk of %d", mem.CurrentAlloc(), b.Cap())
	}
	b.Release()
	if v := p.Rows.Column(1).(*array.String).Value(0); v != "one" {
		t.Errorf("have %q, the reader's buffer is released", v)
	}
	p.Rows.Release()
	end := bytes.Index(whole.Bytes(), []byte("one")) // what follows may be padding and the end's mark
	for n := range end {
		if b, _, err := decode(whole.Bytes()[:n]); err == nil {
			t.Fatalf("%d bytes are decoded", n)
		} else if b.Release(); !errors.Is(err, checkpoint.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for i := range prefixLength {
		bad := bytes.Clone(whole.Bytes())
		bad[i] ^= 0x81
		if b, _, err := decode(bad); err == nil {
			t.Fatalf("with byte %d damaged it is decoded", i)
		} else if b.Release(); !errors.Is(err, checkpoint.ErrCorrupt) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}
