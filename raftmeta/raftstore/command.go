package raftstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/raftmeta"
)

// Versions of what is kept on disk. A reader knows all versions up to its own.
const (
	commandVersion  = 1
	snapshotVersion = 1
)

// encodeTxn writes a command; equal transactions have equal bytes.
func encodeTxn(t raftmeta.Txn) []byte {
	size := 64
	for _, op := range t.Ops {
		size += len(op.Bucket) + len(op.Key) + len(op.Value) + 32
	}
	b := append(make([]byte, 0, size), commandVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Term))
	b = binary.AppendUvarint(b, uint64(len(t.Ops)))
	for _, op := range t.Ops {
		b = append(b, byte(op.Kind))
		b = appendText(b, string(op.Bucket))
		b = appendText(b, op.Key)
		b = appendText(b, op.Value)
		b = binary.AppendUvarint(b, uint64(op.Expect))
	}
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// decodeTxn reads a command. Values are views of b.
func decodeTxn(b []byte) (raftmeta.Txn, error) {
	body, err := verify(b)
	if err != nil {
		return raftmeta.Txn{}, err
	}
	r := reader{b: body}
	if v := r.byte(); v != commandVersion {
		return raftmeta.Txn{}, fmt.Errorf("%w: command version %d", raftmeta.ErrCorrupt, v)
	}
	t := raftmeta.Txn{Term: id.Term(r.uint64())}
	for n := r.count(); n > 0 && !r.bad; n-- {
		op := raftmeta.Op{Kind: raftmeta.OpKind(r.byte())}
		op.Bucket = raftmeta.Bucket(r.bytes())
		op.Key = string(r.bytes())
		op.Value = r.bytes()
		op.Expect = raftmeta.Revision(r.uvarint())
		r.bad = r.bad || op.Kind < raftmeta.OpPut || op.Kind > raftmeta.OpCheck
		t.Ops = append(t.Ops, op)
	}
	if r.bad || len(r.b) > 0 {
		return raftmeta.Txn{}, fmt.Errorf("%w: malformed command", raftmeta.ErrCorrupt)
	}
	return t, nil
}

// verify takes the checksum off the end of b.
func verify(b []byte) ([]byte, error) {
	n := len(b) - 4
	if n < 0 || checksum(b[:n]) != binary.LittleEndian.Uint32(b[n:]) {
		return nil, fmt.Errorf("%w: checksum", raftmeta.ErrCorrupt)
	}
	return b[:n], nil
}

// reader takes values off the front of b; the first that is not there sets bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	head := r.b[:n:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of things, each of which takes a byte at least.
func (r *reader) count() uint64 {
	n := r.uvarint()
	r.bad = r.bad || n > uint64(len(r.b))
	return n
}

func (r *reader) bytes() []byte { return r.take(r.uvarint()) }
