package endpoint

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

// The splits of a source's snapshot:
//
//	version(1) received count | id length, id | data length, data | bytes |... | crc32c(4)
//
// Numbers are varints, the checksum is over all before it, little endian.
const splitsVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeSplits(received uint64, splits []connector.Split) []byte {
	b := binary.AppendUvarint([]byte{splitsVersion}, received)
	b = binary.AppendUvarint(b, uint64(len(splits)))
	for _, s := range splits {
		b = append(binary.AppendUvarint(b, uint64(len(s.ID))), s.ID...)
		b = append(binary.AppendUvarint(b, uint64(len(s.Data))), s.Data...)
		b = binary.AppendVarint(b, s.Bytes)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// Received reads from a source's snapshot how many splits the attempt had been
// given by then. Whoever hands out splits keeps the later ones for a restore.
func Received(snapshot []byte) (uint64, error) {
	received, _, err := decodeSplits(snapshot)
	return received, err
}

// Splits reads from a source's snapshot the splits that the attempt had in hand, each with
// how far it had been read.
func Splits(snapshot []byte) ([]connector.Split, error) {
	_, splits, err := decodeSplits(snapshot)
	return splits, err
}

func decodeSplits(b []byte) (received uint64, splits []connector.Split, err error) {
	damaged := failure.Errorf(failure.BadData, "saved splits of %d bytes are damaged", len(b))
	if len(b) < 6 || crc32.Checksum(b[:len(b)-4], castagnoli) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return 0, nil, damaged
	}
	if b[0] != splitsVersion {
		return 0, nil, failure.Errorf(failure.Fatal, "saved splits of version %d, this is version %d", b[0], splitsVersion)
	}
	d := decoder{b: b[1 : len(b)-4], ok: true}
	received = d.number()
	for range d.number() {
		s := connector.Split{ID: string(d.bytes()), Data: append([]byte(nil), d.bytes()...), Bytes: d.signed()}
		if !d.ok {
			return 0, nil, damaged
		}
		splits = append(splits, s)
	}
	return received, splits, nil
}

// decoder reads varints and byte strings until something is wrong.
type decoder struct {
	b  []byte
	ok bool
}

func (d *decoder) number() uint64 {
	x, n := binary.Uvarint(d.b)
	d.skip(n)
	return x
}

func (d *decoder) signed() int64 {
	x, n := binary.Varint(d.b)
	d.skip(n)
	return x
}

func (d *decoder) skip(n int) {
	if n <= 0 || !d.ok {
		d.b, d.ok = nil, false
		return
	}
	d.b = d.b[n:]
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if !d.ok || n > uint64(len(d.b)) {
		d.b, d.ok = nil, false
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}
