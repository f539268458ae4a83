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

// The memory of a piece serves the next one; what is kept has a limit, and all is given back.
func TestRecycler(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := &recycler{Allocator: mem}
	a := r.Allocate(1000)
	r.Free(a[:10])
	if b := r.Allocate(900); &b[0] != &a[0] || len(b) != 900 {
		t.Error("it is not used again")
	} else {
		r.Free(b)
	}
	small := r.Allocate(10)
	if &small[0] != &a[0] {
		t.Error("a larger one is not taken")
	}
	copy(small, "0123456789")
	larger := r.Reallocate(2000, small[:10])
	if string(larger[:10]) != "0123456789" || len(larger) != 2000 {
		t.Error("content is lost")
	}
	r.Free(larger)
	r.Free(nil)
	var many [][]byte
	for i := range 2 * recycled {
		many = append(many, r.Allocate(3000+i))
	}
	for _, b := range many {
		r.Free(b)
	}
	if len(r.free) != recycled || cap(r.free[0]) < 3000 {
		t.Errorf("%d blocks are kept", len(r.free))
	}
	r.close()
}
