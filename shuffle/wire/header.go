package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Errors of what is not, or not any more, what was sent.
var (
	ErrMalformed = errors.New("malformed shuffle message")
	ErrChecksum  = errors.New("checksum of shuffle message differs")
)

// Kind says what a message is.
type Kind uint8

// The kinds of message. Their numbers are on the wire and on disk.
const (
	InvalidKind   Kind = iota
	KindOpen           // Open; the first message of a client
	KindData           // rows
	KindWatermark      // Value
	KindBarrier        // Value: the checkpoint; Digest: when it was triggered; Rows: its kind
	KindIdle
	KindActive
	KindEndOfLane      // of a writer: commit
	KindEndOfPartition // to a reader: nothing follows; Totals; Value: where event time ended
	KindClose          // of a client: give it up
	KindProgress       // Progress
	KindDone           // to a writer: Manifest
	KindError          // Error
)

var kindNames = [...]string{
	"invalid", "open", "data", "watermark", "barrier", "idle", "active", "end of lane", "end of partition",
	"close", "progress", "done", "error",
}

// String is the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("message kind %d", uint8(k))
}

// HeaderBytes is the length of a header.
const HeaderBytes = 48

// version is that of headers and of what follows them.
const version = 1

// Header begins every message.
type Header struct {
	Kind      Kind
	Lane      uint32
	Attempt   uint32
	Seq       uint64 // of a stream's messages, from 1; of a stored block, its place
	Rows      uint32
	Partition uint32
	Value     int64  // of rows: stream.Batch.Bytes; else see Kind
	Digest    uint64 // of rows: see shuffle.PartitionTotals
}

// append writes the header, with a checksum that covers it and a payload of checksum
// sum.
func (h *Header) append(b []byte, sum uint32) []byte {
	start := len(b)
	le := binary.LittleEndian
	b = append(b, byte(h.Kind), 0)
	b = le.AppendUint16(b, version)
	b = le.AppendUint32(b, h.Lane)
	b = le.AppendUint32(b, h.Attempt)
	b = le.AppendUint64(b, h.Seq)
	b = le.AppendUint32(b, h.Rows)
	b = le.AppendUint32(b, h.Partition)
	b = le.AppendUint64(b, uint64(h.Value))
	b = le.AppendUint64(b, h.Digest)
	return le.AppendUint32(b, checksum(sum, b[start:]))
}

// parseHeader reads a header and compares its checksum, given the payload's.
func parseHeader(b []byte, sum uint32) (Header, error) {
	le := binary.LittleEndian
	if len(b) < HeaderBytes {
		return Header{}, fmt.Errorf("%w: %d bytes of header", ErrMalformed, len(b))
	}
	if v := le.Uint16(b[2:]); v != version {
		return Header{}, fmt.Errorf("%w: version %d is not known", ErrMalformed, v)
	}
	h := Header{
		Kind: Kind(b[0]), Lane: le.Uint32(b[4:]), Attempt: le.Uint32(b[8:]), Seq: le.Uint64(b[12:]),
		Rows: le.Uint32(b[20:]), Partition: le.Uint32(b[24:]), Value: int64(le.Uint64(b[28:])), Digest: le.Uint64(b[36:]),
	}
	if b[1] != 0 || h.Kind == InvalidKind || int(h.Kind) >= len(kindNames) {
		return Header{}, fmt.Errorf("%w: %v, flags %#x", ErrMalformed, h.Kind, b[1])
	}
	if checksum(sum, b[:HeaderBytes-4]) != le.Uint32(b[HeaderBytes-4:]) {
		return Header{}, ErrChecksum
	}
	return h, nil
}

// checksum continues a CRC-32C.
func checksum(sum uint32, b []byte) uint32 {
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), b)
}
