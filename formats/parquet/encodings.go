package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/bitpack"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

const decimalKind = datatype.Decimal

// maxPageValues bounds the values of a page whose encoding can express many of
// them in few bytes.
const maxPageValues = 1 << 24

// toPlain brings the values of a page to PLAIN. values counts the page's rows,
// so it is the most that can be there.
func (p *pages) toPlain(e format.Encoding, data []byte, values int) ([]byte, error) {
	var err error
	physical := p.leaf.physical
	switch {
	case e == format.Plain:
	case e == format.DeltaBinaryPacked && (physical == format.Int32 || physical == format.Int64):
		data, err = p.deltaToPlain(data, values)
	case e == format.ByteStreamSplit && p.splittable():
		data, err = p.splitToPlain(data)
	case e == format.DeltaLengthByteArray && physical == format.ByteArray:
		data, err = p.deltaLengthToPlain(data, values)
	case e == format.DeltaByteArray && (physical == format.ByteArray || physical == format.FixedLenByteArray):
		data, err = p.deltaBytesToPlain(data, values)
	default:
		return nil, fmt.Errorf("%s values encoded as %s, which is not supported", physical, e)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	if physical == format.ByteArray && p.leaf.datatype.Kind == decimalKind {
		return p.decimalsToFixed(data, values)
	}
	return data, nil
}

// plainBuffer returns a buffer for n bytes of PLAIN values. It never holds what
// toPlain reads, except where a decimal follows another encoding.
func (p *pages) plainBuffer(n int) []byte {
	p.prepare.ResizeNoShrink(n + padding)
	return p.prepare.Bytes()[:n]
}

func (p *pages) deltaToPlain(data []byte, values int) ([]byte, error) {
	ints, _, err := p.scratch.decode(data, values)
	if err != nil {
		return nil, err
	}
	if p.leaf.physical == format.Int32 {
		out := p.plainBuffer(4 * len(ints))
		for i, v := range ints {
			binary.LittleEndian.PutUint32(out[4*i:], uint32(v))
		}
		return out, nil
	}
	out := p.plainBuffer(8 * len(ints))
	for i, v := range ints {
		binary.LittleEndian.PutUint64(out[8*i:], uint64(v))
	}
	return out, nil
}

func (p *pages) splittable() bool {
	switch p.leaf.physical {
	case format.Int32, format.Int64, format.Float, format.Double, format.FixedLenByteArray:
		return true
	}
	return false
}

// splitToPlain puts together values whose first bytes stand before all second
// bytes, and so on.
func (p *pages) splitToPlain(data []byte) ([]byte, error) {
	width := physicalWidth(p.leaf)
	n := len(data) / width
	if n*width != len(data) {
		return nil, fmt.Errorf("%d bytes are no whole number of values of %d", len(data), width)
	}
	out := p.plainBuffer(len(data))
	for b := range width {
		stream := data[b*n : (b+1)*n]
		for i, v := range stream {
			out[i*width+b] = v
		}
	}
	return out, nil
}

func (p *pages) deltaLengthToPlain(data []byte, values int) ([]byte, error) {
	lengths, rest, err := p.scratch.decode(data, values)
	if err != nil {
		return nil, err
	}
	out := p.plainBuffer(4*len(lengths) + len(rest))
	at := 0
	for i, n := range lengths {
		if n < 0 || n > int64(len(rest)) {
			return nil, fmt.Errorf("value %d of %d bytes, %d left", i, n, len(rest))
		}
		binary.LittleEndian.PutUint32(out[at:], uint32(n))
		at += 4 + copy(out[at+4:], rest[:n])
		rest = rest[n:]
	}
	return out[:at], nil
}

// deltaBytesToPlain puts together values that share a prefix with the one before.
func (p *pages) deltaBytesToPlain(data []byte, values int) ([]byte, error) {
	decoded, rest, err := p.scratch.decode(data, values)
	if err != nil {
		return nil, err
	}
	prefixes := append([]int64(nil), decoded...)
	suffixes, rest, err := p.scratch.decode(rest, values)
	if err != nil {
		return nil, err
	}
	size, err := deltaBytesSize(prefixes, suffixes, len(rest))
	if err != nil {
		return nil, err
	}
	head := 4
	if p.leaf.physical == format.FixedLenByteArray {
		head = 0
	}
	out := p.plainBuffer(size + head*len(prefixes))
	at, last := 0, []byte(nil)
	for i, n := range prefixes {
		length := int(n + suffixes[i])
		if head == 0 && length != p.leaf.length {
			return nil, fmt.Errorf("value %d of %d bytes instead of %d", i, length, p.leaf.length)
		}
		if head > 0 {
			binary.LittleEndian.PutUint32(out[at:], uint32(length))
		}
		v := out[at+head : at+head+length]
		copy(v, last[:n])
		rest = rest[copy(v[n:], rest[:suffixes[i]]):]
		last, at = v, at+head+length
	}
	return out[:at], nil
}

// deltaBytesSize checks prefix and suffix lengths and adds them up.
func deltaBytesSize(prefixes, suffixes []int64, rest int) (int, error) {
	if len(prefixes) != len(suffixes) {
		return 0, fmt.Errorf("%d prefixes and %d suffixes", len(prefixes), len(suffixes))
	}
	size, last := int64(0), int64(0)
	for i, n := range prefixes {
		if n < 0 || n > last || suffixes[i] < 0 || suffixes[i] > int64(rest) {
			return 0, fmt.Errorf("value %d has prefix %d after a value of %d bytes and suffix %d of %d", i, n, last, suffixes[i], rest)
		}
		rest -= int(suffixes[i])
		last = n + suffixes[i]
		if size += last; size > maxPageBytes {
			return 0, fmt.Errorf("values of more than %d bytes in one page", maxPageBytes)
		}
	}
	return int(size), nil
}

// decimalsToFixed brings decimals of varying length to 16 bytes each, which the
// converter reads.
func (p *pages) decimalsToFixed(data []byte, values int) ([]byte, error) {
	out := make([]byte, 0, min(16*values, 4*len(data))+padding)
	for len(data) > 0 && len(out) < 16*values {
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return nil, errors.New("decimal reaches beyond the page")
		}
		n := int(binary.LittleEndian.Uint32(data))
		v, ok := bigEndian(data[4 : 4+n])
		if !ok {
			return nil, fmt.Errorf("decimal of %d bytes does not fit 128 bits", n)
		}
		out = binary.BigEndian.AppendUint64(out, uint64(v.HighBits()))
		out = binary.BigEndian.AppendUint64(out, v.LowBits())
		data = data[4+n:]
	}
	return out, nil
}

// delta decodes DELTA_BINARY_PACKED; it keeps its buffers.
type delta struct {
	ints  []int64
	block []byte
}

var errDeltaEnd = errors.New("deltas end too early")

// maxDeltaBlock bounds the block size that a header may claim.
const maxDeltaBlock = 1 << 16

// decode reads one sequence of at most most integers; they stay valid until the
// next call. It also returns the bytes that follow.
func (d *delta) decode(data []byte, most int) (ints []int64, rest []byte, err error) {
	var head [3]uint64 // values in a block, miniblocks in a block, values
	for i := range head {
		var n int
		if head[i], n = binary.Uvarint(data); n <= 0 {
			return nil, nil, errDeltaEnd
		}
		data = data[n:]
	}
	first, n := binary.Varint(data)
	if n <= 0 {
		return nil, nil, errDeltaEnd
	}
	data = data[n:]
	block, minis, total := int(head[0]), int(head[1]), int(head[2])
	switch {
	case head[0] == 0 || head[0] > maxDeltaBlock || head[1] == 0 || head[1] > head[0] || block%minis != 0 || block/minis%8 != 0:
		return nil, nil, fmt.Errorf("blocks of %d values in %d parts", head[0], head[1])
	case head[2] > uint64(most) || head[2] > maxPageValues:
		return nil, nil, fmt.Errorf("%d values in a page of %d", head[2], most)
	}
	if total == 0 {
		return d.ints[:0], data, nil
	}
	d.ints = grow(d.ints, total+block)
	d.ints[0] = first
	for at := 1; at < total; at += block {
		if data, err = d.decodeBlock(data, d.ints[at-1:at+block], block/minis, total-at); err != nil {
			return nil, nil, err
		}
	}
	return d.ints[:total], data, nil
}

// decodeBlock fills dst[1:], of which left values count; dst[0] is the value before.
func (d *delta) decodeBlock(data []byte, dst []int64, mini, left int) ([]byte, error) {
	least, n := binary.Varint(data)
	minis := (len(dst) - 1) / mini
	if n <= 0 || len(data)-n < minis {
		return nil, errDeltaEnd
	}
	widths := data[n : n+minis]
	data = data[n+minis:]
	for i, w := range widths {
		if i*mini >= left {
			break
		}
		if w > 64 {
			return nil, fmt.Errorf("deltas of %d bits", w)
		}
		size := mini * int(w) / 8
		if size > len(data) {
			return nil, errDeltaEnd
		}
		part := dst[1+i*mini : 1+(i+1)*mini]
		if clear(part); w > 0 {
			d.block = grow(d.block, size+padding)
			copy(d.block, data[:size])
			bitpack.Unpack(part, d.block, uint(w))
		}
		last := dst[i*mini]
		for j, v := range part {
			last += v + least
			part[j] = last
		}
		data = data[size:]
	}
	return data, nil
}
